// body ─→ tmp/<name> ─ fsync ─ link ─→ new/<name> ─ fsync of new/ ─→ 250
//
// A file is in new/ only after the last octet of a body that ended is on disk, and acknowledged only after its name is.

import { unlink, type FileHandle } from 'node:fs/promises'
import { hostname as osHostname } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { prependHeader } from '../transforms/prepend-header.ts'
import { MailHandlerError } from '../words/errors.ts'
import { checkFunction, checkKeys, show, wrong } from '../words/option-checks.ts'
import { SmtpError } from '../words/smtp-error.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'
import { reply, type Reply } from '../words/reply.ts'
import { checkAwaited, linkFile, onDisk, signalOf, withdraw, writeAll, writeFile } from './maildir-file.ts'
import { nameHost, uniqueName } from './maildir-folder.ts'
import { MaildirState } from './maildir-state.ts'

/** Options of {@link maildir}. */
export interface MaildirOptions<Session = unknown> {
  /**
   * The host in file names.
   * @defaultValue the host name of the system
   */
  readonly hostname?: string
  /**
   * Milliseconds since 1970, for file names and the age of stale files.
   * @defaultValue `Date`
   */
  readonly clock?: Pick<DateConstructor, 'now'>
  /**
   * Fields to put in front of each message that comes by `onMessage`, such as Return-Path, Delivered-To and Received.
   * By default a message is stored octet for octet.
   */
  readonly header?: (session: Session) => HeaderFields
}

/** A message that is on disk. */
export interface StoredMessage {
  /** The path of the file, in `new/`. */
  readonly file: string
  /** Its name, unique in the world. */
  readonly id: string
  /** Its octets. */
  readonly size: number
}

/** A Maildir to deliver to; see {@link maildir}. */
export interface Maildir<Session = unknown> {
  /** What logs and metrics call it. */
  readonly name: string
  /**
   * The hook: stores the message and answers `250 2.0.0` with the delivery's id. Throws what `deliver` throws; its signal
   * is `session.envelope.signal`.
   */
  onMessage(message: Readable, session: Session): Promise<Reply>
  /**
   * Stores a body as it is, for the `handleBody` of a `MailHandler`. Resolves once the file is in `new/`, whole and
   * flushed to disk. If it rejects, nothing is left in `new/`, unless the file system removes no files any more: then
   * the `cause` names the file.
   *
   * Once `signal` is aborted, because nobody waits for the verdict any more, the message is not stored: its client sends
   * it again.
   *
   * @throws the body's own error if the body fails or is truncated.
   * @throws {SmtpError} if the file system fails: 452 4.3.1 if it is full, 451 4.3.0 otherwise. Its `cause` is the
   * system's error.
   * @throws {MailHandlerError} `ERR_BODY_STARTED` if the body was read to its end before.
   * @throws {SmtpError} 451 4.3.0 with the `cause` `ERR_SESSION_ENDED` if `signal` was aborted before the end.
   */
  deliver(body: Readable, signal?: AbortSignal): Promise<StoredMessage>
}

/**
 * Delivers to the Maildir at `path`, any number of messages at once: `delivery: maildir('/var/mail/anna')`. The folders
 * are made at the first delivery (mode 0700, files 0600). Files in `tmp/` whose writer is gone are removed after 36 hours.
 * The file system must support hard links.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong.
 */
export function maildir<Session = unknown>(path: string, options: MaildirOptions<Session> = {}): Maildir<Session> {
  checkOptions(path, options)
  const { hostname = osHostname(), clock = Date, header } = options
  const host = nameHost(hostname)
  const tmp = join(path, 'tmp')
  const fresh = join(path, 'new')
  const state = new MaildirState(path)

  async function store(body: Readable, signal?: AbortSignal, fields?: () => HeaderFields): Promise<StoredMessage> {
    if (body.readableEnded) throw new MailHandlerError('ERR_BODY_STARTED', 'the body was read before')
    body.on('error', () => {}) // It may fail before the file is open; pipeline() reports that later.
    const id = uniqueName(clock.now(), host)
    const draft = join(tmp, id)
    const file = join(fresh, id)
    try {
      await onDisk(state.make())
      const size = await writeFile(draft, handle => writeBody(handle, body, fields))
      checkAwaited(signal)
      await linkFile(draft, file)
      try {
        await onDisk(state.flush())
        checkAwaited(signal)
      } catch (error) {
        throw await withdraw(file, error as SmtpError)
      }
      return { file, id, size }
    } catch (error) {
      if (error instanceof SmtpError) state.forget()
      if (!body.destroyed) body.destroy()
      throw error
    } finally {
      await unlink(draft).catch(() => {}) // If it stays, it is removed as stale.
      state.cleanHourly(clock.now())
    }
  }

  return {
    name: 'maildir',
    async onMessage(message, session) {
      const { id } = await store(message, signalOf(session), header && (() => header(session)))
      return reply(250, '2.0.0', `Delivered as ${id}`)
    },
    deliver: (body, signal) => store(body, signal),
  }
}

function checkOptions(path: string, options: MaildirOptions<never>): void {
  if (typeof path !== 'string' || path === '') throw wrong(`maildir takes the path of a folder, not ${show(path)}`)
  checkKeys('maildir', options, ['hostname', 'clock', 'header'])
  const { hostname, clock, header } = options
  if (hostname !== undefined && typeof hostname !== 'string')
    throw wrong(`maildir.hostname is a text, not ${show(hostname)}`)
  if (clock !== undefined && typeof clock?.now !== 'function')
    throw wrong(`maildir.clock is an object with now(), not ${show(clock)}`)
  checkFunction('maildir.header', header)
}

/** Writes a body to a file; returns its size in octets. */
async function writeBody(handle: FileHandle, body: Readable, fields?: () => HeaderFields): Promise<number> {
  let size = 0
  const sink = async (source: AsyncIterable<Buffer | string>): Promise<void> => {
    for await (const piece of source) {
      const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece
      await writeAll(handle, chunk)
      size += chunk.length
    }
  }
  await (fields ? pipeline(body, prependHeader(fields), sink) : pipeline(body, sink))
  return size
}
