// What the name says that a client gives itself: that it is ours, or that it is not the client's.

import type { DnsCallOptions, DnsResolver } from '../../dns/resolver.ts'
import { canonicalDomain, parseHelo } from '../../protocol/addresses/domain.ts'
import { addressOctets } from '../../protocol/networks/ip-address.ts'
import { canonicalIp } from '../../protocol/networks/network.ts'
import { organisationalDomain } from '../greylist/client-keys.ts'

/** A HELO name: an address (in brackets or bare), a name with a dot, or text that is neither. */
export type Helo =
  | { readonly kind: 'literal' | 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'other' }

/** Whether addresses of the HELO name are the client's; `unknown` without an answer. */
export type HeloAddress = 'same' | 'other' | 'unknown'

/** Reads a HELO name; names and addresses become canonical. */
export function readHelo(helo: string): Helo {
  if (addressOctets(helo) !== null) return { kind: 'address', address: canonicalIp(helo) }
  const parsed = parseHelo(helo, { utf8: true, strictness: 'strict' })
  if (!parsed.ok) return { kind: 'other' }
  if (parsed.literal !== null) {
    const { address } = parsed.literal
    return addressOctets(address) === null ? { kind: 'other' } : { kind: 'literal', address: canonicalIp(address) }
  }
  const name = canonicalDomain(parsed.name)
  return name.includes('.') ? { kind: 'name', name } : { kind: 'other' }
}

/** True if the name or address is one of `own`, which are canonical. */
export function isOurs(helo: Helo, own: { has(name: string): boolean }): boolean {
  return helo.kind !== 'other' && own.has(helo.kind === 'name' ? helo.name : helo.address)
}

/** Asks whether the HELO name has the client's address; never rejects. */
export async function askHeloAddress(
  dns: DnsResolver,
  name: string,
  address: string,
  options: DnsCallOptions,
): Promise<HeloAddress> {
  const octets = addressOctets(address)
  const answer = await dns.resolve(name, octets?.length === 16 ? 'AAAA' : 'A', options)
  if (answer.kind === 'unknown') return 'unknown'
  const isSame = answer.kind === 'found' && answer.records.some(each => addressOctets(each)?.join() === octets?.join())
  return isSame ? 'same' : 'other'
}

/** True if a HELO name is the client's own name, or a name of the same organisation. */
export function isNameOf(helo: string, hostName: string | null): boolean {
  if (hostName === null) return false
  if (helo === hostName) return true
  const domain = organisationalDomain(helo)
  return domain !== null && domain === organisationalDomain(hostName)
}
