// Names and secrets in all mechanisms: strict UTF-8, limits, preparation, and authorization identities.

import { isUtf8 } from 'node:buffer'
import { saslprep } from '../../sasl/saslprep.ts'
import { checkFunction, checkKeys, flag, show, wrong } from '../../words/option-checks.ts'
import type { Identity } from './mechanism.ts'

/** The longest name or password, in octets. [RFC 4616 §2] */
export const SECRET_OCTETS = 255

/** Prepares a text for comparison; returns null to refuse it. */
export type Prepare = (text: string) => string | null | Promise<string | null>

/** Options of all mechanisms with user names. */
export interface NameOptions {
  /**
   * Applied to names, and to passwords that come in clear; `text => text` leaves them as they are.
   * @defaultValue SASLprep [RFC 4013]
   */
  readonly prepare?: Prepare
  /**
   * Accepts an authorization identity that differs from the user; `onAuth` must then decide who may act as whom. If
   * false, such a client is refused. [RFC 4616 §2] @defaultValue false
   */
  readonly allowAuthzid?: boolean
}

/** {@link NameOptions} with every default filled in. */
export interface NameRules {
  readonly prepare: Prepare
  readonly allowAuthzid: boolean
}

/**
 * Checks the options of a mechanism, whose names are `known`, and fills in the defaults. `maker` is the function that
 * makes it. Throws `ERR_OPTION`.
 */
export function resolveNames(maker: string, options: NameOptions, known: readonly string[]): NameRules {
  checkKeys(maker, options, known)
  checkFunction(`${maker}.prepare`, options.prepare)
  flag(`${maker}.allowAuthzid`, options.allowAuthzid)
  return { prepare: options.prepare ?? (text => saslprep(text)), allowAuthzid: options.allowAuthzid ?? false }
}

/** Throws `ERR_OPTION` if what looks up users is no function. */
export function checkLookup(maker: string, lookup: unknown): void {
  if (typeof lookup !== 'function') throw wrong(`${maker}.lookup is a function, not ${show(lookup)}`)
}

/** The text of a message; null if it is not UTF-8. */
export function readText(octets: Buffer): string | null {
  return isUtf8(octets) ? octets.toString() : null
}

/** True if a text can be a name or a password: not empty, at most {@link SECRET_OCTETS}, without NUL. */
export function isSecret(text: string | undefined): text is string {
  return text !== undefined && text !== '' && !text.includes('\0') && Buffer.byteLength(text) <= SECRET_OCTETS
}

/** Prepares user and authzid; null if that fails, or if the user may not ask to act as the other. [RFC 4954 §4] */
export async function prepareNames(user: string, authzid: string, rules: NameRules): Promise<Identity | null> {
  const prepared = await rules.prepare(user)
  const preparedAuthzid = authzid === '' ? '' : await rules.prepare(authzid)
  if (prepared === null || preparedAuthzid === null) return null
  if (preparedAuthzid !== '' && preparedAuthzid !== prepared && !rules.allowAuthzid) return null
  return { user: prepared, authzid: preparedAuthzid }
}

/** Adds a secret as a property that is not enumerable: code can read it by its name, a log or JSON does not list it. */
export function withSecret<T extends object, K extends string>(
  open: T,
  name: K,
  secret: string,
): T & Record<K, string> {
  return Object.freeze(Object.defineProperty(open, name, { value: secret })) as T & Record<K, string>
}
