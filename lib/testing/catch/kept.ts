// A list with a limit of entries and of octets: the oldest go first.

/** The newest of a kind of entries. */
export class Kept<T> {
  #entries: { readonly value: T; readonly octets: number }[] = []
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
    return this.#entries.map(({ value }) => value)
  }

  get size(): number {
    return this.#entries.length
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
    this.#entries.push({ value, octets })
    this.#octets += octets
    while (this.#entries.length > this.#most || (this.#octets > this.#mostOctets && this.#entries.length > 1)) {
      const oldest = this.#entries.shift()!
      this.#octets -= oldest.octets
      this.#dropped += 1
      this.#onDrop(oldest.value)
    }
  }

  /** Takes out what `matches`; returns it. */
  remove(matches: (value: T) => boolean): T[] {
    const removed: T[] = []
    this.#entries = this.#entries.filter(({ value, octets }) => {
      if (!matches(value)) return true
      removed.push(value)
      this.#octets -= octets
      return false
    })
    return removed
  }
}
