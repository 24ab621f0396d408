// Puts TLS on a socket. [RFC 3207, RFC 8314 §3.3]

import type { Duplex, Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { describeTlsFailure, tlsChannel, type TlsFailureEvent } from './tls-failure.ts'
import type { ResolvedTls } from './tls-options.ts'

/** Whose handshake it is. */
export type HandshakeOf = Pick<TlsFailureEvent, 'how' | 'client' | 'session'>

/**
 * Puts TLS on a socket, as the server. Calls `secured` once the handshake is done. A handshake that fails destroys the
 * TLS socket, and is published on `mailhandler:tls`.
 */
export function wrapInTls(
  source: Readable,
  tls: ResolvedTls,
  secured: (socket: TLSSocket) => void,
  who: HandshakeOf,
): TLSSocket {
  const socket = new TLSSocket(source as unknown as Duplex, {
    ...tls.socket,
    isServer: true,
    secureContext: tls.context(),
  })
  let isHandshaking = true
  const fail = (error: Error | null): void => {
    if (!isHandshaking) return
    isHandshaking = false
    if (tlsChannel.hasSubscribers) tlsChannel.publish({ event: 'failed', ...who, error, ...describeTlsFailure(error) })
  }
  socket.once('secure', () => {
    if (tls.socket.requestCert === true && !verify(socket) && tls.socket.rejectUnauthorized !== false) {
      socket.destroy(Object.assign(new Error('no trusted certificate'), { code: 'ERR_SSL_CERTIFICATE_VERIFY_FAILED' }))
      return
    }
    isHandshaking = false
    secured(socket)
  })
  // Octets that are no TLS record: Node tells only a tls.Server; a TLSSocket that is made without one would hang.
  socket.on('_tlsError', (error: Error) => socket.destroy(error))
  socket.on('error', fail).once('close', () => fail(null))
  socket.once('end', () => isHandshaking && socket.destroy())
  return socket
}

/** Looks at the client's certificate. A tls.Server does that; a TLSSocket by itself does not. */
function verify(socket: TLSSocket): boolean {
  const { ssl } = socket as { ssl?: { verifyError?(): Error | null | undefined } }
  const error = ssl?.verifyError === undefined ? new Error('no certificate was looked at') : ssl.verifyError()
  socket.authorized = error === null || error === undefined
  if (!socket.authorized) socket.authorizationError = error as Error
  return socket.authorized
}
