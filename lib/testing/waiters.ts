// Callers that wait for a condition. It is polled at each event, for the callers in their order.

/** The callers that wait for one kind of event. */
export class Waiters {
  readonly #waiting = new Set<() => boolean>()

  /** The number of callers that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Calls `poll` now and at each event; resolves with the first value that is not null. Rejects with the error that
   * `poll` throws, or with `timeoutError()` after `timeout` milliseconds.
   */
  wait<T>(poll: () => T | null, timeout: number, timeoutError: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let timer: NodeJS.Timeout | null = null
      const check = (): boolean => {
        const done = settle(poll, resolve, reject)
        if (done && timer !== null) clearTimeout(timer)
        return done
      }
      if (check()) return
      // The timer is not unref'd: in memory nothing else may keep the process alive until this error is reported.
      timer = setTimeout(() => {
        this.#waiting.delete(check)
        reject(timeoutError())
      }, timeout)
      this.#waiting.add(check)
    })
  }

  /** Polls the condition of every caller; called at each event. */
  recheck(): void {
    for (const check of this.#waiting) if (check()) this.#waiting.delete(check)
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
