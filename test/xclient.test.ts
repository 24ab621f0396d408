import { hasControls } from '../lib/protocol/addresses/characters.ts'
import fc from 'fast-check'
import t from 'tap'
import {
  formatXclient,
  formatXforward,
  isUnavailable,
  parseXclient,
  parseXforward,
  type XclientAttributes,
  type XforwardAttributes,
} from '../lib/protocol/proxy/xclient.ts'
import { encodeXtext } from '../lib/protocol/parameters/xtext.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

t.test('XCLIENT', async t => {
  const line = 'NAME=mail.example.org ADDR=192.0.2.1 port=40000 Proto=esmtp HELO=a+20b LOGIN=j+C3+B6rg'
  t.strictSame(parseXclient(`${line} DESTADDR=IPV6:2001:DB8::1 DESTPORT=25 REVERSE_NAME=[TEMPUNAVAIL]`), {
    ok: true,
    attributes: {
      name: 'mail.example.org',
      addr: { family: 4, address: '192.0.2.1' },
      port: 40000,
      proto: 'ESMTP',
      helo: 'a b',
      login: 'jörg',
      destAddr: { family: 6, address: '2001:db8::1' },
      destPort: 25,
      reverseName: { unavailable: 'temporarily' },
    },
  })
  const unknown = parseXclient('NAME=[UNAVAILABLE] ADDR=[unavailable] PROTO=SMTP')
  t.ok(unknown.ok && isUnavailable(unknown.attributes.name) && isUnavailable(unknown.attributes.addr))
  t.notOk(unknown.ok && (isUnavailable(unknown.attributes.proto) || isUnavailable(unknown.attributes.helo)))
})

t.test('XFORWARD', async t => {
  const line = 'NAME=my_pc.example ADDR=IPV6:::1 PORT=1 PROTO=LMTP HELO=x IDENT=4Abc SOURCE=remote'
  t.strictSame(parseXforward(line), {
    ok: true,
    attributes: {
      name: 'my_pc.example',
      addr: { family: 6, address: '::1' },
      port: 1,
      proto: 'LMTP',
      helo: 'x',
      ident: '4Abc',
      source: 'REMOTE',
    },
  })
})

t.test('bad, with the place', async t => {
  const bad: [argument: string, at: number][] = [
    ['', 0],
    ['  ', 0],
    ['NAME', 0],
    ['=x', 0],
    ['NAME=a FOO=b', 7],
    ['NAME=a __proto__=b', 7],
    ['NAME=a IDENT=b', 7],
    ['NAME=a name=b', 7],
    ['NAME=', 5],
    ['NAME=a+20b', 5],
    ['NAME=a+0D+0A', 5],
    ['HELO=a+0D+0AMAIL', 5],
    ['LOGIN=a+00', 6],
    ['LOGIN=a\tb', 6],
    ['LOGIN=a=b', 6],
    ['LOGIN=ü', 6],
    ['ADDR=::1', 5],
    ['ADDR=IPV6:192.0.2.1', 5],
    ['ADDR=999.2.3.4', 5],
    ['ADDR=010.1.1.1', 5],
    ['ADDR=x', 5],
    ['ADDR=12345::1', 5],
    ['ADDR=xIPV6::1', 5],
    ['PORT=0', 5],
    ['PORT=65536', 5],
    ['PORT=-1', 5],
    ['PORT=0x19', 5],
    ['PROTO=LMTP', 6],
  ]
  for (const [argument, at] of bad) t.match(parseXclient(argument), { ok: false, error: { at } }, shown(argument))
  t.match(parseXclient('=x'), { error: { problem: /NAME=value/ } })
  t.match(parseXclient('A=x'), { error: { problem: /not known/ } })
  for (const argument of ['LOGIN=a', 'SOURCE=x', 'PROTO=a+20b', 'DESTADDR=192.0.2.1']) {
    t.match(parseXforward(argument), { ok: false }, argument)
  }
})

t.test('what is printed is read again, and nothing throws', async () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter(login => !hasControls(login))
  fc.assert(
    fc.property(text, fc.ipV4(), fc.integer({ min: 1, max: 65_535 }), (login, address, port) => {
      const parsed = parseXclient(`LOGIN=${encodeXtext(login)} ADDR=${address} PORT=${port}`)
      if (!parsed.ok) return false
      return parsed.attributes.login === login && parsed.attributes.port === port
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: character }), s => 'ok' in parseXclient(`HELO=${s}`) && 'ok' in parseXforward(s)),
  )
})

const NAMES = new Set('HELO PROTO LOGIN DESTADDR DESTPORT PORT REVERSE_NAME NAME ADDR IDENT SOURCE'.split(' '))
const unknown = { unavailable: 'permanently' } as const

t.test('XCLIENT is formatted: what was offered, NAME and ADDR last', async t => {
  const attributes: XclientAttributes = {
    addr: { family: 6, address: '2001:db8::1' },
    name: unknown,
    port: 40000,
    helo: 'a b+c=ü',
    login: { unavailable: 'temporarily' },
    proto: 'ESMTP',
  }
  const whole =
    'HELO=a+20b+2Bc+3D+C3+BC PROTO=ESMTP LOGIN=[TEMPUNAVAIL] PORT=40000 NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1'
  t.strictSame(formatXclient(attributes, NAMES), [whole])
  t.strictSame(parseXclient(whole), { ok: true, attributes })
  t.strictSame(formatXclient(attributes, new Set(['ADDR', 'PROTO'])), ['PROTO=ESMTP ADDR=IPV6:2001:db8::1'])
  t.strictSame(formatXclient(attributes, new Set()), [])
  t.strictSame(formatXclient({ helo: '[unavailable]' }, NAMES), ['HELO=+5Bunavailable]'], 'not the word for unknown')
  t.strictSame(formatXclient({ login: 'a[b' }, NAMES), ['LOGIN=a[b'])
})

t.test('lines of at most 512 octets where it can be', async t => {
  const name = Array.from({ length: 4 }, () => 'n'.repeat(60)).join('.')
  const args = formatXclient({ helo: name, reverseName: name, name, addr: { family: 4, address: '192.0.2.1' } }, NAMES)
  const [login, port] = ['l'.repeat(512 - 'XCLIENT LOGIN= PORT=1\r\n'.length), 1]
  t.strictSame(formatXclient({ login, port }, NAMES), [`LOGIN=${login} PORT=1`])
  t.strictSame(formatXclient({ login: `${login}l`, port }, NAMES), [`LOGIN=${login}l`, 'PORT=1'])
  t.strictSame(args, [`HELO=${name}`, `REVERSE_NAME=${name}`, `NAME=${name} ADDR=192.0.2.1`])
  t.strictSame(formatXforward({ helo: 'ü'.repeat(200), port: 1 }, NAMES), ['PORT=1', `HELO=${'+C3+BC'.repeat(200)}`])
})

t.test('what cannot be written is refused', async t => {
  const refused: object[] = [
    { helo: '' },
    { helo: 'a\r\nQUIT' },
    { helo: '\0' },
    { login: '\ud800' },
    { name: 'a b' },
    { name: 'a\n' },
    { addr: { family: 4, address: '::1' } },
    { addr: { family: 6, address: '::1%eth0' } },
    { addr: '192.0.2.1' },
    { port: 0 },
    { port: 65_536 },
    { port: 1.5 },
    { proto: 'esmtp' },
    { proto: 'ESMTP ADDR=1' },
    { proto: null },
    { ident: 'a' },
  ]
  for (const each of refused)
    t.throws(() => formatXclient(each, NAMES), { code: 'ERR_OPTION' }, shown(JSON.stringify(each)))
  for (const each of [{ login: 'a' }, { source: 'local' }, { proto: 'a b' }, { proto: 'lmtp' }]) {
    t.throws(() => formatXforward(each as object, NAMES), { code: 'ERR_OPTION' }, shown(JSON.stringify(each)))
  }
})

t.test('parse(format(x)) is x', async t => {
  const unavailable = fc.constantFrom(unknown, { unavailable: 'temporarily' } as const)
  const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(arbitrary, unavailable)
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }).filter(text => !hasControls(text))
  const special = fc.constantFrom('[UNAVAILABLE]', '[tempunavail]', '[', ' ', '=', '+', 'A=B ADDR=1')
  const address = fc.oneof(
    fc.ipV4().map(address => ({ family: 4 as const, address })),
    fc.constantFrom('::', '::1', '2001:db8::a', '::ffff:192.0.2.1').map(address => ({ family: 6 as const, address })),
  )
  const port = fc.integer({ min: 1, max: 65_535 })
  const fields = {
    name: some(fc.domain()),
    addr: some(address),
    port: some(port),
    helo: some(fc.oneof(text, special)),
  }
  const options = { requiredKeys: [], noNullPrototype: true }
  const xclient = fc.record(
    {
      ...fields,
      proto: some(fc.constantFrom('SMTP', 'ESMTP')),
      login: some(fc.oneof(text, special)),
      destAddr: some(address),
      destPort: some(port),
      reverseName: some(fc.domain()),
    },
    options,
  )
  const xforward = fc.record(
    {
      ...fields,
      proto: some(fc.constantFrom('SMTP', 'LMTP')),
      ident: some(text),
      source: some(fc.constantFrom('LOCAL', 'REMOTE')),
    },
    options,
  )
  const again = (args: readonly string[], parse: typeof parseXclient | typeof parseXforward) =>
    Object.assign(
      {},
      ...args.map(argument => {
        const parsed = parse(argument)
        if (!parsed.ok || !/^[!-~ ]+$/.test(argument)) throw new Error(argument)
        return parsed.attributes
      }),
    )
  fc.assert(
    fc.property(xclient, x => t.same(again(formatXclient(x as XclientAttributes, NAMES), parseXclient), x) || true),
  )
  fc.assert(
    fc.property(xforward, x => t.same(again(formatXforward(x as XforwardAttributes, NAMES), parseXforward), x) || true),
  )
})
