// The client's end of a connection to a handler: in memory, over a pair of streams, or over a socket.

import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** A client's end: what comes in is handed to `onData`, its end to `onEnd`. */
class Connection {
  isEnded = false
  #stream = null
  #whenChanged = []

  constructor(stream, onData) {
    this.onData = onData
    this.listen(stream)
  }

  listen(stream) {
    this.#stream = stream
    this.received = data => {
      this.onData(data)
      this.changed()
    }
    stream.on('data', this.received)
    for (const event of ['end', 'close', 'error']) stream.on(event, () => this.#isOver(stream))
  }

  #isOver(stream) {
    if (stream !== this.#stream) return
    this.isEnded = true
    this.changed()
  }

  changed() {
    for (const resolve of this.#whenChanged.splice(0)) resolve()
  }

  /** Resolves when something has come, or the time is over. */
  async change(milliseconds) {
    let timer
    await new Promise(resolve => {
      this.#whenChanged.push(resolve)
      timer = setTimeout(resolve, milliseconds)
    })
    clearTimeout(timer)
  }

  write(octets) {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.write(octets)
  }

  end() {
    this.#stream.end()
  }

  reset() {
    this.#stream.destroy()
    this.isEnded = true
  }

  /** Puts TLS in the stream's place. */
  async startTls() {
    const plain = this.#stream
    plain.removeListener('data', this.received)
    const secured = connectTls({ socket: plain, rejectUnauthorized: false })
    this.listen(secured)
    await Promise.race([once(secured, 'secureConnect'), once(secured, 'close')]).catch(() => {})
  }
}

/**
 * Opens a connection to a new handler with these options. `closed` resolves when the session has ended; `onMade` gets
 * the handler.
 */
export async function open(lib, how, options, onData, given = {}) {
  const { proxy = false, handlers = lib.SmtpHandler, onMade = () => {} } = given
  if (how === 'socket') return overSocket(lib, options, onData, proxy, handlers, onMade)
  const handler = new handlers(options.client === undefined ? { ...options, client: LOCAL } : options)
  onMade(handler)
  const closed = new Promise(resolve => handler.once('close', resolve))
  if (how === 'memory') {
    handler.on('error', () => {})
    return { connection: new Connection(handler, onData), closed, stop: async () => {} }
  }
  const [client, socket] = lib.duplexPair()
  client.on('error', () => {})
  socket.on('error', () => {})
  Object.assign(socket, { remoteAddress: LOCAL.address, remotePort: LOCAL.port })
  socket.pipe(handler).pipe(socket)
  return { connection: new Connection(client, onData), closed, stop: async () => void client.destroy() }
}

const LOCAL = { address: '127.0.0.1', port: 1025 }

async function overSocket(lib, options, onData, proxy, handlers, onMade) {
  let ended
  const closed = new Promise(resolve => (ended = resolve))
  const make = () => {
    const handler = new handlers(options)
    onMade(handler)
    handler.once('close', ended)
    return handler
  }
  const server = lib.createServer(proxy ? { proxy: ['127.0.0.1'] } : {}, make)
  await server.listen(0, '127.0.0.1')
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address()
  const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const stop = async () => {
    socket.destroy()
    server.close()
  }
  return { connection: new Connection(socket, onData), closed, stop }
}
