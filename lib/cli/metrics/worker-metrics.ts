// The metrics of several workers as one text. The totals of a worker that died stay in the sum: Prometheus would take a
// total that goes down for a restart, and count the rest twice.

import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client'
import { metricsText, addExemplars, type MetricsText, type Snapshot } from './metrics-text.ts'
import { countDroppedLines } from './registry.ts'

/** Milliseconds to wait for the answer of a worker. */
const PATIENCE = 2000

/** Adds up the metrics of the workers of a primary. */
export class WorkerMetrics {
  readonly #last = new Map<number, Snapshot>()
  readonly #waiting = new Map<number, () => void>()
  readonly #own = new Registry()
  readonly #workers: Gauge
  readonly #restarts: Counter
  #gone: Snapshot = []

  constructor() {
    const registers = [this.#own]
    this.#workers = new Gauge({ name: 'mailhandler_workers', help: 'Workers that take mail.', registers })
    this.#restarts = new Counter({
      name: 'mailhandler_worker_restarts_total',
      help: 'Workers that died and were replaced.',
      registers,
    })
    countDroppedLines(this.#own)
  }

  /** Called when a worker has sent its metrics. */
  receive(worker: number, snapshot: Snapshot): void {
    this.#last.set(worker, snapshot)
    this.#waiting.get(worker)?.()
  }

  /** Called when a worker has ended: keeps its totals, forgets the rest. */
  async forget(worker: number): Promise<void> {
    const snapshot = this.#last.get(worker)
    this.#last.delete(worker)
    this.#waiting.get(worker)?.()
    if (snapshot === undefined) return
    const totals = snapshot.filter(({ name, type }) => name.startsWith('mailhandler_') && String(type) !== 'gauge')
    this.#gone = await merge([this.#gone, totals])
  }

  /** Counts a worker that replaced one that died. */
  countRestart(): void {
    this.#restarts.inc()
  }

  /** Asks these workers, and adds up their metrics; if one does not answer, its last metrics count. */
  async read(workers: readonly { id: number; ask(): void }[], isOpenMetrics: boolean = false): Promise<MetricsText> {
    await Promise.all(workers.map(worker => this.#ask(worker)))
    this.#workers.set(workers.length)
    const own = (await this.#own.getMetricsAsJSON()) as unknown as Snapshot
    return metricsText(await merge([own, this.#gone, ...this.#last.values()]), isOpenMetrics)
  }

  #ask({ id, ask }: { id: number; ask(): void }): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, PATIENCE)
      const waiting = this.#waiting
      function done(): void {
        clearTimeout(timer)
        waiting.delete(id)
        resolve()
      }
      waiting.get(id)?.()
      waiting.set(id, done)
      ask()
    })
  }
}

async function merge(snapshots: readonly Snapshot[]): Promise<Snapshot> {
  const merged = (await AggregatorRegistry.aggregate(snapshots as never).getMetricsAsJSON()) as unknown as Snapshot
  addExemplars(merged, snapshots)
  return merged
}
