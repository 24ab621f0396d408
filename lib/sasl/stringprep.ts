// SASLprep: map, normalise, prohibit, check directions. [RFC 4013 §2, RFC 3454 §6]

import {
  LEFT_TO_RIGHT,
  NOTHING,
  PROHIBITED,
  RIGHT_TO_LEFT,
  SPACES,
  UNASSIGNED,
  type Table,
} from './stringprep-tables.ts'

/** Prepares a text; null if it holds what is prohibited. */
export function stringprep(text: string, allowUnassigned: boolean): string | null {
  const mapped = codePoints(text)
    .map(each => (has(SPACES, each) ? 0x20 : each)) // [RFC 4013 §2.1]
    .filter(each => !has(NOTHING, each))
  const prepared = mapped
    .map(each => String.fromCodePoint(each))
    .join('')
    .normalize('NFKC') // [§2.2]
  const all = codePoints(prepared)
  if (all.some(each => has(PROHIBITED, each))) return null // [§2.3]
  if (!allowUnassigned && all.some(each => has(UNASSIGNED, each))) return null // [§2.5]
  return isOneDirection(all) ? prepared : null // [§2.4]
}

/** What has a character from right to left has none from left to right, and begins and ends with one. [RFC 3454 §6] */
function isOneDirection(all: readonly number[]): boolean {
  if (!all.some(each => has(RIGHT_TO_LEFT, each))) return true
  if (all.some(each => has(LEFT_TO_RIGHT, each))) return false
  return has(RIGHT_TO_LEFT, all[0]!) && has(RIGHT_TO_LEFT, all.at(-1)!)
}

function codePoints(text: string): number[] {
  return Array.from(text, character => character.codePointAt(0)!)
}

/** Finds a code point by halves. */
function has(table: Table, wanted: number): boolean {
  let [low, high] = [0, table.length / 2]
  while (low < high) {
    const middle = (low + high) >> 1
    if (wanted > table[2 * middle + 1]!) low = middle + 1
    else high = middle
  }
  return low < table.length / 2 && wanted >= table[2 * low]!
}
