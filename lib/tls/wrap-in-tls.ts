// Puts TLS on a socket. [RFC 3207]

import type { Duplex, Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { ResolvedTls } from './tls-options.ts'

/** Puts TLS on a socket, as the server; `secured` is called once the handshake is done. */
export function wrapInTls(source: Readable, tls: ResolvedTls, secured: (socket: TLSSocket) => void): TLSSocket {
  const socket = new TLSSocket(source as unknown as Duplex, {
    ...tls.socket,
    isServer: true,
    secureContext: tls.context(),
  })
  socket.once('secure', () => {
    if (tls.socket.requestCert !== true || verify(socket) || tls.socket.rejectUnauthorized === false) secured(socket)
    else socket.destroy()
  })
  // A record that is none: Node tells a tls.Server so, and lets a TLSSocket that was made by hand hang.
  socket.on('_tlsError', (error: Error) => socket.destroy(error))
  return socket
}

/** Looks at the client's certificate, as tls.Server does: a TLSSocket that nobody serves leaves it to its maker. */
function verify(socket: TLSSocket): boolean {
  const { ssl } = socket as { ssl?: { verifyError?(): Error | null | undefined } }
  const error = ssl?.verifyError === undefined ? new Error('no certificate was looked at') : ssl.verifyError()
  socket.authorized = error === null || error === undefined
  if (!socket.authorized) socket.authorizationError = error as Error
  return socket.authorized
}
