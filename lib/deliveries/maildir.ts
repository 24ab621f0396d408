// body ─→ tmp/<name> ─ fsync ─ link ─→ new/<name> ─ fsync of new/ ─→ 250
//
// A file is in new/ only after the last octet of a body that ended is on disk, and acknowledged only after its name is.

import { link, open, unlink, type FileHandle } from 'node:fs/promises'
import { hostname as osHostname } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { prependHeader } from '../transforms/prepend-header.ts'
import { MailHandlerError } from '../words/errors.ts'
import { SmtpError } from '../words/smtp-error.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'
import { reply, type Reply } from '../words/reply.ts'
import { makeFolders, nameHost, removeStale, syncFolder, uniqueName } from './maildir-folder.ts'
import { sharedFlush } from './shared-flush.ts'

const FILE_MODE = 0o600
const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Options of {@link maildir}. */
export interface MaildirOptions<Session = unknown> {
  /** The host in file names; default the system's. */
  readonly hostname?: string
  /** Milliseconds since 1970, for file names and the age of stale files; default `Date`. */
  readonly clock?: { now(): number }
  /**
   * Fields to put in front of each message that comes by `onMessage`, such as Return-Path, Delivered-To and Received.
   * By default a message is stored octet for octet.
   */
  readonly header?: (session: Session) => HeaderFields
}

/** A message that is on disk. */
export interface Delivery {
  /** The path of the file, in `new/`. */
  readonly file: string
  /** Its name, unique in the world. */
  readonly id: string
  /** Its octets. */
  readonly size: number
}

/** A Maildir to deliver to; see {@link maildir}. */
export interface Maildir<Session = unknown> {
  /** As a policy: what logs and metrics call it. */
  readonly name: string
  /** The hook: stores the message and answers `250 2.0.0` with the delivery's id. Throws what `deliver` throws. */
  onMessage(message: Readable, session: Session): Promise<Reply>
  /**
   * Stores a body as it is, for the `handleBody` of a `MailHandler`. When it settles, the file is in `new/`, whole and
   * durable; when it rejects, nothing is left of it. A body that fails or is cut short rejects with its own error;
   * trouble with the disk rejects with an {@link SmtpError}, 452 4.3.1 where it is full and 451 4.3.0 otherwise, whose
   * `cause` is the system's error; a body that was read to its end before rejects with `ERR_BODY_STARTED`.
   */
  deliver(body: Readable): Promise<Delivery>
}

/**
 * Delivers to the Maildir at `path`, in any number at once: `policies: [maildir('/var/mail/anna')]`. The folders are
 * made at the first delivery (mode 0700, files 0600), and files left in `tmp/` by a process that died are removed after
 * 36 hours. The file system must know hard links.
 */
export function maildir<Session = unknown>(path: string, options: MaildirOptions<Session> = {}): Maildir<Session> {
  const { hostname = osHostname(), clock = Date, header } = options
  const host = nameHost(hostname)
  const tmp = join(path, 'tmp')
  const fresh = join(path, 'new')
  const flush = sharedFlush(() => syncFolder(fresh))
  let ready: Promise<void> | null = null

  function prepare(): Promise<void> {
    ready ??= makeFolders(path).then(() => void removeStale(tmp, clock.now()).catch(() => {}))
    return ready
  }

  async function store(body: Readable, fields?: () => HeaderFields): Promise<Delivery> {
    if (body.readableEnded) throw new MailHandlerError('ERR_BODY_STARTED', 'the body was read before')
    body.on('error', () => {}) // It may fail before the file is open; pipeline() sees that later.
    const id = uniqueName(clock.now(), host)
    const draft = join(tmp, id)
    const file = join(fresh, id)
    let linked = false
    try {
      await onDisk(prepare())
      const size = await write(draft, body, fields)
      await onDisk(link(draft, file)) // Unlike rename(), it never overwrites.
      linked = true
      await onDisk(flush())
      return { file, id, size }
    } catch (error) {
      if (error instanceof SmtpError) ready = null // The folders may be gone.
      if (linked) await unlink(file).catch(() => {})
      if (!body.destroyed) body.destroy()
      throw error
    } finally {
      await unlink(draft).catch(() => {})
    }
  }

  return {
    name: 'maildir',
    async onMessage(message, session) {
      const { id } = await store(message, header && (() => header(session)))
      return reply(250, '2.0.0', `Delivered as ${id}`)
    },
    deliver: body => store(body),
  }
}

/** Writes a body to a new file and has it on disk; answers with its octets. */
async function write(file: string, body: Readable, fields?: () => HeaderFields): Promise<number> {
  const handle = await onDisk(open(file, 'wx', FILE_MODE))
  try {
    const sink = (source: AsyncIterable<Buffer>): Promise<number> => append(handle, source)
    const size = await (fields ? pipeline(body, prependHeader(fields), sink) : pipeline(body, sink))
    await onDisk(handle.sync())
    return size
  } finally {
    await onDisk(handle.close())
  }
}

async function append(handle: FileHandle, source: AsyncIterable<Buffer>): Promise<number> {
  let size = 0
  for await (const chunk of source) {
    await onDisk(handle.writeFile(chunk))
    size += Buffer.byteLength(chunk)
  }
  return size
}

async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const full = FULL.has((error as NodeJS.ErrnoException).code)
    const refusal = full ? reply(452, '4.3.1', 'Insufficient storage') : reply(451, '4.3.0', 'Cannot store mail now')
    throw new SmtpError(refusal, { cause: error })
  }
}
