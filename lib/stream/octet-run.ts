// Octets that are counted instead of cut: those of a BDAT. [RFC 3030 §2]

import type { BodyFeed } from './body.ts'

/** The next so many octets, on their way into a body or to nowhere. */
export class OctetRun {
  readonly feed: BodyFeed | null
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  #left: number

  /** `resolve` is called when `count` octets have come, `reject` where the session ends before. */
  constructor(count: number, feed: BodyFeed | null, resolve: () => void, reject: (error: Error) => void) {
    this.#left = count
    this.feed = feed
    this.#resolve = resolve
    this.#reject = reject
  }

  /** False while the consumer of the body has enough. */
  get ready(): boolean {
    return this.feed === null || this.feed.ready
  }

  /** True once all of them have come. */
  get done(): boolean {
    return this.#left === 0
  }

  /** Takes octets from `offset` on; returns the offset behind them. */
  take(chunk: Buffer, offset: number): number {
    const next = Math.min(chunk.length, offset + this.#left)
    this.#left -= next - offset
    this.feed?.takeWhole(chunk.subarray(offset, next))
    return next
  }

  /** Lets who waits for them go on. */
  finish(): void {
    this.#resolve()
  }

  /** They will not come. */
  abandon(error: Error): void {
    this.#reject(error)
  }
}
