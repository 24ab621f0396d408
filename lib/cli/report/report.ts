// `mailhandler greylist report`: whether greylisting is worth it, from the store and from logs.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Store } from '../../stores/store.ts'
import { LogReader } from './log-report.ts'
import { storeReport } from './store-report.ts'
import { reportText, type Report, type ReportSettings } from './text.ts'
import { fileProblem } from '../read-text-file.ts'

/** What is asked for. */
export interface ReportRequest extends ReportSettings {
  /** Files of the log in their order; `-` is standard input. */
  readonly logs: readonly string[]
  readonly json: boolean
}

/** Makes the report. Rejects with the system's error for a log that cannot be read. */
export async function report(store: Store, { logs, json, ...settings }: ReportRequest): Promise<string> {
  const reader = new LogReader(settings.window)
  for (const file of logs) await readLog(file, reader)
  const made: Report = { store: await storeReport(store), log: logs.length === 0 ? null : reader.report() }
  return json
    ? `${JSON.stringify({ mode: settings.observes ? 'observe' : 'enforce', ...made })}\n`
    : reportText(made, settings)
}

async function readLog(file: string, reader: LogReader): Promise<void> {
  const input = file === '-' ? process.stdin : createReadStream(file)
  try {
    // Through createInterface an error of the stream would not reach the loop.
    const failed = new Promise<never>((_, reject) => input.once('error', reject))
    await Promise.race([readLines(input, reader), failed])
  } catch (cause) {
    throw fileProblem(file, cause)
  }
}

async function readLines(input: NodeJS.ReadableStream, reader: LogReader): Promise<void> {
  for await (const line of createInterface({ input, crlfDelay: Infinity })) reader.read(line)
}
