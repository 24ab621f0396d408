// The file of users: a line each, `anna:SCRAM-SHA-256$100000:salt$storedKey:serverKey`, made by `mailhandler password`.
// A secret is enough to check a password, not to log in.

import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { login, plain } from '../smtp/auth/password.ts'
import type { Mechanism } from '../smtp/auth/mechanism.ts'
import { scramSha256 } from '../smtp/auth/scram.ts'
import { scramSecret, type ScramSecret } from '../smtp/auth/scram-secret.ts'
import type { Policy } from '../smtp/hooks.ts'
import { AUTH_FAILED, AUTH_OK } from '../smtp/known-replies.ts'

const LINE = /^([^:\p{Cc}]{1,255}):SCRAM-SHA-256\$(\d{4,8}):([\w+/=]{1,128})\$([\w+/]{43}=):([\w+/]{43}=)$/u

/** Users who may log in, as a handler wants them. */
export interface Users {
  readonly mechanisms: readonly Mechanism[]
  /** Checks passwords: the policy for `onAuth`. */
  readonly policy: Policy
}

/** The line of a user for the file. Throws `ERR_OPTION` for a password that cannot be one. */
export async function userLine(user: string, password: string): Promise<string> {
  const { salt, iterations, storedKey, serverKey } = await scramSecret(password)
  return `${user}:SCRAM-SHA-256$${iterations}:${salt}$${storedKey}:${serverKey}`
}

/** Reads a file of users; throws an Error that says which line is wrong, never what is in it. */
export function readUsers(file: string): Users {
  const text = readFileSync(file, 'utf8')
  const secrets = new Map<string, ScramSecret>()
  text.split('\n').forEach((each, i) => {
    const line = each.trim()
    if (line === '' || line.startsWith('#')) return
    const [, user, iterations, salt, storedKey, serverKey] = LINE.exec(line) ?? []
    if (user === undefined || salt === undefined || storedKey === undefined || serverKey === undefined) {
      throw new Error(`line ${i + 1} is none that "mailhandler password" makes`)
    }
    if (secrets.has(user)) throw new Error(`line ${i + 1} is for a user who has one already`)
    secrets.set(user, { iterations: Number(iterations), salt, storedKey, serverKey })
  })
  // Unknown users get the same answers from each worker, and after each start.
  const decoyKey = createHash('sha256').update(`decoy ${text}`).digest('hex')
  return {
    mechanisms: [scramSha256({ lookup: user => secrets.get(user) ?? null, decoyKey }), plain(), login()],
    policy: {
      async onAuth(credentials) {
        if ('authzid' in credentials && !['', credentials.user].includes(credentials.authzid)) return AUTH_FAILED
        if (!('password' in credentials)) return undefined
        const good = await verify(credentials.password, secrets.get(credentials.user))
        return good ? AUTH_OK : AUTH_FAILED
      },
    },
  }
}

/** The same work for an unknown user. */
async function verify(password: string, secret: ScramSecret | undefined): Promise<boolean> {
  const options = secret && { salt: Buffer.from(secret.salt, 'base64'), iterations: secret.iterations }
  const made = await scramSecret(password, options).catch(() => null)
  if (made === null || secret === undefined) return false
  return timingSafeEqual(Buffer.from(made.storedKey, 'base64'), Buffer.from(secret.storedKey, 'base64'))
}
