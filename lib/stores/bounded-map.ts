// A map with a limit, in the order of the last put.

/** How many expired entries one put removes at most, so that a put never takes long. */
const REMOVED_AT_ONCE = 2

/** A map that drops the entry that was put longest ago once it is past its limit. */
export class BoundedMap<Value> extends Map<string, Value> {
  readonly #limit: number

  constructor(limit: number) {
    super()
    this.#limit = limit
  }

  /** Puts an entry behind all others, and removes a few from the front if `isOver` is true for them. */
  put(key: string, value: Value, isOver: (value: Value) => boolean): void {
    this.delete(key)
    let removed = 0
    for (const [oldest, entry] of this) {
      const expired = removed < REMOVED_AT_ONCE && isOver(entry)
      if (this.size < this.#limit && !expired) break
      this.delete(oldest)
      removed++
    }
    this.set(key, value)
  }

  /** Removes every entry for which `isOver` is true; returns how many those were. */
  sweep(isOver: (value: Value) => boolean): number {
    const before = this.size
    for (const [key, value] of this) if (isOver(value)) this.delete(key)
    return before - this.size
  }
}
