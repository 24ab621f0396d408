import { inspect } from 'node:util'
import t from 'tap'
import type { PasswordCredentials } from '../lib/smtp/auth/mechanism.ts'
import { login, plain } from '../lib/smtp/auth/password.ts'
import { saslprep } from '../lib/sasl/saslprep.ts'
import { MALFORMED, script } from './fixtures/exchange.ts'

const TIM = '\0tim\0tanstaaftanstaaf' // [RFC 4616 §4]

t.test('saslprep', async t => {
  const table: [string, string | null, (string | null)?][] = [
    ['user', 'user'],
    ['USER', 'USER'],
    ['I\u00adX', 'IX'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['\u0007', null],
    ['\u06271', null], // [RFC 4013 §3]
    ['a\u00a0b', 'a b'],
    ['a\u0300', '\u00e0'],
    ['', null],
    ['\u00ad', null], // nothing left
    ['a\0b', null],
    ['a\tb', null],
    ['\u200e', null],
    ['\ud800', null],
    ['\u{1f600}', '\u{1f600}', null], // unassigned in Unicode 3.2
  ]
  for (const [text, query, stored = query] of table) {
    t.equal(await saslprep(text), query, JSON.stringify(text))
    t.equal(await saslprep(text, 'stored'), stored, `${JSON.stringify(text)} stored`)
  }
})

t.test('PLAIN as RFC 4616 §4 has it', async t => {
  const exchange = script(TIM)
  t.same(await plain().authenticate(exchange), { user: 'tim', authzid: '' })
  t.same(exchange.challenges, [], 'no challenge after an initial response')
  const [credentials] = exchange.seen as PasswordCredentials[]
  t.match(credentials, { mechanism: 'PLAIN', user: 'tim', authzid: '' })
  t.equal(credentials?.password, 'tanstaaftanstaaf')
})

t.test('PLAIN without an initial response asks with an empty challenge', async t => {
  const exchange = script(null, [TIM])
  t.same(await plain().authenticate(exchange), { user: 'tim', authzid: '' })
  t.same(exchange.challenges, [''])
  await t.rejects(plain().authenticate(script('')), { message: MALFORMED })
})

t.test('the password is read but not listed', async t => {
  const exchange = script(TIM)
  await plain().authenticate(exchange)
  const [credentials] = exchange.seen
  t.notMatch(inspect(credentials), /tanstaaf/)
  t.notMatch(JSON.stringify(credentials), /tanstaaf/)
  t.notMatch(JSON.stringify({ ...credentials }), /tanstaaf/)
})

t.test('malformed PLAIN', async t => {
  const long = 'x'.repeat(256)
  const table: [string, string | Buffer][] = [
    ['empty', ''],
    ['no NUL', 'tim'],
    ['one NUL', 'tim\0secret'],
    ['three NUL', '\0tim\0secret\0'],
    ['no user', '\0\0secret'],
    ['no user, authzid', 'kurt\0\0secret'],
    ['no password', '\0tim\0'],
    ['long user', `\0${long}\0secret`],
    ['long password', `\0tim\0${long}`],
    ['long authzid', `${long}\0tim\0secret`],
    ['long in octets', `\0${'é'.repeat(128)}\0secret`],
    ['no UTF-8', Buffer.from('\0tim\0secr\xe9t', 'latin1')],
    ['surrogate', Buffer.from([0, 0x61, 0, 0xed, 0xa0, 0x80])],
  ]
  for (const [name, message] of table) {
    const exchange = script(message)
    await t.rejects(plain().authenticate(exchange), { message: MALFORMED, reply: { code: 501, status: '5.5.2' } }, name)
    t.same(exchange.seen, [], `${name}: nobody is asked`)
  }
  t.same(await plain().authenticate(script(`\0${'x'.repeat(255)}\0${'y'.repeat(255)}`)), {
    user: 'x'.repeat(255),
    authzid: '',
  })
})

t.test('PLAIN refuses', async t => {
  t.equal(await plain().authenticate(script(TIM, [], false)), null, 'what the program refuses')
  for (const message of ['\0t\x07m\0secret', '\0tim\0\u00ad', 'k\x07rt\0tim\0secret', '\0tim\0se\x7fcret']) {
    const exchange = script(message)
    t.equal(await plain().authenticate(exchange), null, JSON.stringify(message))
    t.same(exchange.seen, [])
  }
})

t.test('who asks to act as another is refused, unless allowed', async t => {
  const other = script('Ursel\0Kurt\0xipj3plmq') // [RFC 4616 §4]
  t.equal(await plain().authenticate(other), null)
  t.same(other.seen, [])
  t.same(await plain().authenticate(script('Kurt\0Kurt\0xipj3plmq')), { user: 'Kurt', authzid: 'Kurt' })
  const allowed = script('Ursel\0Kurt\0xipj3plmq')
  t.same(await plain({ allowAuthzid: true }).authenticate(allowed), { user: 'Kurt', authzid: 'Ursel' })
  t.match(allowed.seen, [{ user: 'Kurt', authzid: 'Ursel' }])
})

t.test('names and passwords are prepared, or left alone', async t => {
  const message = '\0I\u00adX\0\u2168'
  const prepared = script(message)
  t.same(await plain().authenticate(prepared), { user: 'IX', authzid: '' })
  t.equal((prepared.seen[0] as PasswordCredentials).password, 'IX')
  const raw = script(message)
  t.same(await plain({ prepare: text => text }).authenticate(raw), { user: 'I\u00adX', authzid: '' })
  t.equal((raw.seen[0] as PasswordCredentials).password, '\u2168')
})

t.test('LOGIN', async t => {
  const prompted = script(null, ['tim', 'secret'])
  t.same(await login().authenticate(prompted), { user: 'tim', authzid: '' })
  t.same(prompted.challenges, ['Username:', 'Password:'])
  t.match(prompted.seen, [{ mechanism: 'LOGIN', user: 'tim', authzid: '', password: 'secret' }])
  const early = script('tim', ['secret'])
  t.same(await login().authenticate(early), { user: 'tim', authzid: '' })
  t.same(early.challenges, ['Password:'])
  const empty = script('', ['tim', 'secret'])
  t.same(await login().authenticate(empty), { user: 'tim', authzid: '' })
  t.equal(await login().authenticate(script('tim', ['secret'], false)), null)
  t.equal(await login().authenticate(script('t\x07m', ['secret'])), null)
})

t.test('malformed LOGIN', async t => {
  const long = 'x'.repeat(256)
  const bad = Buffer.from([0xff])
  for (const answers of [[''], [long], ['a\0b'], [bad], ['tim', ''], ['tim', long], ['tim', 'a\0b'], ['tim', bad]]) {
    await t.rejects(login().authenticate(script(null, answers)), { message: MALFORMED }, inspect(answers))
  }
})

t.test('a cancelled exchange and a failing program come out as they are', async t => {
  await t.rejects(plain().authenticate(script(null)), { name: 'Cancelled' })
  await t.rejects(login().authenticate(script(null)), { name: 'Cancelled' })
  await t.rejects(login().authenticate(script('tim')), { name: 'Cancelled' })
  const failing = { ...script(TIM), verify: () => Promise.reject(new RangeError('down')) }
  await t.rejects(plain().authenticate(failing), RangeError)
})
