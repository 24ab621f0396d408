// The steps of one delivery on disk. Each rejects with an SmtpError whose `cause` is the error of the file system. What is
// promised of a step holds also if the file system reports an error for a step that it has done: NFS repeats a request
// whose answer was lost, and the second request finds the result of the first.

import { link, lstat, open, unlink, type FileHandle } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { MailHandlerError } from '../words/errors.ts'
import { LOCAL_ERROR } from '../words/replies.ts'
import { reply } from '../words/reply.ts'
import { SmtpError } from '../words/smtp-error.ts'

export const FILE_MODE = 0o600
const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const UNLINK_ATTEMPTS = 10
/** Milliseconds. */
const UNLINK_PAUSE = 50

/**
 * Creates a file, calls `fill` to write to it, and flushes it to disk. Rejects with the first error: of the file system,
 * also when it reports it at close(), or of `fill`.
 */
export async function writeFile<T>(file: string, fill: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await onDisk(open(file, 'wx', FILE_MODE))
  let result: T
  try {
    result = await fill(handle)
    await onDisk(handle.sync())
  } catch (error) {
    await handle.close().catch(() => {})
    throw error
  }
  await onDisk(handle.close()) // A network file system may report only here that it is full.
  return result
}

/** Writes all octets of a chunk. */
export async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    const { bytesWritten } = await onDisk(handle.write(chunk, offset))
    if (bytesWritten === 0) await onDisk(Promise.reject(new Error('write() wrote nothing and reported no error')))
    offset += bytesWritten
  }
}

/** Gives `draft` the second name `file`. Never overwrites, unlike rename(). If it rejects, `file` is no name of `draft`. */
export async function linkFile(draft: string, file: string): Promise<void> {
  try {
    await onDisk(link(draft, file))
  } catch (error) {
    if (!(await isSameFile(draft, file))) throw error
  }
}

/**
 * Removes the name of a file in new/ that was not flushed to disk, or not in time. Returns `error`, which was the reason, with a note if
 * the name cannot be removed, as on a file system that has become read-only. The message is refused then too: a crash may
 * lose the name, and a second copy is better than no copy.
 */
export async function withdraw(file: string, error: SmtpError): Promise<SmtpError> {
  for (let attempt = 1; attempt <= UNLINK_ATTEMPTS; attempt++) {
    try {
      await unlink(file)
      return error
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return error
    }
    if (attempt < UNLINK_ATTEMPTS) await pause(UNLINK_PAUSE)
  }
  const { message, code } = error.cause as NodeJS.ErrnoException
  const cause = new Error(`${message}; ${file} was refused and cannot be removed`, { cause: error.cause })
  return new SmtpError(error.reply, { cause: Object.assign(cause, { code, path: file }) })
}

/** Makes a refusal of an error of the file system: 452 4.3.1 if it is full, 451 4.3.0 otherwise. */
export async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const full = FULL.has((error as NodeJS.ErrnoException).code)
    const refusal = full ? reply(452, '4.3.1', 'Insufficient storage') : reply(451, '4.3.0', 'Cannot store mail now')
    throw new SmtpError(refusal, { cause: error })
  }
}

/** The signal of the transaction, if it is a session of an SmtpHandler. */
export function signalOf(session: unknown): AbortSignal | undefined {
  const { envelope } = Object(session) as { readonly envelope?: { readonly signal?: AbortSignal } | null }
  return envelope?.signal
}

/** Rejects a message whose verdict nobody waits for: its client was told, or has to assume, that it was not taken. */
export function checkAwaited(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  const cause = new MailHandlerError('ERR_SESSION_ENDED', 'nobody waits for the verdict any more')
  throw new SmtpError(LOCAL_ERROR, { cause })
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([lstat(one, { bigint: true }), lstat(other, { bigint: true })])
    return a.ino === b.ino && a.dev === b.dev
  } catch {
    return false
  }
}
