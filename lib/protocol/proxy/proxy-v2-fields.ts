// The fields (type, length, value) behind the addresses of a PROXY protocol version 2 header.

import { crc32c } from './crc32c.ts'
import type { ProxyHeader, ProxyTls, ProxyTlv } from './proxy-header.ts'

/** The part of a header that comes from its fields. */
export type ProxyFields = Pick<ProxyHeader, 'tls' | 'authority' | 'tlvs'>

const AUTHORITY = 0x02
const CRC32C = 0x03
const NOOP = 0x04
const UNIQUE_ID = 0x05
const SSL = 0x20
const SSL_VERSION = 0x21
const SSL_CN = 0x22
const SSL_CIPHER = 0x23
// What may be given once: a second one would leave open which is meant.
const single: ReadonlySet<number> = new Set([AUTHORITY, CRC32C, UNIQUE_ID, SSL, SSL_VERSION, SSL_CN, SSL_CIPHER])

/** The fields from `at` to the end of the whole header, or what is wrong with them. */
export function readProxyFields(whole: Buffer, at: number): ProxyFields | string {
  const tlvs = splitTlvs(whole, at)
  if (tlvs === null) return 'fields that do not fit'
  const find = (type: number): Buffer | undefined => tlvs.find(tlv => tlv.type === type)?.value
  const checksum = find(CRC32C)
  if (checksum !== undefined && !checksumHolds(whole, checksum)) return 'wrong checksum'
  if ((find(UNIQUE_ID)?.length ?? 0) > 128) return 'unique id too long'
  const name = find(AUTHORITY)
  const authority = name && readText(name)
  if (authority === null || (authority !== undefined && /\s/u.test(authority))) return 'wrong authority'
  const ssl = find(SSL)
  const tls = ssl && readTls(ssl)
  if (tls === null) return 'wrong TLS field'
  return {
    ...(tls && tls !== 'none' && { tls }),
    ...(authority !== undefined && { authority }),
    tlvs: tlvs
      .filter(({ type }) => type !== NOOP && type !== CRC32C)
      .map(({ type, value }) => ({ type, value: Buffer.from(value) })),
  }
}

/** Null when the lengths don't add up, or one is given twice. */
function splitTlvs(bytes: Buffer, start: number): ProxyTlv[] | null {
  const tlvs: ProxyTlv[] = []
  const seen = new Set<number>()
  let at = start
  while (at < bytes.length) {
    if (at + 3 > bytes.length) return null
    const type = bytes.readUInt8(at)
    const end = at + 3 + bytes.readUInt16BE(at + 1)
    if (end > bytes.length || (single.has(type) && seen.has(type))) return null
    tlvs.push({ type, value: bytes.subarray(at + 3, end) })
    seen.add(type)
    at = end
  }
  return tlvs
}

// Over the whole header, with the checksum itself as zeros.
function checksumHolds(whole: Buffer, checksum: Buffer): boolean {
  if (checksum.length !== 4) return false
  const at = checksum.byteOffset - whole.byteOffset
  const copy = Buffer.from(whole).fill(0, at, at + 4)
  return crc32c(copy) === checksum.readUInt32BE(0)
}

function readTls(value: Buffer): ProxyTls | 'none' | null {
  if (value.length < 5) return null
  const client = value.readUInt8(0)
  const tlvs = splitTlvs(value, 5)
  if (tlvs === null) return null
  const texts = new Map<number, string>()
  for (const tlv of tlvs) {
    if (!single.has(tlv.type)) continue
    const text = readText(tlv.value)
    if (text === null) return null
    texts.set(tlv.type, text)
  }
  if ((client & 1) === 0) return 'none' // PP2_CLIENT_SSL: the client connected over TLS
  const version = texts.get(SSL_VERSION)
  const cipher = texts.get(SSL_CIPHER)
  const cn = texts.get(SSL_CN)
  return {
    ...(version !== undefined && { version }),
    ...(cipher !== undefined && { cipher }),
    ...(cn !== undefined && { cn }),
    // PP2_CLIENT_CERT_CONN or _SESS: without a certificate nothing was verified, whatever the result says.
    verified: (client & 6) !== 0 && value.readUInt32BE(1) === 0,
  }
}

/** 1 to 255 octets of well-formed UTF-8 without controls, formatting characters and line separators, or null. */
function readText(value: Buffer): string | null {
  if (value.length === 0 || value.length > 255) return null
  const text = value.toString()
  if (!Buffer.from(text).equals(value)) return null
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? null : text
}
