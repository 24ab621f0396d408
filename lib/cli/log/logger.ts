// Where log lines go. A file is a line-log, so that it is reopened on SIGHUP and a slow disk never stops the mail.

import { pino, type DestinationStream, type Logger } from 'pino'
import { lineLog } from '../../log/line-log.ts'
import type { LogConfig } from '../config/config.ts'

export type { Logger } from 'pino'

const STANDARD_ERROR = 2
const BUFFER_OCTETS = 2 ** 20

/**
 * The log of events as JSON, a line each. `worker` is the number of the process among several. In the format `kamaelia`
 * the file is for transactions alone, and the rest goes to standard error.
 */
export function openLog(config: LogConfig, worker: number | null): Logger {
  const file = config.format === 'json' ? config.file : undefined
  const base = worker === null ? { pid: process.pid } : { pid: process.pid, worker }
  const formatters = { level: (level: string) => ({ level }) }
  const options = { base, level: config.level, formatters, timestamp: pino.stdTimeFunctions.isoTime }
  return pino(options, file === undefined ? standardError() : fileLines(file))
}

/** What writes whole lines as they are, for a format of one's own. */
export function lineWriter(config: LogConfig): (line: string) => void {
  const { file } = config
  const out = file === undefined ? standardError() : fileLines(file)
  return line => out.write(`${line}\n`)
}

let stream: DestinationStream | null = null

function standardError(): DestinationStream {
  return (stream ??= pino.destination({ fd: STANDARD_ERROR, sync: false, maxLength: BUFFER_OCTETS }))
}

function fileLines(file: string): DestinationStream {
  return { write: text => lineLog(file).write(text.replace(/\n$/, '')) }
}
