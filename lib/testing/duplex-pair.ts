// A connection in memory: what is written to one side is read from the other.
//
//     client.write ─▶ server.read        Node has a duplexPair of its own since 20.17, but there a side that is
//     client.read ◀─ server.write        destroyed leaves the other waiting; here it is a reset, as with sockets.

import { Duplex } from 'node:stream'
import type { DuplexOptions } from 'node:stream'

type Callback = (error?: Error | null) => void

class Side extends Duplex {
  #peer: Side | null = null
  #taken: Callback | null = null
  #writing = false

  join(peer: Side): void {
    this.#peer = peer
  }

  override _read(): void {
    const taken = this.#taken
    this.#taken = null
    taken?.()
  }

  // The callback waits until the other side has room: that is the backpressure. What the other side says to octets while
  // they are still being written comes a tick later: a TLS client is not prepared for an answer within its write.
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    const peer = this.#peer
    if (peer !== null && peer.#writing) process.nextTick(() => this.#deliver(chunk, callback))
    else this.#deliver(chunk, callback)
  }

  #deliver(chunk: Buffer, callback: Callback): void {
    const peer = this.#peer
    if (peer === null || peer.destroyed) return callback(failure('EPIPE', 'write'))
    this.#writing = true
    const room = peer.push(chunk)
    this.#writing = false
    if (room) callback()
    else peer.#taken = callback
  }

  override _final(callback: Callback): void {
    if (this.#peer?.destroyed === false) this.#peer.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const peer = this.#peer
    const clean = this.readableEnded && this.writableFinished
    if (!clean && peer !== null && !peer.destroyed) process.nextTick(() => peer.destroy(failure('ECONNRESET', 'read')))
    const taken = this.#taken
    this.#taken = null
    taken?.(failure('EPIPE', 'write'))
    callback(error)
  }
}

function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
}

/**
 * Two streams that are the two ends of one connection. An end of the one is the end of the other; `destroy()` before
 * both directions have ended resets the other, which fails with `ECONNRESET`. A write is done when the other side has
 * room for it, so backpressure passes through.
 *
 * ```ts
 * const [client, socket] = duplexPair()
 * socket.pipe(new SmtpHandler()).pipe(socket)
 * const c = converse(client)
 * ```
 */
export function duplexPair(options?: DuplexOptions): [Duplex, Duplex] {
  const a = new Side(options)
  const b = new Side(options)
  a.join(b)
  b.join(a)
  return [a, b]
}

/**
 * The client's end of a connection whose other end is piped through the handler as a server does it,
 * `socket.pipe(handler).pipe(socket)`: for what {@link converse} on the handler itself does not show, such as resets that
 * arrive at the socket. Errors of the socket are ignored here, as the client sees them too.
 */
export function connect(handler: Duplex, options?: DuplexOptions): Duplex {
  const [client, socket] = duplexPair(options)
  socket.on('error', () => {})
  socket.pipe(handler).pipe(socket)
  return client
}
