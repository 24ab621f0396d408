// Implicit TLS: the handshake before anything else. [RFC 8314 §3.3]

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../time/clock.ts'
import type { ResolvedTls } from '../tls/tls-options.ts'
import { wrapInTls } from '../tls/wrap-in-tls.ts'

/** How long a handshake may take, and by which clock. */
export interface HandshakeTime {
  readonly clock: Clock
  readonly milliseconds: number
}

/** Resolves with the TLS socket; rejects where the handshake fails, or is not done in time. */
export function handshake(
  socket: Socket,
  tls: ResolvedTls,
  { clock, milliseconds }: HandshakeTime,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clock.clear(timer)
      reject(error)
    }
    const gone = () => fail(new Error('TLS handshake: the connection ended before it was done'))
    const timer = clock.after(milliseconds, () => fail(new Error('TLS handshake: it took too long')))
    const secure = wrapInTls(socket, tls, secured => {
      clock.clear(timer)
      resolve(secured)
    })
    secure.on('error', fail).on('end', gone).on('close', gone)
  })
}
