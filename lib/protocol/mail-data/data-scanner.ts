// The end-of-data scanner: cuts mail data out of a stream of chunks and removes transparency in the same pass.
//
//   chunk ─ seam: does the end of the last chunk go on here as CRLF.CRLF?
//         ─ inside: from one line that begins with a dot to the next, slices in between as they are (dot-lines.ts,
//           line-checker.ts)
//         ─ tail: how much of CRLF.CRLF the chunk ends with; a dot there is held back, nobody can tell yet what it is

import { CR, LF } from '../../words/octets.ts'
import { unstuffDense } from './dense-lines.ts'
import { findDotLine, findEndOfData, type FindDotLine } from './dot-lines.ts'
import { LineChecker } from './line-checker.ts'

/** How many octets of CRLF.CRLF the octets so far end with. */
type Seen = 0 | 1 | 2 | 3 | 4

const END_OF_DATA = Buffer.from('\r\n.\r\n')
/** What is held back at the end of a chunk: the dot, or the dot and the CR. */
const HELD = Buffer.from('.\r')

/** Dots removed at a distance of less than this, in octets, are dense. */
const DENSE = 128

/** Takes a piece of mail data, which may share memory with the chunk that it was cut from. */
export type Emit = (piece: Buffer) => void

/** What a {@link DataScanner} does besides finding the end. */
export interface DataScannerOptions {
  /** Remove the dots that transparency added. [RFC 5321 §4.5.2] */
  readonly unstuff: boolean
  /** Look at every line end, for a bare CR or LF. [RFC 5321 §2.3.8] */
  readonly strict: boolean
}

/** Finds the end of mail data: CRLF.CRLF and nothing else. [RFC 5321 §4.1.1.4] */
export class DataScanner {
  readonly #unstuff: boolean
  readonly #checker: LineChecker | null
  readonly #find: FindDotLine
  #seen: Seen = 2 // mail data begins at the beginning of a line
  #ended = false

  constructor(options: DataScannerOptions) {
    const checker = options.strict ? new LineChecker() : null
    this.#unstuff = options.unstuff
    this.#checker = checker
    if (checker !== null) this.#find = (chunk, from) => checker.find(chunk, from)
    else this.#find = options.unstuff ? findDotLine : findEndOfData
  }

  /** True once the end of data has been seen. */
  get ended(): boolean {
    return this.#ended
  }

  /** True once a bare CR or LF has been seen; always false unless `strict`. */
  get bare(): boolean {
    return this.#checker?.bare ?? false
  }

  /**
   * Takes octets of `chunk` from `from` on and hands mail data to `emit`, in slices of the chunk wherever it can.
   * Returns the offset after what it took: the chunk's length, or what follows the end of data.
   */
  scan(chunk: Buffer, from: number, emit: Emit): number {
    const seen = this.#seen
    const matched = matchEnd(chunk, from, seen)
    const next = from + matched
    const dot = from + 2 - seen // where a dot at the beginning of the first line would stand

    if (seen + matched === END_OF_DATA.length) return this.#end(chunk, from, dot, next, emit)
    if (next === chunk.length) {
      this.#seen = (seen + matched) as Seen
      slice(chunk, from, Math.min(dot, next), emit)
      return next
    }
    // What was held back is mail data after all, but for a dot that transparency added.
    if (seen > 2) slice(Buffer.from(HELD), this.#unstuff ? 1 : 0, seen - 2, emit)
    let start = from
    if (this.#unstuff && seen < 3 && seen + matched > 2) {
      slice(chunk, from, dot, emit)
      start = dot + 1
    }
    const afterCR = seen === 1 || seen === 4
    if (this.#checker !== null && afterCR && chunk[from] !== LF) this.#checker.bare = true
    return this.#inside(chunk, start, afterCR && chunk[from] === LF ? from + 1 : from, emit)
  }

  /** `start` is the first octet not handed on yet; the search begins at `search`, which is in the middle of a line. */
  #inside(chunk: Buffer, start: number, search: number, emit: Emit): number {
    for (let dot = this.#find(chunk, search); dot !== -1; dot = this.#find(chunk, search)) {
      const next = chunk[dot + 1]
      if (next === undefined || (next === CR && dot + 2 === chunk.length)) break
      if (next === CR && chunk[dot + 2] === LF) return this.#end(chunk, start, dot, dot + 3, emit)
      search = dot + 1
      if (!this.#unstuff) continue
      const dense = dot - start < DENSE
      slice(chunk, start, dot, emit)
      start = search
      if (!dense) continue
      const lines = unstuffDense(chunk, start)
      if (this.#checker !== null && lines.bare) this.#checker.bare = true
      slice(lines.data, 0, lines.data.length, emit)
      if (lines.ended) return this.#end(chunk, 0, 0, lines.next, emit)
      start = lines.next
      search = lines.next
    }
    this.#seen = seenAtTail(chunk, search)
    slice(chunk, start, chunk.length - Math.max(0, this.#seen - 2), emit)
    return chunk.length
  }

  #end(chunk: Buffer, start: number, dot: number, next: number, emit: Emit): number {
    slice(chunk, start, dot, emit)
    this.#ended = true
    return next
  }
}

function slice(chunk: Buffer, start: number, end: number, emit: Emit): void {
  if (start < end) emit(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
}

/** How many octets from `from` on continue an end of data of which `seen` have been seen. */
function matchEnd(chunk: Buffer, from: number, seen: Seen): number {
  let matched = 0
  while (from + matched < chunk.length && chunk[from + matched] === END_OF_DATA[seen + matched]) matched++
  return matched
}

/** How many octets of CRLF.CRLF the chunk ends with, looking at none before `from`. */
function seenAtTail(chunk: Buffer, from: number): Seen {
  for (const seen of [4, 3, 2, 1] as const) {
    const at = chunk.length - seen
    if (at >= from && matchEnd(chunk, at, 0) === seen) return seen
  }
  return 0
}
