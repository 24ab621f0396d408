// TLS contexts by server name, which can be read again while sessions go on.

import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { MailHandlerError } from '../words/errors.ts'
import { checkKeys } from '../words/option-checks.ts'
import { CONTEXT_NAMES } from './tls-names.ts'
import { checkPem } from './tls-options.ts'

/** One key and certificate, given as they are or as files; only files are read again by `reload()`. */
export interface Certificate extends SecureContextOptions {
  /** Path of the private key in PEM. */
  readonly keyFile?: string
  /** Path of the certificate in PEM, followed by those of the intermediate authorities. */
  readonly certFile?: string
}

/** Options of {@link tlsContexts}. */
export interface TlsContextsOptions {
  /** For clients that ask for no name, or one that is not among `names`. */
  readonly default: Certificate
  /** By server name: `mx.example.org`, or `*.example.org` for one label in the place of the star. [RFC 6066 §3] */
  readonly names?: Readonly<Record<string, Certificate>>
  /**
   * For all certificates that do not say otherwise: `minVersion`, `ciphers` … As in Node's own TLS server, the order of the
   * server's cipher suites counts unless `honorCipherOrder` is false.
   */
  readonly common?: SecureContextOptions
}

/** Made by {@link tlsContexts}: the option `tls` of `createServer()`, and that of `SmtpHandler`. */
export interface TlsContexts {
  /** The context for a client before it has asked for a name. */
  context(): SecureContext
  /** The context for the name that a client asks for. */
  SNICallback(servername: string, callback: (error: Error | null, context?: SecureContext) => void): void
  /**
   * Reads all files again, for new sessions; sessions under way keep what they have.
   *
   * @throws {@link MailHandlerError} with code `ERR_CERTIFICATE` if anything is wrong; then nothing has changed.
   */
  reload(): void
}

interface Loaded {
  readonly byDefault: SecureContext
  readonly names: ReadonlyMap<string, SecureContext>
}

/**
 * Certificates for one or many server names: `tlsContexts({ default: { keyFile, certFile } })`. The same value serves
 * implicit TLS and STARTTLS.
 *
 * @throws {@link MailHandlerError} with code `ERR_CERTIFICATE` for a key or certificate that is wrong, `ERR_OPTION` for an
 * invalid name or option.
 */
export function tlsContexts(options: TlsContextsOptions): TlsContexts {
  checkKeys('', options, ['default', 'names', 'common'])
  const { default: byDefault, names = {}, common = {} } = options
  checkCertificate('default', byDefault)
  checkKeys('common', common, CONTEXT_NAMES)
  checkKeys('names', names, Object.keys(names))
  for (const [name, certificate] of Object.entries(names)) {
    checkName(name)
    checkCertificate(`names[${JSON.stringify(name)}]`, certificate)
  }

  const load = (): Loaded => ({
    byDefault: contextOf('default', { ...common, ...byDefault }),
    names: new Map(
      Object.entries(names).map(([name, one]) => [normalizeName(name), contextOf(name, { ...common, ...one })]),
    ),
  })
  let loaded = load()

  return Object.freeze({
    context: () => loaded.byDefault,
    SNICallback(servername, callback) {
      const name = normalizeName(servername)
      const wildcard = `*${name.slice(name.indexOf('.'))}`
      callback(null, loaded.names.get(name) ?? loaded.names.get(wildcard) ?? loaded.byDefault)
    },
    reload() {
      loaded = load()
    },
  } satisfies TlsContexts)
}

function checkCertificate(name: string, certificate: Certificate): void {
  checkKeys(name, certificate, [...CONTEXT_NAMES, 'keyFile', 'certFile'])
  checkPem(`${name}.key`, certificate.key)
  checkPem(`${name}.cert`, certificate.cert)
}

function contextOf(name: string, { keyFile, certFile, ...options }: Certificate): SecureContext {
  const key = keyFile === undefined ? options.key : read(name, keyFile)
  const cert = certFile === undefined ? options.cert : read(name, certFile)
  if (options.pfx === undefined && (key === undefined || cert === undefined)) {
    throw wrong(name, 'it needs a key and a certificate')
  }
  try {
    return createSecureContext({
      honorCipherOrder: true,
      ...options,
      ...(key === undefined ? {} : { key }),
      ...(cert === undefined ? {} : { cert }),
    })
  } catch (error) {
    throw wrong(
      [name, keyFile, certFile].filter(part => part !== undefined).join(', '),
      (error as Error).message,
      error,
    )
  }
}

function read(name: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw wrong(name, (error as Error).message, error)
  }
}

function wrong(name: string, problem: string, cause?: unknown): MailHandlerError {
  return new MailHandlerError('ERR_CERTIFICATE', `certificate ${name}: ${problem}`, { cause })
}

function normalizeName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

function checkName(name: string): void {
  if (/^(?:\*\.)?[a-z\d_-]+(?:\.[a-z\d_-]+)*\.?$/i.test(name)) return
  throw new MailHandlerError('ERR_OPTION', `names: ${JSON.stringify(name)} is not like mx.example.org or *.example.org`)
}
