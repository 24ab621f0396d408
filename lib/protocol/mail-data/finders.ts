// Where is the next octet of mail data that needs care? Native searches skip what lies before it.

import { CR, DOT, LF } from '../../words/octets.ts'
import { FOUR_AT_ONCE, plainLinesAmong, wordAt, wordsOf } from './four-octets.ts'

/** Finds octets that need care. */
export interface Finder {
  /** The offset up to which octets behind the one that was found are to be looked at one by one; 0 if not known. */
  readonly until: number
  /**
   * Looks from the middle of a line at `from` on. Returns the offset of a dot that begins a line, or of any octet before
   * which everything is in order; the length of the chunk if all is.
   */
  find(chunk: Buffer, from: number): number
}

const CRLF_DOT = Buffer.from('\r\n.')

/** Dots looked at one by one before a search for CRLF and a dot takes over: base64 has none, prose has many. */
const DOTS_TRIED = 4
/** Octets sampled to see whether CRs are so dense that this search would stop at each. */
const SAMPLES = 32
const CROWD = 4
const CROWDED = 16_384

/** Finds dots that begin lines. */
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
    const next = Math.max(from, dot - 1)
    if (isCrowded(chunk, next)) {
      this.until = next + CROWDED
      return dot // in the middle of a line
    }
    const at = chunk.indexOf(CRLF_DOT, next)
    return at === -1 ? chunk.length : at + 2
  }
}

function isCrowded(chunk: Buffer, from: number): boolean {
  const step = (chunk.length - from) / SAMPLES
  let crs = 0
  for (let i = 0; i < SAMPLES; i++) if (chunk[Math.trunc(from + i * step)] === CR) crs++
  return crs >= CROWD
}

/** True where the dot stands behind a CRLF that is not before `from`. */
function beginsLine(chunk: Buffer, dot: number, from: number): boolean {
  return dot >= from + 2 && chunk[dot - 1] === LF && chunk[dot - 2] === CR
}

/** Octets of lines of one length that are checked in one go. */
const EQUAL_MIN = 1024
const EQUAL_MAX = 65_536
/** Octets of other lines that are checked in one go; then the lines may have become equal. */
const STRETCH = 4096
/** Lines looked at one by one before. */
const LINES_TRIED = 3
/** Lines of fewer octets than this are not worth to be compared with each other. */
const SHORT = 24
/** Lines of more octets than this are looked at one by one. */
const LONG = 160

/** Finds dots that begin lines, and CRs and LFs that are no half of a CRLF. [RFC 5321 §2.3.8] */
export class LineFinder implements Finder {
  until = 0
  /** Octets of the last line: if two have as many, as in base64, more are likely to. */
  #length = 0
  #stretch = EQUAL_MIN
  #tried = 0

  find(chunk: Buffer, from: number): number {
    this.until = 0
    for (let line = from; ;) {
      const lf = chunk.indexOf(LF, line)
      if (lf === -1) return this.#lastCR(chunk, line)
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

  /** Behind the last LF every CR is bare, but that the next chunk may go on with an LF. */
  #lastCR(chunk: Buffer, from: number): number {
    const cr = chunk.indexOf(CR, from)
    if (cr === -1) return chunk.length
    this.until = chunk.length
    return cr
  }

  /** Behind a line of `length` octets: over lines that are in order, as far as it is quick. */
  #skipLines(chunk: Buffer, from: number, length: number): number {
    const again = length === this.#length
    this.#length = length
    this.#tried += 1
    if (again && length >= SHORT) return this.#skipEqualLines(chunk, from)
    if (!FOUR_AT_ONCE || length > LONG || this.#tried < LINES_TRIED) return from
    this.#tried = 0
    return skipAnyLines(chunk, from)
  }

  /** The stretch grows while it holds what it promises, so that what breaks its promise costs little. */
  #skipEqualLines(chunk: Buffer, from: number): number {
    const next = skipEqualLines(chunk, from, this.#length, this.#stretch)
    const whole = next - from + this.#length > this.#stretch
    this.#stretch = whole ? Math.min(EQUAL_MAX, 4 * this.#stretch) : EQUAL_MIN
    return next
  }
}

/** To a dot that begins a line, to what is no CRLF, or into the middle of a line. */
function skipAnyLines(chunk: Buffer, from: number): number {
  const first = wordAt(chunk, from)
  const words = wordsOf(chunk, first, Math.min(from + STRETCH, chunk.length))
  return Math.max(from, first + plainLinesAmong(words, from - first))
}

const scratch = Buffer.allocUnsafeSlow(EQUAL_MAX + 1)

/**
 * Over lines of `length` octets, `most` octets at the most: to a dot that begins one, or to the first of another length.
 * Instead of a search for each line there is one for all: a copy, in which the line ends that are where they should be
 * are blotted out, has no CR and no LF left.
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
  const odd = Math.min(searchTo(octets, LF), searchTo(octets, CR))
  return odd === octets ? at : from + odd - (odd % length)
}

/** Where the octet is in the scratch, or `end`. */
function searchTo(end: number, octet: number): number {
  scratch[end] = octet
  return scratch.indexOf(octet)
}
