// Transparency both ways: every dot that begins a line is doubled, or dropped. [RFC 5321 §4.5.2]
//
//   chunk ─ dot at the seam with the chunk before? ─ indexOf CRLF. ─ slices up to each ─→
//
// A line begins at the start of the data and after CRLF, never after a bare CR or LF. [RFC 5321 §2.3.8]

import { CR, DOT, LF } from '../../words/octets.ts'
import type { Emit } from './data-scanner.ts'

const LINE_DOT = Buffer.from('\r\n.')
const LINE_DOTS = /\r\n\./g

/** So many dots of a chunk are cut out as slices; past that, one copy of the rest costs less than a slice a line. */
const SLICES = 16

/** How much of a CRLF the data ends with so far: nothing, CR, or all of it, so that a line begins. */
type Seam = 'none' | 'cr' | 'crlf'

/** Doubles or drops each dot at the beginning of a line, at any chunking. */
export class LineDots {
  readonly #doubles: boolean
  readonly #replacement: string
  #seam: Seam = 'crlf'

  constructor(edit: 'double' | 'drop') {
    this.#doubles = edit === 'double'
    this.#replacement = this.#doubles ? '\r\n..' : '\r\n'
  }

  /** Takes the next octets and hands them on edited, in slices of the chunk wherever it can. */
  edit(chunk: Buffer, emit: Emit): void {
    let from = 0
    let dot = dotAtSeam(chunk, this.#seam)
    if (dot < 0) dot = nextDot(chunk, 0)
    for (let slices = 0; dot >= 0 && slices < SLICES; slices++) {
      const end = this.#doubles ? dot + 1 : dot
      if (end > from) emit(chunk.subarray(from, end))
      from = this.#doubles ? dot : dot + 1
      dot = nextDot(chunk, dot + 1)
    }
    const rest = from === 0 ? chunk : chunk.subarray(from)
    this.#seam = seamAfter(chunk, this.#seam)
    const edited = dot < 0 ? rest : Buffer.from(rest.toString('latin1').replace(LINE_DOTS, this.#replacement), 'latin1')
    if (edited.length > 0) emit(edited)
  }
}

function dotAtSeam(chunk: Buffer, seam: Seam): number {
  if (seam === 'crlf' && chunk[0] === DOT) return 0
  if (seam === 'cr' && chunk[0] === LF && chunk[1] === DOT) return 1
  return -1
}

function nextDot(chunk: Buffer, from: number): number {
  const at = chunk.indexOf(LINE_DOT, from)
  return at < 0 ? -1 : at + 2
}

function seamAfter(chunk: Buffer, before: Seam): Seam {
  const last = chunk[chunk.length - 1]
  if (last === undefined) return before
  if (last === CR) return 'cr'
  if (last !== LF) return 'none'
  const afterCr = chunk.length > 1 ? chunk[chunk.length - 2] === CR : before === 'cr'
  return afterCr ? 'crlf' : 'none'
}
