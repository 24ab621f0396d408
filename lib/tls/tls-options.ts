// The option `tls`.

import { createSecureContext, type SecureContext, type TLSSocketOptions } from 'node:tls'
import { MailHandlerError } from '../words/errors.ts'
import { checkKeys, flag, show, wrong } from '../words/option-checks.ts'
import { SOCKET_NAMES } from './tls-names.ts'

/** STARTTLS and implicit TLS: the options of a TLS socket, the key and certificate among them. */
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

/** `reload` is of {@link tlsContexts}. */
const KNOWN = [...SOCKET_NAMES, 'required', 'context', 'reload']

/** TLS for a socket; null without options. Throws `ERR_OPTION`. */
export function resolveTls(options: TlsOptions | undefined): ResolvedTls | null {
  if (options === undefined) return null
  checkKeys('tls', options, KNOWN)
  const { required, context, ...socket } = options
  const only = flag('tls.required', required)
  for (const name of ['key', 'cert', 'ca'] as const) checkPem(`tls.${name}`, socket[name])
  if (context !== undefined && typeof context !== 'function') throw wrong('tls.context is a function')
  if (context === undefined && !hasCertificate(socket)) throw wrong('tls has no certificate: key and cert, or context')
  const fixed = context === undefined ? (socket.secureContext ?? makeContext(socket)) : null
  return Object.freeze({
    required: only,
    socket: Object.freeze(socket),
    context: () => fixed ?? context!(),
  })
}

/** A path in the place of what is in the file is the usual mistake, and OpenSSL's text for it says little. */
export function checkPem(name: string, given: unknown): void {
  for (const each of Array.isArray(given) ? given : [given]) {
    if (typeof each !== 'string' || each.includes('-----BEGIN ')) continue
    throw wrong(`${name} is PEM text, not ${show(each)}; for a file, give readFileSync(${show(each)})`)
  }
}

/** Without one STARTTLS would be offered, and every handshake would fail. */
function hasCertificate({ cert, pfx, secureContext, SNICallback }: TLSSocketOptions): boolean {
  return [cert, pfx, secureContext, SNICallback].some(each => each !== undefined)
}

function makeContext(socket: TLSSocketOptions): SecureContext {
  try {
    return createSecureContext({ honorCipherOrder: true, ...socket })
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `tls: ${(cause as Error).message}`, { cause })
  }
}
