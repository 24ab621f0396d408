// The logs of the process: one writer for each file, shared by all that log to it, and one for standard error.

import { resolve } from 'node:path'
import { printable } from '../words/printable.ts'
import { fileTarget, standardErrorTarget, type LogTarget } from './log-target.ts'
import { LogWriter } from './log-writer.ts'

const LINE_LENGTH = 8192

/** The code of process warnings about a log. */
export const LOG_WARNING = 'MAILHANDLER_LOG'

/** A log of lines, see {@link lineLog}. */
export interface LineLog {
  /**
   * Appends a line, in the background. Control characters in it are escaped; it is cut at 8,192 characters. Never throws
   * and never fails: a file that cannot be written to is tried again each second, with a process warning the first time.
   */
  write(line: string): void
}

/** A log as the command uses it: {@link lineLog} or {@link standardErrorLog}. */
export interface SharedLog extends LineLog {
  /** Appends a line as it is: the caller has escaped its control characters. */
  writeRaw(line: string): void
  /** Makes the line that says how many lines were dropped; can be set at any time. */
  showDropped: (count: number) => string
}

const writers = new Set<LogWriter>()
const files = new Map<string, SharedLog>()
let standardError: SharedLog | null = null

/**
 * Returns the log at `path`, the same one for every caller. The file is opened at the first line (appended to,
 * mode 0640). At most 1 MiB waits in memory: further lines are dropped, and the log says how many once it can. What waits
 * is written when the process exits, unless the file fails.
 */
export function lineLog(path: string): LineLog {
  return fileLog(path)
}

/** Returns the log at `path`, as {@link lineLog} does, for a caller that formats its lines itself. */
export function fileLog(path: string): SharedLog {
  const file = resolve(path)
  let log = files.get(file)
  if (log === undefined) {
    log = makeLog(fileTarget(file), warn)
    files.set(file, log)
  }
  return log
}

/** Returns the log that is standard error. A failure of it is not reported: there is no other place for a report. */
export function standardErrorLog(): SharedLog {
  standardError ??= makeLog(standardErrorTarget(), () => {})
  return standardError
}

/** Opens every log file by its name again, for the lines from now on. For log rotation, for example on SIGHUP. */
export function reopenLogs(): void {
  for (const writer of writers) writer.reopen()
}

/**
 * Writes what waits, and closes every log. Resolves when that is done, after half a second at the latest, and never rejects. A
 * later line opens its file again.
 */
export async function closeLogs(): Promise<void> {
  await Promise.all([...writers].map(writer => writer.close()))
}

/** Counts the lines that all logs of the process have dropped since its start. */
export function droppedLines(): number {
  let count = 0
  for (const { dropped } of writers) count += dropped
  return count
}

function makeLog(target: LogTarget, warn: (message: string) => void): SharedLog {
  const writer = new LogWriter(target, { showDropped: count => log.showDropped(count), warn })
  const log: SharedLog = {
    write: line => writer.write(printable(line, LINE_LENGTH)),
    writeRaw: line => writer.write(line),
    showDropped: count => `${count} ${count === 1 ? 'line' : 'lines'} dropped`,
  }
  if (writers.size === 0) process.on('exit', flushAll)
  writers.add(writer)
  return log
}

function flushAll(): void {
  for (const writer of writers) writer.flushSync()
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'MailHandlerWarning', code: LOG_WARNING })
}
