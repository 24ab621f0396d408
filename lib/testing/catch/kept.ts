// A list with a limit of entries and of octets: the oldest go first.

/** The newest of a kind of entries, which all differ. */
export class Kept<T> {
  /** Octets of each entry, the oldest first. */
  readonly #entries = new Map<T, number>()
  #octets = 0
  #dropped = 0
  readonly #most: number
  readonly #mostOctets: number
  readonly #onDrop: (value: T) => void

  /** `onDrop` is told of each entry that the limits push out. */
  constructor(most: number, mostOctets: number, onDrop: (value: T) => void = () => {}) {
    this.#most = most
    this.#mostOctets = mostOctets
    this.#onDrop = onDrop
  }

  /** The entries, the oldest first. */
  get all(): T[] {
    return [...this.#entries.keys()]
  }

  get size(): number {
    return this.#entries.size
  }

  get octets(): number {
    return this.#octets
  }

  /** How many the limits have pushed out. */
  get dropped(): number {
    return this.#dropped
  }

  /** Adds an entry. It stays even if it is too large for all of the space: then it is the only one. */
  add(value: T, octets: number): void {
    this.#entries.set(value, octets)
    this.#octets += octets
    this.#trim()
  }

  /** Counts more octets for an entry; nothing if it is gone. */
  grow(value: T, octets: number): void {
    const before = this.#entries.get(value)
    if (before === undefined) return
    this.#entries.set(value, before + octets)
    this.#octets += octets
    this.#trim()
  }

  /** Takes out what `matches`; returns it. */
  remove(matches: (value: T) => boolean): T[] {
    const removed = this.all.filter(matches)
    for (const value of removed) this.#delete(value)
    return removed
  }

  #trim(): void {
    for (const oldest of this.#entries.keys()) {
      const { size } = this.#entries
      if (size <= this.#most && (this.#octets <= this.#mostOctets || size === 1)) return
      this.#delete(oldest)
      this.#dropped += 1
      this.#onDrop(oldest) // may count octets for another entry
    }
  }

  #delete(value: T): void {
    this.#octets -= this.#entries.get(value) ?? 0
    this.#entries.delete(value)
  }
}
