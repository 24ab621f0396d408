import { hasControls } from '../lib/protocol/addresses/characters.ts'
import fc from 'fast-check'
import t from 'tap'
import { isUnavailable, parseXclient, parseXforward } from '../lib/protocol/proxy/xclient.ts'
import { encodeXtext } from '../lib/protocol/parameters/xtext.ts'
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
    ['PORT=0', 5],
    ['PORT=65536', 5],
    ['PORT=-1', 5],
    ['PORT=0x19', 5],
    ['PROTO=LMTP', 6],
  ]
  for (const [argument, at] of bad) t.match(parseXclient(argument), { ok: false, error: { at } }, shown(argument))
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
    fc.property(fc.string({ unit: 'binary' }), s => 'ok' in parseXclient(`HELO=${s}`) && 'ok' in parseXforward(s)),
  )
})
