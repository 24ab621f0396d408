// What the upstream has stored: read, measured and removed while the run goes on, so that the folder stays small.

import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from './message.js'

/** The copies that arrived. */
export class Arrivals {
  copies = []
  #folder
  #kept
  #digests

  /** `digests`: id → digest, of what was sent. A copy with another digest is kept as evidence. */
  constructor(folder, kept, digests) {
    this.#folder = join(folder, 'new')
    this.#kept = kept
    this.#digests = digests
  }

  collect() {
    for (const name of readdirSync(this.#folder)) {
      const file = join(this.#folder, name)
      const content = readFileSync(file)
      const end = content.indexOf(10)
      const copy = JSON.parse(content.toString('utf8', 0, end))
      const digest = digestOf(content.subarray(end + 1))
      this.copies.push({ ...copy, digest, at: statSync(file).mtimeMs })
      if (this.#digests.get(copy.id) === digest) unlinkSync(file)
      else {
        mkdirSync(this.#kept, { recursive: true })
        renameSync(file, join(this.#kept, name))
      }
    }
  }
}
