// What happens to connections, for logs and metrics. It costs nothing without a subscriber.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { ProxyHeader } from '../protocol/proxy/proxy-header.ts'
import type { Endpoint } from '../stream/peer.ts'
import type { LimitRefusal } from './client-limits.ts'

/**
 * Why a connection was refused: it passed a limit; `proxy`: a trusted proxy sent no valid PROXY header; `tls`: the
 * handshake failed; `handler`: the function that makes handlers threw; `shutdown`: the server is closing.
 */
export type Refusal = LimitRefusal | 'proxy' | 'tls' | 'handler' | 'shutdown'

/**
 * `mailhandler:connection`: a connection was accepted or refused, or an accepted one has ended. An accepted one may still
 * be refused for `tls`, `handler` or `shutdown`.
 */
export interface ConnectionEvent {
  /** `accepted` and `refused` come once at the most for each connection, `closed` once after `accepted`. */
  readonly event: 'accepted' | 'refused' | 'closed'
  /** The client; behind a proxy the one that the header names, once it has been read. */
  readonly client: Endpoint
  /** This end of the connection; behind a proxy what its header names. */
  readonly local: Endpoint
  /** The header of the PROXY protocol; null if there was none. */
  readonly proxy: ProxyHeader | null
  /** Null unless `event` is `'refused'`. */
  readonly refusal: Refusal | null
  /** What failed: the header, the handshake, or the function that makes handlers; null if nothing did. */
  readonly error: Error | null
}

/** The channel `mailhandler:connection`. */
export const connectionChannel: Channel<unknown, ConnectionEvent> = channel('mailhandler:connection') as Channel<
  unknown,
  ConnectionEvent
>
