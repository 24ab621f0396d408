// The primary of several workers: starts them, tells them what to do, and replaces those that die.
//
// It takes no mail. It gives the rights of root up before it starts them, unless it may have to open a port below 1024
// again for a worker that takes another's place; then only the workers do.

import cluster, { type Worker } from 'node:cluster'
import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { readConfigText } from './config/load.ts'
import type { ListenAddress } from './config/units.ts'
import { listen, ListenError } from './listening.ts'
import { openStandardError } from './log/logger.ts'
import { logProcessEvents } from './log/process-events.ts'
import type { Order, Report } from './messages.ts'
import { closeMetricsServer, metricsServer } from './metrics/http.ts'
import type { WorkerMetrics } from './metrics/worker-metrics.ts'
import { onReloadSignal } from './reload-signal.ts'
import { announce, become, load, reloading, stopper } from './running.ts'
import { makeSettings } from './settings.ts'
import { WORKER_NUMBER } from './worker.ts'

const SHORTEST_DELAY = 100
const LONGEST_DELAY = 30_000
/** Milliseconds that a worker has to live for its death to count as the first. */
const GROWN_UP = 10_000
/** Milliseconds beyond the time for transactions, for a worker to end. */
const LAST_WORDS = 5000

/** A worker, in its place. */
interface Place {
  readonly number: number
  worker: Worker
  ready: boolean
  born: number
  delay: number
}

/** Serves with as many workers as the configuration says; resolves with the exit code. */
export async function supervise(commandLine: CommandLine, firstText: string, config: Config): Promise<number> {
  const log = openStandardError(config.log, null)
  logProcessEvents(() => ({ log, standardError: log }))
  let text = firstText
  let stopping = false
  let announced = false
  const places: Place[] = []

  const metrics = config.metrics.listen === undefined ? null : await collector()
  const http = metricsServer({
    read: () =>
      metrics!.read(ready().map(({ worker }) => ({ id: worker.id, ask: () => tell(worker, { order: 'metrics' }) }))),
    ready: () => !stopping && ready().length > 0,
  })
  if (config.metrics.listen !== undefined) await listen(http, config.metrics.listen, [])
  if (!config.listen.some(({ address }) => needsRoot(address))) become(config)

  return new Promise((resolve, reject) => {
    for (let number = 1; number <= config.workers; number++) {
      places.push({ number, worker: start(number), ready: false, born: performance.now(), delay: SHORTEST_DELAY })
    }

    function start(number: number): Worker {
      const worker = cluster.fork({ [WORKER_NUMBER]: String(number) })
      worker.on('message', (report: Report) => hear(number, worker, report))
      worker.once('exit', (code, signal) => void bury(number, worker, code, signal))
      worker.on('error', () => {}) // a message that came too late
      return worker
    }

    function hear(number: number, worker: Worker, report: Report): void {
      const place = places[number - 1]!
      if (report.report === 'hello')
        return tell(worker, stopping ? { order: 'stop', within: 0 } : { order: 'start', text })
      if (report.report === 'metrics') return metrics?.receive(worker.id, report.snapshot)
      if (report.report === 'failed') {
        if (stopping) return
        if (!announced) return fail(new ListenError(report.reason))
        return log.error({ worker: number, reason: report.reason }, 'a worker cannot start')
      }
      place.ready = true
      log.debug({ worker: number, worker_pid: worker.process.pid }, 'worker ready')
      if (announced || ready().length < places.length) return
      announced = true
      announce(log, config, report.addresses)
    }

    function fail(error: Error): void {
      stopping = true
      for (const { worker } of places) worker.process.kill('SIGKILL')
      closeMetricsServer(http)
      reject(error)
    }

    async function bury(number: number, worker: Worker, code: number | null, signal: string | null): Promise<void> {
      const place = places[number - 1]!
      place.ready = false
      await metrics?.forget(worker.id)
      if (stopping) {
        if (announced && places.every(each => each.worker.isDead())) end()
        return
      }
      if (performance.now() - place.born > GROWN_UP) place.delay = SHORTEST_DELAY
      log.error({ worker: number, code, signal, restart_ms: place.delay }, 'a worker died')
      setTimeout(() => {
        if (stopping) return
        metrics?.countRestart()
        place.born = performance.now()
        place.worker = start(number)
      }, place.delay)
      place.delay = Math.min(place.delay * 2, LONGEST_DELAY)
    }

    function end(): void {
      closeMetricsServer(http)
      log.info('stopped')
      resolve(0)
    }

    const stop = stopper(config, {
      gently(signal, within) {
        stopping = true
        log.info({ signal }, 'stopping')
        for (const { worker } of places) tell(worker, { order: 'stop', within })
        setTimeout(killAll, within + LAST_WORDS).unref()
        if (places.every(each => each.worker.isDead())) end()
      },
      atOnce() {
        killAll()
        process.exit(1)
      },
    })
    process.on('SIGTERM', stop).on('SIGINT', stop)
    onReloadSignal(() => {
      reloading(log, () => {
        const next = readConfigText(commandLine.config)
        makeSettings(load(commandLine, next))
        text = next
        for (const { worker } of places) tell(worker, { order: 'reload', text })
        log.info('reloaded')
      })
    })
  })

  function ready(): Place[] {
    return places.filter(place => place.ready)
  }

  function killAll(): void {
    for (const { worker } of places) worker.process.kill('SIGKILL')
  }
}

function needsRoot(address: ListenAddress): boolean {
  return address.systemd === undefined && address.port > 0 && address.port < 1024
}

function tell(worker: Worker, order: Order): void {
  if (worker.isConnected()) worker.send(order, () => {})
}

async function collector(): Promise<WorkerMetrics> {
  const { WorkerMetrics } = await import('./metrics/worker-metrics.ts')
  return new WorkerMetrics()
}
