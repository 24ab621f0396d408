// Where in a chunk of mail data does a line begin with a dot? Three searches, each made for one question and quick on
// every shape of data: long lines are skipped natively, runs of very short ones are stepped through in JavaScript,
// where a native call for each would cost more than it skips (docs/performance.md has figures).
//
// Each starts in the middle of a line at `from` and looks at no octet before it; it returns the index of the dot, or
// -1 where the chunk has no further one.

import { CR, DOT, LF } from '../words/octets.ts'

/** A search for the next dot at the beginning of a line. */
export type FindDotLine = (chunk: Buffer, from: number) => number

const CRLF_DOT = Buffer.from('\r\n.')
const END_OF_DATA = Buffer.from('\r\n.\r\n')

/** Dots looked at one by one before a search for a longer pattern takes over: base64 has none, prose has many. */
const DOTS_TRIED = 4
/** Octets of lines of one length that are checked in one go. */
const STRETCH_MIN = 1024
const STRETCH_MAX = 65_536
/** Lines of fewer octets than this are short. */
const SHORT = 24
/** Lines looked at one by one, to see how long they are. */
const LINES_TRIED = 4
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const beginsLine = (chunk: Buffer, dot: number, from: number): boolean =>
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
  if (LITTLE_ENDIAN && lf - from < LINES_TRIED * SHORT) return endOfDataByWords(chunk, from)
  const at = chunk.indexOf(END_OF_DATA, Math.max(from, lf - 4))
  return at === -1 ? -1 : at + 2
}

/** Among very short lines: four octets at a time, by what of CRLF.CRLF begins in them. */
function endOfDataByWords(chunk: Buffer, from: number): number {
  const first = from + (-(chunk.byteOffset + from) & 3)
  for (let dot = from + 2; dot < first + 2; dot++) if (endsData(chunk, dot, from)) return dot
  const words = new Int32Array(chunk.buffer, chunk.byteOffset + first, Math.max(0, chunk.length - first) >> 2)
  const at = endAmongWords(words)
  if (at !== -1) return first + at + 2
  for (let dot = first + 4 * Math.max(0, words.length - 1); dot < chunk.length; dot++) {
    if (endsData(chunk, dot, from)) return dot
  }
  return -1
}

/**
 * At which octet CRLF.CRLF begins; -1 where it does not, before the last word. Only the loop: what a compiler has not
 * seen run, as what stands behind a long loop, makes it give up the loop's code whenever it comes there.
 */
function endAmongWords(words: Int32Array): number {
  const last = words.length - 1
  for (let i = 0; i < last; i++) {
    const at = beginsEnd(words[i]!, words[i + 1]!)
    if (at !== -1) return 4 * i + at
  }
  return -1
}

/** At which octet of `word` CRLF.CRLF begins, which goes on in `next`; -1 where it does not. */
function beginsEnd(word: number, next: number): number {
  if (word >>> 16 === 0x0a0d) return (next & 0xffffff) === 0x0a0d2e ? 2 : -1
  if (word === 0x0d2e0a0d) return (next & 0xff) === 0x0a ? 0 : -1
  if (word >>> 24 === 0x0d) return next === 0x0a0d2e0a ? 3 : -1
  return word >>> 8 === 0x2e0a0d && (next & 0xffff) === 0x0a0d ? 1 : -1
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

/**
 * Finds the same dots, and visits every line end on the way: `bare` tells whether a CR or LF stood alone. A CR that
 * is the last octet of a chunk is not judged here. [RFC 5321 §2.3.8]
 */
export class LineChecker {
  bare = false
  /** Octets of the last line: where two have as many, as in base64, more are likely to. */
  #length = 0
  #stretch = STRETCH_MIN

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
      const again = length === this.#length
      this.#length = length
      line = lf + 1
      if (chunk[line] === DOT) return line
      if (length < SHORT) line = skipShortLines(chunk, line)
      else if (again) line = this.#skipEqualLines(chunk, line)
      else continue
      if (chunk[line] === DOT && beginsLine(chunk, line, from)) return line
    }
  }

  /** The stretch grows while it holds what it promises, so that what breaks its promise costs little. */
  #skipEqualLines(chunk: Buffer, from: number): number {
    const next = skipEqualLines(chunk, from, this.#length, this.#stretch)
    const whole = next - from + this.#length > this.#stretch
    this.#stretch = whole ? Math.min(STRETCH_MAX, 4 * this.#stretch) : STRETCH_MIN
    return next
  }
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

/** From line to line octet by octet: to a dot that begins one, to what is no CRLF, or into a line that is not short. */
function skipShortLines(chunk: Buffer, from: number): number {
  const last = chunk.length - 1
  let at = from
  for (;;) {
    const stop = Math.min(at + SHORT, last)
    while (at < stop && chunk[at]! > CR) at += 1
    if (at >= stop) return at
    const octet = chunk[at]!
    if (octet === CR && chunk[at + 1] === LF) {
      at += 2
      if (chunk[at] === DOT) return at
    } else if (octet === CR || octet === LF) {
      return at
    } else {
      at += 1
    }
  }
}
