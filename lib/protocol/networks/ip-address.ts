// IP addresses as octets and back. Text is accepted only if node:net accepts it: no leading zeros, no short forms.

import { isIPv4, isIPv6 } from 'node:net'

/**
 * The octets of an IP address in network order: 4 for IPv4 and for IPv4 mapped into IPv6 (`::ffff:192.0.2.1`), 16 for
 * IPv6; null for any other text. A zone (`fe80::1%eth0`) is left out: it has a meaning on its own machine only.
 */
export function addressOctets(address: string): Uint8Array | null {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number)
  if (!isIPv6(address)) return null
  const zone = address.indexOf('%')
  const [head = '', tail] = (zone < 0 ? address : address.slice(0, zone)).split('::')
  const front = groups(head)
  const back = tail === undefined ? [] : groups(tail)
  const octets = new Uint8Array(16)
  octets.set(front, 0)
  octets.set(back, 16 - back.length)
  return isMapped(octets) ? octets.subarray(12) : octets
}

/** Returns an address as it is written by itself: IPv4 that a system gives mapped into IPv6 as IPv4, others as they are. */
export function unmapped(address: string): string {
  const rest = address.slice(7)
  return address.slice(0, 7).toLowerCase() === '::ffff:' && isIPv4(rest) ? rest : address
}

/** The canonical text of 4 octets (dotted) or 16 (RFC 5952; mapped IPv4 is written as IPv4). */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  if (isMapped(octets)) return octets.subarray(12).join('.')
  const parts = Array.from({ length: 8 }, (_, i) => ((octets[2 * i]! << 8) | octets[2 * i + 1]!).toString(16))
  const gap = longestZeros(parts)
  if (gap.length < 2) return parts.join(':') // [RFC 5952 §4.2.2]
  return `${parts.slice(0, gap.start).join(':')}::${parts.slice(gap.start + gap.length).join(':')}`
}

function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}

function isMapped(octets: Uint8Array): boolean {
  return octets.every((octet, i) => i >= 12 || octet === (i < 10 ? 0 : 255))
}

/** The first of the longest runs of zero groups. [RFC 5952 §4.2.3] */
function longestZeros(parts: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (const [i, part] of parts.entries()) {
    if (part !== '0') start = i + 1
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start }
  }
  return best
}
