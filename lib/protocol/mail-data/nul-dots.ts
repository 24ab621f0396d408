// Finds lines that are a single dot but for NULs. A server that drops NULs takes one for the end of mail data.

import { CR, DOT, LF } from '../../words/octets.ts'

/** Looks at mail data, at any chunking. Costs a native search a chunk if there is no NUL. */
export class NulDots {
  /** What the line at hand has so far. */
  #dots = 0
  #hasNul = false
  #isOther = false

  /** Takes the next octets; true if such a line ends in them. */
  find(chunk: Buffer): boolean {
    if (this.#hasNul || chunk.includes(0)) return this.#look(chunk)
    const lineEnd = chunk.lastIndexOf(LF)
    if (lineEnd >= 0) this.#beginLine()
    return this.#look(chunk.subarray(lineEnd + 1))
  }

  #look(chunk: Buffer): boolean {
    for (let i = 0; i < chunk.length; i++) {
      if (this.#isOther) {
        i = chunk.indexOf(LF, i)
        if (i < 0) return false
      }
      const octet = chunk[i]!
      if (octet === LF) {
        if (this.#hasNul && this.#dots === 1 && !this.#isOther) return true
        this.#beginLine()
      } else if (octet === 0) this.#hasNul = true
      else if (octet === DOT && this.#dots === 0) this.#dots = 1
      else if (octet !== CR) this.#isOther = true
    }
    return false
  }

  #beginLine(): void {
    this.#dots = 0
    this.#hasNul = false
    this.#isOther = false
  }
}
