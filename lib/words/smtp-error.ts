// An error for the client: it has a `reply`.

import { MailHandlerError } from './errors.ts'
import type { Reply } from './reply.ts'

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
