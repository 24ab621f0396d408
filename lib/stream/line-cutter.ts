// Command lines out of chunks. What is checked on the octets is checked here, before split2 sees the line: it is
// given one whole line at a time, so it is empty between two commands and never sees an octet of mail data.

import { isUtf8 } from 'node:buffer'
import split2 from 'split2'
import { LF } from '../words/octets.ts'

/**
 * Why a line is invalid. `'bare-newline'`: it ends with a bare LF, or has a CR, and a line ends with CRLF alone;
 * `'bare-cr'`: an LF may end a line, but a CR is elsewhere; `'endless'`: it goes on far behind the limit.
 */
export type LineProblem = 'too-long' | 'endless' | 'bare-newline' | 'bare-cr' | 'nul' | 'not-utf8'

/** An invalid line. */
export interface InvalidLine {
  readonly line: null
  readonly problem: LineProblem
  /** The word of letters that it begins with, in upper case; `''` if there is none. */
  readonly verb: string
  /** The octets of the line as Latin-1, without what is beyond the limit. */
  readonly octets: string
}

/** A line without its CRLF, or what is wrong with it. */
export type CutLine = { readonly line: string; readonly problem: null } | InvalidLine

const EMPTY = Buffer.alloc(0)

// One for the process: it is synchronous, and holds nothing between two lines.
let framed = ''
const framer = split2(/\r\n/, (line: string) => void (framed = line), { decodeStrings: false })

const NOT_ASCII = /[\x80-\xff]/

/** Octets of a line that are skipped behind its limit, at the most. */
const SKIPPED_OCTETS = 65_536

/** How lines are cut. */
export interface LineRules {
  /** True: an LF ends a line, and CRs directly before it belong to that line end. False: CRLF alone does. */
  readonly acceptsBareLF: boolean
  /** The greatest length of an AUTH command in octets, CRLF included, if it is more than that of other lines. */
  readonly authLimit: number
}

/**
 * Cuts one command line after the other out of chunks, at any chunking. Holds at most one unfinished line. A line is too
 * long as soon as it has as many octets as it may and no end; what follows of it is skipped.
 */
export class LineCutter {
  /** What the last {@link LineCutter.cut} found; null if the line goes on. */
  result: CutLine | null = null
  readonly #rules: LineRules
  #partial: Buffer = EMPTY
  #length = 0
  #isSkipping = false
  #skipped = 0

  constructor(rules: LineRules) {
    this.#rules = rules
  }

  /** True while part of a line has come in. */
  get unfinished(): boolean {
    return this.#length > 0 || this.#isSkipping
  }

  /**
   * Takes octets from `offset` to the end of a line and returns the offset behind it, or the chunk's length if the line
   * goes on. `limit` is the greatest length of a line in octets, CRLF included. Look at {@link result} then.
   */
  cut(chunk: Buffer, offset: number, limit: number): number {
    this.result = null
    if (this.#isSkipping) return this.#skip(chunk, offset)
    const lf = chunk.indexOf(LF, offset)
    const end = lf === -1 ? chunk.length : lf + 1
    const length = this.#length + end - offset
    if (length > limit || (lf === -1 && length === limit)) {
      const most = this.#isAuth(chunk, offset) ? Math.max(limit, this.#rules.authLimit) : limit
      if (length > most || (lf === -1 && length === most)) return this.#refuse(chunk, offset, most)
    }
    if (lf === -1) this.#keep(chunk, offset, end)
    else if (this.#length === 0) this.result = judge(chunk, offset, end, this.#rules)
    else {
      this.#keep(chunk, offset, end)
      this.result = judge(this.#partial, 0, this.#length, this.#rules)
      this.#forget()
    }
    return end
  }

  /** The line has `limit` octets and no end: takes these, and skips the rest. */
  #refuse(chunk: Buffer, offset: number, limit: number): number {
    const next = offset + limit - this.#length
    this.#keep(chunk, offset, next)
    this.result = invalid('too-long', this.#partial.toString('latin1', 0, limit))
    this.#forget()
    this.#isSkipping = true
    this.#skipped = 0
    return next
  }

  #skip(chunk: Buffer, offset: number): number {
    const lf = chunk.indexOf(LF, offset)
    const end = lf === -1 ? chunk.length : lf + 1
    this.#skipped += end - offset
    if (this.#skipped > SKIPPED_OCTETS) {
      this.#isSkipping = false
      this.result = invalid('endless', '')
      return end - (this.#skipped - SKIPPED_OCTETS) + 1
    }
    this.#isSkipping = lf === -1
    return end
  }

  #isAuth(chunk: Buffer, offset: number): boolean {
    const begin = this.#partial.toString('latin1', 0, Math.min(this.#length, 5))
    return /^AUTH /i.test(begin + chunk.toString('latin1', offset, offset + 5 - begin.length))
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const length = this.#length + end - start
    if (length > this.#partial.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(128, 2 * length))
      this.#partial.copy(larger, 0, 0, this.#length)
      this.#partial = larger
    }
    chunk.copy(this.#partial, this.#length, start, end)
    this.#length = length
  }

  #forget(): void {
    this.#partial = EMPTY
    this.#length = 0
  }
}

/** The octets from `start` to `end` are a line that ends with the first LF in them. */
function judge(octets: Buffer, start: number, end: number, { acceptsBareLF }: LineRules): CutLine {
  let wire = octets.toString('latin1', start, end)
  let stop = end - 2
  if (wire.length < 2 || wire.indexOf('\r') !== wire.length - 2) {
    if (!acceptsBareLF) return invalid('bare-newline', wire)
    const text = wire.replace(/\r*\n$/, '')
    if (text.includes('\r')) return invalid('bare-cr', wire)
    stop = start + text.length
    wire = `${text}\r\n` // split2 sees lines that end with CRLF
  }
  if (wire.includes('\0')) return invalid('nul', wire)
  framer.write(wire)
  if (!NOT_ASCII.test(framed)) return { line: framed, problem: null }
  if (!isUtf8(octets.subarray(start, stop))) return invalid('not-utf8', wire)
  return { line: octets.toString('utf8', start, stop), problem: null }
}

function invalid(problem: LineProblem, wire: string): InvalidLine {
  return { line: null, problem, verb: /^[A-Z]*/i.exec(wire)![0].toUpperCase(), octets: wire }
}
