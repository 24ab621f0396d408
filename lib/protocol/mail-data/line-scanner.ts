// The scanner of mail data: finds its end, checks or mends its newlines, and edits the dots that begin lines, in one
// pass. Its rules make it the scanner of DATA, of BDAT, or a transform.
//
//   chunk ─→ #pass: native searches find the next octet that needs care; what comes before it is emitted as a slice
//              │ ↑
//              ↓ │ in the middle of a line again
//            #edit: looks at octets one by one and emits a copy, edited: at the seam of two chunks, at a dot or a bare
//                   CR or LF, and for a whole stretch if these are dense

import * as octets from '../../words/octets.ts'
import { DotFinder, LineFinder, type Finder } from './finders.ts'
import { CELL, STATES, tableOf, type LineRules } from './line-rules.ts'

// Constants of this module: the compiler does not fold those of another, which costs #edit a third of its time.
const { CR, DOT, LF } = octets
const { TEXT, AFTER_CR, AFTER_CRS, LINE } = STATES
const { NEXT, TAKE, WRITE, STUFFED, END, OFFENCE, COUNT, SPECIAL, PREFIX, LENGTH, FIRST, SECOND } = CELL

/** Takes a piece of mail data, which may share memory with the chunk that it was cut from. */
export type Emit = (piece: Buffer) => void

const SP = 32

/** The most CRs that can belong to one line end: it bounds what is held. A CR before them becomes a space. */
const CRS_HELD = 1000

/** If fewer octets than this are between two that need care, a stretch is copied octet by octet. */
const SPARSE = 512
/** Octets of such a stretch; it grows while the next one is as dense. */
const STRETCH_MIN = 1024
const STRETCH_MAX = 16_384

/** What #edit writes to: at most two octets for each that it reads, and the CRs that were held. */
const scratch = Buffer.allocUnsafeSlow(2 * STRETCH_MAX + CRS_HELD + 8)

function ignore(): void {}

/** The quickest finder that serves the rules; null if no octet needs care. */
function finderOf({ endOfData, dots, bareNewline }: LineRules): Finder | null {
  if (bareNewline !== 'allow') return new LineFinder()
  return endOfData || dots !== 'keep' ? new DotFinder() : null
}

/** Scans mail data; the result is the same however it is cut into chunks. */
export class LineScanner {
  #rules: LineRules
  #table: Int32Array
  #finder: Finder | null
  #state: number = LINE
  /** CRs that are held in the state AFTER_CRS, but for the first. */
  #crs = 0
  /** The offset up to which octets are looked at one by one. */
  #until = 0
  #stretch = STRETCH_MIN
  #ended = false
  #bare = false
  /** Dots of transparency among the octets that were emitted. [RFC 5321 §4.5.2] */
  stuffing = 0

  constructor(rules: LineRules) {
    this.#rules = rules
    this.#table = tableOf(rules)
    this.#finder = finderOf(rules)
  }

  /** True once the end of data has been seen. */
  get ended(): boolean {
    return this.#ended
  }

  /** True once a bare CR or LF has been seen and is rejected: nothing is emitted any more. [RFC 5321 §2.3.8] */
  get bare(): boolean {
    return this.#bare
  }

  /**
   * Takes octets of `chunk` from `from` on and emits mail data, as slices of the chunk where it needs no edit. Returns
   * the offset behind what it took: the end of the chunk, or what follows the end of data.
   */
  scan(chunk: Buffer, from: number, emit: Emit): number {
    let at = from
    this.#until = from
    while (at < chunk.length && !this.#ended) {
      const hand = this.#bare ? ignore : emit
      if (this.#finder === null) at = slice(chunk, at, chunk.length, hand)
      else if (this.#state !== TEXT || at < this.#until) at = this.#edit(chunk, at, hand)
      else at = this.#pass(chunk, at, hand, this.#finder)
    }
    return at
  }

  /** There are no more octets: judges a CR that is held. */
  end(emit: Emit): void {
    const { bareNewline } = this.#rules
    if (this.#state !== AFTER_CR && this.#state !== AFTER_CRS) return
    this.#state = TEXT
    if (bareNewline === 'reject') this.#refuse()
    if (bareNewline === 'normalize') emit(Buffer.alloc(this.#crs + 1, SP))
    this.#crs = 0
  }

  /** Emits octets as they are, from the middle of a line to the next octet that needs care; returns its offset. */
  #pass(chunk: Buffer, from: number, emit: Emit, finder: Finder): number {
    const { endOfData, dots } = this.#rules
    let start = from // of what is not emitted yet
    for (let at = from; ;) {
      const stop = finder.find(chunk, at)
      const state = stateAt(chunk, at, stop)
      const dense = stop - at < SPARSE
      // A dot that begins a line is judged here if neither a line end nor the end of the chunk follows.
      const isPlainDot = state === LINE && chunk[stop] === DOT && chunk[stop + 1]! > CR
      if (dense || !isPlainDot) {
        slice(chunk, start, stop, emit)
        this.#state = state
        this.#stretch = dense ? Math.min(STRETCH_MAX, 2 * this.#stretch) : STRETCH_MIN
        this.#until = Math.max(finder.until, dense ? stop + this.#stretch : stop + 1)
        return stop
      }
      at = stop + 1
      if (endOfData ? dots === 'keep' : dots === 'double') this.stuffing++
      if (dots === 'keep') continue
      slice(chunk, start, dots === 'drop' ? stop : at, emit)
      start = dots === 'drop' ? at : stop
    }
  }

  /**
   * Emits an edited copy of the octets from `from` on: to `#until`, and from there to the middle of a line, or as much
   * as the scratch holds. Returns the offset behind them.
   */
  #edit(chunk: Buffer, from: number, emit: Emit): number {
    const table = this.#table
    const out = scratch
    const stop = Math.min(chunk.length, from + STRETCH_MAX)
    const until = Math.min(stop, this.#until)
    let state = this.#state
    let length = 0
    let at = from
    let act = 0
    while (at < stop) {
      const octet = chunk[at]!
      const cell = table[state + octet]!
      if (at >= until && cell === table[octet]) {
        state = TEXT // the octet is treated as if it were
        break
      }
      if (cell & PREFIX) {
        out[length] = cell >> FIRST
        out[length + 1] = cell >> SECOND
        length += (cell >> LENGTH) & 3
      }
      if (cell & WRITE) out[length++] = octet
      if (cell & TAKE) at++
      if (cell & STUFFED) this.stuffing++
      state = cell & NEXT
      if (cell & SPECIAL) {
        if (cell & (END | OFFENCE)) {
          act = cell
          break
        }
        if (cell & COUNT) {
          let crs = this.#crs + 1
          for (; at < stop && chunk[at] === CR; at++) crs++
          this.#crs = Math.min(crs, CRS_HELD - 1)
          for (; crs > this.#crs; crs--) out[length++] = SP
        } else {
          if (octet !== LF) for (; this.#crs > 0; this.#crs--) out[length++] = SP
          this.#crs = 0
        }
      }
      if (state === TEXT) {
        let text = CR
        for (; at < until && (text = chunk[at]!) > CR; at++) out[length++] = text
        if (text === CR && at + 1 < until && chunk[at + 1] === LF) {
          out[length++] = CR
          out[length++] = LF
          at += 2
          state = LINE
        }
      }
    }
    this.#state = state
    if (length > 0) emit(Buffer.from(out.subarray(0, length)))
    if (act & END) this.#ended = true
    if (act & OFFENCE) this.#refuse()
    return at
  }

  /** From here on only the end of data is looked for. */
  #refuse(): void {
    this.#bare = true
    const { endOfData } = this.#rules
    this.#rules = { endOfData, dots: endOfData ? 'drop' : 'keep', bareNewline: 'allow' }
    this.#table = tableOf(this.#rules)
    this.#finder = finderOf(this.#rules)
  }
}

/** The state behind the octets from `from`, in the middle of a line, to `stop`. */
function stateAt(chunk: Buffer, from: number, stop: number): number {
  if (stop > from && chunk[stop - 1] === CR) return AFTER_CR
  return stop >= from + 2 && chunk[stop - 1] === LF && chunk[stop - 2] === CR ? LINE : TEXT
}

/** Emits octets of the chunk, if any; returns the offset behind them. */
function slice(chunk: Buffer, start: number, end: number, emit: Emit): number {
  if (start < end) emit(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
  return end
}
