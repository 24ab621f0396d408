// Hooks: where a program has its say in a session. Policies, options and methods of a subclass all have these names.

import { MailHandlerError } from '../words/errors.ts'
import { OK } from '../words/replies.ts'
import { Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import { isPromise } from '../stream/handlers.ts'
import type { Credentials } from './auth/mechanism.ts'
import { within, type Clock } from '../time/clock.ts'
import type { Message } from './message.ts'
import type { Recipient, Sender, Session } from './session.ts'
import type { SmtpHandler } from './smtp-handler.ts'

/**
 * What a hook gives back, at once or later. Nothing: no opinion. A refusing reply (4yz, 5yz) is sent, and nobody
 * further is asked. A positive one is the words to use if nobody refuses; the last one counts: where it is a 220 for the
 * greeting, a 354 for DATA, else any 2yz. EHLO's reply is always the list of extensions.
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
  /**
   * The mail data; the verdict is sent after its end, when this is done. Nothing said is 250, but 451 where the message
   * was destroyed with an error. One policy or the handler has it.
   */
  onMessage?(message: Message, session: Session): MessageAnswer
  /** RSET, a new HELO, and after each transaction. */
  onReset?(session: Session): void | Promise<void>
  /** Once, however the session ended. */
  onClose?(session: Session): void | Promise<void>
}

/** A set of hooks that decides or delivers; see {@link Hooks}. */
export interface Policy extends Hooks {
  /** What logs and metrics call it. */
  readonly name?: string
  /** Called once with each handler that is made with this policy, before anything happens: for what no hook can do. */
  attach?(handler: SmtpHandler): void
}

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
export interface Ask<T> {
  (subject: T, session: Session): HookAnswer
  /** The name of the policy that it is of; none for the handler's own. */
  readonly policy?: string
}

/** What the policies have to ask, by hook. */
export type PolicyHooks = Readonly<Record<HookName, readonly Ask<never>[]>>

/** The hooks of policies, in their order, each bound to its policy. */
export function hooksOf(policies: readonly Policy[]): PolicyHooks {
  const hooks: Partial<Record<HookName, readonly Ask<never>[]>> = {}
  for (const name of HOOKS) {
    hooks[name] = Object.freeze(policies.flatMap(policy => askOf(policy, policy[name] as Ask<never> | undefined)))
  }
  return Object.freeze(hooks) as PolicyHooks
}

function askOf(policy: Policy, hook: Ask<never> | undefined): Ask<never>[] {
  return hook === undefined ? [] : [Object.assign(hook.bind(policy), { policy: policy.name ?? 'unnamed' })]
}

/** What hooks are asked by. */
export interface Terms {
  readonly hook: HookName
  readonly session: Session
  /** How long one that does not answer at once may take, by which clock. */
  readonly milliseconds: number
  readonly clock: Clock
}

/** Asks one after the other until one refuses. Answers at once where all of them do. */
export function askAll<T>(asks: readonly Ask<T>[], subject: T, terms: Terms): HookAnswer {
  let positive: Reply | undefined
  for (let i = 0; i < asks.length; i++) {
    const ask = asks[i]!
    const answer = ask(subject, terms.session)
    if (isPromise(answer)) return askLate(answer, positive, asks.slice(i), subject, terms)
    const said = asAnswer(answer, terms.hook)
    if (said?.positive === false) return refuse(said, ask.policy, terms)
    positive = said ?? positive
  }
  return positive
}

async function askLate<T>(
  pending: Promise<Reply | void>,
  before: Reply | undefined,
  [asked, ...rest]: readonly Ask<T>[],
  subject: T,
  terms: Terms,
): Promise<Reply | void> {
  const said = asAnswer(await inTime(pending, terms), terms.hook)
  if (said?.positive === false) return refuse(said, asked?.policy, terms)
  if (terms.session.ended) throw new MailHandlerError('ERR_SESSION_ENDED', 'the client is gone')
  return (await askAll(rest, subject, terms)) ?? said ?? before
}

/** Tells the diagnostics channel who has refused what. */
export function refuse(
  reply: Reply,
  policy: string | undefined,
  { hook, session }: Pick<Terms, 'hook' | 'session'>,
): Reply {
  if (channels.refusal.hasSubscribers) channels.refusal.publish({ session, hook, policy: policy ?? 'handler', reply })
  return reply
}

/** Tells each, whatever the others make of it; what they throw is reported. */
export function tellAll(
  asks: readonly Ask<Session>[],
  terms: Terms,
  report: (error: unknown) => void,
): void | Promise<void> {
  for (let i = 0; i < asks.length; i++) {
    try {
      const told = asks[i]!(terms.session, terms.session)
      if (isPromise(told)) return tellLate(told, asks.slice(i + 1), terms, report)
    } catch (error) {
      report(error)
    }
  }
}

async function tellLate(
  pending: Promise<unknown>,
  rest: readonly Ask<Session>[],
  terms: Terms,
  report: (error: unknown) => void,
): Promise<void> {
  await inTime(pending, terms).catch(report)
  await tellAll(rest, terms, report)
}

/** What `onMessage` gave back, as one Reply or so many as are `wanted`; throws `ERR_REPLY` for all else. */
export function asVerdict(answer: unknown, wanted: number): readonly Reply[] {
  if (!Array.isArray(answer)) return [asAnswer(answer, 'onMessage') ?? OK]
  if (answer.length !== wanted) {
    throw new MailHandlerError(
      'ERR_REPLY',
      `onMessage gives back a Reply for each of ${wanted}, one for all, or nothing`,
    )
  }
  return answer.map(each => asAnswer(each, 'onMessage') ?? OK)
}

/** What came from a hook is its reply or nothing, in JavaScript too; no hook but onData asks for more input. */
function asAnswer(answer: unknown, hook: HookName): Reply | undefined {
  if (answer === undefined || answer === null) return undefined
  if (!(answer instanceof Reply)) throw new MailHandlerError('ERR_REPLY', `${hook} gave what is no reply`)
  if (answer.code >= 300 && answer.code < 400 && hook !== 'onData') {
    throw new MailHandlerError('ERR_REPLY', `${hook} gave ${answer.code}: it is 2yz, 4yz or 5yz`)
  }
  return answer
}

function inTime<T>(pending: Promise<T>, { clock, milliseconds, hook }: Terms): Promise<T> {
  return within(clock, milliseconds, pending, () => tooLate(hook))
}

/** The error for what took longer than it may. */
export function tooLate(what: string): MailHandlerError {
  return new MailHandlerError('ERR_TIMEOUT', `${what} took too long`)
}
