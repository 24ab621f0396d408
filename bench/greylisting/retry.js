// When a sender comes again.

/** The time of the next attempt after one at `now`, or null if the sender gives up. Times in seconds. */
export function nextAttempt(retry, { start, now, attempts, phase }) {
  const at = KINDS[retry.kind](retry, { start, now, attempts, phase })
  return at === null || at - start > retry.giveUp ? null : at
}

const KINDS = {
  none: () => null,
  /** Offsets from the first attempt; after them every `every` seconds. */
  list({ at, double, every }, { start, now, attempts }) {
    if (typeof at === 'number') return now + Math.min(at * double ** (attempts - 1), every)
    if (attempts <= at.length) return start + at[attempts - 1]
    return every === null ? null : now + every
  },
  /** A message rests for as long as it is old, and is taken at the next scan of the queue. */
  postfix({ scan, least, most }, { start, now, phase }) {
    return atRun(now + Math.min(Math.max(now - start, least), most), scan, phase)
  },
  exim({ first, for: steady, every, factor, queueRun }, { start, now, phase }) {
    const age = now - start
    const rest = age < steady ? first : Math.max(every, (age - steady) * (factor - 1))
    return atRun(now + rest, queueRun, phase)
  },
  /** n² units after the first attempt. */
  qmail: ({ unit }, { start, attempts }) => start + unit * attempts ** 2,
}

function atRun(time, interval, phase) {
  const offset = phase * interval
  return Math.ceil((time - offset) / interval) * interval + offset
}
