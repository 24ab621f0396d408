// Whom a handler talks to: the stream that was piped into it, usually a socket.

import type { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'

/** One end of a connection. Null where it is not known, as without a socket. */
export interface Endpoint {
  /** IPv4 or IPv6 address. */
  readonly address: string | null
  readonly port: number | null
}

/** No connection, or none that says where it comes from. */
export const NOWHERE: Endpoint = Object.freeze({ address: null, port: null })

/** What of a socket is looked at; each may be missing, as on a stream that is none. */
export interface SocketLike {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  allowHalfOpen?: boolean
  setNoDelay?(noDelay: boolean): unknown
}

/** A stream that is piped into a handler. */
export type Source = Readable & SocketLike

const ignore = () => {}

/** What {@link attend} tells. */
export interface Attention {
  /** The source is closed, however it was: `pipe` alone tells a reset to nobody. */
  readonly gone: () => void
  /** A stream is piped into the source, as it is where the source is a socket. */
  readonly pipedFrom: (stream: unknown) => void
}

/**
 * Makes a source safe to pipe: its errors are not thrown for want of a listener, its end does not cut off the replies
 * that are still under way, its replies are not held back.
 */
export function attend(source: Source, { gone, pipedFrom }: Attention): void {
  const emitter: EventEmitter = source
  emitter.on('error', ignore)
  emitter.once('close', gone)
  emitter.on('pipe', pipedFrom)
  if (source.allowHalfOpen === false) source.allowHalfOpen = true
  source.setNoDelay?.(true)
  if (source.destroyed) process.nextTick(gone) // its 'close' may have been before this
}

export function remoteEnd(source: SocketLike): Endpoint {
  return { address: source.remoteAddress ?? null, port: source.remotePort ?? null }
}

export function localEnd(source: SocketLike): Endpoint {
  return { address: source.localAddress ?? null, port: source.localPort ?? null }
}
