// What methods gave back or threw, as replies.

import { MailHandlerError } from '../words/errors.ts'
import { SmtpError } from '../words/smtp-error.ts'
import * as replies from '../words/replies.ts'
import { Reply } from '../words/reply.ts'

/** Who makes replies of errors: a MailHandler. */
export interface Replier {
  replyTo(error: unknown): Reply
}

/** What a method gave back, or, where that is no answer at all, the reply to a fault. */
export function asAnswer(answer: Reply | void, replier: Replier): Reply | void {
  if (answer === undefined || answer === null || answer instanceof Reply) return answer
  return replier.replyTo(new MailHandlerError('ERR_REPLY', 'a handleXxx method returns a Reply, or nothing'))
}

/** What handleBody gave back: 250 for nothing, and the reply to a fault for what is no verdict. */
export function asVerdict(verdict: Reply | readonly Reply[] | void, replier: Replier): readonly Reply[] {
  if (!Array.isArray(verdict)) return [asAnswer(verdict as Reply | void, replier) ?? replies.OK]
  if (verdict.length > 0 && verdict.every(each => each instanceof Reply)) return verdict
  return [replier.replyTo(new MailHandlerError('ERR_REPLY', 'a list of verdicts holds replies, at least one'))]
}

/** What the client is told of an error: its own reply, or that of a refused body, else 451. */
export function replyOf(error: unknown): Reply {
  if (error instanceof SmtpError) return error.reply
  return (error instanceof MailHandlerError ? replies.REFUSALS[error.code] : undefined) ?? replies.LOCAL_ERROR
}

/** True for what is nobody's fault but ours: no refusal, and no client that went away. */
export function isFault(error: unknown): boolean {
  if (error instanceof SmtpError) return false
  if (!(error instanceof MailHandlerError)) return true
  const { code } = error
  return replies.REFUSALS[code] === undefined && code !== 'ERR_TRUNCATED' && code !== 'ERR_SESSION_ENDED'
}
