// Mail data in which line upon line begins with a dot: cut at every dot it would fall to pieces, an event for each, so
// it is copied together instead, four octets at a time, and octet by octet where something stands in the way of that.

import { CR, DOT, LF } from '../../words/octets.ts'
import { FOUR_AT_ONCE, unstuffAmong, wordAt, wordsOf } from './four-octets.ts'

/** Octets looked at in one go; then the native searches get another chance. */
const STRETCH = 16_384
/** Octets behind the stretch that must be there, so that every dot in it can be judged. */
const LOOK_AHEAD = 4
/** Octets taken one by one before four at a time are tried again. */
const SINGLE = 64

/** What {@link unstuffDense} took. */
export interface DenseLines {
  /** The mail data, transparency removed: a copy. */
  readonly data: Buffer
  /** The offset after what it took: in the middle of a line, or after the end of data. */
  readonly next: number
  readonly ended: boolean
  /** A CR or LF stood alone. [RFC 5321 §2.3.8] */
  readonly bare: boolean
}

/** Removes transparency from a stretch of `chunk` that begins in the middle of a line. [RFC 5321 §4.5.2] */
export function unstuffDense(chunk: Buffer, from: number): DenseLines {
  const stop = Math.min(from + STRETCH, chunk.length - LOOK_AHEAD)
  const out = new Int32Array((Math.max(0, stop - from) >> 2) + 2)
  const data = Buffer.from(out.buffer)
  let length = 0
  let at = from
  let tryFour = FOUR_AT_ONCE ? from : Infinity
  let bare = false
  let ended = false
  while (at < stop && !ended) {
    if (at >= tryFour) {
      const first = wordAt(chunk, at)
      const four = unstuffAmong(wordsOf(chunk, first, stop), at - first, out, length)
      at = Math.max(at, first + four.taken)
      length = four.length
      tryFour = at + SINGLE
    }
    const octet = chunk[at++]!
    data[length++] = octet
    if (octet > CR) continue
    if (octet === CR && chunk[at] === LF) {
      data[length++] = LF
      at += 1
      if (chunk[at] !== DOT) continue
      ended = chunk[at + 1] === CR && chunk[at + 2] === LF
      at += ended ? 3 : 1
    } else if (octet === CR || octet === LF) {
      bare = true
    }
  }
  return { data: data.subarray(0, length), next: at, ended, bare }
}
