// The worker as the main thread sees it: asks, waits, starts it again after its death.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { StoreError } from '../store-error.ts'
import type { Jobs, WorkerData, WorkerMessage, WorkerSettings } from './messages.ts'
import { forgetGate, shutAtExit, WorkGate } from './work-gate.ts'

interface Waiting {
  resolve(answer: unknown): void
  reject(error: StoreError): void
}

/**
 * Starts the worker at once, so that the first job need not wait for it. Only the deadlines of calls keep the process alive.
 *
 * Where the worker's file is, is asked of a module of its own: no module that an entry point imports statically may have
 * `import.meta`, which Jest's CommonJS recipe cannot compile.
 */
export class WorkerLink {
  readonly #settings: WorkerSettings
  readonly #warn: (message: string) => void
  readonly #program: URL | null
  readonly #waiting = new Map<number, Waiting>()
  /** Jobs for a worker that is being started. */
  #unsent: object[] = []
  #worker: Worker | null = null
  #isStarting = false
  #next = 0

  constructor(settings: WorkerSettings, warn: (message: string) => void, program: URL | null = null) {
    this.#program = program
    this.#settings = settings
    this.#warn = warn
    void this.#start()
  }

  /** Rejects with a {@link StoreError}. `now` is null for the worker's own clock. */
  ask<Type extends keyof Jobs>(type: Type, job: Jobs[Type]['job'], now: number | null): Promise<Jobs[Type]['answer']> {
    return new Promise((resolve, reject) => {
      const id = this.#next++
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      const message = { id, type, now, ...job }
      if (this.#worker !== null) {
        this.#worker.postMessage(message)
        return
      }
      this.#unsent.push(message)
      void this.#start()
    })
  }

  /** Has the worker end itself, if there is one, after the jobs before. */
  async close(): Promise<void> {
    if (this.#worker === null && !this.#isStarting) return
    await this.ask('close', {}, null).catch(() => {})
    if (this.#worker !== null) await once(this.#worker, 'exit')
  }

  async #start(): Promise<void> {
    if (this.#isStarting) return
    this.#isStarting = true
    try {
      const program = this.#program ?? (await import('./worker-program.ts')).WORKER_PROGRAM
      this.#launch(program)
    } catch (error) {
      this.#unsent = []
      this.#fail(error as Error)
    } finally {
      this.#isStarting = false
    }
  }

  #launch(program: URL): void {
    const gate = new WorkGate()
    const workerData: WorkerData = { ...this.#settings, gate: gate.memory }
    const worker = new Worker(program, {
      workerData,
      name: 'mailhandler-sqlite',
      execArgv: process.versions['deno'] === undefined ? ['--disable-warning=ExperimentalWarning'] : [], // Deno knows no such flag.
    })
    worker.on('message', (message: WorkerMessage) => this.#receive(message))
    worker.on('error', error => this.#lost(worker, error))
    worker.on('exit', () => {
      forgetGate(gate)
      this.#lost(worker, new Error('the worker has ended'))
    })
    worker.unref()
    shutAtExit(gate)
    this.#worker = worker
    for (const message of this.#unsent.splice(0)) worker.postMessage(message)
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
    this.#fail(error)
  }

  #fail(error: Error): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const each of waiting) each.reject(new StoreError('down', `SQLite: ${error.message}`, { cause: error }))
  }
}
