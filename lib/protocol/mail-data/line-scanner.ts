// The scanner of mail data: finds its end, checks or mends its newlines, and edits the dots that begin lines, in one
// pass. Its rules make it the scanner of DATA, of BDAT, or a transform.
//
//   chunk ─→ #pass: native searches find the next octet that needs care; what comes before it is emitted as a slice
//              │ ↑
//              ↓ │ in the middle of a line again
//            #edit: looks at octets one by one and emits a copy, edited: at the seam of two chunks, at a dot or a bare
//                   CR or LF, and for a whole stretch if these are dense

import { CR, DOT, LF } from '../../words/octets.ts'
import { DotFinder, LineFinder, type Finder } from './finders.ts'

const SP = 32

/** What a bare CR or LF in mail data gets: see {@link LineRules.bareNewline}. */
export type BareNewline = 'reject' | 'normalize' | 'allow'

/** Takes a piece of mail data, which may share memory with the chunk that it was cut from. */
export type Emit = (piece: Buffer) => void

/** What a {@link LineScanner} does. */
export interface LineRules {
  /** CRLF.CRLF ends the data, and a dot that begins a line is transparency. [RFC 5321 §4.5.2] */
  readonly endOfData: boolean
  /** What becomes of a dot that begins a line. Behind a bare LF, `drop` drops one of two, and `keep` makes two of one. */
  readonly dots: 'keep' | 'drop' | 'double'
  /**
   * `reject`: emits nothing from the first bare CR or LF on. `normalize`: makes CRLF of a bare LF and of all CRs directly
   * before an LF, and a space of any other CR. `allow`: emits them as they are.
   */
  readonly bareNewline: BareNewline
}

/** In the middle of a line. */
const TEXT = 0
/** Behind a CR: held, and perhaps one of several, unless bare ones are allowed. */
const AFTER_CR = 1
/** At the beginning of a line: of the data, or behind CRLF. */
const LINE = 2
/** Behind a dot at the beginning of a line; the dot is held. */
const LINE_DOT = 3
/** Behind such a dot and a CR; both are held. */
const LINE_DOT_CR = 4
/** Behind a bare LF of DATA that became CRLF. */
const BARE_LINE = 5
/** Behind a dot there; it is held. */
const BARE_DOT = 6

type State =
  | typeof TEXT
  | typeof AFTER_CR
  | typeof LINE
  | typeof LINE_DOT
  | typeof LINE_DOT_CR
  | typeof BARE_LINE
  | typeof BARE_DOT

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
  #finder: Finder | null
  #state: State = LINE
  /** CRs that are held in the state AFTER_CR. */
  #crs = 0
  /** The offset up to which octets are looked at one by one. */
  #until = 0
  #stretch = STRETCH_MIN
  #ended = false
  #bare = false

  constructor(rules: LineRules) {
    this.#rules = rules
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
    if (this.#state !== AFTER_CR) return
    this.#state = TEXT
    if (this.#rules.bareNewline === 'normalize') emit(Buffer.alloc(this.#crs, SP))
    else if (this.#rules.bareNewline === 'reject') this.#refuse()
  }

  /** Emits octets as they are, from the middle of a line to the next octet that needs care; returns its offset. */
  #pass(chunk: Buffer, from: number, emit: Emit, finder: Finder): number {
    const { dots } = this.#rules
    let start = from // of what is not emitted yet
    for (let at = from; ;) {
      const stop = finder.find(chunk, at)
      const state = stateAt(chunk, at, stop)
      const dense = stop - at < SPARSE
      if (dense || state !== LINE || !isPlainDot(chunk, stop)) {
        slice(chunk, start, stop, emit)
        this.#state = state
        this.#stretch = dense ? Math.min(STRETCH_MAX, 2 * this.#stretch) : STRETCH_MIN
        this.#until = Math.max(finder.until, dense ? stop + this.#stretch : stop + 1)
        return stop
      }
      at = stop + 1
      if (dots === 'keep') continue
      slice(chunk, start, dots === 'drop' ? stop : at, emit)
      start = dots === 'drop' ? at : stop
    }
  }

  /**
   * Emits an edited copy of the octets from `from` on: to `#until` and from there to the middle of a line, or as much
   * as the scratch holds. Returns the offset behind them.
   */
  #edit(chunk: Buffer, from: number, emit: Emit): number {
    const { endOfData, dots, bareNewline } = this.#rules
    const keep = dots === 'keep'
    const allow = bareNewline === 'allow'
    const normalize = bareNewline === 'normalize'
    const out = scratch
    const stop = Math.min(chunk.length, from + STRETCH_MAX)
    const until = Math.min(stop, this.#until)
    let state = this.#state
    let crs = this.#crs
    let length = 0
    let at = from
    let offends = false
    edit: while (at < stop) {
      let octet = chunk[at]!
      switch (state) {
        case AFTER_CR:
          if (octet === LF) {
            if (!allow) out[length++] = CR
            out[length++] = LF
            at++
            state = LINE
            continue
          }
          if (normalize && octet === CR) {
            if (crs < CRS_HELD) crs++
            else out[length++] = SP
            at++
            continue
          }
          if (normalize) for (; crs > 0; crs--) out[length++] = SP
          else if (!allow) {
            offends = true
            break edit
          }
          break
        case LINE:
          if (octet !== DOT) break
          at++
          if (endOfData && (at === stop || chunk[at]! <= CR)) state = LINE_DOT
          else {
            if (dots !== 'drop') out[length++] = DOT
            if (dots === 'double') out[length++] = DOT
            state = TEXT
          }
          continue
        case LINE_DOT:
          if (octet === CR) {
            at++
            state = LINE_DOT_CR
            continue
          }
          if (keep && !(normalize && octet === LF)) out[length++] = DOT
          break
        case LINE_DOT_CR:
          if (octet === LF) {
            at++
            this.#ended = true
            break edit
          }
          if (keep && !normalize) out[length++] = DOT
          if (allow) out[length++] = CR
          crs = 1
          state = AFTER_CR
          continue
        case BARE_LINE:
          if (octet !== DOT) break
          at++
          state = BARE_DOT
          continue
        case BARE_DOT:
          out[length++] = DOT
          if (keep) out[length++] = DOT
          if (octet === DOT) at++
          state = TEXT
          continue
        case TEXT:
      }
      state = TEXT
      while (octet > CR) {
        if (at >= until) break edit
        out[length++] = octet
        if (++at === stop) break edit
        octet = chunk[at]!
      }
      if (at >= until) break
      at++
      if (octet === CR) {
        if (allow) out[length++] = CR
        crs = 1
        state = AFTER_CR
      } else if (octet !== LF || allow) {
        out[length++] = octet
      } else if (normalize) {
        out[length++] = CR
        out[length++] = LF
        state = endOfData ? BARE_LINE : LINE
      } else {
        offends = true
        break
      }
    }
    this.#state = state
    this.#crs = crs
    if (length > 0) emit(Buffer.from(scratch.subarray(0, length)))
    if (offends) this.#refuse()
    return at
  }

  /** From here on only the end of data is looked for. */
  #refuse(): void {
    this.#bare = true
    this.#rules = { ...this.#rules, dots: 'keep', bareNewline: 'allow' }
    this.#finder = finderOf(this.#rules)
  }
}

/** The state behind the octets from `from`, in the middle of a line, to `stop`. */
function stateAt(chunk: Buffer, from: number, stop: number): State {
  if (stop > from && chunk[stop - 1] === CR) return AFTER_CR
  return stop >= from + 2 && chunk[stop - 1] === LF && chunk[stop - 2] === CR ? LINE : TEXT
}

/** True if a dot that begins a line can be judged by itself: neither a line end nor the end of the chunk follows. */
function isPlainDot(chunk: Buffer, at: number): boolean {
  return chunk[at] === DOT && chunk[at + 1]! > CR
}

/** Emits octets of the chunk, if any; returns the offset behind them. */
function slice(chunk: Buffer, start: number, end: number, emit: Emit): number {
  if (start < end) emit(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
  return end
}
