// The handshake of implicit TLS, before the session begins. [RFC 8314 §3.3]

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { remoteEnd } from '../stream/peer.ts'
import type { Clock } from '../time/clock.ts'
import { describeTlsFailure, handshakeTimeout } from '../tls/tls-failure.ts'
import type { ResolvedTls } from '../tls/tls-options.ts'
import { wrapInTls } from '../tls/wrap-in-tls.ts'

/** How long a handshake may take. */
export interface HandshakeTime {
  readonly clock: Clock
  readonly milliseconds: number
}

/** Resolves with the TLS socket. Rejects if the handshake fails or takes too long; `message` says why in plain words. */
export function handshake(
  socket: Socket,
  tls: ResolvedTls,
  { clock, milliseconds }: HandshakeTime,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(milliseconds, () => secure.destroy(handshakeTimeout()))
    const fail = (cause: Error | null) => {
      clock.clear(timer)
      const message = `TLS handshake: ${describeTlsFailure(cause).reason}`
      reject(cause === null ? new Error(message) : new Error(message, { cause }))
    }
    const done = (secured: TLSSocket) => {
      clock.clear(timer)
      resolve(secured)
    }
    // Node no longer tells them once the socket is closed.
    const client = remoteEnd(socket)
    const secure = wrapInTls(socket, tls, done, { how: 'implicit', client, session: null })
    secure.on('error', fail).on('close', () => fail(null))
  })
}
