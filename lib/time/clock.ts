// Time, passed in, so that no test waits for it.

/** What the package asks of time: monotonic for deadlines, wall time for dates. */
export interface Clock {
  /** Monotonic time: milliseconds since some moment; never goes back. */
  now(): number
  /** Wall time: milliseconds since 1970, as `Date.now()`; may jump. */
  wallTime(): number
  /** Calls back once after `milliseconds`; the handle is for {@link Clock.clear}. */
  after(milliseconds: number, callback: () => void): unknown
  /** Cancels what {@link Clock.after} has set; a handle whose callback ran already is ignored. */
  clear(handle: unknown): void
}

/** Milliseconds; beyond it a timer of Node fires at once. */
export const LONGEST_TIMER: number = 2 ** 31 - 1

/** The clock of the system. Its timers do not keep the process alive; none is longer than 24 days. */
export const systemClock: Clock = Object.freeze({
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (milliseconds: number, callback: () => void) =>
    setTimeout(callback, Math.min(milliseconds, LONGEST_TIMER)).unref(),
  clear: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
})

/** Resolves after `milliseconds`. */
export function delay(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise(resolve => void clock.after(milliseconds, resolve))
}

/** Resolves as `work` does; rejects with the error that `late` makes if it takes longer than `milliseconds`. */
export function within<T>(clock: Clock, milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(milliseconds, () => reject(late()))
    void Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => clock.clear(timer))
  })
}

/** A clock whose timers can be cleared all at once. */
export class Timers implements Clock {
  readonly #clock: Clock
  /** Made with the first timer: most sessions have none. */
  #handles: Set<unknown> | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  wallTime(): number {
    return this.#clock.wallTime()
  }

  after(milliseconds: number, callback: () => void): unknown {
    const handle = this.#clock.after(milliseconds, () => {
      this.#handles?.delete(handle)
      callback()
    })
    this.#handles ??= new Set()
    this.#handles.add(handle)
    return handle
  }

  clear(handle: unknown): void {
    this.#handles?.delete(handle)
    this.#clock.clear(handle)
  }

  /** Nothing that waits will be called back. */
  clearAll(): void {
    for (const handle of this.#handles ?? []) this.clear(handle)
  }
}
