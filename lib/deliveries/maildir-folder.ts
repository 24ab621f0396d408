// What a Maildir is on disk: three folders, unique file names, and stale files that have to be removed.

import { randomBytes } from 'node:crypto'
import { mkdir, open, opendir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

const FOLDER_MODE = 0o700
const HOST_LENGTH = 128
const STALE = 36 * 60 * 60 * 1000
const CANNOT_SYNC: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOTSUP', 'ENOSYS'])
const OURS = /^\d+\.M\d+P\d+Q\d+_[0-9a-f]{16}\.[!-.0-~]+$/

let deliveries = 0

/** Makes a new name: `seconds.M<microseconds>P<pid>Q<count>_<random>.<host>`. `now` is in milliseconds since 1970. */
export function uniqueName(now: number, host: string): string {
  const seconds = Math.floor(now / 1000)
  const micro = Math.floor((now - seconds * 1000) * 1000)
  return `${seconds}.M${micro}P${process.pid}Q${++deliveries}_${randomBytes(8).toString('hex')}.${host}`
}

/** Escapes a host name for a file name: `/` and `:` by the Maildir convention, what is not printable ASCII as `_`. */
export function nameHost(host: string): string {
  const plain = host
    .replace(/[^!-~]/g, '_')
    .replaceAll('/', '\\057')
    .replaceAll(':', '\\072')
  return plain.slice(0, HOST_LENGTH) || 'localhost'
}

/** Makes the folder with tmp, new and cur in it if they do not exist, and flushes their names to disk. */
export async function makeFolders(path: string): Promise<void> {
  const folder = resolve(path)
  const first = await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  for (const name of ['tmp', 'new', 'cur']) await mkdir(join(folder, name), { recursive: true, mode: FOLDER_MODE })
  await syncFolder(folder)
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/** Flushes the names in a folder to disk. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some network file systems cannot flush a folder: their server does it by itself.
    if (!CANNOT_SYNC.has((error as NodeJS.ErrnoException).code)) throw error
  } finally {
    await handle.close().catch(() => {}) // nothing was written
  }
}

/** Removes files with names of our form that were not written to for 36 hours: the process that wrote them is gone. */
export async function removeStale(tmp: string, now: number): Promise<void> {
  for await (const entry of await opendir(tmp)) {
    if (!OURS.test(entry.name)) continue
    const file = join(tmp, entry.name)
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: now }))
    if (now - mtimeMs > STALE) await unlink(file).catch(() => {})
  }
}
