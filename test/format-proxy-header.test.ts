import fc from 'fast-check'
import t from 'tap'
import { formatProxyHeader, type ProxyHeaderInput } from '../lib/protocol/proxy/format-proxy-header.ts'
import { parseProxyHeader } from '../lib/protocol/proxy/parse-proxy-header.ts'
import type { ProxyHeader } from '../lib/protocol/proxy/proxy-header.ts'
import { canonicalIp } from '../lib/protocol/networks/network.ts'

const source = { address: '192.0.2.1', port: 12345 }
const destination = { address: '198.51.100.2', port: 25 }
const v6 = { address: '2001:db8::1', port: 40000 }

function parse(octets: Buffer): ProxyHeader {
  const parsed = parseProxyHeader(octets)
  if (parsed.kind !== 'header' || parsed.length !== octets.length) throw new Error(JSON.stringify(parsed))
  return parsed.header
}

t.test('version 1', async t => {
  const table: [Omit<ProxyHeaderInput, 'version'>, string][] = [
    [{ source, destination }, 'PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n'],
    [{ source: v6, destination: v6 }, 'PROXY TCP6 2001:db8::1 2001:db8::1 40000 40000\r\n'],
    [{ source: v6, destination }, 'PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 40000 25\r\n'],
    [{ source: { address: '::ffff:192.0.2.1', port: 0 }, destination }, 'PROXY TCP4 192.0.2.1 198.51.100.2 0 25\r\n'],
    [{ source: { address: 'FE80::1%eth0', port: 1 }, destination: v6 }, 'PROXY TCP6 fe80::1 2001:db8::1 1 40000\r\n'],
    [{}, 'PROXY UNKNOWN\r\n'],
    [{ command: 'UNKNOWN', source: null, destination: null, tlvs: [] }, 'PROXY UNKNOWN\r\n'],
  ]
  for (const [input, line] of table) t.equal(formatProxyHeader({ version: 1, ...input }).toString(), line)
})

t.test('version 2, octet by octet', async t => {
  const start = '0d0a0d0a000d0a515549540a'
  const hex = (input: Omit<ProxyHeaderInput, 'version'>) => formatProxyHeader({ version: 2, ...input }).toString('hex')
  t.equal(hex({ source, destination }), `${start}2111000cc0000201c633640230390019`)
  t.equal(hex({ command: 'LOCAL' }), `${start}20000000`)
  t.equal(hex({}), `${start}21000000`)
  t.equal(hex({ command: 'PROXY' }), `${start}213100d8${'00'.repeat(216)}`, 'of a socket without an address')
  t.equal(hex({ tls: { verified: false } }), `${start}210000082000050100000001`)
  t.equal(
    hex({ source: v6, destination }),
    `${start}2121002420010db800000000000000000000000100000000000000000000ffffc63364029c400019`,
  )
  const fields = { authority: 'mx', uniqueId: Buffer.from('id'), tls: { version: 'TLSv1.3', verified: true } }
  t.equal(
    hex({ source, destination, ...fields }),
    `${start}21110028c0000201c6336402303900190200026d78050002696420000f0700000000210007544c5376312e33`,
  )
})

t.test('the greatest port, type and lengths', async t => {
  const far = { address: '192.0.2.1', port: 65_535 }
  const tlvs = [
    { type: 0xff, value: Buffer.alloc(0) },
    { type: 0xe0, value: Buffer.alloc(600, 'x') },
  ]
  for (const version of [1, 2] as const) {
    t.equal(parse(formatProxyHeader({ version, source: far, destination })).source?.port, 65_535)
  }
  t.strictSame(parse(formatProxyHeader({ version: 2, source, destination, tlvs })).tlvs, tlvs)
})

t.test('the error says what is wrong', async t => {
  const table: [object, RegExp][] = [
    [{ version: 2, source }, /^source and destination are given together$/],
    [{ version: 2, command: 'LOCAL', source, destination }, /^a LOCAL header has no source$/],
    [{ version: 1, command: 'UNKNOWN', source, destination }, /^a UNKNOWN header has no source$/],
    [{ version: 1, command: 'LOCAL' }, /^PROXY version 1 cannot say LOCAL or leave out a source$/],
    [{ version: 1, command: 'PROXY' }, /^PROXY version 1 cannot say LOCAL or leave out a source$/],
    [{ version: 1, source: { ...source, port: 65_536 }, destination }, /^PROXY header: (?!incomplete)./],
    [{ version: 2, source: { ...source, port: 65_536 }, destination }, /^a port is 0 to 65535$/],
    [
      { version: 2, source, destination, tlvs: [{ type: 256, value: Buffer.alloc(1) }] },
      /^the type of a field is 0 to/,
    ],
    [{ version: 2, source, destination, tlvs: [{ type: -1, value: Buffer.alloc(1) }] }, /^the type of a field is 0 to/],
    [
      { version: 2, source, destination, tlvs: [{ type: 1.5, value: Buffer.alloc(1) }] },
      /^the type of a field is 0 to/,
    ],
    [{ version: 2, source, destination, tlvs: [{ type: 1, value: Buffer.alloc(65_535) }] }, /^PROXY header: too long$/],
    [{ version: 2, source, destination, tlvs: [{ type: 1, value: Buffer.alloc(65_536) }] }, /^the value of a field/],
  ]
  for (const [each, message] of table) {
    t.throws(() => formatProxyHeader(each as ProxyHeaderInput), { code: 'ERR_OPTION', message }, message.source)
  }
})

t.test('the checksum holds, and a wrong one is seen', async t => {
  const octets = formatProxyHeader({ version: 2, source, destination, authority: 'mx', checksum: true })
  t.equal(parse(octets).authority, 'mx')
  octets[octets.length - 1]! ^= 1
  t.match(parseProxyHeader(octets), { kind: 'invalid', problem: 'wrong checksum' })
})

t.test('what cannot be written is refused', async t => {
  const refused: object[] = [
    { version: 3 },
    { version: 1, command: 'LOCAL' },
    { version: 1, command: 'PROXY' },
    { version: 1, source, destination, authority: 'mx' },
    { version: 1, source, destination, checksum: true },
    { version: 1, source, destination, tlvs: [{ type: 1, value: Buffer.alloc(0) }] },
    { version: 1, source },
    { version: 1, command: 'UNKNOWN', source, destination },
    { version: 1, source: { address: 'localhost', port: 1 }, destination },
    { version: 1, source: { address: '192.0.2.1 ', port: 1 }, destination },
    { version: 1, source: { address: '192.0.2.1', port: '1\r\nQUIT' }, destination },
    { version: 1, source: { address: '192.0.2.1', port: 65_536 }, destination },
    { version: 1, source: { address: '192.0.2.1', port: 1.5 }, destination },
    { version: 2, source: { address: 'x', port: 1 }, destination },
    { version: 2, source: { address: '192.0.2.1', port: -1 }, destination },
    { version: 2, source, destination, authority: '' },
    { version: 2, source, destination, authority: 'a b' },
    { version: 2, source, destination, authority: 'a\r\nb' },
    { version: 2, source, destination, authority: '\ud800' },
    { version: 2, source, destination, authority: 'a', tlvs: [{ type: 2, value: Buffer.from('b') }] },
    { version: 2, source, destination, uniqueId: Buffer.alloc(129) },
    { version: 2, source, destination, tls: { verified: true, cn: 'a\nb' } },
    { version: 2, source, destination, tls: { verified: true, cn: '\ud800' } },
    { version: 2, source, destination, tlvs: [{ type: 3, value: Buffer.alloc(4) }] },
    { version: 2, source, destination, tlvs: [{ type: 4, value: Buffer.alloc(4) }] },
    { version: 2, source, destination, tlvs: [{ type: 256, value: Buffer.alloc(4) }] },
    { version: 2, source, destination, tlvs: [{ type: 1, value: 'text' }] },
    { version: 2, source, destination, tlvs: [{ type: 1, value: Buffer.alloc(3000) }] },
    { version: 2, source, destination, tlvs: [{ type: 1, value: Buffer.alloc(65_535) }] },
    { version: 2, source, destination, tlvs: [2, 2].map(type => ({ type, value: Buffer.from('a') })) },
    { version: 2, command: 'LOCAL', authority: 'mx' },
    { version: 2, command: 'LOCAL', checksum: true },
    { version: 2, command: 'SECRET' },
  ]
  for (const each of refused) {
    t.throws(
      () => formatProxyHeader(each as ProxyHeaderInput),
      { code: 'ERR_OPTION' },
      JSON.stringify(each).slice(0, 80),
    )
  }
})

const address = fc.oneof(fc.ipV4(), fc.ipV6())
const endpoint = fc.record({ address, port: fc.nat({ max: 65_535 }) }, { noNullPrototype: true })
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
const word = text.filter(text => !/[\p{C}\p{Z}\s]/u.test(text))
const tls = fc.record(
  { version: word, cipher: word, cn: word, verified: fc.boolean() },
  { requiredKeys: ['verified'], noNullPrototype: true },
)
const buffer = (maxLength: number) => fc.uint8Array({ maxLength }).map(octets => Buffer.from(octets))
const fields = fc.record(
  {
    tls,
    authority: word,
    uniqueId: buffer(128),
    tlvs: fc.array(
      fc.record({ type: fc.integer({ min: 0xe0, max: 0xef }), value: buffer(20) }, { noNullPrototype: true }),
    ),
    checksum: fc.boolean(),
  },
  { requiredKeys: [], noNullPrototype: true },
)

t.test('parse(format(x)) is x', async t => {
  const canonical = (end: { address: string; port: number }) => ({ ...end, address: canonicalIp(end.address) })
  fc.assert(
    fc.property(fc.constantFrom(1, 2), endpoint, endpoint, (version, source, destination) => {
      const header = parse(formatProxyHeader({ version: version as 1 | 2, source, destination }))
      const expected = {
        version,
        command: 'PROXY',
        source: canonical(source),
        destination: canonical(destination),
        tlvs: [],
      }
      return t.strictSame(header, expected)
    }),
  )
  fc.assert(
    fc.property(endpoint, endpoint, fields, (source, destination, fields) => {
      const header = parse(formatProxyHeader({ version: 2, source, destination, ...fields }))
      for (const name of ['tls', 'authority', 'uniqueId'] as const) t.strictSame(header[name], fields[name], name)
      t.strictSame(
        header.tlvs.filter(({ type }) => type >= 0xe0),
        fields.tlvs ?? [],
      )
      // A parsed header is written as it came.
      return t.strictSame(parse(formatProxyHeader(header)), header)
    }),
  )
})
