// The option `tls`.

import { createSecureContext, type SecureContext, type TLSSocketOptions } from 'node:tls'
import { MailHandlerError } from '../words/errors.ts'
import { checkKeys, flag, show, wrong } from '../words/option-checks.ts'
import { SOCKET_NAMES } from './tls-names.ts'

/** STARTTLS and implicit TLS: the options of a TLS socket, the key and certificate among them. */
export interface TlsOptions extends TLSSocketOptions {
  /** Mail only under TLS: 530 5.7.0 before. [RFC 3207 §4] @defaultValue false */
  readonly required?: boolean
  /** Returns the context for the next session: certificates can be replaced. @defaultValue one made of the options */
  readonly context?: () => SecureContext
}

/** The option `tls` with every default filled in. */
export interface ResolvedTls {
  readonly required: boolean
  readonly socket: TLSSocketOptions
  context(): SecureContext
}

/** `reload` is of {@link tlsContexts}. */
const KNOWN = [...SOCKET_NAMES, 'required', 'context', 'reload']

/** Checks the option `tls` and fills in the defaults; null without it. Throws `ERR_OPTION`. */
export function resolveTls(options: TlsOptions | undefined): ResolvedTls | null {
  if (options === undefined) return null
  checkKeys('tls', options, KNOWN)
  const { required: given, context, ...socket } = options
  const required = flag('tls.required', given)
  for (const name of ['key', 'cert', 'ca'] as const) checkPem(`tls.${name}`, socket[name])
  if (context !== undefined && typeof context !== 'function') throw wrong('tls.context is a function')
  if (context === undefined && !hasCertificate(socket)) throw wrong('tls has no certificate: key and cert, or context')
  const fixed = context === undefined ? (socket.secureContext ?? makeContext(socket)) : null
  return Object.freeze({
    required,
    socket: Object.freeze(socket),
    context: () => fixed ?? context!(),
  })
}

/** Refuses text that is not PEM: a path in place of the file's content is the usual mistake. */
export function checkPem(name: string, given: unknown): void {
  for (const each of Array.isArray(given) ? given : [given]) {
    if (typeof each !== 'string' || each.includes('-----BEGIN ')) continue
    throw wrong(`${name} is PEM text, not ${show(each)}; for a file, give readFileSync(${show(each)})`)
  }
}

/** False if every handshake would fail, because there is no certificate. */
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
