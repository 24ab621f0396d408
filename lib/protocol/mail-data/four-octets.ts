// Mail data four octets at a time: for lines so short that a native search for each costs more than it skips. The time
// it takes does not depend on the data.
//
// Each function here is its loop and nothing else: what a compiler has not seen run, as what stands behind a long loop,
// makes it give up the loop's code whenever it comes there.

import { CR } from '../../words/octets.ts'

/** True where words have their first octet lowest, as the functions below want it. */
export const FOUR_AT_ONCE: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const CRS = 0x0d0d0d0d
const LFS = 0x0a0a0a0a
const DOTS = 0x2e2e2e2e
const PLAIN = 0x2d2d2d2d // no CR, LF or dot
const LOW_BITS = 0x7f7f7f7f
const HIGH_BITS = ~LOW_BITS
const SIXTEENS = 0x10101010

/** The offset of the word that the octet at `offset` is in: as many as three less, which may be before the chunk. */
export function wordAt(chunk: Buffer, offset: number): number {
  return offset - ((chunk.byteOffset + offset) & 3)
}

/** The words of a chunk from {@link wordAt} on, as far as there are whole ones before `end`. */
export function wordsOf(chunk: Buffer, first: number, end: number): Int32Array {
  return new Int32Array(chunk.buffer, chunk.byteOffset + first, Math.max(0, end - first) >> 2)
}

/** At which octet CRLF.CRLF begins, before the last word; -1 where it does not. */
export function endOfDataAmong(words: Int32Array): number {
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

/**
 * How many octets there are before a CR or LF that stands alone or a line that begins with a dot, as many as four
 * less: not in the middle of a CRLF. The first `skipped` octets, three at the most, are not looked at.
 */
export function plainLinesAmong(words: Int32Array, skipped: number): number {
  let keep = -1 << (8 * skipped)
  let fill = PLAIN & ~keep
  let afterCR = 0
  let afterLF = 0
  let i = 0
  for (; i < words.length; i++) {
    const word = (words[i]! & keep) | fill
    keep = -1
    fill = 0
    if ((controls(word) | afterCR | afterLF) === 0) continue
    const crs = marks(word ^ CRS)
    const lfs = marks(word ^ LFS)
    if (lfs !== ((crs << 8) | afterCR)) break
    const begins = (lfs << 8) | afterLF
    if (begins !== 0 && (begins & marks(word ^ DOTS)) !== 0) break
    afterCR = crs >>> 24
    afterLF = lfs >>> 24
  }
  return afterCR === 0 ? 4 * i : 4 * i - 1
}

/** How far {@link unstuffAmong} has come. */
export interface Unstuffed {
  /** Octets read, those that were skipped among them. */
  readonly taken: number
  /** Octets of `out`. */
  readonly length: number
}

/**
 * Copies words to `out`, behind its first `length` octets, and leaves out the dots that begin lines, and the first
 * `skipped` octets, three at the most. From the middle of a line to a CR or LF that stands alone, to what may be the end
 * of data, or to the last word, as many as four octets less.
 */
export function unstuffAmong(words: Int32Array, skipped: number, out: Int32Array, length: number): Unstuffed {
  const last = words.length - 1
  let keep = -1 << (8 * skipped)
  let fill = PLAIN & ~keep
  let unwanted = HIGH_BITS & ~keep
  let at = length >> 2
  let bits = (length & 3) * 8 // of octets that do not fill a word yet
  let held = out[at]! & ((1 << bits) - 1)
  let afterCR = 0
  let afterLF = 0
  let i = 0
  for (; i < last; i++) {
    const word = (words[i]! & keep) | fill
    const crs = marks(word ^ CRS)
    const lfs = marks(word ^ LFS)
    if (lfs !== ((crs << 8) | afterCR)) break
    const begins = (lfs << 8) | afterLF
    const dots = begins === 0 ? 0 : begins & marks(word ^ DOTS)
    unwanted |= dots
    if (unwanted === 0) {
      out[at++] = held | (word << bits)
      held = bits === 0 ? 0 : word >>> (32 - bits)
    } else {
      if (((dots << 8) & crs) !== 0 || (dots < 0 && (words[i + 1]! & 0xff) === CR)) break
      let kept = word
      let more = 32
      for (; unwanted !== 0; more -= 8) {
        const low = 24 - Math.clz32(unwanted) // the bits below the last octet that is not wanted
        const below = (1 << low) - 1
        kept = (kept & below) | (((kept >>> 8) >>> low) << low)
        unwanted &= below
      }
      held |= kept << bits
      bits += more
      if (bits >= 32) {
        out[at++] = held
        bits -= 32
        held = kept >>> (more - bits)
      }
    }
    afterCR = crs >>> 24
    afterLF = lfs >>> 24
    keep = -1
    fill = 0
  }
  out[at] = held
  const half = afterLF === 0 ? (afterCR === 0 ? 0 : 1) : 2 // the line end is for him who goes on
  return { taken: 4 * i - half, length: 4 * at + (bits >> 3) - half }
}

/** The highest bit of each octet that is zero. */
function marks(word: number): number {
  return ~(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/** Not 0 where one of its octets is less than 16, as CR and LF are. */
function controls(word: number): number {
  return (word - SIXTEENS) & ~word & HIGH_BITS
}
