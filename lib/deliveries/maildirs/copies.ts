// A message as several files: every copy is written and on the disk before the first has its name in new/.

import { open, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { SmtpError } from '../../words/smtp-error.ts'
import { FILE_MODE, linkFile, onDisk, withdraw, writeAll } from '../maildir-file.ts'

/** Where a copy goes. */
export interface Copy {
  /** The Maildir. */
  readonly folder: string
  /** The name of the file, unique: two Maildirs may be one, by a symbolic link. */
  readonly id: string
  /** What is put in front. */
  readonly header: string
  /** Flushes the names in its `new/` to the disk. */
  readonly flush: () => Promise<void>
}

/** Writes a body to `tmp/` of each Maildir, and flushes it to the disk. */
export async function writeCopies(copies: readonly Copy[], body: Readable): Promise<void> {
  const handles: FileHandle[] = []
  try {
    for (const { folder, id } of copies) handles.push(await onDisk(open(join(folder, 'tmp', id), 'wx', FILE_MODE)))
    await all(handles, (handle, i) => writeAll(handle, Buffer.from(copies[i]!.header)))
    await pipeline(body, async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) await all(handles, handle => writeAll(handle, chunk))
    })
    await all(handles, handle => onDisk(handle.sync()))
  } catch (error) {
    for (const handle of handles) await handle.close().catch(() => {})
    throw error
  }
  await all(handles, handle => onDisk(handle.close())) // a network file system may report only here that it is full
}

/**
 * Gives each copy its name in `new/`, and flushes the names to the disk. If one fails, or `check` throws, none is left:
 * what cannot be removed is named in the cause of the error.
 */
export async function linkCopies(copies: readonly Copy[], check: () => void): Promise<void> {
  const linked: string[] = []
  try {
    check()
    for (const { folder, id } of copies) {
      await linkFile(join(folder, 'tmp', id), join(folder, 'new', id))
      linked.push(join(folder, 'new', id))
    }
    await all(copies, ({ flush }) => onDisk(flush()))
    check()
  } catch (error) {
    let told = error as SmtpError
    for (const file of linked) told = await withdraw(file, told)
    throw told
  }
}

/** Removes what is in `tmp/`. What stays is removed as stale. */
export async function removeDrafts(copies: readonly Copy[]): Promise<void> {
  for (const { folder, id } of copies) await unlink(join(folder, 'tmp', id)).catch(() => {})
}

/** Waits for all, also if one fails; then throws the first error. */
async function all<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(work))
  const failed = results.find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
