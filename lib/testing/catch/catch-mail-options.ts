// The options of catchMail().

import type { SessionOptions } from '../../smtp/options.ts'
import type { TlsOptions } from '../../tls/tls-options.ts'
import { checkKeys, numbers, show, wrong } from '../../words/option-checks.ts'
import type { MisbehaviourRule } from '../misbehaviour-rules.ts'
import type { CatchAuth, CatchUser } from './catching-server.ts'

/** How much of what has come is kept. */
export interface CatchLimits {
  /** Messages; beyond it the oldest goes. */
  readonly messages: number
  /**
   * Octets of all messages, their parts and the dialogues of their sessions; beyond it the oldest goes. A larger message is
   * refused with 552.
   */
  readonly octets: number
}

/** The limits of {@link catchMail} unless its options say otherwise: 1,000 messages, 64 MiB. */
export const CATCH_LIMITS: CatchLimits = Object.freeze({ messages: 1000, octets: 64 * 2 ** 20 })

/** Options of {@link catchMail}. */
export interface CatchMailOptions {
  /** The port. @defaultValue 0, a free one */
  readonly port?: number
  /** The address to listen at. @defaultValue `'127.0.0.1'` */
  readonly host?: string
  /** What the server does wrong on purpose, as for {@link misbehave}. @defaultValue nothing */
  readonly misbehave?: readonly MisbehaviourRule[]
  /**
   * AUTH, in clear too: true accepts every user with every password; an object, this one alone. @defaultValue false, no
   * AUTH
   */
  readonly auth?: boolean | CatchUser
  /** STARTTLS with a key and a certificate. @defaultValue none */
  readonly tls?: TlsOptions
  /** How much is kept. @defaultValue {@link CATCH_LIMITS} */
  readonly limits?: Partial<CatchLimits>
  /** Further options of the sessions: `{ size: 10_000 }`, `{ lmtp: true }`, policies. @defaultValue none */
  readonly session?: SessionOptions
}

/** The options with every default filled in. */
export interface ResolvedCatch {
  readonly port: number
  readonly host: string
  readonly rules: readonly MisbehaviourRule[]
  readonly auth: CatchAuth
  readonly limits: CatchLimits
  readonly session: SessionOptions
}

const KNOWN = ['port', 'host', 'misbehave', 'auth', 'tls', 'limits', 'session']
const MOST_PORT = 65_535
/** Octets of a message; those of an SmtpHandler. */
const MOST_OCTETS = 50 * 2 ** 20

/** Checks the options. Throws `ERR_OPTION`; what an SmtpHandler and `misbehave()` check is left to them. */
export function resolveCatch(options: CatchMailOptions): ResolvedCatch {
  checkKeys('', options, KNOWN)
  const { port = 0, host = '127.0.0.1', misbehave: rules = [], auth = false, tls, session: given = {} } = options
  if (!Number.isInteger(port) || port < 0 || port > MOST_PORT) {
    throw wrong(`port is a number from 1 to ${MOST_PORT}, or 0 for a free one, not ${show(port)}`)
  }
  if (typeof host !== 'string' || host === '') throw wrong(`host is an address to listen at, not ${show(host)}`)
  const limits = numbers('limits', CATCH_LIMITS, options.limits ?? {})
  const session = checkSession(given)
  const { size = Infinity } = session
  // One that is no number is refused with the other options of a session.
  const most = typeof size === 'number' ? Math.min(size === 0 ? Infinity : size, limits.octets, MOST_OCTETS) : size
  return {
    port,
    host,
    rules,
    auth: checkAuth(auth),
    limits,
    session: { ...session, size: most, ...(tls === undefined ? {} : { tls }) },
  }
}

function checkSession(session: SessionOptions): SessionOptions {
  checkKeys('session', session, Object.keys(Object(session) as object))
  for (const key of ['onMessage', 'delivery']) {
    if (Object.hasOwn(session, key)) throw wrong(`session.${key}: catchMail() itself takes the messages`)
  }
  return session
}

function checkAuth(auth: CatchAuth): CatchAuth {
  if (typeof auth === 'boolean') return auth
  const { user, password, ...others } = Object(auth) as Partial<CatchUser>
  if (typeof user === 'string' && typeof password === 'string' && Object.keys(others).length === 0) return auth
  throw wrong(`auth is true, false, or { user, password }, not ${show(auth)}`)
}
