// The server: takes connections, gives each that may come in a handler, and ends in good order.

import { Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { resolveOptions, type SmtpHandlerOptions } from '../smtp/options.ts'
import { SmtpHandler } from '../smtp/smtp-handler.ts'
import { isPromise } from '../stream/handlers.ts'
import { show, wrong } from '../words/option-checks.ts'
import { reply, type Reply } from '../words/reply.ts'
import { Connection, type ConnectionInfo } from './connection.ts'
import { connectionChannel, type ConnectionEvent, type Refusal } from './diagnostics.ts'
import { handshake } from './handshake.ts'
import { resolveServerOptions, type ResolvedServerOptions, type ServerOptions } from './options.ts'
import { readProxyHeader } from './proxy-reader.ts'

/** Makes the handler of one connection. */
export type HandlerFactory = (connection: ConnectionInfo) => Duplex

/** What a server has to tell about itself. */
export interface ServerStats {
  /** Connections that were let in and are not over. */
  readonly connections: number
  /** Sessions: connections with a handler, until it is closed. */
  readonly sessions: number
  /** Clients that are counted at the moment, or remembered for their rate. */
  readonly clients: number
  /** Connections that were let in, ever. */
  readonly accepted: number
  /** Connections that were refused, ever, by reason. */
  readonly refused: Readonly<Record<Refusal, number>>
}

/** How to close. */
export interface CloseOptions {
  /** Milliseconds that transactions under way have to finish. @defaultValue `timeouts.shutdown` of the server */
  readonly within?: number
}

/** Milliseconds for the last reply to arrive where a session was cut. */
const LAST_WORD = 1000

const SHUTTING_DOWN = reply(421, '4.3.2', 'Shutting down, please try again later')

/** What a client is told; null: nothing, as nobody would understand. */
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
 * A `net.Server` whose connections are SMTP sessions; made by {@link createServer}. `listen()`, `address()`, the events
 * and all else are Node's; `close()` ends in good order.
 */
export class MailServer extends Server {
  readonly #options: ResolvedServerOptions
  readonly #factory: HandlerFactory
  readonly #open = new Set<Connection>()
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
  /** Called when a connection is over, while the server closes. */
  #whenOver: () => void = () => {}

  /** Throws a MailHandlerError with code `ERR_OPTION` where an option is wrong. */
  constructor(options: ServerOptions, factory: HandlerFactory) {
    super({ allowHalfOpen: true, noDelay: true })
    this.#options = resolveServerOptions(options)
    if (typeof factory !== 'function') throw wrong(`a function makes handlers, not ${show(factory)}`)
    this.#factory = factory
    this.on('connection', (socket: Socket) => this.#accept(socket))
  }

  /** Sessions at the moment. */
  get sessions(): number {
    let count = 0
    for (const connection of this.#open) if (connection.served) count += 1
    return count
  }

  /** Counts, for who watches. */
  stats(): ServerStats {
    const counts = this.#options.limits.counts()
    return { ...counts, sessions: this.sessions, accepted: this.#accepted, refused: { ...this.#refused } }
  }

  /**
   * Takes no further connections. A session between two mail transactions gets 421 4.3.2 at once, one with a
   * transaction under way right behind its verdict; what is not done `within` so many milliseconds is cut: its body is
   * truncated, and the client gets 421 in place of a verdict. Ends when all connections are gone: resolves, or calls
   * back as `net.Server` does; with the code `ERR_SERVER_NOT_RUNNING` where the server was not listening. Called once
   * more, it changes how long there is left. [RFC 5321 §3.8]
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
      () => process.nextTick(callback), // what it throws is the program's, not this promise's
      error => process.nextTick(callback, error),
    )
    return this
  }

  async #end(): Promise<void> {
    const stopped = new Promise<void>((resolve, reject) => {
      super.close(error => (error === undefined ? resolve() : reject(error)))
    })
    for (const connection of this.#open) {
      if (connection.pending) this.#refuse(connection, 'shutdown')
      else connection.shutDown(SHUTTING_DOWN)
    }
    stopped.catch(() => {}) // awaited below
    try {
      // Connections can also come by `emit('connection')`, from a process that listens.
      await new Promise<void>(resolve => {
        this.#whenOver = () => this.#open.size === 0 && resolve()
        this.#whenOver()
      })
      await stopped
    } finally {
      this.#options.clock.clear(this.#cutTimer)
      this.#closing = null
    }
  }

  #cut(): void {
    for (const connection of this.#open) connection.hangUp(SHUTTING_DOWN)
    this.#cutTimer = this.#options.clock.after(LAST_WORD, () => {
      for (const connection of this.#open) connection.destroy()
      this.#open.clear() // whose handlers still have not closed
      this.#whenOver()
    })
  }

  // ── Connections ──

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options)
    this.#open.add(connection)
    connection.whenOver(() => {
      this.#open.delete(connection)
      this.#whenOver()
    })
    void this.#begin(connection, socket)
  }

  async #begin(connection: Connection, socket: Socket): Promise<void> {
    const { proxies, tls, timeouts, clock } = this.#options
    let step: Refusal = 'proxy'
    try {
      if (proxies.has(connection.client.address ?? '')) {
        connection.introduce(await readProxyHeader(socket, { clock, milliseconds: timeouts.proxyHeader }))
      }
      if (!this.#admit(connection, socket)) return
      step = 'tls'
      if (tls !== null) connection.socket = await handshake(socket, tls, { clock, milliseconds: timeouts.tls })
      step = 'handler'
      if (!connection.refused && !socket.destroyed) connection.serve(checkHandler(this.#factory(connection)), report)
    } catch (error) {
      this.#refuse(connection, step, error as Error)
    }
  }

  #admit(connection: Connection, socket: Socket): boolean {
    const { limits, exempt } = this.#options
    const { address } = connection.client
    // A health check of a proxy, or a socket without addresses, is no client to be counted by itself.
    const free = address === null || connection.proxy?.command === 'LOCAL' || exempt.has(address)
    const admission = this.#closing === null ? limits.admit(address ?? '', free) : ({ refused: 'shutdown' } as const)
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
    if (connection.refused) return
    connection.refused = true
    this.#refused[refusal] += 1
    publish('refused', connection, refusal, error)
    if (refusal === 'handler' && error !== null && !connectionChannel.hasSubscribers) report(error)
    connection.refuse(REPLIES[refusal])
  }
}

/**
 * Makes a server: each connection gets a handler of its own, and is joined to it as `socket.pipe(handler).pipe(socket)`.
 * `handler` is the options of an SmtpHandler, or a function that makes a handler. Throws a MailHandlerError with code
 * `ERR_OPTION` where an option is wrong, those of the SmtpHandler among them.
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
  throw wrong(`the function that makes handlers returned ${what}; return a new handler: () => new SmtpHandler(options)`)
}

function publish(
  event: ConnectionEvent['event'],
  { client, local, proxy }: ConnectionInfo,
  refusal: Refusal | null = null,
  error: Error | null = null,
): void {
  if (connectionChannel.hasSubscribers) connectionChannel.publish({ event, client, local, proxy, refusal, error })
}

/** What goes wrong in a program's own code, and has nobody else who is told. */
function report(error: Error): void {
  process.emitWarning(error)
}
