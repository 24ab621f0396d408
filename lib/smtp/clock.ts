// Time, passed in, so that no test waits for it.

/** What the package knows of time. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number
  /** Calls back once after so many milliseconds; the handle is for {@link Clock.clear}. */
  after(milliseconds: number, callback: () => void): unknown
  clear(handle: unknown): void
}

/** The clock of the system. Its timers do not keep the process alive. */
export const systemClock: Clock = Object.freeze({
  now: () => performance.now(),
  after: (milliseconds: number, callback: () => void) => setTimeout(callback, milliseconds).unref(),
  clear: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
})

/** Resolves after so many milliseconds. */
export function delay(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise(resolve => void clock.after(milliseconds, resolve))
}

/** What `work` resolves with; rejects with what `late` makes where that takes longer than so many milliseconds. */
export function within<T>(clock: Clock, milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(milliseconds, () => reject(late()))
    void work.then(resolve, reject).finally(() => clock.clear(timer))
  })
}
