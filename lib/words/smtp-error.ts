// The error that carries a reply for the client.

import { MailHandlerError } from './errors.ts'
import { isOfKind, mark } from './kind.ts'
import { show } from './option-checks.ts'
import { asReply, type Reply } from './reply.ts'

const KIND = Symbol.for('mailhandler.SmtpError')

/**
 * Refuses the current command if a handler or hook throws it: `throw new SmtpError(reply(550, '5.7.1', 'Not here'))`.
 * Its constructor throws `ERR_REPLY` for a positive reply.
 */
export class SmtpError extends Error {
  /** `'SmtpError'`. It is no {@link MailHandlerError} and has no `code`: the reply says what is wrong. */
  override readonly name = 'SmtpError'
  /** The reply that is sent to the client. */
  readonly reply: Reply

  static {
    mark(this.prototype, KIND)
  }

  /** True for an SmtpError, also for one of another copy of this package. A class that extends it has instances of its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === SmtpError ? isOfKind(value, KIND) : super[Symbol.hasInstance](value)
  }

  constructor(reply: Reply, options?: ErrorOptions) {
    const own = asReply(reply)
    if (own === null) {
      throw new MailHandlerError('ERR_REPLY', `an SmtpError takes a reply, not ${show(reply)}; give reply(550, …)`)
    }
    if (own.positive) throw new MailHandlerError('ERR_REPLY', `an SmtpError refuses, and ${own.code} does not`)
    super(`${own.code} ${own.lines.join(' ')}`, options)
    this.reply = own
  }
}
