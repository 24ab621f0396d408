// Names and texts as mechanisms share them: strict UTF-8, limits, preparation, and who may ask to act as whom.

import { isUtf8 } from 'node:buffer'
import { saslprep } from '../../sasl/saslprep.ts'
import type { Identity } from './mechanism.ts'

/** Octets of a name or password, at the most. [RFC 4616 §2] */
export const SECRET_OCTETS = 255

/** Makes a text ready for comparison; null refuses it. */
export type Prepare = (text: string) => string | null | Promise<string | null>

/** What mechanisms with user names have in common. */
export interface NameOptions {
  /** Applied to names, and to passwords that come in clear. Default: SASLprep [RFC 4013]; `text => text` leaves them alone. */
  readonly prepare?: Prepare
  /**
   * Lets through an authorization identity that differs from the user; `onAuth` must then decide who may act as whom.
   * Default false: such a client is refused. [RFC 4616 §2]
   */
  readonly allowAuthzid?: boolean
}

/** {@link NameOptions} with their defaults. */
export interface NameRules {
  readonly prepare: Prepare
  readonly allowAuthzid: boolean
}

/** Fills in the defaults. */
export function resolveNames(options: NameOptions): NameRules {
  return { prepare: options.prepare ?? (text => saslprep(text)), allowAuthzid: options.allowAuthzid ?? false }
}

/** The text of a message; null when it is no UTF-8. */
export function readText(octets: Buffer): string | null {
  return isUtf8(octets) ? octets.toString() : null
}

/** True for what can be a name or a password: not empty, not over {@link SECRET_OCTETS}, without NUL. */
export function isSecret(text: string | undefined): text is string {
  return text !== undefined && text !== '' && !text.includes('\0') && Buffer.byteLength(text) <= SECRET_OCTETS
}

/** Prepares user and authzid; null when that fails, or when the one may not ask to act as the other. [RFC 4954 §4] */
export async function prepareNames(user: string, authzid: string, rules: NameRules): Promise<Identity | null> {
  const prepared = await rules.prepare(user)
  const preparedAuthzid = authzid === '' ? '' : await rules.prepare(authzid)
  if (prepared === null || preparedAuthzid === null) return null
  if (preparedAuthzid !== '' && preparedAuthzid !== prepared && !rules.allowAuthzid) return null
  return { user: prepared, authzid: preparedAuthzid }
}

/** Puts a secret beside what may be seen: code that names it can read it, a log or JSON does not list it. */
export function withSecret<T extends object, K extends string>(
  open: T,
  name: K,
  secret: string,
): T & Record<K, string> {
  return Object.freeze(Object.defineProperty(open, name, { value: secret })) as T & Record<K, string>
}
