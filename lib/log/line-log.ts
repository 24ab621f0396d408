// line ─ printable ─→ one sonic-boom a file, shared by all that log to it ─→ disk
//
// A log never stops the mail: a slow disk makes it drop lines, a failing one makes it warn, once a file.

import { openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type { SonicBoom } from 'sonic-boom'
import { printable } from '../words/printable.ts'

const MODE = 0o640
const LINE_LENGTH = 8192
const BUFFER_OCTETS = 2 ** 20

/** A log of lines, see {@link lineLog}. */
export interface LineLog {
  /**
   * Appends a line, in the background. Control characters in it are escaped; it is cut at 8,192 characters. Never throws
   * and never fails: what cannot be written is dropped, with a process warning the first time.
   */
  write(line: string): void
}

interface Entry extends LineLog {
  boom: SonicBoom | null
  dropped: number
  warned: boolean
}

const entries = new Map<string, Entry>()
let sonicBoom: typeof SonicBoom | null = null

/**
 * The log at `path`, the same one for all who ask for that file. It is opened at the first line (appended to, mode 0640),
 * holds at most 1 MiB in memory, and is written out when the process exits.
 */
export function lineLog(path: string): LineLog {
  const file = resolve(path)
  let entry = entries.get(file)
  if (entry === undefined) {
    entry = { boom: null, dropped: 0, warned: false, write: line => append(file, line) }
    entries.set(file, entry)
  }
  return entry
}

/** Lets go of every log file, so that the next line opens it by its name again. For log rotation, for example on SIGHUP. */
export function reopenLogs(): void {
  for (const entry of entries.values()) void close(entry)
}

/** Writes out and closes every log; settles when that is done, and never rejects. A later line opens its file again. */
export async function closeLogs(): Promise<void> {
  await Promise.all([...entries.values()].map(close))
}

function append(file: string, line: string): void {
  const entry = entries.get(file) as Entry
  try {
    entry.boom ??= open(file, entry)
    entry.boom.write(`${printable(line, LINE_LENGTH)}\n`)
  } catch (error) {
    warn(file, entry, error as Error)
  }
}

function open(file: string, entry: Entry): SonicBoom {
  const Boom = load()
  const fd = openSync(file, 'a', MODE)
  const boom = new Boom({ fd, maxLength: BUFFER_OCTETS })
  boom.on('error', (error: Error) => warn(file, entry, error))
  boom.on('drop', () => {
    entry.dropped++
    warn(file, entry, new Error('the disk is too slow, lines are dropped'))
    boom.flush() // A full buffer does not try again by itself after an error.
  })
  boom.on('drain', () => {
    if (entry.dropped === 0 || entry.boom !== boom) return
    const report = `${entry.dropped} lines dropped, the disk was too slow\n`
    entry.dropped = 0
    boom.write(report)
  })
  return boom
}

function load(): typeof SonicBoom {
  if (sonicBoom === null) {
    sonicBoom = (createRequire(import.meta.url)('sonic-boom') as { SonicBoom: typeof SonicBoom }).SonicBoom
    process.on('exit', flushAll)
  }
  return sonicBoom
}

async function close(entry: Entry): Promise<void> {
  const { boom } = entry
  if (boom === null) return
  entry.boom = null
  await new Promise<void>(done => {
    boom.once('close', done)
    boom.once('error', () => {
      boom.destroy()
      done()
    })
    boom.end()
  })
}

function flushAll(): void {
  for (const { boom } of entries.values()) {
    try {
      boom?.flushSync()
    } catch {
      // The process is on its way out: there is nobody left to tell.
    }
  }
}

function warn(file: string, entry: Entry, error: Error): void {
  if (entry.warned) return
  entry.warned = true
  process.emitWarning(`the log ${printable(file)}: ${printable(error.message)}`, 'MailHandlerWarning')
}
