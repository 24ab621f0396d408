// Durations, sizes and addresses as a configuration writes them.

import { isIP, isIPv6 } from 'node:net'
import { LONGEST_TIMER } from '../../time/clock.ts'

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE = /^(\d{1,12}) ?(B|kB|KiB|MB|MiB|GB|GiB)?$/
const OCTETS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KiB: 2 ** 10,
  MB: 1e6,
  MiB: 2 ** 20,
  GB: 1e9,
  GiB: 2 ** 30,
}
const HOST_AND_PORT = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/
const SYSTEMD = /^systemd:([^:\s\p{Cc}]{1,255})$/u
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_-]{1,63})*$/

/** The address of a listener: a host and port, or the name of a socket from systemd. */
export type ListenAddress =
  | { readonly host: string; readonly port: number; readonly systemd?: undefined }
  | { readonly systemd: string }

/**
 * Reads `"30s"`, `"5m"` … in milliseconds. Returns null for an invalid duration, and for one that is longer than `longest`:
 * 24 days, since no timer is longer.
 */
export function readDuration(text: unknown, longest: number = LONGEST_TIMER): number | null {
  const [, count, unit] = (typeof text === 'string' && DURATION.exec(text)) || []
  if (count === undefined || unit === undefined) return null
  const milliseconds = Number(count) * (MILLISECONDS[unit] ?? Number.NaN)
  return milliseconds > 0 && milliseconds <= longest ? milliseconds : null
}

/** Reads `"50MiB"`, `"100kB"`, `1000` in octets. Returns null for an invalid size. */
export function readSize(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  const [, count, unit = 'B'] = (typeof value === 'string' && SIZE.exec(value)) || []
  const octets = Number(count) * (OCTETS[unit] ?? Number.NaN)
  return Number.isSafeInteger(octets) ? octets : null
}

/**
 * Reads `"127.0.0.1:25"`, `"[::]:25"`, `"*:25"` (every address), `"localhost:25"`, `"systemd:smtp"`. Returns null for an
 * invalid address.
 */
export function readListenAddress(text: unknown): ListenAddress | null {
  if (typeof text !== 'string') return null
  const name = SYSTEMD.exec(text)?.[1]
  if (name !== undefined) return { systemd: name }
  const [, bracketed, plain, digits] = HOST_AND_PORT.exec(text) ?? []
  const port = Number(digits)
  if (!(port <= 65_535)) return null
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : null
  if (plain === '*') return { host: '::', port }
  const good = plain !== undefined && (isIP(plain) === 4 || (HOST_NAME.test(plain) && !/^[\d.]+$/.test(plain)))
  return good ? { host: plain, port } : null
}

/** The address of a server that mail is passed on to: a host and port, or the path of a unix socket. */
export type UpstreamAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/** Reads `"10.0.0.5:25"`, `"[::1]:25"`, `"mx.internal:25"`, `"/run/dovecot/lmtp"`. Returns null for an invalid address. */
export function readUpstreamAddress(text: unknown): UpstreamAddress | null {
  if (typeof text !== 'string') return null
  if (text.startsWith('/')) return text.includes('\0') || text.length > 107 ? null : { path: text } // as sun_path has it
  const address = readListenAddress(text)
  if (address === null || address.systemd !== undefined || text.startsWith('*')) return null
  return address.port === 0 ? null : { host: address.host, port: address.port }
}

/** Formats an address as {@link readListenAddress} reads it. */
export function showAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Returns true if only programs of this machine can connect. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.systemd !== undefined) return false
  const { host } = address
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Returns true if two programs cannot listen at both addresses: the same port of the same host, or of every address. */
export function overlaps(one: ListenAddress, other: ListenAddress): boolean {
  if (one.systemd !== undefined || other.systemd !== undefined) return one.systemd === other.systemd
  if (one.port !== other.port || one.port === 0) return false
  const hosts = [one.host.toLowerCase(), other.host.toLowerCase()]
  if (hosts[0] === hosts[1] || hosts.includes('::')) return true
  return hosts.includes('0.0.0.0') && hosts.every(host => isIP(host) !== 6)
}
