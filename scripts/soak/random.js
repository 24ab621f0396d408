// A seeded source of random numbers: the same seed gives the same choices.

/** mulberry32. */
export class Random {
  #state

  constructor(seed) {
    this.#state = seed >>> 0
  }

  /** A number from 0 up to 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, both ends included. */
  whole(from, to) {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  /** True with this probability. */
  chance(probability) {
    return this.next() < probability
  }

  /** One key of `{ key: weight }`. */
  pick(weights) {
    const all = Object.entries(weights)
    let left = this.next() * all.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [key, weight] of all) if ((left -= weight) < 0) return key
    return all.at(-1)[0]
  }

  /** The list in another order. */
  shuffle(list) {
    const result = [...list]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.whole(0, i)
      ;[result[i], result[j]] = [result[j], result[i]]
    }
    return result
  }
}
