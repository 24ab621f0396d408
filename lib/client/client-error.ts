// What a client fails with.

import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { MailHandlerError, type ErrorCode } from '../words/errors.ts'
import type { ClientStep } from './steps.ts'

/** What a {@link SmtpClientError} is made with. */
export interface ClientErrorOptions extends ErrorOptions {
  /** What the client was doing. */
  readonly step: ClientStep
  /** The reply that it is about. */
  readonly reply?: ReceivedReply | null
}

/**
 * The error that an `SmtpClient` fails with and its promises reject with. A refusal by the server (4yz, 5yz) of MAIL,
 * RCPT, DATA, BDAT or the message is no error but the reply that the promise resolves with.
 */
export class SmtpClientError extends MailHandlerError {
  /** `'SmtpClientError'` */
  override readonly name: string = 'SmtpClientError'
  /** What the client was doing. */
  readonly step: ClientStep
  /** The reply that was unexpected, or that refused the step; null if there is none. Its text is the server's. */
  readonly reply: ReceivedReply | null

  constructor(code: ErrorCode, message: string, { step, reply = null, ...options }: ClientErrorOptions) {
    super(code, `${step}: ${message}`, options)
    this.step = step
    this.reply = reply
  }
}

/** Any error as one of the client: what is one already stays as it is. */
export function clientError(error: unknown, step: ClientStep): SmtpClientError {
  if (error instanceof SmtpClientError) return error
  const code = error instanceof MailHandlerError ? error.code : 'ERR_ABORTED'
  return new SmtpClientError(code, error instanceof Error ? error.message : String(error), { step, cause: error })
}
