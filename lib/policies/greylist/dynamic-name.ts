// Names that a provider gives to the addresses of its customers, who are strangers to each other.

import { addressOctets } from '../../protocol/networks/ip-address.ts'
import { organisationalDomain } from './client-keys.ts'

/** Labels of names that providers give to the addresses of their customers. */
const GENERIC =
  /(?:^|[.\d-])(?:a?dsl|cable|catv|client|cust(?:omer)?s?|dhcp|dial(?:in|up)?|dip|dyn(?:amic)?(?:ip)?|fib(?:er|re)|ftth|host|ip|ppp(?:oe)?|pool|rev|static|unassigned|unused|vps|vmi|wifi|xdsl)(?:[.\d-]|$)/

/** True for a name that is made from three octets of the address or more, or that says of itself that it is a customer's. */
export function looksDynamic(name: string, address: string | null): boolean {
  const host = name.toLowerCase()
  const own = host.slice(0, -(organisationalDomain(host)?.length ?? 0) || undefined)
  if (GENERIC.test(own)) return true
  const octets = address === null ? null : addressOctets(address)
  if (octets === null) return false
  const hex = Buffer.from(octets).toString('hex')
  if (octets.length === 16) return own.replaceAll(/[^0-9a-f]/g, '').includes(hex.slice(16))
  return own.includes(hex) || hasOctets(own, [...octets])
}

/** Finds the octets in order or backwards, apart or as twelve digits. */
function hasOctets(host: string, octets: readonly number[]): boolean {
  const digits = octets.map(octet => String(octet).padStart(3, '0')).join('')
  if (host.includes(digits)) return true
  const numbers = (host.match(/\d+/g) ?? []).map(Number)
  const has = (wanted: readonly number[]): boolean =>
    numbers.some((_, i) => wanted.every((octet, j) => numbers[i + j] === octet))
  const parts = [octets.slice(0, 3), octets.slice(1)]
  return parts.some(part => has(part) || has(part.toReversed()))
}
