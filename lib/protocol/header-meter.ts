// How long is the header of a message?

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
    if (this.#tail === null) return this.#octets
    const seam = Buffer.concat([this.#tail, piece.subarray(0, SEAM)])
    const end = seam.includes(EMPTY_LINE) ? 0 : piece.indexOf(EMPTY_LINE)
    this.#octets += end === -1 ? piece.length : end
    if (end !== -1) this.#tail = null
    else this.#tail = piece.length >= SEAM ? Buffer.from(piece.subarray(-SEAM)) : seam.subarray(-SEAM)
    return this.#octets
  }
}
