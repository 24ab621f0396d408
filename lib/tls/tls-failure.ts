// Says in plain words why a handshake failed; OpenSSL's texts need its source code.

import { channel, type Channel } from 'node:diagnostics_channel'

/** The kinds of failures: a fixed set, so that they can be labels of a metric. */
export type TlsFailureKind = 'version' | 'cipher' | 'certificate' | 'not_tls' | 'timeout' | 'closed' | 'other'

/** `mailhandler:tls`: a handshake failed, of STARTTLS or of implicit TLS. */
export interface TlsFailureEvent {
  /** Always `failed`: a handshake that succeeds is not published. */
  readonly event: 'failed'
  /** Whether the connection began in clear. */
  readonly how: 'starttls' | 'implicit'
  /** The client; behind a trusted proxy the one that its header names. */
  readonly client: {
    /** IPv4 or IPv6 address; null without a socket. */
    readonly address: string | null
    /** TCP port; null without a socket. */
    readonly port: number | null
  }
  /** The id of the session that STARTTLS came in; null before a session begins. */
  readonly session: string | null
  /** What went wrong, for counting; `reason` says it in words. */
  readonly kind: TlsFailureKind
  /** The reason as a sentence for people, without control characters. */
  readonly reason: string
  /** What Node reported; null if the connection only ended. */
  readonly error: Error | null
}

/** The channel `mailhandler:tls`. */
export const tlsChannel: Channel<unknown, TlsFailureEvent> = channel('mailhandler:tls') as Channel<
  unknown,
  TlsFailureEvent
>

const HANDSHAKE_TIMEOUT = 'ETIMEDOUT'

/** What a TLS socket is destroyed with if its handshake takes too long. */
export function handshakeTimeout(): Error {
  return Object.assign(new Error('the TLS handshake took too long'), { code: HANDSHAKE_TIMEOUT })
}

const CLOSED = 'the client closed the connection before the handshake was done'

/** Parts of OpenSSL's reasons, as Node has them in `code`. */
const REASONS: readonly (readonly [RegExp, TlsFailureKind, string])[] = [
  [/^(?:unsupported protocol|version too low)$/, 'version', 'the client offers only TLS versions that are too old'],
  [/alert protocol version/, 'version', 'the client does not accept the TLS version of the server'],
  [/no shared cipher|no ciphers|no suitable/, 'cipher', 'client and server have no cipher suite in common'],
  [/alert handshake failure/, 'cipher', 'the client accepts no cipher suite of the server'],
  [
    /alert (?:unknown ca|bad certificate|certificate|unsupported certificate)/,
    'certificate',
    'the client does not accept the certificate',
  ],
  [
    /peer did not return a certificate|certificate verify failed/,
    'certificate',
    'the client showed no certificate that is trusted',
  ],
  [/http request|https proxy request/, 'not_tls', 'the client speaks HTTP'],
  [
    /wrong version number|unknown protocol|unexpected message|record layer|bad record type/,
    'not_tls',
    'what the client sent is not TLS',
  ],
]

/** Says why a handshake failed. `error` is what the TLS socket failed with, null if it was only closed. */
export function describeTlsFailure(error: Error | null): { kind: TlsFailureKind; reason: string } {
  if (error === null) return { kind: 'closed', reason: CLOSED }
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === HANDSHAKE_TIMEOUT) return { kind: 'timeout', reason: 'the handshake took too long' }
  if (['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(code)) return { kind: 'closed', reason: CLOSED }
  if (!code.startsWith('ERR_SSL_')) return { kind: 'other', reason: printableCode(code || error.name) }
  const text = code.slice('ERR_SSL_'.length).replaceAll('_', ' ').toLowerCase()
  const [, kind, reason] = REASONS.find(([pattern]) => pattern.test(text)) ?? [null, 'other' as const, 'TLS failed']
  return { kind, reason: `${reason} (${printableCode(text)})` }
}

function printableCode(code: string): string {
  return code.replaceAll(/[^ -~]/g, '?').slice(0, 100)
}
