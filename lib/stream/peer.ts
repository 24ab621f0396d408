// The stream that was piped into a handler, usually a socket.

import type { Duplex, Readable } from 'node:stream'
import { unmapped } from '../protocol/networks/ip-address.ts'
import { MailHandlerError } from '../words/errors.ts'
import { reply } from '../words/reply.ts'
import { report, type Reporter } from './answers.ts'

/** One end of a connection; null if it is not known, as without a socket. */
export interface Endpoint {
  /** IPv4 or IPv6 address. IPv4 is never mapped into IPv6: `192.0.2.1`, also from a socket that listens for both. */
  readonly address: string | null
  /** TCP port, 1 to 65535. */
  readonly port: number | null
}

/** The end of a connection without an address. */
export const NOWHERE: Endpoint = Object.freeze({ address: null, port: null })

/** The members of a socket that are used; a stream that is not a socket lacks them. */
export interface SocketLike {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  allowHalfOpen?: boolean
  setNoDelay?(noDelay: boolean): unknown
  destroySoon?(): void
}

/** A stream that is piped into a handler. */
export type Source = Readable & SocketLike

const ignore = () => {}
/** Sockets that were piped into a handler of another one. */
const turnedAway = new WeakSet<object>()
const NO_HANDLER = reply(421, '4.3.0', 'Local error, please try again later')

/** The error for a second connection of a handler. */
export function usedTwice(): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', 'a handler serves one connection; make a new one for each')
}

/** The other end of a handler, from the time that a stream is piped into it. */
export class Peer {
  /** As the stream says, or as was given. */
  client: Endpoint
  /** What is piped in; null before. */
  source: Source | null = null
  /** The handler is piped out to it as well. */
  paired = false
  /** What comes next is the same connection, under TLS. */
  isReplaced = false
  readonly #handler: Duplex & Reporter
  /** The handler's end is the source's end, as `pipe` has it by default. */
  #ends = false
  /** All replies have been handed to a source that is to close behind them. */
  #left = false
  #local: Endpoint | null = null

  constructor(handler: Duplex & Reporter, client?: Partial<Endpoint>) {
    this.#handler = handler
    this.client = client === undefined ? NOWHERE : endpoint(client.address ?? undefined, client.port ?? undefined)
    handler.on('pipe', (source: Source) => this.#attend(source))
  }

  /** This end, looked up when it is first asked for: few ask, and each look is a system call. */
  get local(): Endpoint {
    if (this.source?.localAddress !== undefined) this.#local ??= localEnd(this.source)
    return this.#local ?? NOWHERE
  }

  /** The handler is piped out to `destination`; `ends`: and ends it. False if it must not be. */
  pair(destination: unknown, ends: boolean): boolean {
    if (destination !== this.source) return !turnedAway.has(destination as object)
    this.paired = true
    this.#ends = ends
    return true
  }

  /** The client has said QUIT: the socket closes behind the replies, without waiting for the client to close. */
  closeBehindReplies(): void {
    const { source } = this
    if (source?.destroySoon === undefined || !this.#ends || source.readableLength > 0) return
    this.#handler.once('end', () => {
      this.#left = true
      source.destroySoon?.()
    })
  }

  /** The handler is destroyed: so is its peer, unless both have come to their end. */
  letGo(graceful: boolean, error: Error | null): void {
    if (error !== null) this.source?.unpipe(this.#handler) // or pipe's own listener throws the error on
    if (!graceful) this.source?.destroy()
  }

  #attend(source: Source): void {
    if (this.#isStranger(source)) return this.#turnAway(source)
    const first = this.source === null
    this.isReplaced = false
    this.source = source
    this.paired = false
    this.#ends = false
    if (first && source.remoteAddress !== undefined) this.client = remoteEnd(source)
    makeSafe(source)
    const gone = () => this.#gone(source)
    source.once('close', gone) // `pipe` alone does not pass on a reset
    if (source.destroyed) process.nextTick(gone) // its 'close' may have been before this
  }

  /** A second socket would be in the session of the first. */
  #isStranger(source: Source): boolean {
    return !this.isReplaced && source !== this.source && isSocket(source) && isSocket(this.source)
  }

  #turnAway(source: Source): void {
    turnedAway.add(source)
    source.on('error', ignore)
    source.unpipe(this.#handler)
    ;(source as Source & Duplex).end(NO_HANDLER.toString())
    source.destroySoon?.()
    report(this.#handler, usedTwice())
  }

  #gone(source: Source): void {
    if (this.source !== source) return
    if (this.#left) {
      this.#handler.end()
      return
    }
    // What is no socket closes once it has been read to its end, while replies are still under way.
    if (this.paired || !source.readableEnded) this.#handler.destroy()
  }
}

function isSocket(source: unknown): boolean {
  return (source as SocketLike | null)?.destroySoon !== undefined
}

/** Listens for its errors, which would be thrown; keeps it open for the replies after its end; sends them without delay. */
function makeSafe(source: Source): void {
  source.on('error', ignore)
  if (source.allowHalfOpen === false) source.allowHalfOpen = true
  source.setNoDelay?.(true)
}

/** Where a connection comes from. A socket that listens for IPv4 and IPv6 gives IPv4 addresses mapped into IPv6. */
export function remoteEnd(source: SocketLike): Endpoint {
  return endpoint(source.remoteAddress, source.remotePort)
}

export function localEnd(source: SocketLike): Endpoint {
  return endpoint(source.localAddress, source.localPort)
}

function endpoint(address: string | undefined, port: number | undefined): Endpoint {
  return { address: address === undefined ? null : unmapped(address), port: port ?? null }
}
