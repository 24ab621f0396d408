// What became of the mail that greylisting held, counted for each recipient.

/** Of the cases with one sign: how many were held, and what became of them. */
export interface SignCount {
  readonly held: number
  readonly stopped: number
  readonly delayed: number
}

/** How long those that passed were delayed, in milliseconds. */
export interface Delays {
  readonly median: number
  /** Nine of ten were delayed no longer. */
  readonly most: number
  readonly longest: number
}

/** What became of what was held. */
export interface Outcome {
  readonly held: number
  /** Came again in time, and passed. */
  readonly delayed: number
  /** Did not come again in time: unwanted, or a sender that gave up. */
  readonly stopped: number
  /** May come again yet. */
  readonly open: number
  readonly delays: Delays | null
  /** By sign, those that were found most often first; `no sign` for what was held without one. */
  readonly signs: Readonly<Record<string, SignCount>>
}

/** One recipient of one message that was held. */
export interface Case {
  readonly signs: readonly string[]
  readonly end: 'delayed' | 'stopped' | 'open'
  /** Milliseconds from the first attempt to the one that passed; null if none did. */
  readonly delay: number | null
}

/** The name for cases without any sign. */
const NO_SIGN = 'no sign'

/** The signs that a case is counted under. */
export function countedSigns(signs: readonly string[]): readonly string[] {
  return signs.length === 0 ? [NO_SIGN] : signs
}

/** Counts cases. */
export function outcomeOf(cases: Iterable<Case>): Outcome {
  const counts = { held: 0, delayed: 0, stopped: 0, open: 0 }
  const signs = new Map<string, { held: number; stopped: number; delayed: number }>()
  const delays: number[] = []
  for (const { signs: found, end, delay } of cases) {
    counts.held++
    counts[end]++
    if (delay !== null) delays.push(delay)
    for (const sign of countedSigns(found)) {
      const count = signs.get(sign) ?? { held: 0, stopped: 0, delayed: 0 }
      count.held++
      if (end !== 'open') count[end]++
      signs.set(sign, count)
    }
  }
  const sorted = [...signs].toSorted(([a, one], [b, other]) => other.held - one.held || (a < b ? -1 : 1))
  return { ...counts, delays: delaysOf(delays), signs: Object.fromEntries(sorted) }
}

function delaysOf(delays: number[]): Delays | null {
  if (delays.length === 0) return null
  delays.sort((a, b) => a - b)
  const at = (part: number): number => delays[Math.ceil(delays.length * part) - 1]!
  return { median: at(0.5), most: at(0.9), longest: at(1) }
}
