// Lists of networks in which an address is looked up, and the network by which a client is counted. The networks become
// ranges of octet strings, sorted and merged once, so that a look-up is one binary search.

import { MailHandlerError } from '../../words/errors.ts'
import { checkList } from '../../words/option-checks.ts'
import { addressOctets, formatAddress } from './ip-address.ts'

/** A set of networks, made by `networks()`. */
export interface Networks {
  /**
   * True if the address is in one of them. IPv4 mapped into IPv6 counts as IPv4, a zone is ignored; false for text
   * that is no address.
   */
  has(address: string): boolean
}

/** Lengths of the prefix by which a client is counted, in bits. */
export interface NetworkPrefixes {
  /** 0 to 32. @defaultValue 32, each address by itself */
  readonly v4?: number
  /** 0 to 128. @defaultValue 64, the least that one customer gets [RFC 6177 §2] */
  readonly v6?: number
}

interface Network {
  readonly octets: Uint8Array
  readonly prefix: number
}

interface Range {
  readonly first: string
  readonly last: string
}

/**
 * Parses a list of networks and single addresses: `networks(['10.0.0.0/8', '2001:db8::/32', '127.0.0.1'])`.
 * `::ffff:10.0.0.0/104` is read as `10.0.0.0/8`; a shorter IPv6 prefix, even `::/0`, holds no IPv4 address.
 *
 * @throws {MailHandlerError} `ERR_OPTION`, naming the entry, for an invalid address, leading zeros, a wrong prefix
 *   length, bits set beyond the prefix (the error says what to write), or a zone, which would allow more than it says.
 */
export function networks(entries: Iterable<string>): Networks {
  return networksOf('networks(…)', entries)
}

/** The networks of an option. Throws `ERR_OPTION`. */
export function networksOf(option: string, entries: Iterable<string>): Networks {
  checkList(option, entries)
  const rules = Array.from(entries, parseNetwork)
  const v4 = mergeRanges(rules.filter(rule => rule.octets.length === 4))
  const v6 = mergeRanges(rules.filter(rule => rule.octets.length === 16))
  return Object.freeze({
    has(address: string): boolean {
      const octets = addressOctets(address)
      return octets !== null && covers(octets.length === 4 ? v4 : v6, key(octets))
    },
  })
}

/**
 * The network of an address in canonical text, to count clients by: `192.0.2.1/32`, `2001:db8::/64`. Text that is no
 * address (a path, an empty string) is returned as it is.
 *
 * @throws {MailHandlerError} `ERR_OPTION` for a prefix out of range.
 */
export function networkOf(address: string, prefixes: NetworkPrefixes = {}): string {
  const v4 = checkPrefix('v4', prefixes.v4 ?? 32, 32)
  const v6 = checkPrefix('v6', prefixes.v6 ?? 64, 128)
  const octets = addressOctets(address)
  if (octets === null) return address
  const prefix = octets.length === 4 ? v4 : v6
  return `${formatAddress(masked({ octets, prefix }, 0))}/${prefix}`
}

/**
 * The canonical text of an IP address: mapped IPv4 as IPv4, IPv6 in lower case and compressed, without a zone. Text that
 * is no address is returned as it is. [RFC 5952]
 */
export function canonicalIp(address: string): string {
  const octets = addressOctets(address)
  return octets === null ? address : formatAddress(octets)
}

function parseNetwork(entry: string): Network {
  const refuse = (why: string): never => {
    throw new MailHandlerError('ERR_OPTION', `network ${JSON.stringify(entry)}: ${why}`)
  }
  if (typeof entry !== 'string') return refuse('not a string')
  const slash = entry.indexOf('/')
  const address = slash < 0 ? entry : entry.slice(0, slash)
  if (address.includes('%')) return refuse('a zone is not possible here')
  const octets = addressOctets(address)
  if (octets === null) return refuse('not an IP address, as in 192.0.2.0/24 or 2001:db8::/32')
  const bits = octets.length * 8
  if (slash < 0) return { octets, prefix: bits }
  const length = entry.slice(slash + 1)
  // A mapped address is written with a prefix of 96 to 128.
  const offset = bits === 32 && address.includes(':') ? 96 : 0
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) < offset || Number(length) > offset + bits) {
    return refuse(`the prefix length must be ${offset} to ${offset + bits}`)
  }
  const network = { octets, prefix: Number(length) - offset }
  const base = masked(network, 0)
  if (key(base) !== key(octets)) {
    return refuse(
      `bits are set beyond the prefix; write ${formatAddress(base)}/${network.prefix}, or the address alone`,
    )
  }
  return network
}

function checkPrefix(name: string, prefix: number, bits: number): number {
  if (Number.isInteger(prefix) && prefix >= 0 && prefix <= bits) return prefix
  throw new MailHandlerError('ERR_OPTION', `${name}: the prefix length must be 0 to ${bits}`)
}

/** The octets with all bits beyond the prefix set to `fill`. */
function masked({ octets, prefix }: Network, fill: 0 | 255): Uint8Array {
  return octets.map((octet, i) => {
    const mask = 255 >> Math.min(8, Math.max(0, prefix - 8 * i))
    return (octet & ~mask) | (fill & mask)
  })
}

/** The octets as a string, which compares in their order. */
function key(octets: Uint8Array): string {
  return String.fromCharCode(...octets)
}

function mergeRanges(rules: readonly Network[]): readonly Range[] {
  const ranges = rules.map(rule => ({ first: key(rule.octets), last: key(masked(rule, 255)) }))
  ranges.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const merged: { first: string; last: string }[] = []
  for (const range of ranges) {
    const previous = merged.at(-1)
    if (previous === undefined || range.first > previous.last) merged.push(range)
    else if (range.last > previous.last) previous.last = range.last
  }
  return merged
}

function covers(ranges: readonly Range[], wanted: string): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]!.last < wanted) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range !== undefined && range.first <= wanted
}
