// The command's logs. Each of them writes through lib/log, so that no log can stop the mail.

import { fileLog, standardErrorLog, type SharedLog } from '../../log/line-log.ts'
import type { LogConfig } from '../config/config.ts'
import { createLogger, jsonLine, type Logger } from './json-logger.ts'
import { textLine, type LineParts } from './text-line.ts'

export type { Logger } from './json-logger.ts'

/** Characters that JSON.stringify leaves as they are, and that a terminal or a reader of lines acts on. */
const UNSAFE = /[\u007F-\u009F\p{Cf}\p{Zl}\p{Zp}]/gu

/**
 * Opens the log of events, a line each: text on a terminal, JSON elsewhere, or as the configuration says. `worker` is the
 * number of the process among several. In the format `kamaelia` the file is for transactions alone, and the rest goes to
 * standard error.
 */
export function openLog(config: LogConfig, worker: number | null): Logger {
  return openOn(config.format === 'kamaelia' ? standardErrorLog() : sharedLog(config), config, worker)
}

/** Opens a log of events on standard error, even if the configuration names a file. */
export function openStandardError(config: LogConfig, worker: number | null): Logger {
  return openOn(standardErrorLog(), config, worker)
}

/** Returns a function that writes whole lines as they are, for a format other than JSON. */
export function lineWriter(config: LogConfig): (line: string) => void {
  const log = sharedLog(config)
  return line => log.write(line)
}

function sharedLog({ file }: LogConfig): SharedLog {
  return file === undefined ? standardErrorLog() : fileLog(file)
}

function openOn(log: SharedLog, { level, format, file }: LogConfig, worker: number | null): Logger {
  const isTerminal = process.stderr.isTTY && (file === undefined || log === standardErrorLog())
  const isText = format === undefined ? isTerminal : format === 'text'
  const base = worker === null ? { pid: process.pid } : { pid: process.pid, worker }
  const hasColours = isTerminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  const show = isText
    ? (parts: LineParts): string => textLine(parts, hasColours, new Date())
    : (parts: LineParts): string => escape(jsonLine(parts))
  log.showDropped = dropped => show({ level: 'warn', base, fields: { dropped }, msg: 'log lines dropped' })
  return createLogger({ level, base, format: show, write: line => log.writeRaw(line) })
}

/** Escapes what JSON does not have to escape. */
function escape(text: string): string {
  return text.replace(UNSAFE, characters => characters.replaceAll(/[^]/g, unit => `\\u${hex(unit.charCodeAt(0))}`))
}

function hex(code: number): string {
  return code.toString(16).padStart(4, '0')
}
