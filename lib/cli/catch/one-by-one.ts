// Tasks that would take too much time or memory beside each other.

/** Runs tasks one after the other, in the order in which they are given. */
export class OneByOne {
  #last: Promise<unknown> = Promise.resolve()

  /** Resolves or rejects as the task does. After a task that fails the next one runs all the same. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}
