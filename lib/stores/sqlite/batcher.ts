// Operations that come within a few milliseconds, or while a batch is under way, share one transaction.

import type { Operation, Results } from '../operations.ts'
import { StoreError } from '../store-error.ts'

type Result = Results[Operation['type']]

interface Queued {
  readonly operation: Operation
  readonly late: () => boolean
  resolve(result: Result): void
  reject(error: Error): void
}

/** Options of a {@link Batcher}. */
export interface BatcherOptions {
  /** Milliseconds that the first operation waits for others. */
  readonly window: number
  /** Operations that may wait; one more is refused with `busy`. */
  readonly limit: number
  /** Operations of one batch. */
  readonly size: number
}

/** A queue in front of `send`, which has one batch at a time. */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #send: (operations: readonly Operation[]) => Promise<readonly Result[]>
  #queue: Queued[] = []
  #scheduled = false
  #sending: Promise<void> | null = null

  constructor(send: (operations: readonly Operation[]) => Promise<readonly Result[]>, options: BatcherOptions) {
    this.#send = send
    this.#options = options
  }

  /** Queues an operation; one that is `late` when its turn comes is dropped. */
  add(operation: Operation, late: () => boolean): Promise<Result> {
    if (this.#queue.length >= this.#options.limit) {
      return Promise.reject(new StoreError('busy', `${this.#options.limit} calls wait already`))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, late, resolve, reject })
      this.#schedule()
    })
  }

  /** Resolves once nothing is queued or under way. */
  async drain(): Promise<void> {
    while (this.#queue.length > 0 || this.#sending !== null) {
      if (this.#sending === null) this.#flush()
      await this.#sending
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending !== null) return
    this.#scheduled = true
    const flush = (): void => {
      this.#scheduled = false
      this.#flush()
    }
    if (this.#options.window > 0) setTimeout(flush, this.#options.window)
    else setImmediate(flush)
  }

  #flush(): void {
    if (this.#sending !== null) return
    const { size } = this.#options
    const batch = this.#queue.slice(0, size).filter(({ late }) => !late())
    this.#queue = this.#queue.slice(size)
    if (batch.length === 0) {
      if (this.#queue.length > 0) this.#flush()
      return
    }
    this.#sending = this.#carryOut(batch).finally(() => {
      this.#sending = null
      if (this.#queue.length >= size) this.#flush()
      else if (this.#queue.length > 0) this.#schedule()
    })
  }

  async #carryOut(batch: readonly Queued[]): Promise<void> {
    try {
      const results = await this.#send(batch.map(({ operation }) => operation))
      batch.forEach(({ resolve }, i) => resolve(results[i]!))
    } catch (error) {
      for (const { reject } of batch) reject(error as Error)
    }
  }
}
