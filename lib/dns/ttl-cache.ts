// A bounded cache whose values expire.

interface Cached<Value> {
  readonly value: Value
  readonly until: number
}

/** Keeps up to `limit` values; past that, it drops the one that was used longest ago. */
export class TtlCache<Value> {
  readonly #limit: number
  readonly #values = new Map<string, Cached<Value>>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#values.size
  }

  /** A value that has not expired at `now`. */
  get(key: string, now: number): Value | undefined {
    const cached = this.#values.get(key)
    if (cached === undefined) return undefined
    this.#values.delete(key)
    if (now >= cached.until) return undefined
    this.#values.set(key, cached)
    return cached.value
  }

  set(key: string, value: Value, until: number): void {
    this.#values.delete(key)
    if (this.#values.size >= this.#limit) {
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest)
        break
      }
    }
    this.#values.set(key, { value, until })
  }

  clear(): void {
    this.#values.clear()
  }
}
