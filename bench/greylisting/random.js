// Chance that is the same for the same seed.

/** A stream of numbers from 0 to 1 (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    below: n => Math.floor(next() * n),
    /** A key of `{ key: probability }`, or null for the rest. */
    kind(probabilities) {
      let left = next()
      for (const [key, probability] of Object.entries(probabilities)) if ((left -= probability) < 0) return key
      return null
    },
    /** One of the rows, by its share. */
    row(rows) {
      let left = next() * rows.reduce((sum, { share }) => sum + share, 0)
      return rows.find(({ share }) => (left -= share) < 0) ?? rows.at(-1)
    },
  }
}
