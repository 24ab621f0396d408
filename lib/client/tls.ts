// TLS of a client: its options, and what of a server's certificate is checked.

import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { CONTEXT_NAMES } from '../tls/tls-names.ts'
import { checkKeys, checkList, flag, wrong } from '../words/option-checks.ts'

/**
 * TLS of an `SmtpClient`: beside these, the options of Node's `tls.connect`, such as `ca`, `key` and `cert` for a client
 * certificate, `minVersion`.
 */
export interface ClientTlsOptions extends Omit<ConnectionOptions, 'socket' | 'host' | 'port' | 'path'> {
  /**
   * `'may'`: STARTTLS if the server offers it, whatever its certificate; `'must'`: only with TLS, and a certificate that
   * is valid for `servername` or one of `fingerprints256`; `'never'`: no STARTTLS. A connection that is under TLS from
   * the start is checked the same way.
   *
   * @defaultValue `'must'` with `auth`, else `'may'`
   */
  readonly mode?: 'never' | 'may' | 'must'
  /** The name, or the IP address, that the certificate must be valid for. */
  readonly servername?: string
  /**
   * SHA-256 fingerprints of certificates, in hexadecimal with or without colons. The server's certificate must be one of
   * them, in any mode; who signed it does not matter then.
   */
  readonly fingerprints256?: readonly string[]
  /** False with `'must'`: TLS is needed, but the certificate is not checked. @defaultValue true */
  readonly rejectUnauthorized?: boolean
}

/** {@link ClientTlsOptions} with every default filled in. */
export interface ResolvedClientTls {
  readonly mode: 'never' | 'may' | 'must'
  readonly servername: string | null
  readonly fingerprints256: ReadonlySet<string>
  /** The certificate has to be valid. */
  readonly verifies: boolean
  readonly options: ConnectionOptions
}

/** Those of `tls.connect` among them, but for what says where to connect to. */
const NAMES: readonly string[] = [
  ...CONTEXT_NAMES,
  ...`mode servername fingerprints256 rejectUnauthorized ALPNProtocols checkServerIdentity enableTrace minDHSize
  pskCallback requestOCSP secureContext session timeout`.split(/\s+/),
]

/** Checks the option and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveClientTls(given: ClientTlsOptions, byDefault: 'may' | 'must'): ResolvedClientTls {
  checkKeys('tls', given, NAMES)
  const { mode = byDefault, servername = null, fingerprints256 = [], rejectUnauthorized = true, ...options } = given
  if (!['never', 'may', 'must'].includes(mode)) throw wrong("tls.mode is 'never', 'may' or 'must'")
  flag('tls.rejectUnauthorized', rejectUnauthorized)
  checkList('tls.fingerprints256', fingerprints256)
  const pins = new Set(fingerprints256.map(canonicalFingerprint))
  const verifies = mode === 'must' && rejectUnauthorized && pins.size === 0
  if (verifies && servername === null) {
    throw wrong('tls.servername is needed to check the certificate; or give fingerprints256')
  }
  return Object.freeze({ mode, servername, fingerprints256: pins, verifies, options: Object.freeze(options) })
}

/** Begins a handshake over a stream. Whether the certificate is valid is left to {@link certificateProblem}. */
export function startTls(source: Duplex, { servername, options }: ResolvedClientTls): TLSSocket {
  // An IP address is no server name, but a certificate can be valid for it. [RFC 6066 §3]
  const name = servername === null ? {} : isIP(servername) ? { host: servername, servername: '' } : { servername }
  return connect({ ...options, ...name, socket: source, rejectUnauthorized: false })
}

/** What is wrong with the server's certificate after the handshake; null if nothing is. */
export function certificateProblem(socket: TLSSocket, tls: ResolvedClientTls): string | null {
  if (tls.fingerprints256.size > 0) {
    const { fingerprint256 } = socket.getPeerCertificate() as { fingerprint256?: string }
    const known = fingerprint256 !== undefined && tls.fingerprints256.has(canonicalFingerprint(fingerprint256))
    return known ? null : 'the certificate is not one of fingerprints256'
  }
  if (!tls.verifies || socket.authorized) return null
  return `the certificate is not valid: ${String(socket.authorizationError)}`
}

function canonicalFingerprint(text: string): string {
  const fingerprint = text.replaceAll(':', '').toUpperCase()
  if (!/^[\dA-F]{64}$/.test(fingerprint)) throw wrong('tls.fingerprints256: a fingerprint has 64 hexadecimal digits')
  return fingerprint
}
