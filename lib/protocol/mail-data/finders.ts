// Finds the next octet of mail data that needs care. Native searches skip the octets before it.

import { CR, DOT, LF } from '../../words/octets.ts'
import { FOUR_AT_ONCE, plainLinesAmong, wordAt, wordsOf } from './four-octets.ts'

/** Finds octets that need care. */
export interface Finder {
  /** The offset up to which the octets from the last result on must be looked at one by one; 0 if one is enough. */
  readonly until: number
  /**
   * Searches from `from` on, in the middle of a line. Returns the offset of a dot that begins a line, or an offset up to
   * which no octet needs care: the length of the chunk if none does.
   */
  find(chunk: Buffer, from: number): number
}

const CRLF_DOT = Buffer.from('\r\n.')

/** Dots to search for before the search for CRLF and a dot: base64 has none, text has many. */
const DOTS_TRIED = 4
/** Octets sampled to estimate how many are CRs, since that search stops at each; and how many are too many. */
const SAMPLES = 32
const CROWD = 4
/** Octets to look at one by one then. */
const CROWDED = 16_384

/** Finds the dots that begin lines. */
export class DotFinder implements Finder {
  until = 0

  find(chunk: Buffer, from: number): number {
    this.until = 0
    let dot = from - 1
    for (let tried = 0; tried < DOTS_TRIED; tried++) {
      dot = chunk.indexOf(DOT, dot + 1)
      if (dot === -1) return chunk.length
      if (beginsLine(chunk, dot, from)) return dot
    }
    if (isCrowded(chunk, dot)) {
      this.until = dot + CROWDED
      return dot
    }
    const at = chunk.indexOf(CRLF_DOT, dot + 1)
    return at === -1 ? chunk.length : at + 2
  }
}

function isCrowded(chunk: Buffer, from: number): boolean {
  const step = (chunk.length - from) / SAMPLES
  let crs = 0
  for (let i = 0; i < SAMPLES; i++) if (chunk[Math.trunc(from + i * step)] === CR) crs++
  return crs >= CROWD
}

/** True if CRLF stands before the dot, and not before `from`. */
function beginsLine(chunk: Buffer, dot: number, from: number): boolean {
  return dot >= from + 2 && chunk[dot - 1] === LF && chunk[dot - 2] === CR
}

/** Octets of lines of the same length to check in one go: from the least, as long as the lines stay the same, to the most. */
const EQUAL_MIN = 1024
const EQUAL_MAX = 65_536
/** Octets of lines of any length to check in one go; later lines may be of the same length. */
const ANY = 4096
/** Lines to check one by one before. */
const LINES_TRIED = 3
/** Lines with fewer octets than this are not compared with each other. */
const SHORT = 24
/** Lines with more octets than this are checked one by one. */
const LONG = 160

/**
 * Finds the dots that begin lines, and each CR or LF that is not half of a CRLF. Three ways, each for lines that real mail
 * has: base64 has lines of the same length, text has short ones, and a native search for each is quick for long ones.
 * [RFC 5321 §2.3.8]
 */
export class LineFinder implements Finder {
  until = 0
  /** Octets of the last line. */
  #length = 0
  #equal = EQUAL_MIN
  #tried = 0

  find(chunk: Buffer, from: number): number {
    this.until = 0
    for (let line = from; ;) {
      const lf = chunk.indexOf(LF, line)
      if (lf === -1) {
        // Behind the last LF every CR needs care; the LF of the last one may be in the next chunk.
        const last = chunk.indexOf(CR, line)
        if (last === -1) return chunk.length
        this.until = chunk.length
        return last
      }
      if (lf === line || chunk[lf - 1] !== CR) {
        this.until = lf + 1
        return line
      }
      const cr = chunk.indexOf(CR, line)
      if (cr !== lf - 1) {
        this.until = lf
        return cr
      }
      const length = lf + 1 - line
      line = lf + 1
      if (chunk[line] === DOT) return line
      line = this.#skipLines(chunk, line, length)
      if (chunk[line] === DOT && beginsLine(chunk, line, from)) return line
    }
  }

  /** Skips lines behind one of `length` octets, if that is quicker than one by one; returns the offset behind them. */
  #skipLines(chunk: Buffer, from: number, length: number): number {
    const again = length === this.#length
    this.#length = length
    this.#tried += 1
    if (again && length >= SHORT) {
      const next = skipEqualLines(chunk, from, length, this.#equal)
      const all = next - from + length > this.#equal
      this.#equal = all ? Math.min(EQUAL_MAX, 4 * this.#equal) : EQUAL_MIN
      return next
    }
    if (!FOUR_AT_ONCE || length > LONG || this.#tried < LINES_TRIED) return from
    this.#tried = 0
    return skipAnyLines(chunk, from)
  }
}

/** Skips to a dot that begins a line, to a bare CR or LF, or into the middle of a line. */
function skipAnyLines(chunk: Buffer, from: number): number {
  const first = wordAt(chunk, from)
  const words = wordsOf(chunk, first, Math.min(from + ANY, chunk.length))
  return Math.max(from, first + plainLinesAmong(words, from - first))
}

const scratch = Buffer.allocUnsafeSlow(EQUAL_MAX + 1)

/**
 * Skips lines of `length` octets, at most `most` octets: to a dot that begins a line, or to a line that is different. One
 * search serves all lines: it finds a CR or LF in a copy without those at the ends of the lines.
 */
function skipEqualLines(chunk: Buffer, from: number, length: number, most: number): number {
  const stop = Math.min(chunk.length, from + most) - length
  let at = from
  while (at <= stop && chunk[at + length - 1] === LF && chunk[at + length - 2] === CR) {
    at += length
    if (chunk[at] === DOT) break
  }
  const octets = at - from
  if (octets === 0) return from
  chunk.copy(scratch, 0, from, at)
  for (let end = length; end <= octets; end += length) {
    scratch[end - 1] = 0
    scratch[end - 2] = 0
  }
  scratch[octets] = LF // so that the searches end there
  const lf = scratch.indexOf(LF)
  scratch[octets] = CR
  const odd = Math.min(lf, scratch.indexOf(CR))
  return odd === octets ? at : from + odd - (odd % length)
}
