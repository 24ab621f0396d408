// The name of a client: the one that its address points to, if that name points back.

import { addressOctets } from '../protocol/networks/ip-address.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { isHostName, pointerName } from './names.ts'
import type { DnsAnswer, DnsCallOptions, DnsResolver } from './resolver.ts'

/** Names of an address that are looked at; a client may have thousands. [RFC 8601 §3] */
const MOST_NAMES = 5

/** The names of an address: one is confirmed, none is, there are none, or an answer is missing. */
export type HostName = ConfirmedName | UnconfirmedNames | NoName | UnknownName

/** The address has a name that points back to it. */
export interface ConfirmedName {
  /** Tells the four results apart. */
  readonly kind: 'confirmed'
  /** The first such name, in lower case, without a dot at its end. */
  readonly name: string
}

/** The address has names, but no name points back to it. */
export interface UnconfirmedNames {
  /** Tells the four results apart. */
  readonly kind: 'unconfirmed'
  /** At most 5; empty if none of them can be a host's. Whoever has the address chooses them: they prove nothing. */
  readonly names: readonly string[]
}

/** The address has no name. */
export interface NoName {
  /** Tells the four results apart. */
  readonly kind: 'none'
}

/** An answer is missing, so no name is confirmed. */
export interface UnknownName {
  /** Tells the four results apart. */
  readonly kind: 'unknown'
  /** The names that the address has, at most 5; empty if the answer about these is the missing one. */
  readonly names: readonly string[]
  /** Why the answer is missing: see `DnsUnknown`. */
  readonly code: string
}

/** Options of {@link hostName}. */
export interface HostNameOptions extends DnsCallOptions {
  /** For tests: measures what is left of the timeout for the second look-up. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

/** Looks up the names of an address and their addresses, all within the one timeout; never rejects. [RFC 8601 §2.7.3] */
export async function hostName(
  dns: DnsResolver,
  address: string,
  { timeout = 2000, signal, clock = systemClock }: HostNameOptions = {},
): Promise<HostName> {
  const pointer = pointerName(address)
  if (pointer === null) return { kind: 'none' }
  const end = clock.now() + timeout
  const answer = await dns.resolve(pointer, 'PTR', { timeout, signal })
  if (answer.kind !== 'found') return answer.kind === 'none' ? answer : { ...answer, names: [] }
  const names = answer.records
    .map(name => name.toLowerCase().replace(/\.$/, ''))
    .filter(isHostName)
    .slice(0, MOST_NAMES)
  const own = addressOctets(address)!
  const type = own.length === 4 ? 'A' : 'AAAA'
  const left = { timeout: end - clock.now(), signal }
  const answers = await Promise.all(names.map(name => dns.resolve(name, type, left)))
  const confirmed = names.find((_, i) => pointsTo(answers[i]!, own))
  if (confirmed !== undefined) return { kind: 'confirmed', name: confirmed }
  const missing = answers.find(answer => answer.kind === 'unknown')
  return missing === undefined ? { kind: 'unconfirmed', names } : { ...missing, names }
}

function pointsTo(answer: DnsAnswer<'A' | 'AAAA'>, octets: Uint8Array): boolean {
  const own = octets.join()
  return answer.kind === 'found' && answer.records.some(record => addressOctets(record)?.join() === own)
}
