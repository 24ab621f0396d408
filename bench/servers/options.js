// What the environment asks of a server: TLS=starttls or implicit, with the key and certificate of CERTIFICATE, a folder;
// AUTH=1, for the user anna with the password "secret".

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const { TLS, CERTIFICATE, AUTH } = process.env

/** `starttls`, `implicit` or null. */
export const tls = TLS ?? null

/** True if users log in. */
export const hasUsers = AUTH === '1'

/** The key and the certificate. */
export function certificate() {
  return { key: readFileSync(join(CERTIFICATE, 'key.pem')), cert: readFileSync(join(CERTIFICATE, 'cert.pem')) }
}

export const USER = 'anna'
export const PASSWORD = 'secret'
