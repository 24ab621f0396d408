// accepted connections ─→ queue ─→ a worker that has taken what it was given before ─ "taken" ─→ closed here
//
// A connection belongs to the primary until its worker says that it has taken it. If the worker dies before, the primary
// closes it: a client is served or disconnected, and never left waiting.

import type { Socket } from 'node:net'

/** Connections that wait for a worker. */
const MAX_QUEUED = 1000

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

/** Distributes connections among workers: one at a time to each, so that a worker that hangs delays only one client. */
export class Dispatcher {
  /** Workers that are ready, with the connection that each was given and has not taken. */
  readonly #workers = new Map<Receiver, Accepted | null>()
  readonly #queue: Accepted[] = []
  #lastId = 0
  #closed = false

  /** Adds a worker that is ready. */
  add(worker: Receiver): void {
    this.#workers.set(worker, null)
    this.#dispatchQueue()
  }

  /** Removes a worker that is gone, and closes the connection that it has not taken. */
  remove(worker: Receiver): void {
    this.#workers.get(worker)?.socket.destroy()
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
  confirm(worker: Receiver, id: number): void {
    const accepted = this.#workers.get(worker)
    if (accepted?.id !== id) return
    accepted.socket.destroy()
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
      this.#workers.set(worker, next)
      worker.give(next.id, next.listener, next.socket, error => {
        if (error !== null) this.remove(worker) // It ends, or has ended.
      })
    }
  }
}
