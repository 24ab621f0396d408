// The disk of the Maildirs, which is full now and then: a library in their processes fails the calls that a full disk
// fails, as long as a file is there. Some of the calls: so messages end at each step of a delivery.

import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildFaultShim } from '../../dist/test/fixtures/fault-shim.js'

const FAULTS = [
  'open /Maildir/tmp/ ENOSPC 5',
  'write /Maildir/tmp/ ENOSPC 3',
  'fsync /Maildir/tmp/ ENOSPC 4',
  'close /Maildir/tmp/ ENOSPC 5',
  'link /Maildir/new/ ENOSPC 3',
]

/** Null if the machine has no C compiler: then the disk is never full. */
export function makeDisk(folder) {
  const library = buildFaultShim(folder)
  return library === null ? null : new Disk(library, join(folder, 'disk-is-full'))
}

class Disk {
  /** For the processes that write to it. */
  env
  #switch

  constructor(library, file) {
    this.#switch = file
    this.env = { LD_PRELOAD: library, FAULTS: FAULTS.join(';'), FAULTS_WHILE: file }
  }

  fill() {
    writeFileSync(this.#switch, '')
  }

  empty() {
    if (existsSync(this.#switch)) rmSync(this.#switch)
  }
}
