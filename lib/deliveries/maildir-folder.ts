// What a Maildir is on disk: three folders, names nobody else makes, and stale files that somebody has to clear away.

import { randomBytes } from 'node:crypto'
import { mkdir, open, opendir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

const FOLDER_MODE = 0o700
const HOST_LENGTH = 128
const STALE = 36 * 60 * 60 * 1000
const OURS = /^\d+\.M\d+P\d+Q\d+_[0-9a-f]{16}\.[!-.0-~]+$/

let deliveries = 0

/** A new name: `seconds.M<microseconds>P<pid>Q<count>_<random>.<host>`. `now` is in milliseconds since 1970. */
export function uniqueName(now: number, host: string): string {
  const seconds = Math.floor(now / 1000)
  const micro = Math.floor((now - seconds * 1000) * 1000)
  return `${seconds}.M${micro}P${process.pid}Q${++deliveries}_${randomBytes(8).toString('hex')}.${host}`
}

/** The host as it stands in a name: `/` and `:` escaped by the Maildir convention, nothing but printable ASCII. */
export function nameHost(host: string): string {
  const plain = host
    .replace(/[^!-~]/g, '_')
    .replaceAll('/', '\\057')
    .replaceAll(':', '\\072')
  return plain.slice(0, HOST_LENGTH) || 'localhost'
}

/** Makes the folder with tmp, new and cur in it, where they are not there yet, and has their names on disk. */
export async function makeFolders(path: string): Promise<void> {
  const folder = resolve(path)
  const first = await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  for (const name of ['tmp', 'new', 'cur']) await mkdir(join(folder, name), { recursive: true, mode: FOLDER_MODE })
  await syncFolder(folder)
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/** Has the names in a folder on disk. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes files with names of our form that nobody has written to for 36 hours: their writer is gone. */
export async function removeStale(tmp: string, now: number): Promise<void> {
  for await (const entry of await opendir(tmp)) {
    if (!OURS.test(entry.name)) continue
    const file = join(tmp, entry.name)
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: now }))
    if (now - mtimeMs > STALE) await unlink(file).catch(() => {})
  }
}
