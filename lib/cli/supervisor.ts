// The primary of several workers: listens, starts the workers, gives them connections and orders, and replaces those that
// die. It serves no connection itself. It becomes the configured user before it starts a worker.

import { createServer, type Server } from 'node:net'
import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { readConfigText } from './config/load.ts'
import { Dispatcher } from './dispatcher.ts'
import { handedOver, listen, listenAll, ListenError } from './listening.ts'
import { openLog, openStandardError, type Logger } from './log/logger.ts'
import { logProcessEvents } from './log/process-events.ts'
import type { Report } from './messages.ts'
import { metricsServer } from './metrics/http.ts'
import type { WorkerMetrics } from './metrics/worker-metrics.ts'
import { makeStatus, type Status } from './monitoring.ts'
import { deliveryProbe } from './readiness.ts'
import { onReloadSignal } from './reload-signal.ts'
import { announce, becomeUser, load, logProblems, reloading, stopper } from './running.ts'
import { loadParts } from './modules.ts'
import { makeSettings, type Settings } from './settings.ts'
import { reopenLogs } from '../log/line-log.ts'
import type { Web } from '../web/web-server.ts'
import { SHORTEST_DELAY, WorkerSlot } from './worker-slot.ts'

const LONGEST_DELAY = 30_000
/** Milliseconds after which the death of a worker counts as its first. */
const STABLE_AFTER = 10_000
/** Milliseconds beyond the time for transactions, until a worker is killed. */
const KILL_DELAY = 5000

/** Serves with as many workers as the configuration says; resolves with the exit code. */
export async function supervise(commandLine: CommandLine, text: string, settings: Settings): Promise<number> {
  const metricsAt = settings.config.metrics.listen
  const metrics = metricsAt === undefined ? null : new (await import('./metrics/worker-metrics.ts')).WorkerMetrics()
  const status = await makeStatus(settings)
  return new Supervisor(commandLine, text, settings, { metrics, status }).run()
}

/** What gathers what the workers tell; null if it is not configured. */
interface Monitors {
  readonly metrics: WorkerMetrics | null
  readonly status: Status | null
}

class Supervisor {
  readonly #commandLine: CommandLine
  readonly #config: Config
  #settings: Settings
  readonly #metrics: WorkerMetrics | null
  readonly #status: Status | null
  readonly #standardError: Logger
  readonly #slots: readonly WorkerSlot[]
  readonly #dispatcher = new Dispatcher<WorkerSlot>(slot => this.#handleHang(slot))
  readonly #servers: readonly Server[]
  readonly #web: Web
  readonly #probe: () => Promise<string | null>
  #log: Logger
  /** The configuration that a worker starts with. */
  #text: string
  #addresses: readonly string[] = []
  #metricsAddress: string | null = null
  #stopping = false
  #announced = false
  #lastId = 0
  #finish: (code: number) => void = () => {}
  #fail: (error: Error) => void = () => {}

  constructor(commandLine: CommandLine, text: string, settings: Settings, { metrics, status }: Monitors) {
    const { config } = settings
    this.#commandLine = commandLine
    this.#text = text
    this.#config = config
    this.#settings = settings
    this.#metrics = metrics
    this.#status = status
    this.#log = openLog(config.log, null)
    this.#standardError = openStandardError(config.log, null)
    this.#slots = Array.from({ length: config.workers }, (_, i) => new WorkerSlot(i + 1, commandLine.config))
    this.#servers = config.listen.map((_, i) => {
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
      return server.on('connection', socket => this.#dispatcher.dispatch(i, socket))
    })
    this.#probe = deliveryProbe({ destination: () => this.#settings.destination, log: () => this.#log })
    const source = {
      read: (isOpenMetrics: boolean) => {
        const workers = this.#ready().map(slot => ({ id: slot.id, ask: () => slot.order({ order: 'metrics' }) }))
        return metrics!.read(workers, isOpenMetrics)
      },
      whyNotReady: () => this.#whyNotReady(),
    }
    this.#web = metricsServer(source, status?.pages)
  }

  async run(): Promise<number> {
    const { metrics, listen: listeners } = this.#config
    logProcessEvents(() => ({ log: this.#log, standardError: this.#standardError }))
    if (metrics.listen !== undefined) this.#metricsAddress = await listen(this.#web.server, metrics.listen, [])
    this.#addresses = await listenAll(this.#servers, listeners, handedOver(process.pid))
    for (const server of this.#servers) server.on('error', error => this.#log.error({ error: error.message }, 'server'))
    becomeUser(this.#config)
    return new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
      for (const slot of this.#slots) this.#start(slot)
      const stop = stopper(this.#config, {
        inOrder: (signal, within) => this.#stop(signal, within),
        atOnce: () => {
          for (const slot of this.#slots) slot.kill()
          process.exit(1)
        },
      })
      process.on('SIGTERM', stop).on('SIGINT', stop)
      onReloadSignal(() => void reloading(this.#log, () => this.#reload()))
    })
  }

  async #whyNotReady(): Promise<string | null> {
    if (this.#stopping) return 'stopping'
    return this.#ready().length === 0 ? 'no worker is ready' : this.#probe()
  }

  #ready(): WorkerSlot[] {
    return this.#slots.filter(slot => slot.ready)
  }

  #start(slot: WorkerSlot): void {
    slot.start(
      ++this.#lastId,
      report => this.#handleReport(slot, report),
      (code, signal) => this.#handleExit(slot, code, signal),
    )
  }

  #handleReport(slot: WorkerSlot, report: Report): void {
    switch (report.report) {
      case 'hello':
        slot.order(this.#stopping ? { order: 'stop', within: 0 } : { order: 'start', text: this.#text })
        return
      case 'ready':
        this.#handleReady(slot)
        return
      case 'taken':
        this.#dispatcher.confirm(slot, report.id)
        return
      case 'metrics':
        this.#metrics?.receive(slot.id, report.snapshot)
        return
      case 'status':
        this.#status?.book.add(slot.id, report.batch)
        return
      case 'failed':
        if (this.#stopping) return
        if (this.#announced) this.#log.error({ worker: slot.number, reason: report.reason }, 'a worker cannot start')
        else this.#giveUp(new ListenError(report.reason))
    }
  }

  #handleReady(slot: WorkerSlot): void {
    if (this.#stopping) return
    slot.ready = true
    this.#dispatcher.add(slot)
    this.#log.debug({ worker: slot.number, worker_pid: slot.pid }, 'worker ready')
    if (this.#announced || this.#ready().length < this.#slots.length) return
    this.#announced = true
    announce(this.#log, this.#settings, this.#addresses, this.#metricsAddress)
    void logProblems(this.#log, load(this.#commandLine, this.#text), this.#settings.destination)
  }

  /** A worker that spins or is frozen does not end by itself, nor do its sessions. */
  #handleHang(slot: WorkerSlot): void {
    this.#log.error({ worker: slot.number, worker_pid: slot.pid }, 'a worker does not answer, and is killed')
    slot.kill()
  }

  #handleExit(slot: WorkerSlot, code: number | null, signal: string | null): void {
    this.#dispatcher.remove(slot)
    void this.#metrics?.forget(slot.id)
    this.#status?.book.forget(slot.id)
    if (this.#stopping) {
      this.#finishIfStopped()
      return
    }
    if (performance.now() - slot.startedAt > STABLE_AFTER) slot.restartDelay = SHORTEST_DELAY
    this.#log.error({ worker: slot.number, code, signal, restart_ms: slot.restartDelay }, 'a worker died')
    setTimeout(() => {
      if (this.#stopping) return
      this.#metrics?.countRestart()
      this.#start(slot)
    }, slot.restartDelay)
    slot.restartDelay = Math.min(slot.restartDelay * 2, LONGEST_DELAY)
  }

  async #reload(): Promise<void> {
    const text = readConfigText(this.#commandLine.config)
    const loaded = await loadParts(load(this.#commandLine, text))
    const settings = makeSettings(loaded)
    const { config } = settings
    this.#settings.close()
    this.#settings = settings
    this.#text = text
    reopenLogs()
    this.#log = openLog(config.log, null)
    for (const slot of this.#slots) slot.order({ order: 'reload', text })
    this.#log.info('reloaded')
    void logProblems(this.#log, loaded, settings.destination)
  }

  #stop(signal: string, within: number): void {
    this.#stopping = true
    this.#log.info({ signal }, 'stopping')
    this.#stopListening()
    for (const slot of this.#slots) slot.order({ order: 'stop', within })
    setTimeout(() => {
      for (const slot of this.#slots) slot.kill()
    }, within + KILL_DELAY).unref()
    this.#finishIfStopped()
  }

  #stopListening(): void {
    for (const server of this.#servers) if (server.listening) server.close()
    this.#dispatcher.close()
  }

  #finishIfStopped(): void {
    if (this.#slots.some(slot => slot.running)) return
    void this.#web.close().then(() => {
      this.#log.info('stopped')
      this.#finish(0)
    })
  }

  #giveUp(error: Error): void {
    this.#stopping = true
    this.#stopListening()
    for (const slot of this.#slots) slot.kill()
    void this.#web.close()
    this.#fail(error)
  }
}
