// How long is the header of a message?

import { CR, LF } from '../../words/octets.ts'

const EMPTY_LINE = Buffer.from('\n\r\n')
const BARE_EMPTY_LINE = Buffer.from('\n\n')
/** Octets of an empty line that may be in the piece before. */
const SEAM = EMPTY_LINE.length - 1

/**
 * Counts the octets before the first empty line, at any chunking. With `bare` a bare LF ends a line too, as readers of
 * mail that came as it was take it. [RFC 5322 §2.1]
 */
export class HeaderMeter {
  readonly #bare: boolean
  #octets = 0
  /** True once the empty line has been seen. */
  hasEnded = false
  /** The last two octets so far; the first line may be the empty one. */
  #tail: Buffer = Buffer.of(LF)

  constructor(bare: boolean) {
    this.#bare = bare
  }

  /** Takes the next octets; returns how many of those that have come so far belong to the header. */
  measure(piece: Buffer): number {
    if (this.hasEnded || piece.length === 0) return this.#known
    const before = this.#octets
    const seam = Buffer.concat([this.#tail, piece.subarray(0, SEAM)])
    const inSeam = this.#find(seam)
    const inPiece = inSeam === -1 ? this.#find(piece) : -1
    this.hasEnded = inSeam !== -1 || inPiece !== -1
    if (inSeam !== -1) this.#octets = before - this.#tail.length + inSeam + 1
    else this.#octets = before + (inPiece === -1 ? piece.length : inPiece + 1)
    this.#tail = piece.length < SEAM ? seam.subarray(-SEAM) : Buffer.from(piece.subarray(-SEAM)) // the piece may be large
    return this.#known
  }

  /** A CR that begins a line may begin the empty line. */
  get #known(): number {
    const { length } = this.#tail
    const undecided = !this.hasEnded && this.#tail[length - 1] === CR && this.#tail[length - 2] === LF
    return undecided ? this.#octets - 1 : this.#octets
  }

  #find(octets: Buffer): number {
    const at = octets.indexOf(EMPTY_LINE)
    const bare = this.#bare ? octets.indexOf(BARE_EMPTY_LINE) : -1
    return bare === -1 || (at !== -1 && at < bare) ? at : bare
  }
}
