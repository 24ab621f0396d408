// SCRAM-SHA-256: client and server prove to each other that they know the password, and neither sends it.
//
//   C: n,,n=user,r=abc      S: r=abcXYZ,s=salt,i=100000      C: c=biws,r=abcXYZ,p=proof      S: v=signature      C: (empty)
//
// For an unknown user the steps are the same, with a decoy: the same salt each time, and keys that no proof fits.

import { randomBytes, timingSafeEqual } from 'node:crypto'
import { hmac, sha256 } from '../../sasl/scram-keys.ts'
import { decodeBase64 } from '../../words/base64.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { malformed } from './mechanism.ts'
import type { AuthResult, Exchange, Mechanism } from './mechanism.ts'
import { checkLookup, prepareNames, readText, resolveNames } from './names.ts'
import type { NameOptions } from './names.ts'
import { readClientFinal, readClientFirst } from './scram-messages.ts'
import { ITERATIONS, SALT_OCTETS, checkIterations, checkSaltOctets } from './scram-secret.ts'
import type { ScramSecret } from './scram-secret.ts'

/** Options of {@link scramSha256}. */
export interface ScramOptions extends NameOptions {
  /**
   * Returns what is stored for a user, made by {@link scramSecret}; null for an unknown user. The name has been prepared.
   * It should take the same time for both. If it rejects, the exchange ends with that error.
   */
  lookup(user: string): ScramSecret | null | Promise<ScramSecret | null>
  /** Iterations announced for unknown users: set it to those of the known ones. @defaultValue 100,000, as scramSecret has */
  readonly iterations?: number
  /** Octets of the salt announced for unknown users: set it to those of the known ones. @defaultValue 16 */
  readonly saltOctets?: number
  /**
   * The salts of unknown users are derived from it; 16 characters or more. Set it if several processes serve one name, or
   * if clients may see a restart: a salt that changes reveals an unknown user. @defaultValue random for each mechanism
   */
  readonly decoyKey?: string
  /** Makes the server's part of the nonce, for tests. @defaultValue 18 random octets in base64 */
  readonly nonce?: () => string
}

const OPTIONS = ['prepare', 'allowAuthzid', 'lookup', 'iterations', 'saltOctets', 'decoyKey', 'nonce']

interface Keys {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/**
 * Makes the SCRAM-SHA-256 mechanism, without channel binding. [RFC 5802, RFC 7677] An exchange rejects with `ERR_OPTION`
 * if the stored secret is broken.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is out of range.
 */
export function scramSha256(options: ScramOptions): Mechanism {
  const rules = resolveNames('scramSha256', options, OPTIONS)
  checkLookup('scramSha256', options.lookup)
  const { iterations = ITERATIONS, saltOctets = SALT_OCTETS, nonce = randomNonce } = options
  checkIterations(iterations)
  checkSaltOctets(saltOctets)
  if (options.decoyKey !== undefined && options.decoyKey.length < 16) {
    throw new MailHandlerError('ERR_OPTION', 'decoyKey must have 16 characters or more')
  }
  const key = options.decoyKey === undefined ? randomBytes(32) : sha256(Buffer.from(options.decoyKey))

  const decoy = (user: string): ScramSecret => {
    const salt = Buffer.concat([hmac(key, `salt1 ${user}`), hmac(key, `salt2 ${user}`)]).subarray(0, saltOctets)
    const [storedKey, serverKey] = [hmac(key, `stored ${user}`), hmac(key, `server ${user}`)]
    return {
      salt: salt.toString('base64'),
      iterations,
      storedKey: storedKey.toString('base64'),
      serverKey: serverKey.toString('base64'),
    }
  }

  return Object.freeze({
    name: 'SCRAM-SHA-256',
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      const first = readClientFirst(readText(exchange.initial ?? (await exchange.challenge(''))) ?? '')
      if (first === null) throw malformed('SCRAM-SHA-256')
      const identity = await prepareNames(first.user, first.authzid, rules)
      if (identity === null) return null // [RFC 5802 §5.1]
      exchange.claim?.(identity.user)

      const fake = decoy(identity.user)
      const secret = await options.lookup(identity.user)
      const keys = readSecret(secret ?? fake)

      const fullNonce = first.nonce + nonce()
      const serverFirst = `r=${fullNonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`
      const final = readClientFinal(readText(await exchange.challenge(serverFirst)) ?? '')
      if (final === null) throw malformed('SCRAM-SHA-256')

      const authMessage = `${first.bare},${serverFirst},${final.withoutProof}`
      const proven = isProof(final.proof, keys.storedKey, authMessage)
      const bound = final.nonce === fullNonce && final.binding.equals(Buffer.from(first.header))
      if (!proven || !bound || secret === null) return null
      if (!(await exchange.verify(Object.freeze({ mechanism: 'SCRAM-SHA-256', ...identity, verified: true }))))
        return null

      const answer = await exchange.challenge(`v=${hmac(keys.serverKey, authMessage).toString('base64')}`)
      if (answer.length > 0) throw malformed('SCRAM-SHA-256') // [RFC 4954 §4]
      return identity
    },
  })
}

function randomNonce(): string {
  return randomBytes(18).toString('base64')
}

/** True if a proof fits: it is the client key xor a signature, and the hash of the client key is the stored key. [RFC 5802 §3] */
function isProof(proof: Buffer, storedKey: Buffer, authMessage: string): boolean {
  const clientKey = hmac(storedKey, authMessage)
  for (let i = 0; i < clientKey.length; i++) clientKey[i]! ^= proof[i] ?? 0
  return timingSafeEqual(sha256(clientKey), storedKey) && proof.length === clientKey.length
}

function readSecret(secret: ScramSecret): Keys {
  const salt = decodeBase64(secret.salt)
  const storedKey = decodeBase64(secret.storedKey)
  const serverKey = decodeBase64(secret.serverKey)
  checkIterations(secret.iterations)
  checkSaltOctets(salt?.length ?? 0)
  if (salt === null || storedKey?.length !== 32 || serverKey?.length !== 32) {
    throw new MailHandlerError('ERR_OPTION', 'a stored SCRAM secret must hold salt and two keys of 32 octets in base64')
  }
  return { salt, iterations: secret.iterations, storedKey, serverKey }
}
