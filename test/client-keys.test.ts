// Keys that survive pools, and let no stranger in.

import t from 'tap'
import { clientKeys, organisationalDomain, type ClientFacts } from '../lib/policies/greylist/client-keys.ts'

const STRANGER: ClientFacts = {
  address: '192.0.2.7',
  name: null,
  isDynamic: false,
  hasSigns: false,
  spf: null,
}
const spf = (mechanism: string, prefix: number | null, domain = 'mail.example.org') => ({ domain, mechanism, prefix })
const keys = (facts: Partial<ClientFacts>): string[] =>
  clientKeys({ ...STRANGER, ...facts }).map(({ key, autoAllow = true }) => (autoAllow ? key : `(${key})`))

t.test('the network', t => {
  t.strictSame(keys({}), ['net:192.0.2.0/24'])
  t.strictSame(keys({ address: '::ffff:192.0.2.9' }), ['net:192.0.2.0/24'], 'mapped')
  t.strictSame(keys({ address: '2001:db8:1:2:3::4' }), ['net:2001:db8:1:2::/64'])
  t.strictSame(keys({ address: null }), ['(net:unknown)'], 'never past greylisting')
  t.end()
})

t.test('only the address gets past greylisting, if that is asked for', t => {
  const own = (facts: Partial<ClientFacts>): string[] =>
    clientKeys({ ...STRANGER, ...facts }, 'address').map(({ key, autoAllow = true }) => (autoAllow ? key : `(${key})`))
  t.strictSame(own({}), ['(net:192.0.2.0/24)', 'net:192.0.2.7/32'])
  t.strictSame(own({ isDynamic: true }), ['(net:192.0.2.0/24)', '(net:192.0.2.7/32)'])
  t.strictSame(own({ address: '2001:db8:1:2:3::4' }), ['net:2001:db8:1:2::/64'], 'a network is one machine')
  t.strictSame(own({ address: null }), ['(net:unknown)'])
  t.end()
})

t.test('pools have one key in common, whatever the address', t => {
  const pools: [string, readonly [string, string][]][] = [
    [
      'name:outlook.com',
      [
        ['40.107.22.54', 'mail-db3eur04on2054.outbound.protection.outlook.com'],
        ['2a01:111:f400:7e1b::54', 'mail-am6eur05on20704.outbound.protection.outlook.com'],
      ],
    ],
    [
      'name:google.com',
      [
        ['209.85.218.53', 'mail-ej1-f53.google.com'],
        ['2a00:1450:4864:20::62f', 'mail-ej1-x62f.google.com'],
      ],
    ],
    [
      'name:amazonses.com',
      [
        ['54.240.8.62', 'a8-62.smtp-out.amazonses.com'],
        ['69.169.224.3', 'b224-3.smtp-out.eu-central-1.amazonses.com'],
      ],
    ],
  ]
  for (const [key, members] of pools) {
    for (const [address, name] of members) t.equal(keys({ address, name })[0], key, name)
  }
  t.end()
})

t.test('no domain for names that strangers share', t => {
  t.strictSame(keys({ name: 'dsl-192-0-2-7.isp.example', isDynamic: true }), ['(net:192.0.2.0/24)'])
  t.strictSame(
    keys({ name: 'dsl-192-0-2-7.isp.example', isDynamic: true, spf: spf('ip4', 32) }),
    ['(net:192.0.2.0/24)'],
    'not by SPF either',
  )
  for (const name of [
    'ec2-192-0-2-7.compute-1.amazonaws.com',
    'com',
    'co.uk',
    'localhost',
    '192.0.2.7',
    'a..b',
    '',
    'github.io',
  ]) {
    t.equal(organisationalDomain(name), null, name)
    t.strictSame(keys({ name }), ['net:192.0.2.0/24'], name)
  }
  t.equal(organisationalDomain('mx.firm.co.uk'), 'firm.co.uk')
  t.equal(organisationalDomain('www.anna.github.io'), 'anna.github.io', 'a suffix under which anybody gets a name')
  t.end()
})

t.test('no domain with any sign of suspicion', t => {
  t.strictSame(keys({ name: 'mx.example.org', hasSigns: true, spf: spf('ip4', 32) }), ['net:192.0.2.0/24'])
  t.end()
})

t.test('SPF: by narrow mechanisms alone, and never past greylisting', t => {
  const network = 'net:192.0.2.0/24'
  t.strictSame(keys({ spf: spf('ip4:192.0.2.0/24', 24) }), ['(spf:example.org)', network])
  t.strictSame(keys({ name: 'mx.example.net', spf: spf('a', 32) }), ['name:example.net', '(spf:example.org)', network])
  t.strictSame(keys({ spf: spf('ip4', 16) }), ['(spf:example.org)', network])
  const wide = [spf('ip4', 15), spf('ip4', 0), spf('ip4', null), spf('+all', 32), spf('all', 32), spf('ptr', 32)]
  for (const pass of [...wide, spf('PTR:example.org', 32), spf('exists:%{i}.x.example', 32), spf('ip4', 32, 'co.uk')]) {
    t.strictSame(keys({ spf: pass }), [network], `${pass.mechanism} /${pass.prefix} ${pass.domain}`)
  }
  const v6 = { address: '2001:db8::1' }
  t.strictSame(keys({ ...v6, spf: spf('ip6', 32) }), ['(spf:example.org)', 'net:2001:db8::/64'])
  t.strictSame(keys({ ...v6, spf: spf('ip6', 31) }), ['net:2001:db8::/64'])
  t.end()
})
