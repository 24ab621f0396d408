// A clock that goes on only when a test says so.

import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../time/clock.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/**
 * The option `clock` of a test: monotonic and wall time stand still but for {@link FakeClock.tick}, and timers fire in
 * it. Wall time begins at 2026-01-01T00:00:00Z; {@link FakeClock.setWallTime} lets it jump.
 */
export class FakeClock implements Clock {
  #now = 1_000_000
  #wallOffset = Date.UTC(2026, 0, 1) - 1_000_000
  readonly #timers = new Set<Timer>()

  /** Timers that were set and have neither fired nor been cleared. */
  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#now + this.#wallOffset
  }

  /** Sets wall time, in milliseconds since 1970; monotonic time and timers stay as they are. */
  setWallTime(milliseconds: number): void {
    this.#wallOffset = milliseconds - this.#now
  }

  after(milliseconds: number, callback: () => void): unknown {
    const timer: Timer = { at: this.#now + milliseconds, callback }
    this.#timers.add(timer)
    return timer
  }

  /** Takes back a timer of {@link FakeClock.after}; nothing happens if it has fired. */
  clear(handle: unknown): void {
    this.#timers.delete(handle as Timer)
  }

  /** Lets so many milliseconds pass: fires the timers that are due, in order, and lets what follows from them happen. */
  async tick(milliseconds: number): Promise<void> {
    await settle()
    const end = this.#now + milliseconds
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#now = Math.max(this.#now, due.at)
      this.#timers.delete(due)
      due.callback()
      await settle()
    }
    this.#now = end
  }
}

/** Lets everything happen that needs no time: waits a few turns of the event loop. */
export async function settle(turns = 4): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}
