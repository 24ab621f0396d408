// accepted connections ─→ queue ─→ a worker that has taken what it was given before ─ "taken" ─→ closed here
//
// A connection belongs to the primary until its worker says that it has taken it. If the worker dies before, the primary
// closes it: a client is served or disconnected, and never left waiting. A worker that takes nothing for too long is
// reported: it spins or is frozen, and will not end by itself.

import type { Socket } from 'node:net'
import { systemClock, type Clock } from '../time/clock.ts'

/** Connections that wait for a worker. */
const MAX_QUEUED = 1000
/** Milliseconds that a worker has to take a connection. It needs less than one unless something is wrong with it. */
const TAKE_TIME = 60_000

/** A worker, as the dispatcher uses it. */
export interface Receiver {
  /** Gives the worker a connection. Calls back with an error if it cannot be sent. */
  give(id: number, listener: number, socket: Socket, sent: (error: Error | null) => void): void
}

interface Accepted {
  readonly id: number
  readonly socket: Socket
  readonly listener: number
}

/** A connection that a worker was given, and the timer that ends its time. */
interface Given extends Accepted {
  readonly timer: unknown
}

/** Distributes connections among workers: one at a time to each, so that a worker that hangs delays only one client. */
export class Dispatcher<Worker extends Receiver = Receiver> {
  /** Workers that are ready, with the connection that each was given and has not taken. */
  readonly #workers = new Map<Worker, Given | null>()
  readonly #queue: Accepted[] = []
  readonly #handleHang: (worker: Worker) => void
  readonly #clock: Clock
  #lastId = 0
  #closed = false

  /** `handleHang` is called with a worker that has not taken a connection within a minute. */
  constructor(handleHang: (worker: Worker) => void, clock: Clock = systemClock) {
    this.#handleHang = handleHang
    this.#clock = clock
  }

  /** Adds a worker that is ready. */
  add(worker: Worker): void {
    this.#workers.set(worker, null)
    this.#dispatchQueue()
  }

  /** Removes a worker that is gone, and closes the connection that it has not taken. */
  remove(worker: Worker): void {
    this.#letGo(this.#workers.get(worker))
    this.#workers.delete(worker)
  }

  /** Gives a connection to a worker, or has it wait for one. The socket must be paused. */
  dispatch(listener: number, socket: Socket): void {
    socket.on('error', () => {})
    if (this.#closed || this.#queue.length >= MAX_QUEUED) {
      socket.destroy()
      return
    }
    this.#queue.push({ id: ++this.#lastId, socket, listener })
    this.#dispatchQueue()
  }

  /** Called when a worker says that it has taken a connection: the primary lets go of it. */
  confirm(worker: Worker, id: number): void {
    const given = this.#workers.get(worker)
    if (given?.id !== id) return
    this.#letGo(given)
    // To the end: of several free workers, the one that has been free for the longest time is next.
    this.#workers.delete(worker)
    this.add(worker)
  }

  /** Closes all connections that wait, and each that still comes. */
  close(): void {
    this.#closed = true
    for (const { socket } of this.#queue.splice(0)) socket.destroy()
  }

  #dispatchQueue(): void {
    for (const [worker, untaken] of this.#workers) {
      if (untaken !== null) continue
      const next = this.#queue.shift()
      if (next === undefined) return
      const timer = this.#clock.after(TAKE_TIME, () => this.#handleHang(worker))
      this.#workers.set(worker, { ...next, timer })
      worker.give(next.id, next.listener, next.socket, error => {
        if (error !== null) this.remove(worker) // It ends, or has ended.
      })
    }
  }

  #letGo(given: Given | null | undefined): void {
    if (given === null || given === undefined) return
    this.#clock.clear(given.timer)
    given.socket.destroy()
  }
}
