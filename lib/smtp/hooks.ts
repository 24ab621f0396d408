// Hooks: where a program has its say in a session. Policies, options and methods of a subclass all have these names.

import { MailHandlerError } from '../words/errors.ts'
import { OK } from '../words/replies.ts'
import { Reply } from '../words/reply.ts'
import { isPromise } from '../stream/handlers.ts'
import type { Credentials } from './auth/mechanism.ts'
import { within, type Clock } from './clock.ts'
import type { Message } from './message.ts'
import type { Recipient, Sender, Session } from './session.ts'

/**
 * What a hook gives back, at once or later. Nothing: no opinion. A refusing reply (4yz, 5yz) is sent, and nobody
 * further is asked. A positive one is the words to use if nobody refuses; the last one counts.
 */
export type HookAnswer = Reply | void | Promise<Reply | void>

/** What `onMessage` gives back: as a {@link HookAnswer}; in LMTP also a reply for each recipient. [RFC 2033 §4.2] */
export type MessageAnswer = Reply | readonly Reply[] | void | Promise<Reply | readonly Reply[] | void>

/**
 * The hooks, in the order in which a session comes to them. Syntax and order of commands have been checked before. What
 * a hook throws becomes the reply: that of an SmtpError, 451 4.3.0 for all else, which is reported.
 */
export interface Hooks {
  /** Before the greeting: 554 or 421 refuses the client. */
  onConnect?(session: Session): HookAnswer
  /** HELO, EHLO or LHLO; the name is `session.helo`. */
  onHelo?(session: Session): HookAnswer
  /**
   * A SASL exchange is complete. A positive reply lets the client in; without one, a password or a token is refused
   * with 535. A mechanism that has checked the secret itself says so with `verified`, and needs no further word.
   */
  onAuth?(credentials: Credentials, session: Session): HookAnswer
  /** MAIL. */
  onMailFrom?(sender: Sender, session: Session): HookAnswer
  /** Each RCPT. */
  onRcptTo?(recipient: Recipient, session: Session): HookAnswer
  /** DATA, or the first BDAT, before 354. */
  onData?(session: Session): HookAnswer
  /** The mail data; the verdict is sent after its end, when this is done. One policy or the handler has it. */
  onMessage?(message: Message, session: Session): MessageAnswer
  /** RSET, a new HELO, and after each transaction. */
  onReset?(session: Session): void | Promise<void>
  /** Once, however the session ended. */
  onClose?(session: Session): void | Promise<void>
}

/** A set of hooks that decides or delivers; see {@link Hooks}. */
export type Policy = Hooks

/** A stream that mail data passes through on its way to `onMessage`, made for each message. */
export type Filter = (session: Session) => NodeJS.ReadWriteStream

/** The name of a hook. */
export type HookName = keyof Hooks

export const HOOKS: readonly HookName[] = [
  'onConnect',
  'onHelo',
  'onAuth',
  'onMailFrom',
  'onRcptTo',
  'onData',
  'onMessage',
  'onReset',
  'onClose',
]

/** A hook with everything but its subject filled in. */
export type Ask<T> = (subject: T, session: Session) => HookAnswer

/** What the policies have to ask, by hook. */
export type PolicyHooks = Readonly<Record<HookName, readonly Ask<never>[]>>

/** The hooks of policies, in their order, each bound to its policy. */
export function hooksOf(policies: readonly Policy[]): PolicyHooks {
  const hooks: Partial<Record<HookName, readonly Ask<never>[]>> = {}
  for (const name of HOOKS)
    hooks[name] = policies.flatMap(policy => (policy[name] as Ask<never> | undefined)?.bind(policy) ?? [])
  return Object.freeze(hooks) as PolicyHooks
}

/**
 * Asks one after the other until one refuses. Answers at once where all of them do; each that does not has so many
 * milliseconds.
 */
export function askAll<T>(asks: readonly Ask<T>[], subject: T, session: Session, time: HookTime): HookAnswer {
  let positive: Reply | undefined
  for (let i = 0; i < asks.length; i++) {
    const asked = asks[i]!(subject, session)
    if (isPromise(asked)) return askLate(asked, positive, asks.slice(i + 1), subject, session, time)
    const answer = asAnswer(asked)
    if (answer === undefined) continue
    if (!answer.positive) return answer
    positive = answer
  }
  return positive
}

/** How long a hook may take, and by which clock. */
export interface HookTime {
  readonly clock: Clock
  readonly milliseconds: number
}

async function askLate<T>(
  pending: Promise<Reply | void>,
  before: Reply | undefined,
  rest: readonly Ask<T>[],
  subject: T,
  session: Session,
  time: HookTime,
): Promise<Reply | void> {
  const answer = asAnswer(await within(time.clock, time.milliseconds, pending, () => tooLate('a hook')))
  if (answer !== undefined && !answer.positive) return answer
  const positive = answer ?? before
  return (await askAll(rest, subject, session, time)) ?? positive
}

/** What a hook gave back, which in JavaScript may be anything; throws `ERR_REPLY` for what cannot be said. */
function asAnswer(answer: unknown): Reply | undefined {
  if (answer === undefined || answer === null) return undefined
  if (answer instanceof Reply) return answer
  throw new MailHandlerError('ERR_REPLY', 'a hook gives back a Reply or nothing')
}

/** What `onMessage` gave back, as one Reply or so many as are `wanted`; throws `ERR_REPLY` for all else. */
export function asVerdict(answer: unknown, wanted: number): readonly Reply[] {
  if (!Array.isArray(answer)) return [asAnswer(answer) ?? OK]
  if (answer.length !== wanted || !answer.every(each => each instanceof Reply)) {
    throw new MailHandlerError(
      'ERR_REPLY',
      `onMessage gives back a Reply for each of ${wanted}, one for all, or nothing`,
    )
  }
  return answer
}

/** The error for what took longer than it may. */
export function tooLate(what: string): MailHandlerError {
  return new MailHandlerError('ERR_TIMEOUT', `${what} took too long`)
}
