// Errors for programmers carry a `code`; errors for the wire carry a `reply`.

import type { Reply } from './reply.ts'

/** Every `code` that an error of this package carries; docs/errors.md says what each means and what to do. */
export type ErrorCode =
  | 'ERR_REPLY'
  | 'ERR_OPTION'
  | 'ERR_TRUNCATED'
  | 'ERR_ABORTED'
  | 'ERR_TIMEOUT'
  | 'ERR_BODY_STARTED'
  | 'ERR_SESSION_ENDED'
  | 'ERR_PROMPT'
  | 'ERR_SIZE_LIMIT'
  | 'ERR_BARE_NEWLINE'
  | 'ERR_TRANSCRIPT'
  | 'ERR_HEADER'
  | 'ERR_CERTIFICATE'

/** What this package throws and what its streams fail with. `code` is stable, the text is not. */
export class MailHandlerError extends Error {
  override readonly name: string = 'MailHandlerError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Thrown in a handler or hook, it becomes the reply to the command at hand:
 * `throw new SmtpError(reply(550, '5.7.1', 'Not here'))`. It refuses: a reply that does not is an `ERR_REPLY`.
 */
export class SmtpError extends Error {
  override readonly name = 'SmtpError'
  /** What the client is told. */
  readonly reply: Reply

  constructor(reply: Reply, options?: ErrorOptions) {
    if (reply.positive) throw new MailHandlerError('ERR_REPLY', `an SmtpError refuses, and ${reply.code} does not`)
    super(`${reply.code} ${reply.lines.join(' ')}`, options)
    this.reply = reply
  }
}
