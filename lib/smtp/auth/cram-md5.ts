// CRAM-MD5: for old clients that have nothing better. The server must keep passwords in clear for it.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { MailHandlerError } from '../../words/errors.ts'
import { malformed } from './mechanism.ts'
import type { AuthResult, Exchange, Mechanism } from './mechanism.ts'
import { checkLookup, isSecret, prepareNames, readText, resolveNames } from './names.ts'
import type { NameOptions } from './names.ts'

/** Options of {@link cramMd5}. */
export interface CramMd5Options extends Pick<NameOptions, 'prepare'> {
  /**
   * Returns the password of a user, whose name has been prepared; null for an unknown user. It should take the same time
   * for both. If it rejects, the exchange ends with that error.
   */
  lookup(user: string): string | null | Promise<string | null>
  /** The host name of the server; each challenge contains it. */
  readonly hostname: string
  /** Makes a challenge unique, for tests. @defaultValue a random number and the time */
  readonly nonce?: () => string
}

const HOSTNAME = /^[\w.:[\]-]{1,255}$/
const RESPONSE = /^(.*) ([0-9a-f]{32})$/s

/**
 * Makes the CRAM-MD5 mechanism. [RFC 2195]
 *
 * @throws {MailHandlerError} `ERR_OPTION` if `hostname` is not a host name.
 */
export function cramMd5(options: CramMd5Options): Mechanism {
  const rules = resolveNames('cramMd5', options, ['prepare', 'lookup', 'hostname', 'nonce'])
  checkLookup('cramMd5', options.lookup)
  const { nonce = randomNonce } = options
  if (!HOSTNAME.test(options.hostname)) throw new MailHandlerError('ERR_OPTION', 'hostname must be a host name')
  const decoy = randomBytes(16).toString('base64')
  return Object.freeze({
    name: 'CRAM-MD5',
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      if (exchange.initial !== null) throw malformed('CRAM-MD5') // the server speaks first [RFC 4954 §4]
      const challenge = `<${nonce()}@${options.hostname}>`
      const response = readText(await exchange.challenge(challenge)) ?? ''
      const [, user, digest = ''] = RESPONSE.exec(response) ?? []
      if (!isSecret(user)) throw malformed('CRAM-MD5')
      const identity = await prepareNames(user, '', rules)
      if (identity === null) return null
      exchange.claim?.(identity.user)

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

/** The time alone could repeat. */
function randomNonce(): string {
  return `${randomBytes(16).toString('hex')}.${Date.now()}`
}
