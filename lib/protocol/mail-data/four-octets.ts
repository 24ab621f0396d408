// Looks at mail data four octets at a time: for lines so short that a native search for each costs more than it skips.

/** True if the first octet of a word is its lowest, as the functions below need it. */
export const FOUR_AT_ONCE: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const CRS = 0x0d0d0d0d
const LFS = 0x0a0a0a0a
const DOTS = 0x2e2e2e2e
const PLAIN = 0x2d2d2d2d // no CR, LF or dot
const LOW_BITS = 0x7f7f7f7f
const HIGH_BITS = ~LOW_BITS
const SIXTEENS = 0x10101010

/** Returns the offset of the word that has the octet at `offset`: at most three less, which may be before the chunk. */
export function wordAt(chunk: Buffer, offset: number): number {
  return offset - ((chunk.byteOffset + offset) & 3)
}

/** Returns the whole words of a chunk from the offset `first` of a word to `end`. */
export function wordsOf(chunk: Buffer, first: number, end: number): Int32Array {
  return new Int32Array(chunk.buffer, chunk.byteOffset + first, Math.max(0, end - first) >> 2)
}

/**
 * Returns how many octets come before a bare CR or LF or a line that begins with a dot, or up to four less; never the
 * half of a CRLF. The first `skipped` octets, at most three, are not looked at.
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

/** The highest bit of each octet that is zero. */
function marks(word: number): number {
  return ~(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/** Not 0 if an octet is less than 16, as CR and LF are. */
function controls(word: number): number {
  return (word - SIXTEENS) & ~word & HIGH_BITS
}
