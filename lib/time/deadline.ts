// The one place where the time of a session or a client runs out.

import type { Clock } from './clock.ts'

/** What a session is given time for: the names of {@link Timeouts}, but for `hook`. */
export type TimeLimit = 'greeting' | 'idle' | 'command' | 'data' | 'tls' | 'verdict' | 'linger'

/** One deadline at a time, on one timer that is set again only if it would fire too late. */
export class Deadline<Limit extends string = TimeLimit> {
  readonly #clock: Clock
  readonly #expire: (limit: Limit) => void
  #limit: Limit | null = null
  #at = Infinity
  #timer: unknown = null
  #armedFor = Infinity

  /** `expire` is called when a deadline has passed. */
  constructor(clock: Clock, expire: (limit: Limit) => void) {
    this.#clock = clock
    this.#expire = expire
  }

  /** Sets the deadline to the moment `at` of the clock. */
  set(limit: Limit, at: number): void {
    this.#limit = limit
    this.#at = at
    if (at < this.#armedFor) this.#arm()
  }

  /** Removes the deadline. */
  clear(): void {
    this.#at = Infinity
  }

  /** Removes the deadline and its timer, for good. */
  stop(): void {
    this.clear()
    this.#clock.clear(this.#timer)
    this.#armedFor = -Infinity
  }

  #arm(): void {
    this.#clock.clear(this.#timer)
    this.#armedFor = this.#at
    this.#timer = this.#clock.after(Math.max(0, this.#at - this.#clock.now()), () => this.#fire())
  }

  #fire(): void {
    this.#armedFor = Infinity
    if (this.#at === Infinity) return
    if (this.#clock.now() < this.#at) {
      this.#arm()
      return
    }
    this.#at = Infinity
    this.#expire(this.#limit!)
  }
}
