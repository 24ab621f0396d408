// Finds out whether a Maildir can be delivered to, without a message.

import { access, constants, link, open, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { uniqueName } from './maildir-folder.ts'

/**
 * Writes a file to `tmp/`, gives it a second name, and removes both. Makes no folder: of those that the first delivery
 * will make, it looks whether it may. Rejects with the system's error, which has `code` and `path`.
 */
export async function probeMaildir(path: string): Promise<void> {
  const [tmp, fresh] = [join(path, 'tmp'), join(path, 'new')]
  await checkFolder(fresh)
  if (!(await checkFolder(tmp))) return
  // If it stays, it is removed as any file that a process left.
  const file = join(tmp, uniqueName(Date.now(), 'probe'))
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile('probe\n')
    } finally {
      await handle.close()
    }
    await link(file, `${file}.link`)
  } finally {
    await unlink(`${file}.link`).catch(() => {})
    await unlink(file).catch(() => {})
  }
}

/** Resolves with true for a folder that can be written to, with false for one that can be made. */
async function checkFolder(path: string): Promise<boolean> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const found = await stat(folder)
      if (!found.isDirectory()) throw notADirectory(folder)
      await access(folder, constants.W_OK | constants.X_OK)
      return folder === resolve(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) throw error
    }
  }
}

function notADirectory(path: string): Error {
  return Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`), { code: 'ENOTDIR', path })
}
