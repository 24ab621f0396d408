// CRAM-MD5: old, and the server must keep passwords in clear. For clients that have nothing better.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { MailHandlerError } from '../../words/errors.ts'
import { malformed } from './mechanism.ts'
import type { AuthResult, Exchange, Mechanism } from './mechanism.ts'
import { isSecret, prepareNames, readText, resolveNames } from './names.ts'
import type { NameOptions } from './names.ts'

/** What CRAM-MD5 takes. */
export interface CramMd5Options extends Pick<NameOptions, 'prepare'> {
  /**
   * The password of a user; null for an unknown user, and it should not take longer or shorter for that. The name is
   * prepared. What it rejects with ends the exchange as it is.
   */
  lookup(user: string): string | null | Promise<string | null>
  /** The server's name, in each challenge. */
  readonly hostname: string
  /** What makes a challenge new, for tests. Default: a random number and the time. */
  readonly nonce?: () => string
}

const HOSTNAME = /^[\w.:[\]-]{1,255}$/
const RESPONSE = /^(.*) ([0-9a-f]{32})$/s

/** The CRAM-MD5 mechanism. Throws a MailHandlerError `ERR_OPTION` when `hostname` is no name. [RFC 2195] */
export function cramMd5(options: CramMd5Options): Mechanism {
  const rules = resolveNames(options)
  const { nonce = randomNonce } = options
  if (!HOSTNAME.test(options.hostname)) throw new MailHandlerError('ERR_OPTION', 'hostname must be a host name')
  const decoy = randomBytes(16).toString('base64')
  return Object.freeze({
    name: 'CRAM-MD5',
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      if (exchange.initial !== null) throw malformed('CRAM-MD5') // the server goes first [RFC 4954 §4]
      const challenge = `<${nonce()}@${options.hostname}>`
      const response = readText(await exchange.challenge(challenge)) ?? ''
      const [, user, digest = ''] = RESPONSE.exec(response) ?? []
      if (!isSecret(user)) throw malformed('CRAM-MD5')
      const identity = await prepareNames(user, '', rules)
      if (identity === null) return null

      const password = await options.lookup(identity.user)
      const expected = createHmac('md5', password ?? decoy)
        .update(challenge)
        .digest()
      const proven = timingSafeEqual(Buffer.from(digest, 'hex'), expected)
      if (!proven || password === null || password === '') return null
      const credentials = Object.freeze({ mechanism: 'CRAM-MD5', ...identity, verified: true })
      return (await exchange.verify(credentials)) ? identity : null
    },
  })
}

/** Random first: the time alone could come twice. */
function randomNonce(): string {
  return `${randomBytes(16).toString('hex')}.${Date.now()}`
}
