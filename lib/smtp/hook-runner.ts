// Asks the hooks of a session, in their order, until one refuses.

import { isPromise } from '../stream/handlers.ts'
import { notAReply, replyToError, type Reporter } from '../stream/answers.ts'
import { within, type Clock } from '../time/clock.ts'
import { MailHandlerError } from '../words/errors.ts'
import { asReply, type Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import type { Delivery, HookAnswer, HookName, JudgingHook, JudgingHooks, Policy, TellingHook } from './hooks.ts'
import type { SessionState } from './session.ts'

/** A hook of a policy or a delivery, bound to it. */
interface Ask {
  (subject: unknown, session: unknown): unknown
  /** Whose hook it is. */
  readonly owner: string
}

/** The hooks to ask, in order; null is the handler's own hook. */
export type HookOrder = Readonly<Record<Exclude<HookName, 'onMessage'>, readonly (Ask | null)[]>>

const ASKED = [
  'onConnect',
  'onSecure',
  'onHelo',
  'onAuth',
  'onMailFrom',
  'onRcptTo',
  'onData',
  'onReset',
  'onClose',
] as const

/** Policies in their order, then the handler, then the delivery. */
export function orderHooks(policies: readonly Policy[], delivery: Delivery | null): HookOrder {
  const order: Partial<Record<HookName, readonly (Ask | null)[]>> = {}
  for (const hook of ASKED) {
    const asks = policies.map(policy => askOf(policy, hook, policy.name ?? 'unnamed'))
    const last = delivery === null ? null : askOf(delivery, hook, delivery.name ?? 'delivery')
    order[hook] = Object.freeze([...asks.filter(ask => ask !== null), null, ...(last === null ? [] : [last])])
  }
  return Object.freeze(order) as HookOrder
}

function askOf(hooks: object, name: HookName, owner: string): Ask | null {
  const hook = (hooks as Readonly<Record<string, unknown>>)[name] as Ask | undefined
  return hook === undefined || hook === null ? null : Object.assign(hook.bind(hooks), { owner })
}

/** Asks the hooks of one session. */
export class HookRunner {
  readonly #handler: JudgingHooks & Reporter
  readonly #state: SessionState
  readonly #order: HookOrder
  readonly #clock: Clock
  readonly #milliseconds: number

  /** `milliseconds` is how long a hook that does not answer at once may take. */
  constructor(
    handler: JudgingHooks & Reporter,
    state: SessionState,
    order: HookOrder,
    clock: Clock,
    milliseconds: number,
  ) {
    this.#handler = handler
    this.#state = state
    this.#order = order
    this.#clock = clock
    this.#milliseconds = milliseconds
  }

  /** The answer of the hooks: at once if all answer at once. An error that a hook throws is the answer to it. */
  ask(hook: JudgingHook, subject: unknown): HookAnswer {
    try {
      const answer = this.askFrom(0, hook, subject, undefined)
      return isPromise(answer) ? answer.catch((error: unknown) => replyToError(this.#handler, error)) : answer
    } catch (error) {
      return replyToError(this.#handler, error)
    }
  }

  /**
   * Asks one after the other, from a place in their order on, until one refuses; throws what a hook throws, and
   * `ERR_SESSION_ENDED` if one of them has ended the session: the others are not asked.
   */
  askFrom(from: number, hook: JudgingHook, subject: unknown, before?: Reply): HookAnswer {
    const asks = this.#order[hook]
    if (asks.length === 1 && this.#handler[hook] === undefined) return before // most sessions have few hooks
    const session = this.#state.view
    let positive = before
    for (let i = from; i < asks.length; i++) {
      const ask = asks[i]!
      if (this.#state.hasEnded) throw clientIsGone()
      const answer = ask === null ? this.#askHandler(hook, subject) : ask(subject, session)
      if (answer === undefined || answer === null) continue
      if (isPromise(answer)) return this.#askLate(answer, i, hook, subject, positive)
      const said = asAnswer(answer, hook)
      if (!said.positive) return this.refuse(said, hook, ask?.owner)
      positive = said
    }
    return positive
  }

  async #askLate(
    pending: unknown,
    at: number,
    hook: JudgingHook,
    subject: unknown,
    before: Reply | undefined,
  ): Promise<Reply | void> {
    const answer = await this.#inTime(pending, hook)
    const said = answer === undefined || answer === null ? before : asAnswer(answer, hook)
    if (said?.positive === false) return this.refuse(said, hook, this.#order[hook][at]?.owner)
    if (this.#state.hasEnded) throw clientIsGone()
    return this.askFrom(at + 1, hook, subject, said)
  }

  #askHandler(hook: Exclude<HookName, 'onMessage'>, subject: unknown): unknown {
    const own = this.#handler[hook] as ((subject: unknown, session: unknown) => unknown) | undefined
    return own === undefined ? undefined : own.call(this.#handler, subject, this.#state.view)
  }

  /** Calls every hook even if one throws; `report` gets the errors. */
  tell(hook: TellingHook, report: (error: unknown) => void, from = 0): void | Promise<void> {
    const asks = this.#order[hook]
    if (asks.length === 1 && this.#handler[hook] === undefined) return
    const session = this.#state.view
    for (let i = from; i < asks.length; i++) {
      try {
        const ask = asks[i]!
        const told = ask === null ? this.#askHandler(hook, session) : ask(session, session)
        if (isPromise(told)) {
          const goOn = () => this.tell(hook, report, i + 1)
          return this.#inTime(told, hook).catch(report).then(goOn)
        }
      } catch (error) {
        report(error)
      }
    }
  }

  /** Tells the diagnostics channel who has refused what. */
  refuse(reply: Reply, hook: HookName, owner: string | undefined): Reply {
    if (channels.refusal.hasSubscribers) {
      channels.refusal.publish({ session: this.#state.view, hook, policy: owner ?? 'handler', reply })
    }
    return reply
  }

  #inTime(pending: unknown, hook: HookName): Promise<unknown> {
    return within(this.#clock, this.#milliseconds, Promise.resolve(pending), () => tookTooLong(hook))
  }
}

/** What came from a hook is a reply, in JavaScript too; no hook but onData asks for more input. */
function asAnswer(answer: unknown, hook: HookName): Reply {
  const said = asReply(answer)
  if (said === null) throw notAReply(hook, answer)
  if (said.code >= 300 && said.code < 400 && hook !== 'onData') {
    throw new MailHandlerError('ERR_REPLY', `${hook} returned a ${said.code} reply; return 2yz, 4yz or 5yz`)
  }
  return said
}

function clientIsGone(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the client is gone')
}

/** The error for what took longer than it may. */
export function tookTooLong(what: string): MailHandlerError {
  return new MailHandlerError('ERR_TIMEOUT', `${what} took too long`)
}
