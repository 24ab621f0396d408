// One of several workers: does what its primary says.

import type { CommandLine } from './command-line.ts'
import type { Order, Report } from './messages.ts'
import type { Metrics } from './metrics/registry.ts'
import type { Snapshot } from './metrics/worker-metrics.ts'
import { handedOver } from './listening.ts'
import { openStandardError } from './log/logger.ts'
import { logProcessEvents } from './log/process-events.ts'
import { become, load, reloading } from './running.ts'
import { startService, type Service } from './service.ts'
import { makeSettings } from './settings.ts'

/** The environment variable with a worker's number. */
export const WORKER_NUMBER = 'MAILHANDLER_WORKER'

/** Works until told to stop; resolves with the exit code. */
export function work(commandLine: CommandLine): Promise<number> {
  // A terminal sends its signals to the workers too, and so does systemd: the primary decides what becomes of them.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  const parent = process.ppid
  let service: Service | null = null
  let metrics: Metrics | null = null

  async function start(text: string): Promise<void> {
    const loaded = load(commandLine, text, parent)
    if (loaded.config.metrics.listen !== undefined) metrics = (await import('./metrics/registry.ts')).countEvents()
    const number = Number(process.env[WORKER_NUMBER])
    const standardError = openStandardError(loaded.config.log, number)
    logProcessEvents(() => ({ log: service?.log ?? standardError, standardError }))
    service = await startService(makeSettings(loaded), {
      sockets: handedOver(parent),
      worker: number,
      bound: () => become(loaded.config),
    })
    report({ report: 'ready', addresses: service.addresses })
  }

  return new Promise(resolve => {
    process.on('message', (order: Order) => {
      switch (order.order) {
        case 'start':
          start(order.text).catch((error: Error) => {
            report({ report: 'failed', reason: error.message }, () => resolve(1))
          })
          return
        case 'reload':
          if (service !== null) reloading(service.log, () => service!.reload(load(commandLine, order.text, parent)))
          return
        case 'stop':
          if (service === null) return resolve(0)
          void service.close(order.within).then(() => resolve(0))
          return
        case 'metrics':
          void metrics?.registry.getMetricsAsJSON().then(snapshot => {
            report({ report: 'metrics', snapshot: snapshot as unknown as Snapshot })
          })
          return
        default:
          return
      }
    })
    report({ report: 'hello' })
  })
}

function report(what: Report, sent: () => void = () => {}): void {
  if (process.connected) process.send?.(what, undefined, {}, sent)
  else sent()
}
