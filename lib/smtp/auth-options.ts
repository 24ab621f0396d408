// The option `auth`.

import type { Clock } from '../time/clock.ts'
import { checkKeys, flag, show, wrong } from '../words/option-checks.ts'
import { authGuard, type AuthGuard, type GuessOptions } from './auth/auth-guard.ts'
import type { Mechanism } from './auth/mechanism.ts'
import { login, plain } from './auth/password.ts'

/** AUTH. [RFC 4954] */
export interface AuthOptions {
  /** @defaultValue PLAIN and LOGIN */
  readonly mechanisms?: readonly Mechanism[]
  /** AUTH without TLS too. @defaultValue false */
  readonly insecure?: boolean
  /** Mail only after AUTH: 530 5.7.0 before. @defaultValue false */
  readonly required?: boolean
  /**
   * How many guesses of passwords a client network has across sessions. Handlers that have the same object here count
   * together, and so do all handlers of a process that have none. @defaultValue `GUESS_LIMITS`
   */
  readonly guesses?: GuessOptions
}

/** The option `auth` with every default filled in. */
export interface ResolvedAuth {
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  readonly insecure: boolean
  readonly required: boolean
  readonly guard: AuthGuard
}

/** [RFC 4422 §3.1] */
const MECHANISM = /^[A-Z0-9_-]{1,20}$/

function checkMechanism(given: unknown, i: number): void {
  const { authenticate } = Object(given) as Partial<Mechanism>
  if (typeof authenticate === 'function') return
  throw wrong(`auth.mechanisms[${i}] is a mechanism, as plain(), not ${show(given)}`)
}

/** Checks the option `auth` and fills in the defaults; null without it. Throws `ERR_OPTION`. */
export function resolveAuth(options: AuthOptions | undefined, clock: Clock): ResolvedAuth | null {
  if (options === undefined) return null
  checkKeys('auth', options, ['mechanisms', 'insecure', 'required', 'guesses'])
  const mechanisms = options.mechanisms ?? [plain(), login()]
  if (!Array.isArray(mechanisms) || mechanisms.length === 0) {
    throw wrong(`auth.mechanisms is a list of mechanisms, as [plain()], not ${show(mechanisms)}`)
  }
  mechanisms.forEach(checkMechanism)
  const names = mechanisms.map((mechanism: Mechanism | null) => (mechanism?.name ?? '').toUpperCase())
  if (!names.every(name => MECHANISM.test(name))) throw wrong('auth.mechanisms have a name of 1 to 20 of A-Z 0-9 - _')
  if (new Set(names).size < names.length) throw wrong('auth.mechanisms has one twice')
  return Object.freeze({
    mechanisms: new Map(names.map((name, i) => [name, mechanisms[i]!])),
    insecure: flag('auth.insecure', options.insecure),
    required: flag('auth.required', options.required),
    guard: authGuard(options.guesses, clock),
  })
}
