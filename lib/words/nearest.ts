// The known word that a mistyped one is nearest to.

/** Characters of a word that may stand for a longer one. */
const PREFIX = 4

/** The candidate that begins with the word, or is fewest edits away, if these are few for its length; else null. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const all = [...candidates]
  const longer = all.filter(candidate => candidate.toLowerCase().startsWith(word.toLowerCase()))
  if (word.length >= PREFIX && longer.length === 1) return longer[0]!
  let best: string | null = null
  let least = Math.ceil(word.length / 3) + 1
  for (const candidate of all) {
    if (Math.abs(candidate.length - word.length) >= least) continue
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance >= least) continue
    least = distance
    best = candidate
  }
  return best
}

/** Characters to insert, remove or replace to get from one word to the other. */
function edits(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replace = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      row.push(Math.min(replace, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[to.length]!
}
