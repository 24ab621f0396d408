// The calls to stores that the policies of one session make: 300 ms for all of them together, between two accepted messages.

import type { Session } from '../smtp/session.ts'
import { bounded, CallBudget } from '../stores/call-deadline.ts'
import type { CallOptions } from '../stores/store.ts'
import type { Clock } from '../time/clock.ts'

const sessions = new WeakMap<Session, SessionCalls>()

/** The calls of a session; `clock` is of the policy that asks first. */
export function callsOf(session: Session, clock: Clock): SessionCalls {
  let calls = sessions.get(session)
  if (calls === undefined) sessions.set(session, (calls = new SessionCalls(clock)))
  return calls
}

/** Whether a message that has had its verdict was accepted, for at least one recipient. */
export function wasAccepted({ verdict }: { readonly verdict: readonly { readonly positive: boolean }[] }): boolean {
  return verdict.some(({ positive }) => positive)
}

/** What became of a call: its result, or why there is none. `isBusy`: nothing failed, but the time is used up. */
export type CallOutcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: Error | null; readonly reason: string; readonly isBusy: boolean }

/** Calls that share their time. */
export class SessionCalls {
  readonly #clock: Clock
  #budget: CallBudget
  #hasFailed = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#budget = new CallBudget(undefined, clock)
  }

  /** Milliseconds that are left; all of them once a store has failed, since nothing is asked any more. */
  get left(): number {
    return this.#hasFailed ? Infinity : this.#budget.left
  }

  /**
   * Makes a call, unless a store has failed in this session, or the time is used up. Never rejects; a store that does not keep its
   * deadline holds nobody up. `error` is set for the failure itself, and null for what is not asked after it.
   */
  async ask<T>(call: (options: CallOptions) => Promise<T>): Promise<CallOutcome<T>> {
    if (this.#hasFailed) return failure('the store has failed before in this session')
    if (this.#budget.left <= 0) return failure('the session has used its time for the store', true)
    try {
      const value = await this.#budget.spend(options => bounded(this.#clock, options, async () => call(options)))
      return { ok: true, value }
    } catch (cause) {
      this.#hasFailed = true
      const error = cause instanceof Error ? cause : new Error(String(cause))
      return { ok: false, error, reason: error.message, isBusy: false }
    }
  }

  /** A message was accepted: the time begins again, and the store may have come back. */
  renew(): void {
    this.#budget = new CallBudget(undefined, this.#clock)
    this.#hasFailed = false
  }
}

function failure(reason: string, isBusy = false): CallOutcome<never> {
  return { ok: false, error: null, reason, isBusy }
}
