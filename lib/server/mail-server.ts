// The server: admits connections, gives each a handler, and closes once they are done.

import { Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { warn } from '../log/warn.ts'
import { resolveOptions, type SmtpHandlerOptions } from '../smtp/options.ts'
import { SmtpHandler } from '../smtp/smtp-handler.ts'
import { isPromise } from '../stream/handlers.ts'
import { MailHandler } from '../stream/mail-handler.ts'
import { show, wrong } from '../words/option-checks.ts'
import { reply, type Reply } from '../words/reply.ts'
import { Connection, type ConnectionInfo } from './connection.ts'
import { connectionChannel, type ConnectionEvent, type Refusal } from './diagnostics.ts'
import { handshake } from './handshake.ts'
import { resolveServerOptions, type ResolvedServerOptions, type ServerOptions } from './options.ts'
import { readProxyHeader } from './proxy-reader.ts'

/** Makes the handler of one connection. */
export type HandlerFactory = (connection: ConnectionInfo) => Duplex

/** The counts of a server. */
export interface ServerStats {
  /** Admitted connections that have not ended. */
  readonly connections: number
  /** Sessions: connections with a handler, until it is closed. */
  readonly sessions: number
  /** Clients that are counted now, or remembered for their rate. */
  readonly clients: number
  /** Connections admitted since the start. */
  readonly accepted: number
  /** Connections refused since the start, by reason. */
  readonly refused: Readonly<Record<Refusal, number>>
}

/** Options of {@link MailServer.close}. */
export interface CloseOptions {
  /** Milliseconds that transactions under way have to finish. @defaultValue `timeouts.shutdown` of the server */
  readonly within?: number
}

const MAKER = '() => new SmtpHandler(options)'

/** Milliseconds from the last reply of a session that is cut to the end of its connection. */
const LAST_REPLY_TIME = 1000

const SHUTTING_DOWN = reply(421, '4.3.2', 'Shutting down, please try again later')

/** The reply to a refused client; null if the client could not read one. */
const REPLIES: Readonly<Record<Refusal, Reply | null>> = {
  connections: reply(421, '4.7.0', 'Too many connections, please try again later'),
  perClient: reply(421, '4.7.0', 'Too many connections from your address'),
  rate: reply(421, '4.7.0', 'Too many connections from your address in a minute'),
  handler: reply(421, '4.3.0', 'Local error, please try again later'),
  shutdown: SHUTTING_DOWN,
  proxy: null,
  tls: null,
}

/**
 * A `net.Server` whose connections are SMTP sessions; made by {@link createServer}. Only `close()` differs from Node's: it
 * lets the transactions under way finish.
 */
export class MailServer extends Server {
  readonly #options: ResolvedServerOptions
  readonly #factory: HandlerFactory
  readonly #connections = new Set<Connection>()
  #accepted = 0
  readonly #refused: Record<Refusal, number> = {
    connections: 0,
    perClient: 0,
    rate: 0,
    proxy: 0,
    tls: 0,
    handler: 0,
    shutdown: 0,
  }
  #closing: Promise<void> | null = null
  #cutTimer: unknown = null
  /** Called when a connection has ended; set while the server closes. */
  #noteEnd: () => void = () => {}

  /** Throws a MailHandlerError `ERR_OPTION` if an option is wrong. */
  constructor(options: ServerOptions, factory: HandlerFactory) {
    super({ allowHalfOpen: true, noDelay: true })
    this.#options = resolveServerOptions(options)
    if (typeof factory !== 'function') throw wrong(`a function makes handlers, not ${show(factory)}`)
    if (/^class\b/.test(String(factory))) throw wrong(`a function makes handlers, not a class: give ${MAKER}`)
    this.#factory = factory
    this.on('connection', (socket: Socket) => this.#accept(socket))
  }

  /** Sessions now. */
  get sessions(): number {
    let count = 0
    for (const connection of this.#connections) if (connection.hasSession) count += 1
    return count
  }

  /** The counts, for monitoring. */
  stats(): ServerStats {
    const counts = this.#options.limits.counts()
    return { ...counts, sessions: this.sessions, accepted: this.#accepted, refused: { ...this.#refused } }
  }

  /**
   * Admits no further connections. A session between two mail transactions gets 421 4.3.2 at once; one with a transaction
   * under way gets it after the verdict. A transaction that is not finished `within` that time is cut: its body is
   * truncated, and the client gets 421 in place of a verdict. Resolves, or calls back as `net.Server` does, when all
   * connections have ended; with the error `ERR_SERVER_NOT_RUNNING` if the server was not listening. A second call
   * changes the time that is left. [RFC 5321 §3.8]
   */
  override close(callback?: (error?: Error) => void): this
  override close(options: CloseOptions): Promise<void>
  override close(how?: ((error?: Error) => void) | CloseOptions): this | Promise<void> {
    const options = typeof how === 'object' ? how : null
    const { clock, timeouts } = this.#options
    if (this.#closing === null || options?.within !== undefined) {
      clock.clear(this.#cutTimer)
      this.#cutTimer = clock.after(options?.within ?? timeouts.shutdown, () => this.#cut())
    }
    this.#closing ??= this.#end()
    if (options !== null) return this.#closing
    const callback = typeof how === 'function' ? how : () => {}
    this.#closing.then(
      () => process.nextTick(callback), // what it throws must not reject this promise
      error => process.nextTick(callback, error),
    )
    return this
  }

  async #end(): Promise<void> {
    const stopped = new Promise<void>((resolve, reject) => {
      super.close(error => (error === undefined ? resolve() : reject(error)))
    })
    for (const connection of this.#connections) {
      if (connection.isPending) this.#refuse(connection, 'shutdown')
      else connection.shutDown(SHUTTING_DOWN)
    }
    stopped.catch(() => {}) // awaited below
    try {
      // Connections can also come by `emit('connection')`, from a process that listens.
      await new Promise<void>(resolve => {
        this.#noteEnd = () => this.#connections.size === 0 && resolve()
        this.#noteEnd()
      })
      await stopped
    } finally {
      this.#options.clock.clear(this.#cutTimer)
      this.#closing = null
    }
  }

  #cut(): void {
    for (const connection of this.#connections) connection.hangUp(SHUTTING_DOWN)
    this.#cutTimer = this.#options.clock.after(LAST_REPLY_TIME, () => {
      for (const connection of this.#connections) connection.destroy()
      this.#connections.clear() // their handlers have not closed
      this.#noteEnd()
    })
  }

  // ── Connections ──

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options)
    this.#connections.add(connection)
    connection.onceEnded(() => {
      this.#connections.delete(connection)
      this.#noteEnd()
    })
    void this.#begin(connection, socket)
  }

  async #begin(connection: Connection, socket: Socket): Promise<void> {
    const { proxies, tls, timeouts, clock } = this.#options
    let step: Refusal = 'proxy'
    try {
      if (proxies.has(connection.client.address ?? '')) {
        connection.applyProxyHeader(await readProxyHeader(socket, { clock, milliseconds: timeouts.proxyHeader }))
      }
      if (!this.#admit(connection, socket)) return
      step = 'tls'
      if (tls !== null) connection.socket = await handshake(socket, tls, { clock, milliseconds: timeouts.tls })
      step = 'handler'
      if (!connection.isRefused && !socket.destroyed) connection.serve(checkHandler(this.#factory(connection)), warn)
    } catch (error) {
      this.#refuse(connection, step, error as Error)
    }
  }

  #admit(connection: Connection, socket: Socket): boolean {
    const { limits, exempt } = this.#options
    const { address } = connection.client
    // A health check of a proxy, or a socket without addresses, is not counted as a client.
    const isExempt = address === null || connection.proxy?.command === 'LOCAL' || exempt.has(address)
    const admission =
      this.#closing === null ? limits.admit(address ?? '', isExempt) : ({ refused: 'shutdown' } as const)
    if (admission.refused !== undefined) {
      this.#refuse(connection, admission.refused)
      return false
    }
    this.#accepted += 1
    publish('accepted', connection)
    socket.once('close', () => {
      admission.release()
      publish('closed', connection)
    })
    return true
  }

  #refuse(connection: Connection, refusal: Refusal, error: Error | null = null): void {
    if (connection.isRefused) return
    connection.isRefused = true
    this.#refused[refusal] += 1
    publish('refused', connection, refusal, error)
    if (refusal === 'handler' && error !== null && !connectionChannel.hasSubscribers) warn(error)
    connection.refuse(REPLIES[refusal])
  }
}

/**
 * Makes a server: each connection gets its own handler, joined to it as `socket.pipe(handler).pipe(socket)`. `handler` is
 * the options of an SmtpHandler, or a function that makes a handler.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong, of the SmtpHandler too.
 */
export function createServer(options: ServerOptions, handler: SmtpHandlerOptions | HandlerFactory): MailServer
export function createServer(factory: HandlerFactory): MailServer
export function createServer(
  options: ServerOptions | HandlerFactory,
  handler?: SmtpHandlerOptions | HandlerFactory,
): MailServer {
  if (typeof options === 'function') return new MailServer({}, options)
  if (typeof handler === 'function') return new MailServer(options, handler)
  const server = new MailServer(options, () => new SmtpHandler(handler))
  if (handler instanceof MailHandler) throw wrong(`a handler serves one connection: give its options, or ${MAKER}`)
  if (handler === undefined) {
    throw wrong('createServer takes the options of SmtpHandler, or a function that makes handlers, behind its own')
  }
  resolveOptions(handler)
  return server
}

/** What came from a factory is a stream, in JavaScript too. */
function checkHandler(made: unknown): Duplex {
  if (typeof (made as Partial<Duplex> | null | undefined)?.pipe === 'function') return made as Duplex
  const what = made === undefined ? 'nothing' : isPromise(made) ? 'a promise' : show(made)
  throw wrong(`the function that makes handlers returned ${what}; return a new handler: ${MAKER}`)
}

function publish(
  event: ConnectionEvent['event'],
  { client, local, proxy }: ConnectionInfo,
  refusal: Refusal | null = null,
  error: Error | null = null,
): void {
  if (connectionChannel.hasSubscribers) connectionChannel.publish({ event, client, local, proxy, refusal, error })
}
