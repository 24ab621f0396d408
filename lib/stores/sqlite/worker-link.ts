// The worker as the main thread sees it: asks, waits, starts it again after its death.

import { Worker } from 'node:worker_threads'
import { StoreError } from '../store-error.ts'
import type { Jobs, WorkerMessage, WorkerSettings } from './messages.ts'

const PROGRAM = new URL('./worker.js', import.meta.url)

interface Waiting {
  resolve(answer: unknown): void
  reject(error: StoreError): void
}

/** Starts the worker at once, so that the first job need not wait for it. Only the deadlines of calls keep the process alive. */
export class WorkerLink {
  readonly #settings: WorkerSettings
  readonly #warn: (message: string) => void
  readonly #program: URL
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | null = null
  #next = 0

  constructor(settings: WorkerSettings, warn: (message: string) => void, program: URL = PROGRAM) {
    this.#program = program
    this.#settings = settings
    this.#warn = warn
    this.#start()
  }

  /** Rejects with a {@link StoreError}. `now` is null for the worker's own clock. */
  ask<Type extends keyof Jobs>(type: Type, job: Jobs[Type]['job'], now: number | null): Promise<Jobs[Type]['answer']> {
    return new Promise((resolve, reject) => {
      const id = this.#next++
      const worker = this.#start()
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      worker.postMessage({ id, type, now, ...job })
    })
  }

  /** Ends the worker, if there is one, after the jobs before. */
  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === null) return
    await this.ask('close', {}, null).catch(() => {})
    await worker.terminate()
  }

  #start(): Worker {
    if (this.#worker !== null) return this.#worker
    const worker = new Worker(this.#program, {
      workerData: this.#settings,
      name: 'mailhandler-sqlite',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    worker.on('message', (message: WorkerMessage) => this.#receive(message))
    worker.on('error', error => this.#lost(worker, error))
    worker.on('exit', () => this.#lost(worker, new Error('the worker has ended')))
    worker.unref()
    this.#worker = worker
    return worker
  }

  #receive(message: WorkerMessage): void {
    if ('warning' in message) {
      this.#warn(message.warning)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ('answer' in message) waiting?.resolve(message.answer)
    else waiting?.reject(new StoreError(message.failure.kind, `SQLite: ${message.failure.message}`))
  }

  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = null
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const each of waiting) each.reject(new StoreError('down', `SQLite: ${error.message}`, { cause: error }))
  }
}
