// The option `tls`.

import { createSecureContext, type SecureContext, type TLSSocketOptions } from 'node:tls'
import { MailHandlerError } from '../words/errors.ts'
import { flag, wrong } from '../words/option-checks.ts'

/** STARTTLS, and TLS at all: the options of a TLS socket, the key and certificate among them. */
export interface TlsOptions extends TLSSocketOptions {
  /** Mail only under TLS: 530 5.7.0 before. Default false. [RFC 3207 §4] */
  readonly required?: boolean
  /** The context for the next session, so that certificates can be replaced. Default: made of the options, once. */
  readonly context?: () => SecureContext
}

/** TLS with every default filled in. */
export interface ResolvedTls {
  readonly required: boolean
  readonly socket: TLSSocketOptions
  context(): SecureContext
}

/** TLS for a socket; null without options. */
export function resolveTls(options: TlsOptions | undefined): ResolvedTls | null {
  if (options === undefined) return null
  const { required, context, ...socket } = options
  const only = flag('tls.required', required)
  if (context !== undefined && typeof context !== 'function') throw wrong('tls.context is a function')
  if (context === undefined && !hasCertificate(socket)) throw wrong('tls has no certificate: key and cert, or context')
  const fixed = context === undefined ? (socket.secureContext ?? makeContext(socket)) : null
  return Object.freeze({
    required: only,
    socket: Object.freeze(socket),
    context: () => fixed ?? context!(),
  })
}

/** Without one STARTTLS would be offered, and every handshake would fail. */
function hasCertificate({ cert, pfx, secureContext, SNICallback }: TLSSocketOptions): boolean {
  return [cert, pfx, secureContext, SNICallback].some(each => each !== undefined)
}

function makeContext(socket: TLSSocketOptions): SecureContext {
  try {
    return createSecureContext(socket)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `tls: ${(cause as Error).message}`, { cause })
  }
}
