import fc from 'fast-check'
import { BlockList } from 'node:net'
import t from 'tap'
import { addressOctets, formatAddress, unmapped } from '../lib/protocol/networks/ip-address.ts'
import { canonicalIp, networkOf, networks } from '../lib/protocol/networks/network.ts'

t.test('an address lies in a network or not', async t => {
  const list = networks([
    '10.0.0.0/8',
    '2001:db8::/32',
    '127.0.0.1',
    '192.0.2.128/25',
    'fe80::/10',
    '::ffff:198.51.100.0/120',
  ])
  const table: [string, boolean][] = [
    ['10.0.0.0', true],
    ['10.255.255.255', true],
    ['9.255.255.255', false],
    ['11.0.0.0', false],
    ['127.0.0.1', true],
    ['127.0.0.2', false],
    ['192.0.2.127', false],
    ['192.0.2.128', true],
    ['198.51.100.9', true],
    ['198.51.101.9', false],
    ['::ffff:10.0.0.1', true],
    ['::FFFF:0a00:0001', true],
    ['::ffff:11.0.0.1', false],
    ['::10.0.0.1', false],
    ['2001:db8::', true],
    ['2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff', true],
    ['2001:db9::', false],
    ['fe80::1%eth0', true],
    ['fec0::1%eth0', false],
    ['', false],
    ['localhost', false],
    ['10.0.0.01', false],
    ['10.0.0.1/32', false],
    ['10.1', false],
    ['/run/socket', false],
  ]
  for (const [address, inside] of table) t.equal(list.has(address), inside, address)
})

t.test('the whole of a family, and an empty list', async t => {
  t.ok(networks(['0.0.0.0/0']).has('255.255.255.255'))
  t.notOk(networks(['0.0.0.0/0']).has('::1'))
  t.ok(networks(['::/0']).has('::1'))
  t.notOk(networks(['::/0']).has('::ffff:1.2.3.4'))
  t.notOk(networks([]).has('127.0.0.1'))
})

t.test('networks that overlap, in any order', async t => {
  for (const entries of [
    ['10.0.0.0/8', '10.0.0.0/16'],
    ['10.0.0.0/16', '10.0.0.0/8'],
    ['10.1.0.0/16', '10.0.0.0/8', '10.0.0.0'],
  ]) {
    t.ok(networks(entries).has('10.200.0.1'), String(entries))
    t.notOk(networks(entries).has('11.0.0.0'), String(entries))
  }
  const scattered = Array.from({ length: 2000 }, (_, i) => `10.${(i * 1237) & 127}.${(i * 331) & 255}.${i & 255}`)
  const list = networks(scattered)
  t.ok(scattered.every(address => list.has(address)))
  t.notOk(scattered.some(address => list.has(address.replace(/^10\./, '11.'))))
})

t.test('what is no network is refused by name', async t => {
  const table: [string, RegExp][] = [
    ['', /not an IP address/],
    ['example.org', /not an IP address/],
    ['10.0.0/8', /not an IP address/],
    ['010.0.0.0/8', /not an IP address/],
    [' 10.0.0.0/8', /not an IP address/],
    ['1.2.3.4:25', /not an IP address/],
    ['[::1]', /not an IP address/],
    ['1::2::3', /not an IP address/],
    ['10.0.0.0/', /must be 0 to 32/],
    ['10.0.0.0/33', /must be 0 to 32/],
    ['10.0.0.0/08', /must be 0 to 32/],
    ['10.0.0.0/-1', /must be 0 to 32/],
    ['10.0.0.0/8/8', /must be 0 to 32/],
    ['10.0.0.0/255.0.0.0', /must be 0 to 32/],
    ['10.0.0.0/8\n', /must be 0 to 32/],
    ['2001:db8::/129', /must be 0 to 128/],
    ['::ffff:10.0.0.0/8', /must be 96 to 128/],
    ['10.0.0.1/8', /write 10\.0\.0\.0\/8/],
    ['2001:db8::1/32', /write 2001:db8::\/32/],
    ['fe80::1%eth0', /zone/],
  ]
  for (const [entry, message] of table) {
    t.throws(() => networks(['127.0.0.1', entry]), { code: 'ERR_OPTION', message }, entry)
  }
  t.throws(() => networks(['10.0.0.0/8', '10.1.2.3/8']), { message: /^network "10\.1\.2\.3\/8": / })
  t.throws(() => networks([42 as unknown as string]), { code: 'ERR_OPTION', message: /42/ })
})

t.test('the network that a client is counted by', async t => {
  t.equal(networkOf('192.0.2.77'), '192.0.2.77/32')
  t.equal(networkOf('192.0.2.77', { v4: 24 }), '192.0.2.0/24')
  t.equal(networkOf('::ffff:192.0.2.77', { v4: 24 }), '192.0.2.0/24')
  t.equal(networkOf('2001:DB8:0:1:2:3:4:5'), '2001:db8:0:1::/64')
  t.equal(networkOf('2001:db8:0:1:ffff::', { v6: 57 }), '2001:db8::/57')
  t.equal(networkOf('fe80::1%eth0'), 'fe80::/64')
  t.equal(networkOf('192.0.2.77', { v4: 0 }), '0.0.0.0/0')
  t.equal(networkOf('/run/socket'), '/run/socket')
  for (const prefixes of [{ v4: 33 }, { v4: -1 }, { v6: 129 }, { v6: 1.5 }, { v4: Number.NaN }]) {
    t.throws(() => networkOf('192.0.2.77', prefixes), { code: 'ERR_OPTION' })
  }
})

t.test('one text for one address', async t => {
  const table: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0db8:0:0:1:0:0:0', '2001:db8:0:0:1::'],
    ['1::', '1::'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['FE80::1%eth0', 'fe80::1'],
    ['fe80::1%a:b', 'fe80::1'],
    ['::ff00:c000:201', '::ff00:c000:201'],
    ['::1:ffff:c000:201', '::1:ffff:c000:201'],
    ['no address', 'no address'],
  ]
  for (const [address, canonical] of table) t.equal(canonicalIp(address), canonical)
})

t.test('16 octets of a mapped address are written as IPv4', async t => {
  t.equal(formatAddress(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1)), '192.0.2.1')
  t.equal(formatAddress(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 254, 192, 0, 2, 1)), '::fffe:c000:201')
})

t.test('octets to text and back are the same octets', async () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(fc.array(group, { minLength: 16, maxLength: 16 }), values => {
      const octets = Uint8Array.from(values)
      const text = formatAddress(octets)
      const back = addressOctets(text)!
      const same = back.length === 4 ? octets.subarray(12) : octets
      return Buffer.compare(back, same) === 0 && canonicalIp(text) === text
    }),
  )
})

t.test('the answer is that of node:net', async () => {
  const v4 = fc
    .tuple(fc.constantFrom(10, 11), fc.constantFrom(0, 128, 255), fc.nat(255), fc.nat(255))
    .map(a => a.join('.'))
  const v6 = fc
    .tuple(fc.constantFrom('2001', '2002'), fc.nat(0xffff), fc.nat(3))
    .map(([a, b, c]) => `${a}:${b.toString(16)}::${c}`)
  // Shorter prefixes are ::/0 to ::/2, which hold the mapped addresses for node:net and no IPv4 address here.
  const rule = fc.oneof(fc.tuple(v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, fc.integer({ min: 3, max: 128 })))
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 20 }),
      fc.array(fc.oneof(v4, v6), { maxLength: 20 }),
      (rules, addresses) => {
        const entries = rules.map(([address, prefix]) => networkOf(address, { v4: Math.min(prefix, 32), v6: prefix }))
        const list = networks(entries)
        const blocks = new BlockList()
        for (const entry of entries) {
          const [address = '', prefix = ''] = entry.split('/')
          blocks.addSubnet(address, Number(prefix), address.includes(':') ? 'ipv6' : 'ipv4')
        }
        return addresses.every(a => list.has(a) === blocks.check(a, a.includes(':') ? 'ipv6' : 'ipv4'))
      },
    ),
  )
})

t.test('20,000 rules cost no more than a few', async t => {
  const list = networks(Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}.${(i * 7) & 255}`))
  const start = process.cpuUsage()
  let found = 0
  for (let i = 0; i < 20_000; i++) if (list.has(`10.${i >> 8}.${i & 255}.${(i * 7) & 255}`)) found++
  t.equal(found, 20_000)
  t.ok(process.cpuUsage(start).user < 1_000_000, 'well under 50 µs each')
})

t.test('an IPv4 address that is mapped into IPv6 is written as IPv4', t => {
  t.equal(unmapped('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(unmapped('::FFFF:192.0.2.1'), '192.0.2.1')
  for (const address of ['192.0.2.1', '::1', '2001:db8::7', '::ffff:c000:201', '::ffff:x', 'fe80::1%eth0']) {
    t.equal(unmapped(address), address)
  }
  t.end()
})
