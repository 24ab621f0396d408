// A worker as its primary sees it: the process, its orders and reports.

import { fork, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Receiver } from './dispatcher.ts'
import type { Order, Report } from './messages.ts'
import { workerEnvironment } from './worker-environment.ts'

/** Milliseconds until a worker that died is started again, for the first time. */
export const SHORTEST_DELAY = 100

/** One of the workers that there should be; its process changes when it dies. */
export class WorkerSlot implements Receiver {
  readonly number: number
  readonly #arguments: readonly string[]
  #child: ChildProcess | null = null
  /** Of the process, for metrics. */
  id = 0
  ready = false
  startedAt = 0
  restartDelay: number = SHORTEST_DELAY

  /** `config`: the configuration that the primary has found. */
  constructor(number: number, config: string | null) {
    this.number = number
    const given = process.argv.slice(2)
    const isNamed = config === null || given.some(each => /^(?:-c|--config)/.test(each))
    this.#arguments = isNamed ? given : [...given, '--config', config]
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get running(): boolean {
    return this.#child !== null
  }

  start(
    id: number,
    received: (report: Report) => void,
    exited: (code: number | null, signal: string | null) => void,
  ): void {
    const child = fork(process.argv[1]!, this.#arguments, { env: workerEnvironment(this.number) })
    this.#child = child
    this.id = id
    this.startedAt = performance.now()
    child.on('message', message => received(message as Report))
    child.on('error', () => {}) // It could not be started, or a message came too late: `exit` follows, or has been.
    child.once('exit', (code, signal) => {
      this.#child = null
      this.ready = false
      exited(code, signal)
    })
  }

  order(order: Order): void {
    if (this.#child?.connected === true) this.#child.send(order, () => {})
  }

  give(id: number, listener: number, socket: Socket, sent: (error: Error | null) => void): void {
    const order: Order = { order: 'connection', id, listener }
    // Node would keep count of it in both processes, and slow both down.
    delete (socket as { server?: unknown }).server
    if (this.#child === null) sent(new Error('the worker is gone'))
    else this.#child.send(order, socket, { keepOpen: true }, sent)
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }
}
