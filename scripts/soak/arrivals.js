// What the places have stored: read, measured and removed while the run goes on, so that the folders stay small.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { attemptOf, digestOf } from './message.js'
import { BOXES, DOMAINS } from './places.js'

/** Milliseconds after which a name in a Maildir is not withdrawn any more: while that may be, nobody should take it. */
const WITHDRAWN_WITHIN = 15_000

/** The copies that arrived. */
export class Arrivals {
  copies = []
  #folder
  #digests

  /** `digests`: id → digest, of what was sent. A copy with another digest is kept as evidence, in `partial`. */
  constructor(folder, digests) {
    this.#folder = folder
    this.#digests = digests
  }

  /** `all`: in the end, when nothing is withdrawn any more. */
  collect({ all = false } = {}) {
    for (const place of ['smtp', 'lmtp']) {
      this.#each(join(this.#folder, place, 'new'), content => {
        const end = content.indexOf(10)
        return { ...JSON.parse(content.toString('utf8', 0, end)), data: content.subarray(end + 1) }
      })
    }
    const before = all ? Infinity : Date.now() - WITHDRAWN_WITHIN
    for (const box of BOXES) {
      const recipients = [`${box}@${DOMAINS.boxes}`]
      this.#each(
        mailboxFolder(this.#folder, box, 'new'),
        (data, name) => ({ id: senderOf(data), recipients, place: 'boxes', process: writerOf(name), data }),
        before,
      )
    }
  }

  #each(folder, read, before = Infinity) {
    if (!existsSync(folder)) return // the first delivery makes it
    for (const name of readdirSync(folder)) {
      const file = join(folder, name)
      const { ctimeMs, mtimeMs } = statSync(file)
      if (ctimeMs > before) continue
      const { data, ...copy } = read(readFileSync(file), name)
      const digest = digestOf(data)
      this.copies.push({ ...copy, attempt: attemptOf(data), digest, at: mtimeMs })
      if (this.#digests.get(copy.id) === digest) unlinkSync(file)
      else {
        mkdirSync(join(this.#folder, 'partial'), { recursive: true })
        renameSync(file, join(this.#folder, 'partial', `${copy.place}-${name}`))
      }
    }
  }
}

/** A folder of a Maildir: `tmp`, `new`. */
export function mailboxFolder(folder, box, name) {
  return join(folder, 'boxes', box, 'Maildir', name)
}

/** The process that made a file of a Maildir. */
export function writerOf(name) {
  return Number(/^\d+\.M\d+P(\d+)Q/.exec(name)?.[1])
}

function senderOf(data) {
  return /^Return-Path: <([^@>]*)@/.exec(data.toString('latin1', 0, 200))?.[1] ?? 'no sender'
}
