// The fields (type, length, value) behind the addresses of a PROXY protocol version 2 header.

import { crc32c } from './crc32c.ts'
import { FIELD, SSL_CLIENT } from './proxy-v2-constants.ts'
import type { ProxyHeader, ProxyTls, ProxyTlv } from './proxy-header.ts'

/** The part of a header that comes from its fields. */
export type ProxyFields = Pick<ProxyHeader, 'tls' | 'authority' | 'uniqueId' | 'tlvs'>

/** Types that may be given once: with two of them it would not be clear which one counts. */
const SINGLE: ReadonlySet<number> = new Set(Object.values(FIELD).filter(type => type !== FIELD.NOOP))

/** Parses the fields from `at` to the end of the whole header, or says what is wrong with them. */
export function readProxyFields(whole: Buffer, at: number): ProxyFields | string {
  const tlvs = splitTlvs(whole, at)
  if (tlvs === null) return 'fields that do not fit'
  const find = (type: number): Buffer | undefined => tlvs.find(tlv => tlv.type === type)?.value
  const checksum = find(FIELD.CRC32C)
  if (checksum !== undefined && !checksumHolds(whole, checksum)) return 'wrong checksum'
  const uniqueId = find(FIELD.UNIQUE_ID)
  if (uniqueId !== undefined && uniqueId.length > 128) return 'unique id too long'
  const name = find(FIELD.AUTHORITY)
  const authority = name && readText(name)
  if (authority === null || (authority !== undefined && /\s/u.test(authority))) return 'wrong authority'
  const ssl = find(FIELD.SSL)
  const tls = ssl && readTls(ssl)
  if (tls === null) return 'wrong TLS field'
  return {
    ...(tls && tls !== 'none' && { tls }),
    ...(authority !== undefined && { authority }),
    ...(uniqueId !== undefined && { uniqueId: Buffer.from(uniqueId) }),
    tlvs: tlvs
      .filter(({ type }) => type !== FIELD.NOOP && type !== FIELD.CRC32C)
      .map(({ type, value }) => ({ type, value: Buffer.from(value) })),
  }
}

/** Splits the fields; null if their lengths do not fit, or a single one is given twice. */
function splitTlvs(bytes: Buffer, start: number): ProxyTlv[] | null {
  const tlvs: ProxyTlv[] = []
  const seen = new Set<number>()
  let at = start
  while (at < bytes.length) {
    if (at + 3 > bytes.length) return null
    const type = bytes.readUInt8(at)
    const end = at + 3 + bytes.readUInt16BE(at + 1)
    if (end > bytes.length || (SINGLE.has(type) && seen.has(type))) return null
    tlvs.push({ type, value: bytes.subarray(at + 3, end) })
    seen.add(type)
    at = end
  }
  return tlvs
}

/** The checksum is over the whole header, with zeros in its own place. */
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
    if (!SINGLE.has(tlv.type)) continue
    const text = readText(tlv.value)
    if (text === null) return null
    texts.set(tlv.type, text)
  }
  if ((client & SSL_CLIENT.SSL) === 0) return 'none'
  const version = texts.get(FIELD.SSL_VERSION)
  const cipher = texts.get(FIELD.SSL_CIPHER)
  const cn = texts.get(FIELD.SSL_CN)
  return {
    ...(version !== undefined && { version }),
    ...(cipher !== undefined && { cipher }),
    ...(cn !== undefined && { cn }),
    // Without a certificate nothing was verified, whatever the result says.
    verified: (client & SSL_CLIENT.CERTIFICATE) !== 0 && value.readUInt32BE(1) === 0,
  }
}

/** Decodes 1 to 255 octets of well-formed UTF-8 without controls, format characters and line separators, or null. */
function readText(value: Buffer): string | null {
  if (value.length === 0 || value.length > 255) return null
  const text = value.toString()
  if (!Buffer.from(text).equals(value)) return null
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? null : text
}
