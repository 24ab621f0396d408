// Names for DNS, as functions of text.

import { addressOctets } from '../protocol/networks/ip-address.ts'

const LONGEST_NAME = 253
const LONGEST_LABEL = 63

/** True for a name that can exist: its labels and the whole are short enough. [RFC 1035 §2.3.4] */
export function isAskable(name: string): boolean {
  if (name.length === 0 || name.length > LONGEST_NAME) return false
  return name.split('.').every(label => label.length > 0 && label.length <= LONGEST_LABEL && /^[!-~]+$/.test(label))
}

/** True for a name that a host can have; underscores are let through, since hosts have them. [RFC 1123 §2.1] */
export function isHostName(name: string): boolean {
  return isAskable(name) && /^[\w-]+(?:\.[\w-]+)+$/.test(name)
}

/**
 * The labels of an address, the last part first, for a zone behind them: `1.2.0.192`, or 32 digits of IPv6. Null for text
 * that is no address. [RFC 5782 §2.1, §2.4]
 */
export function reversedAddress(address: string): string | null {
  const octets = addressOctets(address)
  if (octets === null) return null
  if (octets.length === 4) return octets.toReversed().join('.')
  const digits = Buffer.from(octets).toString('hex')
  return [...digits].toReversed().join('.')
}

/** Where the names of an address are. [RFC 1035 §3.5, RFC 3596 §2.5] */
export function pointerName(address: string): string | null {
  const labels = reversedAddress(address)
  if (labels === null) return null
  return labels.split('.').length === 4 ? `${labels}.in-addr.arpa` : `${labels}.ip6.arpa`
}
