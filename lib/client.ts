// The names of `mailhandler/client`.
/// <reference types="node" preserve="true" />

export { SmtpClient } from './client/smtp-client.ts'
export type { SmtpClientOptions } from './client/options.ts'
export { SmtpClientError, type ClientErrorOptions } from './client/client-error.ts'
export type { ClientStep, ReplyStep } from './client/steps.ts'
export { CLIENT_TIMEOUTS, type ClientTimeouts } from './client/timeouts.ts'
export type { ClientTlsOptions } from './client/tls.ts'
export type { ClientAuthOptions, ClientMechanismName } from './client/auth/mechanisms.ts'
export type { DataOptions } from './client/data-writer.ts'
export type { MailData } from './client/mail-source.ts'
export { REPLY_LIMITS, type ReplyLimits } from './client/reply-reader.ts'
export type { ProxyHeaderInput } from './protocol/proxy/format-proxy-header.ts'
export type { Attribute, Unavailable, XclientAttributes, XforwardAttributes } from './protocol/proxy/xclient.ts'
export type { AddressLiteral } from './protocol/addresses/address-literal.ts'
export type { ReceivedReply } from './protocol/replies/received-reply.ts'
export type { ServerOffer } from './protocol/replies/server-offer.ts'
export { toReply } from './protocol/replies/to-reply.ts'
