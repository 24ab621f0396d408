// What a server stores for SCRAM in place of a password: it can check a password, but nobody can log in with it.

import { randomBytes } from 'node:crypto'
import { saslprep } from '../../sasl/saslprep.ts'
import { scramKeys } from '../../sasl/scram-keys.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { checkKeys } from '../../words/option-checks.ts'

/** What is stored for a user: plain values that can be written as JSON. [RFC 5802 §3] */
export interface ScramSecret {
  /** base64. */
  readonly salt: string
  /** Rounds of PBKDF2, 4096 or more. */
  readonly iterations: number
  /** base64 of 32 octets. */
  readonly storedKey: string
  /** base64 of 32 octets. */
  readonly serverKey: string
}

/** Options of {@link scramSecret}. */
export interface ScramSecretOptions {
  /** 8 to 64 octets. @defaultValue 16 random octets */
  readonly salt?: Buffer
  /**
   * Rounds of PBKDF2 that each login costs the client, 4,096 to 10,000,000. [RFC 7677 §4]
   * @defaultValue 100,000, about 0.1 s
   */
  readonly iterations?: number
}

/** Octets of a salt, by default. */
export const SALT_OCTETS = 16
/** Rounds of PBKDF2, by default. */
export const ITERATIONS = 100_000
const MIN_ITERATIONS = 4096 // [RFC 7677 §4]
const MAX_ITERATIONS = 10_000_000

/**
 * Makes from a password what to store for a user of SCRAM-SHA-256. Rejects with a MailHandlerError `ERR_OPTION` for a
 * password that SASLprep prohibits, and for a salt or iterations out of range. [RFC 5802 §3]
 */
export async function scramSecret(password: string, options: ScramSecretOptions = {}): Promise<ScramSecret> {
  checkKeys('scramSecret', options, ['salt', 'iterations'])
  const { salt = randomBytes(SALT_OCTETS), iterations = ITERATIONS } = options
  checkIterations(iterations)
  checkSaltOctets(salt.length)
  const prepared = await saslprep(password, 'stored')
  if (prepared === null)
    throw new MailHandlerError('ERR_OPTION', 'the password is empty or holds prohibited characters')
  const keys = await scramKeys(prepared, salt, iterations)
  return {
    salt: salt.toString('base64'),
    iterations,
    storedKey: keys.storedKey.toString('base64'),
    serverKey: keys.serverKey.toString('base64'),
  }
}

/** Throws `ERR_OPTION` if a number of iterations is out of range. */
export function checkIterations(iterations: number): void {
  if (Number.isInteger(iterations) && iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS) return
  throw new MailHandlerError('ERR_OPTION', `iterations must be ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`)
}

/** Throws `ERR_OPTION` if the length of a salt is out of range; a longer one does not fit into the reply line. */
export function checkSaltOctets(octets: number): void {
  if (Number.isInteger(octets) && octets >= 8 && octets <= 64) return
  throw new MailHandlerError('ERR_OPTION', 'a salt must be 8 to 64 octets')
}
