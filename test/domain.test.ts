import { isIPv4 as nodeIPv4, isIPv6 as nodeIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { formatAddressLiteral, isIPv4, isIPv6, parseAddressLiteral } from '../lib/protocol/addresses/address-literal.ts'
import { canonicalDomain, isDomain, parseHelo } from '../lib/protocol/addresses/domain.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

const STRICT = { utf8: false, strictness: 'strict' } as const
const LENIENT = { utf8: false, strictness: 'lenient' } as const

t.test('addresses are those that Node knows, without zones', async t => {
  const group = fc.constantFrom('0', '1', 'ffff', 'ABCD', '12345', '', 'g')
  const text = fc.array(fc.oneof(group, fc.constantFrom('::', '192.0.2.1', ':')), { maxLength: 9 })
  fc.assert(
    fc.property(text, list => isIPv6(list.join(':')) === nodeIPv6(list.join(':'))),
    { numRuns: 2000 },
  )
  fc.assert(fc.property(fc.ipV6(), address => isIPv6(address) && !isIPv4(address)))
  fc.assert(fc.property(fc.ipV4Extended(), address => isIPv4(address) === nodeIPv4(address)))
  for (const address of [
    'fe80::1%1',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    ':::',
    '1',
    '',
    `${'0'.repeat(46)}::`,
  ]) {
    t.notOk(isIPv6(address), address)
  }
})

t.test('the longest address, and a tag that is not at the beginning', async t => {
  const longest = `${'ffff:'.repeat(6)}255.255.255.255`
  t.equal(longest.length, 45)
  t.ok(isIPv6(longest))
  t.strictSame(parseAddressLiteral(`IPv6:${longest}`), { family: 6, address: longest })
  t.equal(parseAddressLiteral('xIPv6::1'), null)
})

t.test('a literal is printed and read again', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), address => {
      const literal = { family: address.includes(':') ? 6 : 4, address: address.toLowerCase() } as const
      const again = parseAddressLiteral(formatAddressLiteral(literal).slice(1, -1))
      return again?.family === literal.family && again.address === literal.address
    }),
  )
})

t.test('HELO names', async t => {
  const both = ['mx.example.org', 'localhost', '1.2.3.4', 'a-b', 'xn--bcher-kva.example']
  for (const name of both) {
    for (const options of [STRICT, LENIENT]) t.strictSame(parseHelo(name, options), { ok: true, name, literal: null })
  }
  t.match(parseHelo('[192.0.2.1]', STRICT), { ok: true, name: '[192.0.2.1]', literal: { family: 4 } })
  t.match(parseHelo('[ipv6:2001:DB8::1]', STRICT), { ok: true, name: '[IPv6:2001:db8::1]', literal: { family: 6 } })

  const onlyLenient = [
    'my_pc',
    'a.',
    '.',
    '[300.0.0.1]',
    '[x',
    '::1',
    '<script>',
    'a@b',
    '%s',
    '-',
    '!',
    '[192.0.2.1x',
    'x192.0.2.1]',
  ]
  for (const name of onlyLenient) {
    t.match(parseHelo(name, STRICT), { ok: false }, name)
    t.strictSame(parseHelo(name, LENIENT), { ok: true, name, literal: null })
  }
  t.match(parseHelo('[300.0.0.1]', STRICT), { error: { part: 'literal', at: 0, problem: /brackets/ } })
  t.ok(parseHelo('x'.repeat(255), LENIENT).ok)
  const never: [name: string, at: number][] = [
    ['', 0],
    ['a b', 1],
    ['a\0', 1],
    ['a\tb', 1],
    ['ab\x7f', 2],
    ['a\u0085', 1],
    ['x'.repeat(256), 0],
  ]
  for (const [name, at] of never) {
    for (const options of [STRICT, LENIENT])
      t.match(parseHelo(name, options), { ok: false, error: { at } }, shown(name))
  }
  t.match(parseHelo('bücher', LENIENT), { ok: false, error: { at: 1, nonAscii: true } })
  t.match(parseHelo('bücher', { utf8: true, strictness: 'lenient' }), { ok: true, name: 'bücher' })
  t.match(parseHelo('a\u0080', { utf8: true, strictness: 'lenient' }), { ok: false, error: { at: 1 } })
  t.match(parseHelo('bücher\ud800', { utf8: true, strictness: 'lenient' }), { ok: false, error: { at: 6 } })
  fc.assert(
    fc.property(
      fc.string({ unit: character }),
      fc.boolean(),
      (s, lenient) => 'ok' in parseHelo(s, { utf8: lenient, strictness: lenient ? 'lenient' : 'strict' }),
    ),
  )
})

t.test('domains', async t => {
  t.ok(isDomain('a.b', STRICT))
  t.notOk(isDomain('a.b ', STRICT))
  t.notOk(isDomain('[192.0.2.1]', STRICT))
  t.equal(canonicalDomain('MX.Example.ORG'), 'mx.example.org')
  t.equal(canonicalDomain('Bücher.Example'), 'xn--bcher-kva.example')
  t.equal(canonicalDomain('_x.10'), '_x.10')
  t.equal(canonicalDomain('[IPv6:2001:DB8::1]'), '[ipv6:2001:db8::1]')
})

t.test('an internationalised label has 63 octets as an A-label', async t => {
  const label = (length: number): string => `ü${'a'.repeat(length)}`
  const longest = Array.from({ length: 63 }, (_, i) => label(i)).find(each => domainToASCII(each).length === 63)!
  t.ok(isDomain(longest, { utf8: true, strictness: 'strict' }))
  t.notOk(isDomain(`${longest}a`, { utf8: true, strictness: 'strict' }))
})
