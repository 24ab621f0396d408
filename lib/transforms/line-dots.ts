// Transparency both ways: every dot that begins a line is doubled, or dropped. [RFC 5321 §4.5.2]
//
//   chunk ─ dot at the seam with the chunk before? ─ indexOf CRLF. ─ slices up to each ─→
//
// A line begins at the start of the stream and after CRLF, never after a bare CR or LF. [RFC 5321 §2.3.8]

import type { Transform } from 'node:stream'
import { through } from './through.ts'

const CR = 13
const LF = 10
const DOT = 46
const LINE_DOT = Buffer.from('\r\n.')
const LINE_DOTS = /\r\n\./g

/** So many dots of a chunk are cut out as slices; past that, one copy of the rest costs less than a slice a line. */
const SLICES = 16

/** How much of a CRLF the stream ends with so far: nothing, CR, or all of it, so that a line begins. */
type Seam = 'none' | 'cr' | 'crlf'

/** A transform that doubles or drops each dot at the beginning of a line. */
export function lineDots(edit: 'double' | 'drop'): Transform {
  const doubles = edit === 'double'
  const replacement = doubles ? '\r\n..' : '\r\n'
  let seam: Seam = 'crlf'
  return through(function (chunk, _encoding, done) {
    let from = 0
    let dot = dotAtSeam(chunk, seam)
    if (dot < 0) dot = nextDot(chunk, 0)
    for (let slices = 0; dot >= 0 && slices < SLICES; slices++) {
      this.push(chunk.subarray(from, doubles ? dot + 1 : dot))
      from = doubles ? dot : dot + 1
      dot = nextDot(chunk, dot + 1)
    }
    const rest = chunk.subarray(from)
    seam = seamAfter(chunk, seam)
    done(null, dot < 0 ? rest : Buffer.from(rest.toString('latin1').replace(LINE_DOTS, replacement), 'latin1'))
  })
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
