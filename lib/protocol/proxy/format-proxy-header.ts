// Writes the header that a proxy sends before anything else to say who the client is.

import { isDeepStrictEqual } from 'node:util'
import { wrong } from '../../words/option-checks.ts'
import { addressOctets } from '../networks/ip-address.ts'
import { canonicalIp } from '../networks/network.ts'
import { formatProxyV2 } from './format-proxy-v2.ts'
import { parseProxyHeader } from './parse-proxy-header.ts'
import type { ProxyEndpoint, ProxyHeader, ProxyTlv } from './proxy-header.ts'

/** A PROXY header to write, of which only the version has to be given. */
export interface ProxyHeaderInput extends Pick<ProxyHeader, 'version' | 'tls' | 'authority' | 'uniqueId'> {
  /** For whom the connection is. @defaultValue `'PROXY'` if there is a `source`, else `'UNKNOWN'` */
  readonly command?: ProxyHeader['command']
  /** The client. IPv4, also mapped into IPv6, or IPv6; a zone is left out. */
  readonly source?: ProxyEndpoint | null
  /** Where the client connected to. */
  readonly destination?: ProxyEndpoint | null
  /** Fields of version 2 as they are; one of `authority`, `uniqueId` or `tls` must agree with that value. */
  readonly tlvs?: readonly ProxyTlv[]
  /** Adds a CRC-32C of the header, in version 2. @defaultValue false */
  readonly checksum?: boolean
}

const FIELDS = ['tls', 'authority', 'uniqueId'] as const

/**
 * Formats a PROXY header. `parseProxyHeader` reads the same from it, with `tls`, `authority` and `uniqueId` among its
 * `tlvs`. Addresses of two families are both written as IPv6.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if a value is wrong, or the version cannot express it: LOCAL, a source that is
 *   null and fields of version 2 in version 1.
 */
export function formatProxyHeader(input: ProxyHeaderInput): Buffer {
  const { version, source = null, destination = null } = input
  const command = input.command ?? (source === null ? 'UNKNOWN' : 'PROXY')
  if ((source === null) !== (destination === null)) throw wrong('source and destination are given together')
  if (command !== 'PROXY' && source !== null) throw wrong(`a ${command} header has no source`)
  const octets = version === 1 ? formatV1(input, command) : formatProxyV2({ ...input, command, source, destination })
  const parsed = parseProxyHeader(octets)
  if (parsed.kind !== 'header')
    throw wrong(`PROXY header: ${parsed.kind === 'invalid' ? parsed.problem : 'incomplete'}`)
  if (parsed.length !== octets.length || !agrees(parsed.header, { ...input, command, source, destination })) {
    throw wrong('PROXY header: the values cannot be written')
  }
  return octets
}

/** True if what was written is what was given. */
function agrees(
  written: ProxyHeader,
  given: Pick<ProxyHeader, 'command' | 'source' | 'destination'> & ProxyHeaderInput,
) {
  return (
    written.version === given.version &&
    written.command === given.command &&
    isSame(written.source, given.source) &&
    isSame(written.destination, given.destination) &&
    FIELDS.every(field => given[field] === undefined || isDeepStrictEqual(written[field], given[field]))
  )
}

function formatV1(input: ProxyHeaderInput, command: ProxyHeader['command']): Buffer {
  const { source, destination, tls, authority, uniqueId, tlvs = [], checksum = false } = input
  const plain = tls === undefined && authority === undefined && uniqueId === undefined && tlvs.length === 0 && !checksum
  if (!plain) throw wrong('PROXY version 1 has no fields beside addresses and ports')
  if (command === 'UNKNOWN') return Buffer.from('PROXY UNKNOWN\r\n')
  if (command === 'LOCAL' || !source || !destination)
    throw wrong('PROXY version 1 cannot say LOCAL or leave out a source')
  const v6 = [source, destination].some(({ address }) => canonicalIp(address).includes(':'))
  const [from, to] = [source, destination].map(({ address }) => {
    const text = canonicalIp(address)
    return v6 && !text.includes(':') ? `::ffff:${text}` : text
  })
  return Buffer.from(`PROXY ${v6 ? 'TCP6' : 'TCP4'} ${from} ${to} ${source.port} ${destination.port}\r\n`)
}

function isSame(written: ProxyEndpoint | null, given: ProxyEndpoint | null): boolean {
  if (written === null || given === null) return written === given
  return (
    addressOctets(given.address) !== null &&
    written.address === canonicalIp(given.address) &&
    written.port === given.port
  )
}
