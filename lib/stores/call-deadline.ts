// The time that calls of a store may take: of one call, and of all calls of a session together.

import { LONGEST_TIMER, systemClock, type Clock } from '../time/clock.ts'
import { StoreError } from './store-error.ts'
import type { CallOptions } from './store.ts'

/** The system's clock; its timers keep the process alive, since a call settles in any case. */
export const callClock: Clock = {
  ...systemClock,
  after: (milliseconds: number, callback: () => void) => setTimeout(callback, Math.min(milliseconds, LONGEST_TIMER)),
}

/** Milliseconds for one step of an administrator's call: a page of a scan, a step of a sweep. */
export const ADMIN_TIMEOUT = 30_000

/** What the calls of one session may take together, as SECURITY.md promises (G1). */
const SESSION_BUDGET = 300

/**
 * Starts `work` and settles as it does, but by the deadline at the latest: then it rejects with `timeout`, and the result
 * of the work is dropped. `late()` tells the work whether that has happened. An answer that has come by then counts, also
 * if the process was too busy to take it.
 */
export function bounded<T>(
  clock: Clock,
  { timeout = SESSION_BUDGET, signal }: CallOptions,
  work: (late: () => boolean) => Promise<T>,
): Promise<T> {
  if (signal?.aborted === true) return Promise.reject(abortedCall(signal))
  if (!(timeout > 0)) return Promise.reject(lateCall(timeout))
  return new Promise((resolve, reject) => {
    let settled = false
    let end: NodeJS.Immediate | undefined
    const abort = signal && ((): void => fail(abortedCall(signal)))
    const settle = (): void => {
      settled = true
      clock.clear(timer)
      clearImmediate(end)
      if (abort) signal.removeEventListener('abort', abort)
    }
    const fail = (error: Error): void => {
      settle()
      reject(error)
    }
    // Where the process was busy with something else, the answer may be here: it is taken first.
    const timer = clock.after(timeout, () => void (end = setImmediate(fail, lateCall(timeout))))
    if (abort) signal.addEventListener('abort', abort)
    work(() => settled).then(value => {
      settle()
      resolve(value)
    }, fail)
  })
}

function lateCall(timeout: number): StoreError {
  return new StoreError('timeout', `the store did not answer within ${Math.max(0, Math.round(timeout))} ms`)
}

function abortedCall(signal: AbortSignal): StoreError {
  return new StoreError('timeout', 'the call was aborted', { cause: signal.reason })
}

/**
 * Time for all calls of one session together: each call gets what the ones before it have left, and once it is used up,
 * calls reject with `timeout` without being made. Only the time in calls counts, not the time between them.
 *
 *     const budget = new CallBudget()
 *     await budget.spend(options => store.greylist(request, options))
 */
export class CallBudget {
  readonly #clock: Clock
  #left: number

  /** @param milliseconds what the calls may take together; 300 by default */
  constructor(milliseconds: number = SESSION_BUDGET, clock: Clock = systemClock) {
    this.#left = milliseconds
    this.#clock = clock
  }

  /** Milliseconds that are left. */
  get left(): number {
    return Math.max(0, this.#left)
  }

  /** Makes one call, with what is left as its timeout. */
  async spend<T>(call: (options: { readonly timeout: number }) => Promise<T>): Promise<T> {
    if (this.#left <= 0) throw new StoreError('timeout', 'the session has no time left for its store')
    const start = this.#clock.now()
    try {
      return await call({ timeout: this.#left })
    } finally {
      this.#left -= this.#clock.now() - start
    }
  }
}
