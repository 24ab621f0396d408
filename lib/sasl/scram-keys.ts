// The keys of SCRAM-SHA-256, as client and server derive them. [RFC 5802 §3, RFC 7677]

import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'

/** What follows from a password, a salt and a number of iterations. */
export interface ScramKeys {
  readonly clientKey: Buffer
  /** The hash of the client key: enough to check a proof, not enough to make one. */
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

const derive = promisify(pbkdf2)

/** HMAC-SHA-256. */
export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** SHA-256. */
export function sha256(octets: Buffer): Buffer {
  return createHash('sha256').update(octets).digest()
}

/** Derives the keys from a prepared password, by PBKDF2 in a thread of the pool. */
export async function scramKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await derive(password, salt, iterations, 32, 'sha256')
  const clientKey = hmac(salted, 'Client Key')
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmac(salted, 'Server Key') }
}
