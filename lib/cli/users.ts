// The file of users: a line for each, `anna:SCRAM-SHA-256$100000:salt$storedKey:serverKey`, made by `mailhandler password`.
// A secret is enough to check a password, not to log in.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { login, plain } from '../smtp/auth/password.ts'
import type { Mechanism } from '../smtp/auth/mechanism.ts'
import { scramSha256 } from '../smtp/auth/scram.ts'
import {
  checkIterations,
  checkSaltOctets,
  ITERATIONS,
  SALT_OCTETS,
  scramSecret,
  type ScramSecret,
} from '../smtp/auth/scram-secret.ts'
import type { Policy } from '../smtp/hooks.ts'
import { AUTH_FAILED, AUTH_OK } from '../smtp/known-replies.ts'
import { decodeBase64 } from '../words/base64.ts'

const LINE = /^([^:\p{Cc}]{1,255}):SCRAM-SHA-256\$(\d{4,8}):([\w+/=]{1,128})\$([\w+/]{43}=):([\w+/]{43}=)$/u

/** The users that may log in, as options of a handler. */
export interface Users {
  readonly mechanisms: readonly Mechanism[]
  /** Checks passwords: the policy for `onAuth`. */
  readonly policy: Policy
}

/** Makes the line of a user for the file. Rejects with `ERR_OPTION` for a password with prohibited characters. */
export async function userLine(user: string, password: string): Promise<string> {
  const { salt, iterations, storedKey, serverKey } = await scramSecret(password)
  return `${user}:SCRAM-SHA-256$${iterations}:${salt}$${storedKey}:${serverKey}`
}

/** Reads a file of users. Throws an Error that says which line is wrong, never what is in it. */
export function readUsers(file: string): Users {
  const secrets = new Map<string, ScramSecret>()
  readText(file)
    .split('\n')
    .forEach((each, i) => {
      const line = each.trim()
      if (line === '' || line.startsWith('#')) return
      const [, user, iterations, salt, storedKey, serverKey] = LINE.exec(line) ?? []
      if (user === undefined || salt === undefined || storedKey === undefined || serverKey === undefined) {
        throw new Error(`line ${i + 1} is not a line that "mailhandler password" makes`)
      }
      checkNumbers(i + 1, Number(iterations), salt)
      if (secrets.has(user)) throw new Error(`line ${i + 1} is for a user who has a line already`)
      secrets.set(user, { iterations: Number(iterations), salt, storedKey, serverKey })
    })
  const decoy = makeDecoys([...secrets.values()])
  const secretOf = (user: string): ScramSecret => secrets.get(user) ?? decoy(user)
  return {
    mechanisms: [scramSha256({ lookup: secretOf }), plain(), login()],
    policy: {
      async onAuth(credentials) {
        if ('authzid' in credentials && !['', credentials.user].includes(credentials.authzid)) return AUTH_FAILED
        if (!('password' in credentials)) return undefined
        return (await isPassword(credentials.password, secretOf(credentials.user))) ? AUTH_OK : AUTH_FAILED
      },
    },
  }
}

/** Throws an Error for a line that would fail only when its user logs in. */
function checkNumbers(line: number, iterations: number, salt: string): void {
  try {
    checkIterations(iterations)
    checkSaltOctets(decodeBase64(salt)?.length ?? 0)
  } catch (cause) {
    throw new Error(`line ${line}: ${(cause as Error).message}`, { cause })
  }
}

function readText(file: string): string {
  const octets = readFileSync(file)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets)
  } catch {
    throw new Error('is not UTF-8')
  }
}

/**
 * Makes secrets for unknown users that no password belongs to. They look like those of the file: iterations and the length
 * of the salt are taken from a user who is chosen by the name, so that neither the challenge nor the time of a check tells
 * an unknown name. They are the same in each worker and after each start, as long as the first user stays.
 */
function makeDecoys(known: readonly ScramSecret[]): (user: string) => ScramSecret {
  const key = known[0]?.serverKey ?? randomBytes(32)
  const derive = (what: string, user: string): Buffer => createHmac('sha256', key).update(`${what} ${user}`).digest()
  return user => {
    const like = known[derive('choice', user).readUInt32BE() % known.length]
    const salt = Buffer.concat([derive('salt 1', user), derive('salt 2', user)])
    return {
      iterations: like?.iterations ?? ITERATIONS,
      salt: salt
        .subarray(0, like === undefined ? SALT_OCTETS : Buffer.from(like.salt, 'base64').length)
        .toString('base64'),
      storedKey: derive('stored key', user).toString('base64'),
      serverKey: derive('server key', user).toString('base64'),
    }
  }
}

async function isPassword(password: string, { salt, iterations, storedKey }: ScramSecret): Promise<boolean> {
  const made = await scramSecret(password, { salt: Buffer.from(salt, 'base64'), iterations }).catch(() => null)
  return made !== null && timingSafeEqual(Buffer.from(made.storedKey, 'base64'), Buffer.from(storedKey, 'base64'))
}
