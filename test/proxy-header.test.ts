import fc from 'fast-check'
import t from 'tap'
import { crc32c } from '../lib/protocol/proxy/crc32c.ts'
import { parseProxyHeader } from '../lib/protocol/proxy/parse-proxy-header.ts'
import type { ProxyHeader, ProxyHeaderResult } from '../lib/protocol/proxy/proxy-header.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const line = (text: string): Buffer => Buffer.from(text, 'latin1')
const tlv = (type: number, content: Uint8Array | string): Buffer => {
  const value = Buffer.from(content as string)
  const head = Buffer.from([type, 0, 0])
  head.writeUInt16BE(value.length, 1)
  return Buffer.concat([head, value])
}
const v2 = (command: number, family: number, ...parts: Uint8Array[]): Buffer => {
  const head = Buffer.from([...signature, command, family, 0, 0])
  head.writeUInt16BE(Buffer.concat(parts).length, 14)
  return Buffer.concat([head, ...parts])
}
const inet = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 25])
const inet6 = Buffer.from('20010db8000000000000000000000001fe800000000000000000000000000002ffff0019', 'hex')
const unix = Buffer.alloc(216, 'x')
const ssl = (client: number, verify: number, ...parts: Uint8Array[]): Buffer =>
  tlv(0x20, Buffer.concat([Buffer.from([client, 0, 0, 0, verify]), ...parts]))
const withChecksum = (bytes: Buffer): Buffer => {
  const at = bytes.indexOf(tlv(3, Buffer.alloc(4))) + 3
  bytes.writeUInt32BE(crc32c(bytes), at)
  return bytes
}
const from4 = { address: '192.0.2.1', port: 12345 }
const to4 = { address: '198.51.100.2', port: 25 }
const nobody = { source: null, destination: null, tlvs: [] }
const field = (type: number, value: string): object => ({ type, value: Buffer.from(value) })

const tlsFields = ssl(
  7,
  0,
  tlv(0x21, 'TLSv1.3'),
  tlv(0x22, 'Jürgen'),
  tlv(0x23, 'TLS_AES_128_GCM_SHA256'),
  tlv(0x24, '\0'),
)

const good: [string, Buffer, ProxyHeader | object][] = [
  [
    'v1 TCP4',
    line('PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n'),
    { version: 1, command: 'PROXY', source: from4, destination: to4, tlvs: [] },
  ],
  [
    'v1 port limits',
    line('PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n'),
    {
      version: 1,
      command: 'PROXY',
      source: { address: '255.255.255.255', port: 65535 },
      destination: { address: '0.0.0.0', port: 0 },
      tlvs: [],
    },
  ],
  [
    'v1 TCP6, the longest',
    line(`PROXY TCP6 ${'FFFF:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    {
      version: 1,
      command: 'PROXY',
      source: { address: `${'ffff:'.repeat(7)}ffff`, port: 65535 },
      destination: { address: `${'ffff:'.repeat(7)}ffff`, port: 65535 },
      tlvs: [],
    },
  ],
  [
    'v1 TCP6 with mapped IPv4',
    line('PROXY TCP6 ::ffff:192.0.2.1 2001:DB8::1 12345 25\r\n'),
    { version: 1, command: 'PROXY', source: from4, destination: { address: '2001:db8::1', port: 25 }, tlvs: [] },
  ],
  ['v1 UNKNOWN', line('PROXY UNKNOWN\r\n'), { version: 1, command: 'UNKNOWN', ...nobody }],
  ['v1 UNKNOWN with more', line('PROXY UNKNOWN any thing  \0\r\n'), { version: 1, command: 'UNKNOWN', ...nobody }],
  ['v1 of 107 octets', line(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), { version: 1, command: 'UNKNOWN', ...nobody }],
  ['v2 IPv4', v2(0x21, 0x11, inet), { version: 2, command: 'PROXY', source: from4, destination: to4, tlvs: [] }],
  [
    'v2 IPv6',
    v2(0x21, 0x21, inet6),
    {
      version: 2,
      command: 'PROXY',
      source: { address: '2001:db8::1', port: 65535 },
      destination: { address: 'fe80::2', port: 25 },
      tlvs: [],
    },
  ],
  ['v2 Unix', v2(0x21, 0x31, unix), { version: 2, command: 'PROXY', ...nobody }],
  ['v2 unspecified', v2(0x21, 0x00), { version: 2, command: 'UNKNOWN', ...nobody }],
  ['v2 LOCAL', v2(0x20, 0x00), { version: 2, command: 'LOCAL', ...nobody }],
  ['v2 LOCAL, all else ignored', v2(0x20, 0x99, Buffer.alloc(5, 255)), { version: 2, command: 'LOCAL', ...nobody }],
  [
    'v2 fields',
    v2(
      0x21,
      0x11,
      inet,
      tlv(4, 'pad'),
      tlv(2, 'mx.example.org'),
      tlv(5, 'x'.repeat(128)),
      tlv(0xe0, ''),
      tlv(4, ''),
      tlv(0xe0, 'b'),
    ),
    {
      version: 2,
      command: 'PROXY',
      source: from4,
      destination: to4,
      authority: 'mx.example.org',
      uniqueId: Buffer.alloc(128, 'x'),
      tlvs: [field(2, 'mx.example.org'), field(5, 'x'.repeat(128)), field(0xe0, ''), field(0xe0, 'b')],
    },
  ],
  [
    'v2 checksum',
    withChecksum(v2(0x21, 0x11, inet, tlv(1, 'h2'), tlv(3, Buffer.alloc(4)))),
    { version: 2, command: 'PROXY', source: from4, destination: to4, tlvs: [field(1, 'h2')] },
  ],
  [
    'v2 TLS',
    v2(0x21, 0x11, inet, tlsFields),
    {
      version: 2,
      command: 'PROXY',
      source: from4,
      destination: to4,
      tls: { version: 'TLSv1.3', cn: 'Jürgen', cipher: 'TLS_AES_128_GCM_SHA256', verified: true },
      tlvs: [{ type: 0x20, value: tlsFields.subarray(3) }],
    },
  ],
]

t.test('whole headers, and every cut of them', async t => {
  for (const [name, bytes, header] of good) {
    const wanted = { kind: 'header', length: bytes.length, header }
    t.strictSame(parseProxyHeader(bytes), wanted, name)
    const followed = parseProxyHeader(Buffer.concat([bytes, line('EHLO x\r\nPROXY ')]))
    t.strictSame(followed, wanted, `${name}, with what follows`)
    for (let cut = 0; cut < bytes.length; cut++) {
      const { kind } = parseProxyHeader(bytes.subarray(0, cut))
      if (kind !== 'incomplete') t.fail(`${name}, cut at ${cut}: ${kind}`)
    }
  }
})

t.test('TLS: what counts as verified, and as TLS', async t => {
  const tls = (...args: Parameters<typeof ssl>): object | undefined => {
    const result = parseProxyHeader(v2(0x21, 0x11, inet, ssl(...args)))
    return result.kind === 'header' ? result.header.tls : result
  }
  t.strictSame(tls(1, 0), { verified: false }, 'no certificate')
  t.strictSame(tls(3, 1), { verified: false }, 'a bad one')
  t.strictSame(tls(3, 0), { verified: true }, 'a good one on this connection')
  t.strictSame(tls(5, 0), { verified: true }, 'a good one in this session')
  t.strictSame(tls(6, 0, tlv(0x21, 'TLSv1.3')), undefined, 'no TLS')
})

const table: [string, Buffer][] = [
  ['lower case', line('proxy TCP4 192.0.2.1 198.51.100.2 1 25\r\n')],
  ['no family', line('PROXY\r\n')],
  ['empty family', line('PROXY \r\n')],
  ['UDP', line('PROXY UDP4 192.0.2.1 198.51.100.2 1 25\r\n')],
  ['UNKNOWNS', line('PROXY UNKNOWNS\r\n')],
  ['bare LF', line('PROXY TCP4 192.0.2.1 198.51.100.2 1 25\n')],
  ['bare CR', line('PROXY TCP4 192.0.2.1 198.51.100.2 1 25\rE')],
  ['bare LF within UNKNOWN', line('PROXY UNKNOWN a\nb\r\n')],
  ['two spaces', line('PROXY TCP4  192.0.2.1 198.51.100.2 1 25\r\n')],
  ['space at the end', line('PROXY TCP4 192.0.2.1 198.51.100.2 1 25 \r\n')],
  ['a tab', line('PROXY TCP4\t192.0.2.1 198.51.100.2 1 25\r\n')],
  ['a field missing', line('PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n')],
  ['a field more', line('PROXY TCP4 192.0.2.1 198.51.100.2 1 25 26\r\n')],
  ['octet of 256', line('PROXY TCP4 256.0.2.1 198.51.100.2 1 25\r\n')],
  ['leading zero in an address', line('PROXY TCP4 192.0.02.1 198.51.100.2 1 25\r\n')],
  ['IPv6 as TCP4', line('PROXY TCP4 ::1 ::1 1 25\r\n')],
  ['IPv4 as TCP6', line('PROXY TCP6 192.0.2.1 198.51.100.2 1 25\r\n')],
  ['a zone', line('PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n')],
  ['a host name', line('PROXY TCP4 example.org 198.51.100.2 1 25\r\n')],
  ['port 65536', line('PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n')],
  ['leading zero in a port', line('PROXY TCP4 192.0.2.1 198.51.100.2 01 25\r\n')],
  ['negative port', line('PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n')],
  ['port 1e3', line('PROXY TCP4 192.0.2.1 198.51.100.2 1e3 25\r\n')],
  ['empty port', line('PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n')],
  ['108 octets', line(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['107 octets and no end', line(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
  ['version 1 in binary', v2(0x11, 0x11, inet)],
  ['version 3', v2(0x31, 0x11, inet)],
  ['command 2', v2(0x22, 0x11, inet)],
  ['UDP over IPv4', v2(0x21, 0x12, inet)],
  ['IPv4 without transport', v2(0x21, 0x10, inet)],
  ['family 4', v2(0x21, 0x41, inet)],
  ['addresses cut', v2(0x21, 0x11, inet.subarray(1))],
  ['IPv6 addresses cut', v2(0x21, 0x21, inet6.subarray(1))],
  ['Unix addresses cut', v2(0x21, 0x31, unix.subarray(1))],
  ['half a field', v2(0x21, 0x11, inet, Buffer.from([4, 0]))],
  ['a field beyond the end', v2(0x21, 0x11, inet, Buffer.from([4, 0, 2, 0]))],
  ['too long', v2(0x21, 0x11, inet, tlv(4, Buffer.alloc(2018)))],
  ['wrong checksum', v2(0x21, 0x11, inet, tlv(3, 'abcd'))],
  ['checksum of 3 octets', v2(0x21, 0x11, inet, tlv(3, 'abc'))],
  ['two checksums', withChecksum(v2(0x21, 0x11, inet, tlv(3, Buffer.alloc(4)), tlv(3, Buffer.alloc(4))))],
  ['unique id of 129', v2(0x21, 0x11, inet, tlv(5, 'x'.repeat(129)))],
  ['empty authority', v2(0x21, 0x11, inet, tlv(2, ''))],
  ['long authority', v2(0x21, 0x11, inet, tlv(2, 'x'.repeat(256)))],
  ['authority with CRLF', v2(0x21, 0x11, inet, tlv(2, 'a\r\nb'))],
  ['authority with a space', v2(0x21, 0x11, inet, tlv(2, 'a b'))],
  ['authority that is no UTF-8', v2(0x21, 0x11, inet, tlv(2, Buffer.from([97, 0xff])))],
  ['two authorities', v2(0x21, 0x11, inet, tlv(2, 'a'), tlv(2, 'b'))],
  ['short TLS field', v2(0x21, 0x11, inet, tlv(0x20, '1234'))],
  ['TLS field with half a field', v2(0x21, 0x11, inet, ssl(1, 0, Buffer.from([0x21, 0])))],
  ['TLS field with two names', v2(0x21, 0x11, inet, ssl(1, 0, tlv(0x22, 'a'), tlv(0x22, 'b')))],
  ['TLS name with a line end', v2(0x21, 0x11, inet, ssl(1, 0, tlv(0x22, 'a\nb')))],
  ['TLS name with a line separator', v2(0x21, 0x11, inet, ssl(1, 0, tlv(0x22, 'a\u2028')))],
]

t.test('everything else is invalid, and stays so', async t => {
  for (const [name, bytes] of table) {
    const result = parseProxyHeader(bytes)
    t.match(result, { kind: 'invalid', problem: /^[\w ]+$/ }, name)
    let before = 'incomplete'
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { kind } = parseProxyHeader(bytes.subarray(0, cut))
      if (kind === 'header' || (before === 'invalid' && kind !== 'invalid')) t.fail(`${name}, cut at ${cut}: ${kind}`)
      before = kind
    }
  }
})

t.test('strangers are known early', async t => {
  const invalid = (bytes: Buffer | string): boolean => parseProxyHeader(Buffer.from(bytes as string)).kind === 'invalid'
  for (const text of ['E', 'H', 'Q', 'p', '\n', '\0', '\x16', 'PO', 'PROXY\t', 'PROXY X', 'PROXY TCP5', '\r\n\r\nE']) {
    t.ok(invalid(text), JSON.stringify(text))
  }
  for (const text of [
    'PROXY TCP4 a',
    'PROXY TCP4 192.0.2.256 ',
    'PROXY TCP4 1.1.1.1 1.1.1.1 1 123456',
    'PROXY TCP6 g',
  ]) {
    t.ok(invalid(text), text)
  }
  t.ok(invalid(v2(0x31, 0x11).subarray(0, 13)), 'version')
  t.ok(invalid(v2(0x21, 0x12).subarray(0, 14)), 'family')
  t.ok(invalid(v2(0x21, 0x11, Buffer.alloc(11)).subarray(0, 16)), 'too short')
  t.ok(invalid(v2(0x20, 0x00, Buffer.alloc(65_535)).subarray(0, 16)), 'too long')
})

t.test('the greatest length is an option', async t => {
  const bytes = v2(0x21, 0x11, inet, tlv(4, Buffer.alloc(2017)))
  t.equal(bytes.length, 2048)
  t.equal(parseProxyHeader(bytes).kind, 'header')
  t.equal(parseProxyHeader(bytes, { maxLength: 536 }).kind, 'invalid')
})

t.test('values are copies', async t => {
  const bytes = v2(0x21, 0x11, inet, tlv(0xe0, 'abc'))
  const result = parseProxyHeader(bytes)
  bytes.fill(0)
  t.match(result, { header: { tlvs: [{ value: Buffer.from('abc') }] } })
})

t.test('CRC-32C of known octets', async t => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  t.equal(crc32c(Buffer.alloc(0)), 0)
})

t.test('any octets: never a throw, never a header beyond them', async () => {
  const sane = (bytes: Buffer): boolean => {
    const result: ProxyHeaderResult = parseProxyHeader(bytes)
    return result.kind !== 'header' || result.length <= bytes.length
  }
  const octets = fc.uint8Array({ maxLength: 120 })
  fc.assert(fc.property(octets, more => sane(Buffer.from(more))))
  const v2Start = fc.tuple(fc.constantFrom(0x20, 0x21), fc.constantFrom(0, 0x11, 0x21, 0x31))
  fc.assert(fc.property(v2Start, octets, ([command, family], more) => sane(v2(command, family, more))))
  fc.assert(fc.property(octets, more => sane(v2(0x21, 0x11, inet, tlv(0x20, more)))))
  const bent = fc.tuple(fc.constantFrom(...good.map(([, bytes]) => bytes)), fc.nat(300), fc.nat(255))
  fc.assert(
    fc.property(bent, ([bytes, at, octet]) => {
      const copy = Buffer.from(bytes)
      copy[at % copy.length] = octet
      return sane(copy)
    }),
    { numRuns: 2000 },
  )
})
