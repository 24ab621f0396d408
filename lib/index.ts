// The public names of `mailhandler`.
/// <reference types="node" preserve="true" />

export { MailHandler, type MailHandlerOptions } from './stream/mail-handler.ts'
export type { HandlerOptions, LineLimits } from './stream/mail-handler-options.ts'
export type { HandlerMethods } from './stream/handler-methods.ts'
export type { Methods } from './stream/methods.ts'
export type { BareNewline } from './protocol/mail-data/scanners.ts'
export type { Body, Ending } from './stream/body.ts'
export type { BasicMethod } from './protocol/commands/command-table.ts'
export type { Phase } from './protocol/commands/phase.ts'
export type { Extension } from './protocol/parameters/parameter-rows.ts'
export type { Answer, Overridable, Verdict } from './stream/handlers.ts'
export type { LineProblem } from './stream/line-cutter.ts'
export type { Endpoint } from './stream/peer.ts'
export type { Command } from './protocol/commands/command.ts'
export { MailHandlerError, type ErrorCode } from './words/errors.ts'
export { SmtpError } from './words/smtp-error.ts'
export { reply, Reply, REPLY_LINE_OCTETS } from './words/reply.ts'

export { SmtpHandler } from './smtp/smtp-handler.ts'
export type { DeliveryTakes, HookTakes, SessionOptions, SmtpHandlerOptions } from './smtp/options.ts'
export type { AuthOptions } from './smtp/auth-options.ts'
export type { CustomParameters, ParameterOptions, ParseParameter } from './smtp/custom-parameters.ts'
export { LIMITS, TIMEOUTS, type Limits, type Timeouts } from './smtp/limits.ts'
export type { TlsOptions } from './tls/tls-options.ts'
export type { Delivery, Filter, HookAnswer, JudgingHooks, MessageAnswer, Policy, TakingHook } from './smtp/hooks.ts'
export type { Offer } from './smtp/offer.ts'
export { noteKey, type NoteKey, type Notes } from './smtp/notes.ts'
export type { Message } from './smtp/message.ts'
export type { Client } from './smtp/session-client.ts'
export type { InTransaction, Session, SessionEnding, SessionInTransaction } from './smtp/session.ts'
export type { Envelope, Recipient, Sender } from './smtp/envelope.ts'
export type { TlsState } from './tls/tls-state.ts'
export { tlsChannel, type TlsFailureEvent, type TlsFailureKind } from './tls/tls-failure.ts'
export { tlsContexts, type Certificate, type TlsContexts, type TlsContextsOptions } from './tls/tls-contexts.ts'
export type { ExtensionName } from './smtp/extensions.ts'
export type { Clock } from './time/clock.ts'
export { channels } from './smtp/diagnostics.ts'
export type {
  CommandEvent,
  ErrorEvent,
  LimitEvent,
  LoginEvent,
  MessageEvent,
  NoticeEvent,
  RefusalEvent,
  ReplyEvent,
  SessionEvent,
  TransactionEvent,
} from './smtp/diagnostics.ts'

export { plain, login } from './smtp/auth/password.ts'
export { oauthbearer, xoauth2, type OAuthOptions } from './smtp/auth/oauth.ts'
export { scramSha256, type ScramOptions } from './smtp/auth/scram.ts'
export { scramSecret, type ScramSecret, type ScramSecretOptions } from './smtp/auth/scram-secret.ts'
export { cramMd5, type CramMd5Options } from './smtp/auth/cram-md5.ts'
export { GUESS_LIMITS, type GuessLimits, type GuessOptions } from './smtp/auth/auth-guard.ts'
export type { GuessCounter } from './smtp/auth/wrong-credentials.ts'
export type { NameOptions, Prepare } from './smtp/auth/names.ts'
export type {
  AuthResult,
  Credentials,
  CredentialsByMechanism,
  Exchange,
  Identity,
  Mechanism,
  PasswordCredentials,
  ProvenCredentials,
  TokenCredentials,
} from './smtp/auth/mechanism.ts'

export type { Strictness } from './protocol/addresses/characters.ts'
export type { Mailbox } from './protocol/addresses/mailbox.ts'
export type { DeliverBy, MailParameters } from './protocol/parameters/mail-parameters.ts'
export type {
  Notify,
  OriginalRecipient,
  RcptParameters,
  RequiredValidSince,
} from './protocol/parameters/rcpt-parameters.ts'
export { canonicalAddress } from './protocol/addresses/mailbox.ts'
export { receivedField, type Received, type ReceivedTls } from './protocol/header/received.ts'

export { dotStuff } from './transforms/dot-stuff.ts'
export { dotUnstuff } from './transforms/dot-unstuff.ts'
export { limitSize } from './transforms/limit-size.ts'
export { normalizeNewlines } from './transforms/normalize-newlines.ts'
export { prependHeader } from './transforms/prepend-header.ts'
export { tee } from './transforms/tee.ts'
export type { HeaderFields } from './protocol/header/header-field.ts'
export { lineLog, reopenLogs, closeLogs, type LineLog } from './log/line-log.ts'

export { allowRecipients, type AllowRecipients } from './policies/allow-recipients.ts'
