// Writes PROXY protocol version 2: signature, version and command, family, length, addresses, fields (TLVs).

import { wrong } from '../../words/option-checks.ts'
import { addressOctets } from '../networks/ip-address.ts'
import { crc32c } from './crc32c.ts'
import type { ProxyEndpoint, ProxyHeader, ProxyTls, ProxyTlv } from './proxy-header.ts'
import { FIELD, SIGNATURE, SSL_CLIENT } from './proxy-v2-constants.ts'

/** A header with its defaults filled in. */
interface CompleteHeader extends Pick<
  ProxyHeader,
  'command' | 'source' | 'destination' | 'tls' | 'authority' | 'uniqueId'
> {
  readonly tlvs?: readonly ProxyTlv[]
  readonly checksum?: boolean
}

const UNIX_PATHS = 216

/** Formats a version 2 header; for `formatProxyHeader()`, which checks the result. */
export function formatProxyV2(header: CompleteHeader): Buffer {
  const { command, source, destination, checksum = false } = header
  const fields = fieldsOf(header)
  if (command === 'LOCAL' && (fields.length > 0 || checksum))
    throw wrong('the fields of a LOCAL header would be ignored')
  const { family, addresses } = addressBlock(command, source, destination)
  const body = [addresses, ...fields.map(({ type, value }) => field(type, value))]
  if (checksum) body.push(field(FIELD.CRC32C, Buffer.alloc(4)))
  const length = body.reduce((sum, part) => sum + part.length, 0)
  if (length > 65_535) throw wrong('PROXY header: too long')
  const octets = Buffer.concat([
    SIGNATURE,
    Buffer.from([command === 'LOCAL' ? 0x20 : 0x21, family, length >> 8, length & 255]),
    ...body,
  ])
  if (checksum) octets.writeUInt32BE(crc32c(octets), octets.length - 4)
  return octets
}

function addressBlock(
  command: ProxyHeader['command'],
  source: ProxyEndpoint | null,
  destination: ProxyEndpoint | null,
): { family: number; addresses: Buffer } {
  if (command !== 'PROXY') return { family: 0, addresses: Buffer.alloc(0) }
  if (source === null || destination === null) return { family: 0x31, addresses: Buffer.alloc(UNIX_PATHS) }
  const both = [source, destination].map(({ address }) => octetsOf(address))
  const v4 = both.every(octets => octets.length === 4)
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(portOf(source), 0)
  ports.writeUInt16BE(portOf(destination), 2)
  return { family: v4 ? 0x11 : 0x21, addresses: Buffer.concat([...(v4 ? both : both.map(toIPv6)), ports]) }
}

function fieldsOf({ authority, uniqueId, tls, tlvs = [] }: CompleteHeader): readonly ProxyTlv[] {
  const given = new Set(tlvs.map(({ type }) => type))
  const fields: ProxyTlv[] = []
  if (authority !== undefined && !given.has(FIELD.AUTHORITY))
    fields.push({ type: FIELD.AUTHORITY, value: Buffer.from(authority) })
  if (uniqueId !== undefined && !given.has(FIELD.UNIQUE_ID)) fields.push({ type: FIELD.UNIQUE_ID, value: uniqueId })
  if (tls !== undefined && !given.has(FIELD.SSL)) fields.push({ type: FIELD.SSL, value: tlsField(tls) })
  if (given.has(FIELD.CRC32C) || given.has(FIELD.NOOP)) throw wrong('tlvs hold neither padding nor a checksum')
  return [...fields, ...tlvs]
}

/** A certificate that was not verified and none at all are written alike: the receiver is told of neither. */
function tlsField({ version, cipher, cn, verified }: ProxyTls): Buffer {
  const client = SSL_CLIENT.SSL | (verified ? SSL_CLIENT.CERTIFICATE : 0)
  return Buffer.concat([
    Buffer.from([client, 0, 0, 0, verified ? 0 : 1]),
    ...(version === undefined ? [] : [field(FIELD.SSL_VERSION, Buffer.from(version))]),
    ...(cn === undefined ? [] : [field(FIELD.SSL_CN, Buffer.from(cn))]),
    ...(cipher === undefined ? [] : [field(FIELD.SSL_CIPHER, Buffer.from(cipher))]),
  ])
}

function field(type: number, value: Buffer): Buffer {
  if (!Number.isInteger(type) || type < 0 || type > 255) throw wrong('the type of a field is 0 to 255')
  if (!Buffer.isBuffer(value) || value.length > 65_535)
    throw wrong('the value of a field is a Buffer of at most 65535 octets')
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value])
}

function octetsOf(address: string): Uint8Array {
  const octets = addressOctets(address)
  if (octets === null) throw wrong('source or destination is no IP address')
  return octets
}

function toIPv6(octets: Uint8Array): Uint8Array {
  return octets.length === 16 ? octets : Uint8Array.from([...Array.from({ length: 10 }, () => 0), 255, 255, ...octets])
}

function portOf({ port }: ProxyEndpoint): number {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw wrong('a port is 0 to 65535')
  return port
}
