// How long is the header of a message?

import { CR, LF } from '../../words/octets.ts'

const EMPTY_LINE = Buffer.from('\r\n\r\n')
/** The octets of an empty line that may belong to the piece before. */
const SEAM = EMPTY_LINE.length - 1

/** Counts the octets before the first empty line, at any chunking. [RFC 5322 §2.1] */
export class HeaderMeter {
  #octets = 0
  /** The last octets of the header so far; null once it has ended. The first line may be the empty one. */
  #tail: Buffer | null = EMPTY_LINE.subarray(0, 2)

  /** Takes the next octets; returns how many of those that have come so far belong to the header. */
  measure(piece: Buffer): number {
    if (this.#tail === null || piece.length === 0) return this.#octets
    const end = endsAtSeam(this.#tail, piece) ? 0 : piece.indexOf(EMPTY_LINE)
    this.#octets += end === -1 ? piece.length : end
    this.#tail = end === -1 ? lastOf(this.#tail, piece) : null
    return this.#octets
  }
}

function endsAtSeam(tail: Buffer, piece: Buffer): boolean {
  if (piece[0] !== CR && piece[0] !== LF) return false
  return Buffer.concat([tail, piece.subarray(0, SEAM)]).includes(EMPTY_LINE)
}

function lastOf(tail: Buffer, piece: Buffer): Buffer {
  const octets = piece.length < SEAM ? Buffer.concat([tail, piece]) : piece
  return Buffer.from(octets.subarray(-SEAM)) // a copy: the piece may be large
}
