// What a session tells of its TLS layer.

import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** The TLS layer of a session. */
export interface TlsState {
  /** `'TLSv1.3'`. */
  readonly version: string | null
  /** `'TLS_AES_256_GCM_SHA384'`. */
  readonly cipher: string | null
  /** The name that the client asked for. [RFC 6066 §3] */
  readonly servername: string | null
  /** True if the client showed a certificate that a trusted authority signed. */
  readonly authorized: boolean
  /**
   * Why the client is not {@link TlsState.authorized}, in OpenSSL's word: `'DEPTH_ZERO_SELF_SIGNED_CERT'`,
   * `'CERT_HAS_EXPIRED'` … Null if it is authorized, or was not asked for a certificate.
   */
  readonly authorizationError: string | null
  /**
   * The certificate that the client showed: its `subject`, `subjectAltName`, `fingerprint256`, `validTo` … Null if it
   * showed none, or was not asked: that needs the TLS options `requestCert: true` and, for clients without a trusted
   * certificate, `rejectUnauthorized: false`. Anybody can make a certificate with any name: believe it only if
   * {@link TlsState.authorized} is true, or if you know its fingerprint. It is read when it is first asked for, so ask
   * while there is a connection.
   */
  readonly peerCertificate: X509Certificate | null
}

/** The TLS layer of a socket, or null if it has none. */
export function readTls(source: object | null): TlsState | null {
  const socket = source as TLSSocket | null
  return socket?.encrypted === true ? new TlsLayer(socket) : null
}

class TlsLayer implements TlsState {
  readonly version: string | null
  readonly cipher: string | null
  readonly servername: string | null
  readonly authorized: boolean
  readonly authorizationError: string | null
  readonly #socket: Partial<TLSSocket>
  #certificate: X509Certificate | null | undefined

  constructor(socket: Partial<TLSSocket>) {
    this.#socket = socket
    this.version = socket.getProtocol?.() ?? null
    this.cipher = socket.getCipher?.()?.standardName ?? null
    this.servername = (socket as { servername?: string | false }).servername || null
    this.authorized = socket.authorized ?? false
    this.authorizationError = this.authorized ? null : codeOf(socket.authorizationError)
  }

  get peerCertificate(): X509Certificate | null {
    return (this.#certificate ??= this.#socket.getPeerX509Certificate?.() ?? null)
  }
}

/** An error of Node's; a tls.Server leaves its code on the socket in its place. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : null
  return (error as NodeJS.ErrnoException).code ?? error.message
}
