// Gives out turns to check credentials: a few at a time in a process, one for each client network, the networks in turn.

import type { Clock } from '../../time/clock.ts'

/** Exchanges of one network that may wait at a time. */
const WAITING_PER_NETWORK = 100
/** Networks that may wait at a time. */
const WAITING_NETWORKS = 10_000

/** A client network; for a client without an address, an object that no other client has. */
export type CheckKey = string | object

/** Why there was no turn: it did not come in time, too many wait already, or the session has ended. */
export type NoTurn = 'late' | 'full' | 'ended'

interface Waiter {
  settle(result: 'turn' | NoTurn): void
}

/** The turns of one process. */
export class CheckQueue {
  readonly #checks: number
  readonly #clock: Clock
  /** The networks that have a turn. */
  readonly #running = new Set<CheckKey>()
  /** The networks that wait, in the order of their next turns. */
  readonly #waiting = new Map<CheckKey, Waiter[]>()

  /** At most `checks` turns at a time. */
  constructor(checks: number, clock: Clock) {
    this.#checks = checks
    this.#clock = clock
  }

  /** Exchanges that wait. */
  get waiting(): number {
    let count = 0
    for (const waiters of this.#waiting.values()) count += waiters.length
    return count
  }

  /** Waits for a turn, at most `milliseconds`. After `'turn'`, call {@link CheckQueue.leave}. */
  enter(key: CheckKey, milliseconds: number, signal: () => AbortSignal): 'turn' | NoTurn | Promise<'turn' | NoTurn> {
    if (this.#running.size < this.#checks && !this.#running.has(key)) {
      this.#running.add(key)
      return 'turn'
    }
    const waiters = this.#waiting.get(key)
    const isFull =
      waiters === undefined ? this.#waiting.size >= WAITING_NETWORKS : waiters.length >= WAITING_PER_NETWORK
    if (isFull) return 'full'
    const ended = signal()
    if (ended.aborted) return 'ended'
    return new Promise(resolve => this.#wait(key, milliseconds, ended, resolve))
  }

  /** Ends a turn, and gives out the next. */
  leave(key: CheckKey): void {
    this.#running.delete(key)
    for (const [next, waiters] of this.#waiting) {
      if (this.#running.size >= this.#checks) return
      if (this.#running.has(next)) continue
      this.#running.add(next)
      const waiter = waiters.shift()!
      this.#waiting.delete(next)
      if (waiters.length > 0) this.#waiting.set(next, waiters) // behind the other networks
      waiter.settle('turn')
    }
  }

  #wait(key: CheckKey, milliseconds: number, signal: AbortSignal, resolve: (result: 'turn' | NoTurn) => void): void {
    const waiters = this.#waiting.get(key) ?? []
    this.#waiting.set(key, waiters)
    const giveUp = (why: NoTurn) => {
      waiters.splice(waiters.indexOf(waiter), 1)
      if (waiters.length === 0) this.#waiting.delete(key)
      waiter.settle(why)
    }
    const gone = () => giveUp('ended')
    const timer = this.#clock.after(milliseconds, () => giveUp('late'))
    const waiter: Waiter = {
      settle: result => {
        this.#clock.clear(timer)
        signal.removeEventListener('abort', gone)
        resolve(result)
      },
    }
    signal.addEventListener('abort', gone)
    waiters.push(waiter)
  }
}
