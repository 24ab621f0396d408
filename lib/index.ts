// The public names of `mailhandler`.

export { MailHandler } from './stream/mail-handler.ts'
export type { LineLimits, MailHandlerMethods, MailHandlerOptions } from './stream/mail-handler-options.ts'
export type { Body, Ending } from './stream/body.ts'
export type { Answer } from './stream/handlers.ts'
export type { LineProblem } from './stream/line-cutter.ts'
export type { Endpoint } from './stream/peer.ts'
export type { Command } from './protocol/commands/command.ts'
export { MailHandlerError, type ErrorCode } from './words/errors.ts'
export { SmtpError } from './words/smtp-error.ts'
export { reply, Reply, REPLY_LINE_OCTETS } from './words/reply.ts'

export { SmtpHandler } from './smtp/smtp-handler.ts'
export type { AuthOptions, Limits, SmtpHandlerOptions, Timeouts, TlsOptions } from './smtp/options.ts'
export type { Filter, HookAnswer, Hooks, MessageAnswer, Policy } from './smtp/hooks.ts'
export type { Message } from './smtp/message.ts'
export { Session } from './smtp/session.ts'
export type { Client, Envelope, Recipient, Sender } from './smtp/session.ts'
export type { TlsState } from './tls/tls-state.ts'
export type { ExtensionName } from './smtp/extensions.ts'
export type { Clock } from './time/clock.ts'
export { channels } from './smtp/diagnostics.ts'
export type {
  CommandEvent,
  ErrorEvent,
  LimitEvent,
  MessageEvent,
  RefusalEvent,
  ReplyEvent,
  SessionEvent,
  TransactionEvent,
} from './smtp/diagnostics.ts'

export { plain, login } from './smtp/auth/password.ts'
export { oauthbearer, xoauth2 } from './smtp/auth/oauth.ts'
export { scramSha256 } from './smtp/auth/scram.ts'
export { scramSecret } from './smtp/auth/scram-secret.ts'
export { cramMd5 } from './smtp/auth/cram-md5.ts'
export type { Credentials, Exchange, Identity, Mechanism } from './smtp/auth/mechanism.ts'

export type { Mailbox } from './protocol/addresses/mailbox.ts'
export type { MailParameters } from './protocol/parameters/mail-parameters.ts'
export type { RcptParameters } from './protocol/parameters/rcpt-parameters.ts'
export { canonicalAddress } from './protocol/addresses/mailbox.ts'
export { receivedField } from './protocol/header/received.ts'

export { dotStuff } from './transforms/dot-stuff.ts'
export { dotUnstuff } from './transforms/dot-unstuff.ts'
export { limitSize } from './transforms/limit-size.ts'
export { normalizeNewlines } from './transforms/normalize-newlines.ts'
export { prependHeader } from './transforms/prepend-header.ts'
export { tee } from './transforms/tee.ts'
export type { HeaderFields } from './protocol/header/header-field.ts'
export { lineLog, reopenLogs, closeLogs } from './log/line-log.ts'

export { connectionChannel, createServer, MailServer, tlsContexts } from './server/index.ts'
export type { CloseOptions, ConnectionInfo, HandlerFactory, ServerOptions } from './server/index.ts'

export { allowRecipients } from './policies/allow-recipients.ts'
