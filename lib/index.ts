// The public names of `mailhandler`.

export { MailHandler } from './stream/mail-handler.ts'
export type { LineLimits, MailHandlerMethods, MailHandlerOptions } from './stream/mail-handler-options.ts'
export type { Body, Ending } from './stream/body.ts'
export type { Answer } from './stream/handlers.ts'
export type { LineProblem } from './stream/line-cutter.ts'
export type { Endpoint } from './stream/peer.ts'
export type { Command } from './protocol/command.ts'
export { MailHandlerError, SmtpError, type ErrorCode } from './words/errors.ts'
export { reply, Reply, REPLY_LINE_OCTETS } from './words/reply.ts'
