// The error that carries a reply for the client.

import { MailHandlerError } from './errors.ts'
import { show } from './option-checks.ts'
import { Reply } from './reply.ts'

/**
 * Refuses the current command if a handler or hook throws it: `throw new SmtpError(reply(550, '5.7.1', 'Not here'))`.
 * Its constructor throws `ERR_REPLY` for a positive reply.
 */
export class SmtpError extends Error {
  /** `'SmtpError'`. It is no {@link MailHandlerError} and has no `code`: the reply says what is wrong. */
  override readonly name = 'SmtpError'
  /** The reply that is sent to the client. */
  readonly reply: Reply

  constructor(reply: Reply, options?: ErrorOptions) {
    if (!(reply instanceof Reply)) {
      throw new MailHandlerError('ERR_REPLY', `an SmtpError takes a reply, not ${show(reply)}; give reply(550, …)`)
    }
    if (reply.positive) throw new MailHandlerError('ERR_REPLY', `an SmtpError refuses, and ${reply.code} does not`)
    super(`${reply.code} ${reply.lines.join(' ')}`, options)
    this.reply = reply
  }
}
