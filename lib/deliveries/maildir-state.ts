// What a delivery remembers of a Maildir: that it was made, who waits for its flush, when it was last cleaned.

import { join } from 'node:path'
import { makeFolders, removeStale, syncFolder } from './maildir-folder.ts'
import { sharedFlush } from './shared-flush.ts'

const HOUR = 3_600_000

/** The state of the Maildir at a path. */
export class MaildirState {
  /** Flushes the names in `new/` to the disk, for all who ask at the same time. */
  readonly flush: () => Promise<void>
  readonly #path: string
  #made: Promise<void> | null = null
  #cleanedAt = -Infinity

  constructor(path: string) {
    this.#path = path
    this.flush = sharedFlush(() => syncFolder(join(path, 'new')))
  }

  /** Makes the folders, once until {@link MaildirState.forget}. Rejects with the system's error. */
  make(): Promise<void> {
    return (this.#made ??= makeFolders(this.#path))
  }

  /** The folders may be gone. */
  forget(): void {
    this.#made = null
  }

  /** Removes stale files, at most once an hour. `now` is in milliseconds since 1970. */
  cleanHourly(now: number): void {
    if (now - this.#cleanedAt < HOUR && now >= this.#cleanedAt) return
    this.#cleanedAt = now
    removeStale(join(this.#path, 'tmp'), now).catch(() => {})
  }
}
