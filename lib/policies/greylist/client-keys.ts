// Under which names a store knows a client. Pools send a retry from another address, so their domain is a key beside the
// network; a domain that strangers share is not.
//
//   confirmed name ─→ its organisational domain ─→ name:example.org
//   SPF pass       ─→ the domain that it is for ─→ spf:example.org    (never past greylisting)
//   address        ─→ /24 or /64                ─→ net:192.0.2.0/24   (always)
//                  └ allowBy 'address'         ─→ net:192.0.2.7/32   (past greylisting in the network's place)

import { getDomain } from 'tldts'
import { addressOctets } from '../../protocol/networks/ip-address.ts'
import type { ClientKey } from '../../stores/store.ts'
import { addressKeys, type AllowBy } from './allow-by.ts'

/** What says that SPF passes, and how much of the Internet it says it of. */
export interface SpfPass {
  /** The domain of the sender that SPF was asked for. */
  readonly domain: string
  /** The mechanism that matched, `ip4:192.0.2.0/24` or its name alone. */
  readonly mechanism: string
  /** The bits of the address that it matched, 0 to 32 or 128; null if that is not known. */
  readonly prefix: number | null
}

/** What is known of a client. */
export interface ClientFacts {
  readonly address: string | null
  /** Its name, forward-confirmed; null without one. */
  readonly name: string | null
  /** True if the name looks like one that is made from the address, as those of customers are. */
  readonly isDynamic: boolean
  /** True if there is any sign of suspicion, too light ones included. */
  readonly hasSigns: boolean
  readonly spf: SpfPass | null
}

/** The bits of an address that a mechanism of SPF has to match, at the least: one organisation is not larger. */
const LEAST_V4 = 16
const LEAST_V6 = 32
/** Mechanisms that match by what the client or a stranger's zone says, or anything. [RFC 7208 §5] */
const WIDE = /^[+]?(?:all|ptr|exists)\b/i
/**
 * The keys of a client: its network always; its domain only if it lets no stranger in, that is without any sign of suspicion,
 * for a name that does not look dynamic, and by SPF only if it matched by a narrow mechanism.
 */
export function clientKeys(facts: ClientFacts, allowBy: AllowBy = 'network'): readonly ClientKey[] {
  const { address, isDynamic, hasSigns } = facts
  const keys: ClientKey[] = []
  if (!hasSigns && !isDynamic) {
    const domain = facts.name === null ? null : organisationalDomain(facts.name)
    if (domain !== null) keys.push({ key: `name:${domain}` })
    const spf = spfDomain(facts)
    if (spf !== null) keys.push({ key: `spf:${spf}`, autoAllow: false })
  }
  // In a network whose names are made from addresses, the neighbours are strangers.
  if (address === null) return [...keys, { key: 'net:unknown', autoAllow: false }]
  const names = addressKeys(address, allowBy)
  return [...keys, ...names.map((key, i) => ({ key, autoAllow: !isDynamic && i === names.length - 1 }))]
}

/**
 * The domain that one organisation has registered, `example.org` of `mail.example.org`; null for a public suffix, an address,
 * and names below a suffix under which anybody gets a name, such as `compute-1.amazonaws.com`.
 */
export function organisationalDomain(name: string): string | null {
  return getDomain(name, { allowPrivateDomains: true, detectIp: true, validateHostname: true })
}

/** True if SPF passes by a mechanism that covers little of the Internet. */
export function isNarrow({ mechanism, prefix }: SpfPass, address: string | null): boolean {
  const octets = address === null ? null : addressOctets(address)
  if (octets === null || prefix === null || WIDE.test(mechanism)) return false
  return prefix >= (octets.length === 4 ? LEAST_V4 : LEAST_V6)
}

function spfDomain({ address, spf }: ClientFacts): string | null {
  return spf === null || !isNarrow(spf, address) ? null : organisationalDomain(spf.domain)
}
