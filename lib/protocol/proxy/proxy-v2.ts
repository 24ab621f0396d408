// Reads PROXY protocol version 2: signature, version and command, family, length, then addresses and fields (TLVs).

import { formatAddress } from '../networks/ip-address.ts'
import type { ProxyEndpoint, ProxyHeaderResult } from './proxy-header.ts'
import { SIGNATURE } from './proxy-v2-constants.ts'
import { readProxyFields } from './proxy-v2-fields.ts'

const prefixLength = 16
// Octets of the address block by family and transport, of streams only.
const addressBlocks: ReadonlyMap<number, number> = new Map([
  [0x00, 0], // unspecified
  [0x11, 12], // TCP over IPv4
  [0x21, 36], // TCP over IPv6
  [0x31, 216], // Unix stream
])

/** Parses a version 2 header; for `parseProxyHeader()`. */
export function parseProxyV2(bytes: Buffer, maxLength: number): ProxyHeaderResult {
  const seen = Math.min(bytes.length, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, seen, 0, seen) !== 0) return invalid('not a PROXY header')
  const versionAndCommand = bytes[12]
  if (versionAndCommand === undefined) return { kind: 'incomplete' }
  if (versionAndCommand >> 4 !== 2) return invalid('not version 2')
  if ((versionAndCommand & 15) > 1) return invalid('no such command')
  const local = (versionAndCommand & 15) === 0
  const family = bytes[13]
  if (family === undefined) return { kind: 'incomplete' }
  const addresses = addressBlocks.get(family)
  if (addresses === undefined && !local) return invalid('no such family or transport')
  if (bytes.length < prefixLength) return { kind: 'incomplete' }
  const length = prefixLength + bytes.readUInt16BE(14)
  if (length > maxLength) return invalid('too long')
  if (!local && length < prefixLength + addresses!) return invalid('too short for its addresses')
  if (bytes.length < length) return { kind: 'incomplete' }
  const whole = bytes.subarray(0, length)
  return local ? ownConnection(length) : forClient(whole, family, prefixLength + addresses!)
}

// What a LOCAL header holds is ignored, its family too.
function ownConnection(length: number): ProxyHeaderResult {
  return {
    kind: 'header',
    length,
    header: { version: 2, command: 'LOCAL', source: null, destination: null, tlvs: [] },
  }
}

function forClient(whole: Buffer, family: number, fieldsAt: number): ProxyHeaderResult {
  const fields = readProxyFields(whole, fieldsAt)
  if (typeof fields === 'string') return invalid(fields)
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0
  const command = family === 0 ? 'UNKNOWN' : 'PROXY'
  const source = endpoint(whole, size, 0)
  const destination = endpoint(whole, size, 1)
  return { kind: 'header', length: whole.length, header: { version: 2, command, source, destination, ...fields } }
}

// Source address, destination address, source port, destination port.
function endpoint(whole: Buffer, size: number, index: 0 | 1): ProxyEndpoint | null {
  if (size === 0) return null
  const at = prefixLength + index * size
  const address = formatAddress(whole.subarray(at, at + size))
  return { address, port: whole.readUInt16BE(prefixLength + 2 * size + 2 * index) }
}

function invalid(problem: string): ProxyHeaderResult {
  return { kind: 'invalid', problem }
}
