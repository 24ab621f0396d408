// The client's side of SASL: what is said to a server that a user logs in to.

import { randomBytes } from 'node:crypto'
import { saslprep } from '../../sasl/saslprep.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { checkKeys, checkList, flag, wrong } from '../../words/option-checks.ts'
import type { ClientExchange } from './exchange.ts'
import { scramExchange } from './scram.ts'

/** Who logs in, and how. */
export interface ClientAuthOptions {
  /** The name to log in with. */
  readonly user: string
  /** For SCRAM-SHA-256, PLAIN and LOGIN. */
  readonly password?: string
  /** For XOAUTH2: the access token, or a function that is called for one each time that it is needed. */
  readonly token?: string | (() => string | Promise<string>)
  /** Whom to act as, in PLAIN and SCRAM-SHA-256. @defaultValue the user */
  readonly authzid?: string
  /**
   * The mechanisms that may be used, the preferred first. The first of them that the server offers is used.
   *
   * @defaultValue XOAUTH2 with a token, else SCRAM-SHA-256, PLAIN, LOGIN
   */
  readonly mechanisms?: readonly ClientMechanismName[]
  /** True: also without TLS, and with a certificate that is not valid. @defaultValue false */
  readonly insecure?: boolean
}

/** A mechanism that a client knows. */
export type ClientMechanismName = 'SCRAM-SHA-256' | 'PLAIN' | 'LOGIN' | 'XOAUTH2'

/** {@link ClientAuthOptions}, checked. */
export interface ResolvedClientAuth {
  readonly mechanisms: readonly ClientMechanismName[]
  readonly insecure: boolean
  begin(mechanism: ClientMechanismName): ClientExchange
}

interface Credentials {
  readonly user: string
  readonly password: string
  readonly token: string | (() => string | Promise<string>)
  readonly authzid: string
}

const WITH_PASSWORD: readonly ClientMechanismName[] = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN']
const WITH_TOKEN: readonly ClientMechanismName[] = ['XOAUTH2']

/** Refuses what is no object with the keys of {@link ClientAuthOptions}. Throws `ERR_OPTION`. */
export function checkAuthKeys(given: unknown): void {
  checkKeys('auth', given, ['user', 'password', 'token', 'authzid', 'mechanisms', 'insecure'])
}

/** Checks the values of the option. Throws `ERR_OPTION`. */
export function resolveClientAuth(given: ClientAuthOptions): ResolvedClientAuth {
  const { user, password, token, authzid = '', insecure = false } = given
  const possible = token === undefined ? WITH_PASSWORD : WITH_TOKEN
  const mechanisms = given.mechanisms ?? possible
  if ((password === undefined) === (token === undefined)) throw wrong('auth has a password or a token')
  checkSecret('user', user)
  if (authzid !== '') checkSecret('authzid', authzid)
  if (password !== undefined) checkSecret('password', password)
  checkList('auth.mechanisms', mechanisms)
  flag('auth.insecure', insecure)
  if (mechanisms.length === 0 || mechanisms.some(name => !possible.includes(name))) {
    throw wrong(`auth.mechanisms are some of ${possible.join(', ')}`)
  }
  const credentials = { user, password: password ?? '', token: token ?? '', authzid }
  return { mechanisms, insecure, begin: mechanism => BEGIN[mechanism](credentials) }
}

const BEGIN: Readonly<Record<ClientMechanismName, (credentials: Credentials) => ClientExchange>> = {
  // [RFC 4616]
  PLAIN: ({ user, password, authzid }) => ({
    initial: () => `${authzid}\0${user}\0${password}`,
    answer: () => '',
    isComplete: () => true,
  }),
  // [draft-murchison-sasl-login]
  LOGIN({ user, password }) {
    const answers = [user, password]
    return { initial: () => null, answer: () => answers.shift() ?? '', isComplete: () => answers.length === 0 }
  },
  // A server that refuses sends its reason as a challenge, and its reply after an empty answer.
  XOAUTH2: ({ user, token }) => ({
    initial: async () => `user=${user}\x01auth=Bearer ${await accessToken(token)}\x01\x01`,
    answer: () => '',
    isComplete: () => true,
  }),
  'SCRAM-SHA-256': ({ user, password, authzid }) =>
    scramExchange({
      user: () => prepare('user', user),
      password: () => prepare('password', password),
      authzid,
      nonce: randomBytes(18).toString('base64'),
    }),
}

async function prepare(name: string, text: string): Promise<string> {
  const prepared = await saslprep(text)
  if (prepared === null) throw wrong(`auth.${name} holds prohibited characters`)
  return prepared
}

async function accessToken(token: Credentials['token']): Promise<string> {
  let text: string
  try {
    text = typeof token === 'function' ? await token() : token
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `auth.token: ${(cause as Error).message}`, { cause })
  }
  if (!/^[\x21-\x7e]+$/.test(text)) throw wrong('auth.token is a text of printable ASCII')
  return text
}

function checkSecret(name: string, text: unknown): void {
  // oxlint-disable-next-line no-control-regex -- NUL separates the parts of PLAIN, 0x01 those of XOAUTH2
  const valid = typeof text === 'string' && text !== '' && Buffer.byteLength(text) <= 255 && !/[\0\x01]/.test(text)
  if (!valid) throw wrong(`auth.${name} is a text of 1 to 255 octets without NUL`)
}
