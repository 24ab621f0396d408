// What methods returned or threw, as replies.

import { warn } from '../log/warn.ts'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { asReply, type Reply } from '../words/reply.ts'
import { SmtpError } from '../words/smtp-error.ts'

/**
 * A verdict as replies: 250 for nothing. With `wanted`, a list has that many replies. Throws `ERR_REPLY` if it is not a
 * verdict; `method` is the one that returned it.
 */
export function asVerdict(verdict: unknown, method: string, wanted?: number): readonly Reply[] {
  if (verdict === undefined || verdict === null) return [replies.OK]
  const said = (Array.isArray(verdict) ? verdict : [verdict]).map(asReply)
  const isEach = said.every(each => each !== null && (each.code < 300 || each.code >= 400))
  if (!isEach || said.length === 0) throw notAReply(method, verdict)
  if (wanted === undefined || !Array.isArray(verdict) || said.length === wanted) return said as readonly Reply[]
  throw new MailHandlerError(
    'ERR_REPLY',
    `${method} returned ${said.length} replies for ${wanted} recipients; return one for each, one for all, or nothing`,
  )
}

/** The error for a method or hook that returned something else than a Reply. */
export function notAReply(method: string, answer: unknown): MailHandlerError {
  return new MailHandlerError('ERR_REPLY', `${method} returned ${describe(answer)}; return ${meant(answer)} or nothing`)
}

/** Is told of program errors: a MailHandler. */
export interface Reporter {
  handleError(error: Error): void
}

/** The one place that makes replies of errors: an error's own reply, that of a refused body, else 451, and a report. */
export function replyToError(handler: Reporter, error: unknown): Reply {
  if (isFault(error)) report(handler, error)
  if (error instanceof SmtpError) return asReply(error.reply) ?? replies.LOCAL_ERROR
  return (error instanceof MailHandlerError ? replies.REFUSALS[error.code] : undefined) ?? replies.LOCAL_ERROR
}

/** Reports a program error; never throws. */
export function report(handler: Reporter, error: unknown): void {
  try {
    handler.handleError(error instanceof Error ? error : new Error(String(error)))
  } catch (worse) {
    warn(worse)
  }
}

/** Refusals that stand for an error that has been reported. */
const reported = new WeakSet<SmtpError>()

/** The refusal of a message for an error that has been reported; it is not reported again if it is thrown. */
export function refusalFor(error: unknown, reply: Reply): SmtpError {
  const refusal = new SmtpError(reply, { cause: error })
  reported.add(refusal)
  return refusal
}

/** True for a program error, and a refusal that has one as its `cause`: not for a client that went away. */
function isFault(error: unknown): boolean {
  if (error instanceof SmtpError) return error.cause !== undefined && !reported.has(error) && isFault(error.cause)
  if (!(error instanceof MailHandlerError)) return true
  const { code } = error
  return replies.REFUSALS[code] === undefined && code !== 'ERR_TRUNCATED' && code !== 'ERR_SESSION_ENDED'
}

/** What was meant, by its first digit. */
function meant(value: unknown): string {
  const code = typeof value === 'string' || typeof value === 'number' ? /^[2-5][0-5]\d\b/.exec(String(value)) : null
  return `reply(${code?.[0] ?? 250}, …)`
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 100))}`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list with something else than replies'
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'without a class'})`
  return `the ${typeof value} ${String(value as boolean)}`
}
