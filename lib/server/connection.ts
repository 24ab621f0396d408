// One connection, from the socket to the end of its session.
//
//   socket ─ PROXY header ─ limits ─ TLS ─ stream ─pipe→ handler ─pipe→ stream

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ProxyHeader } from '../protocol/proxy/proxy-header.ts'
import { TIMED_OUT } from '../smtp/known-replies.ts'
import { SmtpHandler } from '../smtp/smtp-handler.ts'
import { MailHandler } from '../stream/mail-handler.ts'
import { localEnd, remoteEnd, usedTwice, type Endpoint } from '../stream/peer.ts'
import type { Reply } from '../words/reply.ts'
import { watchTime } from './handler-time.ts'
import type { ResolvedServerOptions } from './options.ts'

/** What the function that makes handlers is told of a connection. */
export interface ConnectionInfo {
  /** The client; behind a trusted proxy, the one that its header names. */
  readonly client: Endpoint
  /** The address that the client connected to; behind a trusted proxy, the one at the proxy. */
  readonly local: Endpoint
  /** The header of the PROXY protocol, with TLS and other fields of version 2; null without a proxy. */
  readonly proxy: ProxyHeader | null
  /** The stream that will be piped into the handler: the socket, or the TLS socket. */
  readonly socket: Socket
}

/** Handlers that have a connection. */
const served = new WeakSet<Duplex>()

/** A connection of a server. */
export class Connection implements ConnectionInfo {
  /** The stream of the session: the TCP socket, or the TLS socket over it. */
  socket: Socket
  client: Endpoint
  local: Endpoint
  proxy: ProxyHeader | null = null
  isRefused = false
  readonly #tcp: Socket
  readonly #options: ResolvedServerOptions
  #handler: Duplex | null = null

  constructor(socket: Socket, options: ResolvedServerOptions) {
    this.socket = socket
    this.#tcp = socket
    this.#options = options
    this.client = remoteEnd(socket)
    this.local = localEnd(socket)
    socket.on('error', () => {})
  }

  /** True before there is a session. */
  get isPending(): boolean {
    return this.#handler === null
  }

  /** True while there is a session. */
  get hasSession(): boolean {
    return this.#handler !== null && !this.#handler.closed
  }

  /** Takes the two ends of the connection from the header of a proxy. */
  applyProxyHeader(header: ProxyHeader): void {
    this.proxy = header
    if (header.source !== null) this.client = header.source
    if (header.destination !== null) this.local = header.destination
    setEnds(this.#tcp, this)
  }

  /** Calls back once, when both the socket and the handler are closed. */
  onceEnded(callback: () => void): void {
    this.#tcp.once('close', () => {
      if (this.hasSession) this.#handler!.once('close', callback)
      else callback()
    })
  }

  /** Joins the handler to the socket. */
  serve(handler: Duplex, report: (error: Error) => void): void {
    const { socket } = this
    if (served.has(handler)) throw usedTwice()
    served.add(handler)
    this.#handler = handler
    if (this.proxy !== null && socket !== this.#tcp) setEnds(socket, this)
    if (!(handler instanceof MailHandler)) handler.on('error', report)
    handler.once('close', () => {
      if (!handler.readableEnded || !handler.writableFinished) this.destroy()
    })
    this.#tcp.once('close', () => handler.destroy())
    socket.pipe(handler).pipe(socket)
    if (!(handler instanceof SmtpHandler)) this.#watchTime(handler)
  }

  /** Ends the connection, with a last reply unless it is null or the client waits for a handshake. */
  refuse(reply: Reply | null): void {
    const isHandshaking = this.#options.tls !== null && this.socket === this.#tcp
    if (reply === null || isHandshaking || this.#tcp.destroyed) return this.destroy()
    this.socket.resume()
    this.socket.end(reply.toString())
    this.socket.destroySoon()
  }

  /** Ends the session of a MailHandler once no transaction is under way; other handlers go on. */
  shutDown(reply: Reply): void {
    if (this.#handler instanceof MailHandler) this.#handler.shutDown(reply)
  }

  /** Ends the session now, whatever is under way. */
  hangUp(reply: Reply): void {
    if (this.#handler instanceof MailHandler) this.#handler.hangUp(reply)
    else this.destroy()
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#tcp.destroy()
  }

  #watchTime(handler: Duplex): void {
    const { clock, idle, timeouts } = this.#options
    watchTime(handler, this.socket, clock, { idle, linger: timeouts.linger }, limit => {
      if (limit === 'idle') this.hangUp(TIMED_OUT)
      else this.destroy()
    })
  }
}

/** Gives a socket the addresses of the proxy's header. */
function setEnds(socket: Socket, { client, local }: ConnectionInfo): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: client.address ?? undefined },
    remotePort: { value: client.port ?? undefined },
    localAddress: { value: local.address ?? undefined },
    localPort: { value: local.port ?? undefined },
  })
}
