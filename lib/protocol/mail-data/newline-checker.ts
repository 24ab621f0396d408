// Bare CR and LF in octets that are counted, not cut: BDAT's.

import { CR, LF } from '../../words/octets.ts'
import { LineChecker } from './line-checker.ts'

/** Looks for a CR or LF that stands alone, at any chunking. [RFC 5321 §2.3.8] */
export class NewlineChecker {
  readonly #lines = new LineChecker()
  #afterCR = false

  /** True once one has been seen. */
  get bare(): boolean {
    return this.#lines.bare
  }

  /** Takes the next octets. */
  check(piece: Buffer): void {
    if (piece.length === 0 || this.bare) return
    if (this.#afterCR && piece[0] !== LF) this.#lines.bare = true
    let at = this.#afterCR ? 0 : -1
    do at = this.#lines.find(piece, at + 1)
    while (at !== -1 && !this.bare)
    this.#afterCR = piece[piece.length - 1] === CR
  }

  /** There are no more octets. */
  end(): void {
    if (this.#afterCR) this.#lines.bare = true
  }
}
