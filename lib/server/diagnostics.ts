// What happens to connections, for who watches: logs, metrics. Free of cost while nobody listens.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { ProxyHeader } from '../protocol/proxy/proxy-header.ts'
import type { Endpoint } from '../stream/peer.ts'
import type { LimitRefusal } from './client-limits.ts'

/**
 * Why a connection was refused: the limit it hit; `proxy`, no good PROXY header from who must send one; `tls`, no good
 * handshake; `handler`, the function that makes handlers threw; `shutdown`, the server is closing.
 */
export type Refusal = LimitRefusal | 'proxy' | 'tls' | 'handler' | 'shutdown'

/**
 * `mailhandler:connection`: a connection was accepted or refused, or one that was accepted has come to its end. An
 * accepted one may still be refused for `tls`, `handler` or `shutdown`.
 */
export interface ConnectionEvent {
  readonly event: 'accepted' | 'refused' | 'closed'
  /** The client: behind a proxy the one that the header names, where it is known by then. */
  readonly client: Endpoint
  readonly local: Endpoint
  /** The header of the PROXY protocol, where one came. */
  readonly proxy: ProxyHeader | null
  /** Null but for `refused`. */
  readonly refusal: Refusal | null
  /** What went wrong: in the header, the handshake, the making of a handler. */
  readonly error: Error | null
}

/** The channel `mailhandler:connection`. */
export const connectionChannel: Channel<unknown, ConnectionEvent> = channel('mailhandler:connection') as Channel<
  unknown,
  ConnectionEvent
>
