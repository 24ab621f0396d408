// Command lines out of chunks. What is checked on the octets is checked here, before split2 sees the line: it is
// given one whole line at a time, so it is empty between two commands and never sees an octet of mail data.

import { isUtf8 } from 'node:buffer'
import split2 from 'split2'
import { LF } from '../words/octets.ts'

/** Why a line is invalid. */
export type LineProblem = 'too-long' | 'bare-newline' | 'nul' | 'not-utf8'

/** An invalid line. */
export interface InvalidLine {
  readonly line: null
  readonly problem: LineProblem
  /** The word of letters that it begins with, in upper case; `''` if there is none. */
  readonly verb: string
}

/** A line without its CRLF, or what is wrong with it. */
export type CutLine = { readonly line: string; readonly problem: null } | InvalidLine

const EMPTY = Buffer.alloc(0)

// One for the process: it is synchronous, and holds nothing between two lines.
let framed = ''
const framer = split2(/\r\n/, (line: string) => void (framed = line), { decodeStrings: false })

const NOT_ASCII = /[\x80-\xff]/

/** Cuts one command line after the other out of chunks, at any chunking. Holds at most one unfinished line. */
export class LineCutter {
  /** What the last {@link LineCutter.cut} found; null if the line goes on. */
  result: CutLine | null = null
  #partial: Buffer = EMPTY
  #length = 0 // of the unfinished line, its octets beyond the limit counted but not kept

  /** True while part of a line has come in. */
  get unfinished(): boolean {
    return this.#length > 0
  }

  /**
   * Takes octets from `offset` to the end of a line and returns the offset behind it, or the chunk's length if the line
   * goes on. `limit` is the greatest length of a line in octets, CRLF included. Look at {@link result} then.
   */
  cut(chunk: Buffer, offset: number, limit: number): number {
    this.result = null
    const lf = chunk.indexOf(LF, offset)
    if (lf === -1) {
      this.#keep(chunk, offset, chunk.length, limit)
      return chunk.length
    }
    if (this.#length === 0) {
      this.result = judge(chunk, offset, lf + 1, limit)
    } else {
      this.#keep(chunk, offset, lf + 1, limit)
      this.result = judge(this.#partial, 0, this.#length, limit)
      this.#partial = EMPTY
      this.#length = 0
    }
    return lf + 1
  }

  #keep(chunk: Buffer, start: number, end: number, limit: number): void {
    const length = this.#length + end - start
    const kept = Math.min(length, limit)
    if (kept > this.#partial.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(128, 2 * kept)))
      this.#partial.copy(larger, 0, 0, this.#length)
      this.#partial = larger
    }
    if (this.#length < limit) chunk.copy(this.#partial, this.#length, start, end)
    this.#length = length
  }
}

/** The octets from `start` to `end` are a line that ends with the first LF in them. */
function judge(octets: Buffer, start: number, end: number, limit: number): CutLine {
  if (end - start > limit) return invalid('too-long', octets.toString('latin1', start, start + limit))
  const wire = octets.toString('latin1', start, end)
  if (wire.length < 2 || wire.indexOf('\r') !== wire.length - 2) return invalid('bare-newline', wire)
  if (wire.includes('\0')) return invalid('nul', wire)
  framer.write(wire)
  if (!NOT_ASCII.test(framed)) return { line: framed, problem: null }
  if (!isUtf8(octets.subarray(start, end))) return invalid('not-utf8', wire)
  return { line: octets.toString('utf8', start, end - 2), problem: null }
}

function invalid(problem: LineProblem, wire: string): InvalidLine {
  return { line: null, problem, verb: /^[A-Z]*/i.exec(wire)![0].toUpperCase() }
}
