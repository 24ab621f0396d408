// Process warnings and fatal errors: Node would print them to standard error and wait for it. They are logged instead.

import { LOG_WARNING } from '../../log/line-log.ts'
import { printable } from '../../words/printable.ts'
import { showError } from './event-log.ts'
import type { Logger } from './logger.ts'

/** Logs that can be replaced while the process runs. */
export interface ProcessLogs {
  /** The log of events. */
  readonly log: Logger
  /** Standard error, for trouble with the log of events. */
  readonly standardError: Logger
}

/** Logs process warnings and the error that ends the process, from now on. `logs` returns the logs of that time. */
export function logProcessEvents(logs: () => ProcessLogs): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning: Error & { code?: string }) => {
    const { log, standardError } = logs()
    if (warning.code === LOG_WARNING) {
      standardError.warn(printable(warning.message))
      return
    }
    log.warn({ warning: printable(warning.name), ...showError(warning) }, 'process warning')
  })
  process.on('uncaughtExceptionMonitor', error => {
    // Anything can be thrown.
    logs().log.fatal(
      showError(error instanceof Error ? error : new Error(String(error))),
      'a program error ends the process',
    )
  })
}
