// A map with a limit, in the order of the last put.

/** How many expired entries one put removes at most, so that a put never takes long. */
const REMOVED_AT_ONCE = 2

/** A map that drops the entry that was put longest ago once it is past its limit. */
export class BoundedMap<Value> extends Map<string, Value> {
  readonly #limit: number
  /** Goes on from entry to entry: a new iterator would first step over every removed entry that V8 has not cleared. */
  #order: IterableIterator<string> = this.keys()
  /** The key that was put longest ago, once it was looked for. */
  #oldest: string | null = null

  constructor(limit: number) {
    super()
    this.#limit = limit
  }

  /** Puts an entry behind all others, and removes a few from the front if `isOver` is true for them. */
  put(key: string, value: Value, isOver: (value: Value) => boolean): void {
    this.delete(key)
    for (let removed = 0; ; removed++) {
      const oldest = this.#findOldest()
      if (oldest === null) break
      const isExpired = removed < REMOVED_AT_ONCE && isOver(this.get(oldest)!)
      if (this.size < this.#limit && !isExpired) break
      this.delete(oldest)
    }
    this.set(key, value)
  }

  /** Removes every entry for which `isOver` is true; returns how many those were. */
  sweep(isOver: (value: Value) => boolean): number {
    const before = this.size
    for (const [key, value] of this) if (isOver(value)) this.delete(key)
    return before - this.size
  }

  override delete(key: string): boolean {
    if (key === this.#oldest) this.#oldest = null
    return super.delete(key)
  }

  override clear(): void {
    this.#oldest = null
    super.clear()
  }

  #findOldest(): string | null {
    if (this.#oldest !== null || this.size === 0) return this.#oldest
    let next = this.#order.next()
    if (next.done === true) {
      this.#order = this.keys()
      next = this.#order.next()
    }
    this.#oldest = next.done === true ? null : next.value
    return this.#oldest
  }
}
