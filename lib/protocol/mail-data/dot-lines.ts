// Where in a chunk of mail data does a line begin with a dot? Two searches, each made for one question and quick on every
// shape of data (docs/performance.md has figures); line-checker.ts has a third.
//
// Each starts in the middle of a line at `from` and looks at no octet before it; it returns the index of the dot, or
// -1 where the chunk has no further one.

import { CR, DOT, LF } from '../../words/octets.ts'
import { endOfDataAmong, FOUR_AT_ONCE, wordAt, wordsOf } from './four-octets.ts'

/** A search for the next dot at the beginning of a line. */
export type FindDotLine = (chunk: Buffer, from: number) => number

const CRLF_DOT = Buffer.from('\r\n.')
const END_OF_DATA = Buffer.from('\r\n.\r\n')

/** Dots looked at one by one before a search for a longer pattern takes over: base64 has none, prose has many. */
const DOTS_TRIED = 4
/** Lines looked at one by one, to see how long they are. */
const LINES_TRIED = 4
/** Lines of fewer octets than this are short. */
const SHORT = 24

/** True where the dot stands behind a CRLF that is not before `from`. */
export const beginsLine = (chunk: Buffer, dot: number, from: number): boolean =>
  dot >= from + 2 && chunk[dot - 1] === LF && chunk[dot - 2] === CR

const endsData = (chunk: Buffer, dot: number, from: number): boolean =>
  chunk[dot] === DOT && chunk[dot + 1] === CR && chunk[dot + 2] === LF && beginsLine(chunk, dot, from)

/** Finds only the dot of a whole end of data, CRLF.CRLF: for who leaves transparency in. */
export function findEndOfData(chunk: Buffer, from: number): number {
  let lf = from - 1
  for (let line = 0; line < LINES_TRIED; line++) {
    lf = chunk.indexOf(LF, lf + 1)
    if (lf === -1) return -1
    if (endsData(chunk, lf - 2, from)) return lf - 2
  }
  // None has ended so far, so the next begins with this line end or a later one.
  let next = lf - 1
  if (FOUR_AT_ONCE && lf - from < LINES_TRIED * SHORT) {
    const first = wordAt(chunk, next)
    const words = wordsOf(chunk, first, chunk.length)
    const at = endOfDataAmong(words)
    if (at !== -1) return first + at + 2
    next = Math.max(next, first + 4 * (words.length - 1))
  }
  const at = chunk.indexOf(END_OF_DATA, next)
  return at === -1 ? -1 : at + 2
}

/** Finds every line that begins with a dot, the end of data or a stuffed one: for who removes transparency. */
export function findDotLine(chunk: Buffer, from: number): number {
  let dot = from - 1
  for (let tried = 0; tried < DOTS_TRIED; tried++) {
    dot = chunk.indexOf(DOT, dot + 1)
    if (dot === -1 || beginsLine(chunk, dot, from)) return dot
  }
  const at = chunk.indexOf(CRLF_DOT, Math.max(from, dot - 1))
  return at === -1 ? -1 : at + 2
}
