// What a session tells of its TLS layer.

import type { TLSSocket } from 'node:tls'

/** The TLS layer of a session. */
export interface TlsState {
  /** `'TLSv1.3'`. */
  readonly version: string | null
  /** `'TLS_AES_256_GCM_SHA384'`. */
  readonly cipher: string | null
  /** The name that the client asked for. [RFC 6066 §3] */
  readonly servername: string | null
  /** True where the client showed a certificate that a trusted authority signed. */
  readonly authorized: boolean
}

/** The TLS layer of a socket, or null where it has none. */
export function readTls(source: object | null): TlsState | null {
  const socket = source as Partial<TLSSocket> | null
  if (socket?.encrypted !== true) return null
  return {
    version: socket.getProtocol?.() ?? null,
    cipher: socket.getCipher?.()?.standardName ?? null,
    servername: (socket as { servername?: string | false }).servername || null,
    authorized: socket.authorized ?? false,
  }
}
