// Whoever waits for something is asked again at each event, in the order of coming, until it is there or time is up.

/** Those who wait for one kind of thing. */
export class Waiters {
  readonly #waiting = new Set<() => boolean>()

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Resolves with what `poll` returns once that is not null, at once where it can; rejects with what it throws, or with
   * `late()` after `timeout` milliseconds.
   */
  wait<T>(poll: () => T | null, timeout: number, late: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let timer: NodeJS.Timeout | null = null
      const ask = (): boolean => {
        const done = settle(poll, resolve, reject)
        if (done && timer !== null) clearTimeout(timer)
        return done
      }
      if (ask()) return
      // Not unref'd: in memory there may be nothing else to keep the process until this failure is told.
      timer = setTimeout(() => {
        this.#waiting.delete(ask)
        reject(late())
      }, timeout)
      this.#waiting.add(ask)
    })
  }

  /** Something happened: asks all of them. */
  ask(): void {
    for (const ask of this.#waiting) if (ask()) this.#waiting.delete(ask)
  }
}

function settle<T>(poll: () => T | null, resolve: (value: T) => void, reject: (error: unknown) => void): boolean {
  try {
    const value = poll()
    if (value === null) return false
    resolve(value)
  } catch (error) {
    reject(error)
  }
  return true
}
