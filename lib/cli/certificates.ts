// Certificates and cipher suites of the command.

import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { tlsContexts, type TlsContexts, type TlsContextsOptions } from '../tls/tls-contexts.ts'
import type { CertificateFiles, Config, Listener } from './config/config.ts'
import type { KeyPath } from './config/locate.ts'

const TLS_13 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'
/** Suites whose key exchange gives forward secrecy, the best first. */
const FORWARD_SECRECY = 'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES'
const RSA_KEY_EXCHANGE = 'kRSA+AESGCM:kRSA+AES'
const NEVER = '!aNULL:!eNULL:!PSK:!SRP'

const STRICT = [TLS_13, FORWARD_SECRECY, NEVER].join(':')
/** An SMTP client without a common suite sends in clear: RSA key exchange is better than no TLS. */
const OPPORTUNISTIC = [TLS_13, FORWARD_SECRECY, RSA_KEY_EXCHANGE, NEVER].join(':')

/** The contexts of a configuration, which differ in their cipher suites. */
export interface CommandTls {
  /** For listeners that accept mail without TLS too. */
  readonly opportunistic: TlsContexts
  /** For listeners where TLS or AUTH is required: a client cannot go on in clear. */
  readonly strict: TlsContexts
}

/** Calls `make`; returns null, and keeps what it threw as a problem of the key, if it throws. */
export type Attempt = <T>(path: KeyPath, make: () => T) => T | null

/** Reads the certificates that a configuration names; null if anything is wrong. */
export function readCertificates(tls: NonNullable<Config['tls']>, attempt: Attempt): CommandTls | null {
  const { ciphers, minVersion } = tls
  const good = (files: CertificateFiles, path: KeyPath): boolean => {
    const cert = attempt([...path, 'cert'], () => readFileSync(files.cert))
    const key = attempt([...path, 'key'], () => readFileSync(files.key))
    if (cert === null || key === null) return false
    return attempt([...path, 'cert'], () => tlsContexts({ default: { cert, key } })) !== null
  }
  const all = [good(tls, ['tls']), ...tls.names.map((each, i) => good(each, ['tls', 'names', i]))]
  if (ciphers !== undefined) all.push(attempt(['tls', 'ciphers'], () => createSecureContext({ ciphers })) !== null)
  if (all.includes(false)) return null

  const contexts = (ownCiphers: string): TlsContexts => {
    const common = {
      ciphers: ciphers === undefined ? ownCiphers : withTls13(ciphers),
      dhparam: 'auto',
      ...(minVersion === undefined ? {} : { minVersion }),
    }
    return tlsContexts({ default: asFiles(tls), names: namedFiles(tls), common })
  }
  return attempt(['tls'], () => ({ opportunistic: contexts(OPPORTUNISTIC), strict: contexts(STRICT) }))
}

/** Returns the contexts for a listener. */
export function contextsFor(
  listener: Listener,
  { tls, auth }: Config,
  { opportunistic, strict }: CommandTls,
): TlsContexts {
  const required = listener.tls === 'implicit' || tls?.required === true || auth?.required === true
  return required ? strict : opportunistic
}

/** Adds the suites of TLS 1.3 to a list without them: Node would not offer TLS 1.3 otherwise. */
function withTls13(ciphers: string): string {
  return /(?:^|:)TLS_/.test(ciphers) ? ciphers : `${TLS_13}:${ciphers}`
}

function asFiles({ cert, key }: CertificateFiles): { certFile: string; keyFile: string } {
  return { certFile: cert, keyFile: key }
}

function namedFiles({ names }: NonNullable<Config['tls']>): NonNullable<TlsContextsOptions['names']> {
  return Object.fromEntries(names.flatMap(each => each.names.map(name => [name, asFiles(each)])))
}
