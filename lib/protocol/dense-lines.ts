// Mail data in which line upon line begins with a dot: cut at every dot it would fall to pieces, an event for each, so
// it is copied together instead, short runs octet by octet and long ones natively.

import { CR, DOT, LF } from '../words/octets.ts'

/** Octets looked at in one go; then the native searches get another chance. */
const STRETCH = 16_384
/** Octets behind the stretch that must be there, so that every dot in it can be judged. */
const LOOK_AHEAD = 4
/** Runs of more octets than this are copied natively. */
const RUN = 16

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
  const data = Buffer.allocUnsafe(Math.max(0, stop - from) + LOOK_AHEAD)
  let length = 0
  let at = from
  let long = at + RUN // where a run that is still going on there is copied natively
  let bare = false
  let ended = false
  while (at < stop && !ended) {
    const octet = chunk[at++]!
    data[length++] = octet
    if (octet > CR) {
      if (at < long) continue
      const end = endOfRun(chunk, at, stop)
      bare ||= end > at && isWithin(chunk.indexOf(CR, at), end)
      length += chunk.copy(data, length, at, end)
      at = end
      long = at + RUN
    } else if (octet === CR && chunk[at] === LF) {
      data[length++] = LF
      at += 1
      long = at + RUN
      if (chunk[at] !== DOT) continue
      ended = chunk[at + 1] === CR && chunk[at + 2] === LF
      at += ended ? 3 : 1
    } else if (octet === CR || octet === LF) {
      bare = true
    }
  }
  return { data: data.subarray(0, length), next: at, ended, bare }
}

/** Where a line ends that has not so far: before its CRLF, or at `stop`. */
function endOfRun(chunk: Buffer, at: number, stop: number): number {
  const lf = chunk.indexOf(LF, at)
  return lf === -1 ? Math.max(at, stop) : Math.max(at, Math.min(lf - 1, stop))
}

function isWithin(index: number, end: number): boolean {
  return index !== -1 && index < end
}
