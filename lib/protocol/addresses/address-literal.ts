// IP addresses and address literals, `[192.0.2.1]`, as text: nothing is resolved or normalised.

/** The IP address of a literal, in lower case, without brackets and tag. */
export interface AddressLiteral {
  /** 4 for IPv4, 6 for IPv6. */
  readonly family: 4 | 6
  /** `'192.0.2.1'`, `'2001:db8::1'`. */
  readonly address: string
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
const GROUP = /^[0-9a-f]{1,4}$/i
const IPV6_LENGTH = 45

/** True for four decimal numbers. Leading zeros are refused, since some programs read them as octal. */
export function isIPv4(text: string): boolean {
  return IPV4.test(text)
}

/** True for an IPv6 address without zone; `::` replaces one group or more. [RFC 4291 §2.2] */
export function isIPv6(text: string): boolean {
  if (text.length > IPV6_LENGTH) return false
  const [head = '', tail, more] = text.split('::')
  if (more !== undefined) return false
  if (tail === undefined) return countGroups(head, true) === 8
  return countGroups(head, false) + countGroups(tail, true) < 8
}

/**
 * Parses the content of the brackets: `192.0.2.1`, `IPv6:2001:db8::1`. Null for anything else, a General-address-literal
 * too: no other tag was ever registered. [RFC 5321 §4.1.3]
 */
export function parseAddressLiteral(content: string): AddressLiteral | null {
  if (isIPv4(content)) return { family: 4, address: content }
  if (!/^IPv6:/i.test(content)) return null
  const address = content.slice('IPv6:'.length).toLowerCase()
  return isIPv6(address) ? { family: 6, address } : null
}

/** Formats the literal with brackets and tag, `[IPv6:2001:db8::1]`. */
export function formatAddressLiteral({ family, address }: AddressLiteral): string {
  return family === 4 ? `[${address}]` : `[IPv6:${address}]`
}

/** The number of 16-bit groups in one half of an address, NaN if a group is invalid. An IPv4 tail counts as two. */
function countGroups(half: string, last: boolean): number {
  if (half === '') return 0
  const groups = half.split(':')
  const tail = last && isIPv4(groups.at(-1)!) ? groups.pop() : undefined
  if (!groups.every(group => GROUP.test(group))) return NaN
  return groups.length + (tail === undefined ? 0 : 2)
}
