// A connection in memory: what is written to one side is read from the other.
//
//     client.write ─▶ server.read
//     client.read ◀─ server.write
//
// Node has a duplexPair since 20.17, but there destroying one side leaves the other side waiting. Here the other side
// gets a reset, as with sockets.

import { Duplex } from 'node:stream'
import type { DuplexOptions } from 'node:stream'

type Callback = (error?: Error | null) => void

class Side extends Duplex {
  #peer: Side | null = null
  /** The callback of the peer's write, which waits until this side is read. */
  #pendingWrite: Callback | null = null
  /** True while the peer is being given octets. */
  #writing = false

  connectTo(peer: Side): void {
    this.#peer = peer
  }

  override _read(): void {
    const written = this.#pendingWrite
    this.#pendingWrite = null
    written?.()
  }

  // The callback is called when the other side has room for more, which gives backpressure. An answer that the other
  // side writes during this write is delivered a tick later: a TLS client does not expect an answer within its write.
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    const peer = this.#peer
    if (peer !== null && peer.#writing) process.nextTick(() => this.#deliver(chunk, callback))
    else this.#deliver(chunk, callback)
  }

  #deliver(chunk: Buffer, callback: Callback): void {
    const peer = this.#peer
    if (peer === null || peer.destroyed) return callback(systemError('EPIPE', 'write'))
    this.#writing = true
    const room = peer.push(chunk)
    this.#writing = false
    if (room) callback()
    else peer.#pendingWrite = callback
  }

  override _final(callback: Callback): void {
    if (this.#peer?.destroyed === false) this.#peer.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const peer = this.#peer
    const clean = this.readableEnded && this.writableFinished
    if (!clean && peer !== null && !peer.destroyed)
      process.nextTick(() => peer.destroy(systemError('ECONNRESET', 'read')))
    const written = this.#pendingWrite
    this.#pendingWrite = null
    written?.(systemError('EPIPE', 'write'))
    callback(error)
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
}

/**
 * Creates the two ends of a connection in memory. Ending one side ends the other side's input. Destroying one side
 * before both directions have ended resets the other, which fails with `ECONNRESET`. The callback of a write is called
 * when the other side has room for more, so backpressure passes through.
 *
 * @example
 * ```ts
 * const [client, socket] = duplexPair()
 * socket.pipe(new SmtpHandler()).pipe(socket)
 * const c = converse(client)
 * ```
 */
export function duplexPair(options?: DuplexOptions): [Duplex, Duplex] {
  const a = new Side(options)
  const b = new Side(options)
  a.connectTo(b)
  b.connectTo(a)
  return [a, b]
}

/**
 * Connects a handler as a server does, by `socket.pipe(handler).pipe(socket)`, and returns the client's end of the
 * connection. Use it to test what {@link converse} with the handler itself does not show, such as a reset at the socket.
 * Errors of the server's socket are ignored: the client gets them too.
 */
export function connect(handler: Duplex, options?: DuplexOptions): Duplex {
  const [client, socket] = duplexPair(options)
  socket.on('error', () => {})
  socket.pipe(handler).pipe(socket)
  return client
}
