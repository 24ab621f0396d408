// Is every CR and LF in mail data half of a CRLF? A native search for each of both tells it of a line; lines are taken
// together where that is quicker: those of one length, as in base64, and those that are short.

import { CR, DOT, LF } from '../../words/octets.ts'
import { beginsLine, findDotLine } from './dot-lines.ts'
import { FOUR_AT_ONCE, plainLinesAmong, wordAt, wordsOf } from './four-octets.ts'

/** Octets of lines of one length that are checked in one go. */
const STRETCH_MIN = 1024
const STRETCH_MAX = 65_536
/** Octets of other lines that are checked in one go; then the lines may have become equal. */
const STRETCH = 4096
/** Lines looked at one by one before. */
const LINES_TRIED = 3
/** Lines of fewer octets than this are not worth to be compared with each other. */
const SHORT = 24
/** Lines of more octets than this are looked at one by one. */
const LONG = 160

/**
 * Finds the dots that findDotLine does, and visits every line end on the way: `bare` tells whether a CR or LF stood
 * alone. A CR that is the last octet of a chunk is not judged here. [RFC 5321 §2.3.8]
 */
export class LineChecker {
  bare = false
  /** Octets of the last line: where two have as many, as in base64, more are likely to. */
  #length = 0
  #stretch = STRETCH_MIN
  #tried = 0

  /** The next dot that begins a line, searched from `from` on, in the middle of a line; -1 where there is none. */
  find(chunk: Buffer, from: number): number {
    if (this.bare) return findDotLine(chunk, from)
    let line = from
    for (;;) {
      const lf = chunk.indexOf(LF, line)
      const cr = chunk.indexOf(CR, line)
      if (cr === -1 || cr !== lf - 1) {
        // Judged once: without one of the two in the chunk each further question would search all of it.
        if (lf === -1 && (cr === -1 || cr === chunk.length - 1)) return -1
        this.bare = true
        return findDotLine(chunk, line)
      }
      const length = lf + 1 - line
      line = lf + 1
      if (chunk[line] === DOT) return line
      line = this.#skipLines(chunk, line, length)
      if (chunk[line] === DOT && beginsLine(chunk, line, from)) return line
    }
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
    this.#stretch = whole ? Math.min(STRETCH_MAX, 4 * this.#stretch) : STRETCH_MIN
    return next
  }
}

/** To a dot that begins a line, to what is no CRLF, or into the middle of a line. */
function skipAnyLines(chunk: Buffer, from: number): number {
  const first = wordAt(chunk, from)
  const words = wordsOf(chunk, first, Math.min(from + STRETCH, chunk.length))
  return Math.max(from, first + plainLinesAmong(words, from - first))
}

const scratch = Buffer.allocUnsafeSlow(STRETCH_MAX + 1)

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
