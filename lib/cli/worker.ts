// One of several workers: serves the connections that its primary gives it, and does what it is told.

import type { Socket } from 'node:net'
import type { CommandLine } from './command-line.ts'
import { openStandardError } from './log/logger.ts'
import { logProcessEvents } from './log/process-events.ts'
import type { Order, Report } from './messages.ts'
import type { Metrics } from './metrics/registry.ts'
import { collectFor, countFor } from './monitoring.ts'
import { load, reloading } from './running.ts'
import { startService, type Service } from './service.ts'
import { loadParts } from './modules.ts'
import { makeSettings } from './settings.ts'
import type { StatusBatch } from './status/facts.ts'

/** Works until told to stop; resolves with the exit code. */
export async function work(commandLine: CommandLine, number: number): Promise<number> {
  // A terminal and systemd send their signals to workers too, but the primary decides what follows.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  process.once('disconnect', () => process.exit(1)) // The primary is gone.
  const parent = process.ppid
  let service: Service | null = null
  let metrics: Metrics | null = null
  /** A configuration that came while the service was starting. */
  let newest: string | null = null

  async function start(text: string): Promise<void> {
    const loaded = await loadParts(load(commandLine, text, parent))
    metrics = await countFor(
      loaded.config,
      () => service?.destination.relay?.stats() ?? [],
      () => service?.config ?? null,
    )
    await collectFor(loaded.config, () => service?.config ?? null, reportStatus)
    const standardError = openStandardError(loaded.config.log, number)
    logProcessEvents(() => ({ log: service?.log ?? standardError, standardError }))
    // The primary listens.
    service = await startService(makeSettings(loaded), { worker: number, listen: () => Promise.resolve([]) })
    if (newest !== null) await reloading(service.log, () => reload(newest!))
    report({ report: 'ready' })
  }

  async function reload(text: string): Promise<void> {
    service!.reload(await loadParts(load(commandLine, text, parent)))
  }

  return new Promise(resolve => {
    process.on('message', (order: Order, socket?: Socket) => {
      switch (order.order) {
        case 'start':
          start(order.text).catch((error: Error) => {
            report({ report: 'failed', reason: error.message }, () => resolve(1))
          })
          return
        case 'connection':
          // First of all: from now on the primary does not close it, so nothing may be written before.
          report({ report: 'taken', id: order.id })
          if (socket === undefined) return // The client is gone.
          if (service === null) socket.destroy()
          else service.accept(order.listener, socket)
          return
        case 'reload':
          if (service === null) newest = order.text
          else void reloading(service.log, () => reload(order.text))
          return
        case 'stop':
          if (service === null) return resolve(0)
          void service.close(order.within).then(() => resolve(0))
          return
        case 'metrics':
          void metrics?.snapshot().then(snapshot => report({ report: 'metrics', snapshot }))
      }
    })
    report({ report: 'hello' })
  })
}

function reportStatus(batch: StatusBatch): void {
  report({ report: 'status', batch })
}

function report(what: Report, sent: () => void = () => {}): void {
  if (process.connected) process.send?.(what, undefined, {}, sent)
  else sent()
}
