// Lists of clients, by network or confirmed name.

import { canonicalDomain, isDomain } from '../../protocol/addresses/domain.ts'
import { networks } from '../../protocol/networks/network.ts'
import { show, wrong } from '../../words/option-checks.ts'
import { isBelow } from './address-list.ts'

/** A set of clients. */
export interface ClientList {
  /** True if the address is in one of its networks. */
  hasAddress(address: string | null): boolean
  /** True if the name is one of its names, or below one. */
  hasName(name: string | null): boolean
  /** True if it has names at all. */
  readonly hasNames: boolean
}

/** Host names: `mx.example.org`, and `.example.org` or `*.example.org` for all below it. */
export interface NameList {
  readonly size: number
  has(name: string): boolean
}

const GRAMMAR = { utf8: true, strictness: 'lenient' } as const

/** Names without a network. Throws `ERR_OPTION`, naming the entry and the list. */
export function nameList(list: string, entries: Iterable<string>): NameList {
  const names = new Set<string>()
  const parents = new Set<string>()
  for (const entry of entries) {
    const domain = entry.replace(/^\*?\./, '')
    if (!isDomain(domain, GRAMMAR)) throw wrong(`${list}: ${show(entry)} is not a host name, nor a network`)
    if (domain === entry) names.add(canonicalDomain(domain))
    else parents.add(canonicalDomain(domain))
  }
  return {
    size: names.size + parents.size,
    has(name) {
      const canonical = canonicalDomain(name)
      return names.has(canonical) || isBelow(canonical, parents)
    },
  }
}

/** A list of `192.0.2.0/24`, `2001:db8::1`, `mx.example.org`, `*.example.org`. Throws `ERR_OPTION`. */
export function clientList(list: string, entries: Iterable<string>): ClientList {
  const addresses: string[] = []
  const hosts: string[] = []
  for (const entry of entries) {
    if (typeof entry !== 'string') throw wrong(`${list}: ${show(entry)} is not a network or a host name`)
    ;(isNetwork(entry) ? addresses : hosts).push(entry)
  }
  const known = networks(addresses)
  const names = nameList(list, hosts)
  return {
    hasAddress: address => address !== null && known.has(address),
    hasName: name => name !== null && names.has(name),
    hasNames: names.size > 0,
  }
}

/** True for what is meant as an address or a network, right or wrong. */
export function isNetwork(entry: string): boolean {
  return /[:/]/.test(entry) || /^[\d.]+$/.test(entry)
}
