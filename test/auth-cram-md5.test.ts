import { createHmac } from 'node:crypto'
import t from 'tap'
import { cramMd5 } from '../lib/smtp/auth/cram-md5.ts'
import { MALFORMED, script } from './fixtures/exchange.ts'

const PASSWORDS = new Map([
  ['tim', 'tanstaaftanstaaf'],
  ['two words', 'secret'],
  ['nothing', ''],
  ['IX', 'secret'],
])
const options = { hostname: 'postoffice.reston.mci.net', lookup: (user: string) => PASSWORDS.get(user) ?? null }
const client = (user: string, password: string) => (challenge: string) =>
  `${user} ${createHmac('md5', password).update(challenge).digest('hex')}`

t.test('the exchange of RFC 2195 §2', async t => {
  const exchange = script(null, ['tim b913a602c7eda7a495b4e6e7334d3890'])
  const mechanism = cramMd5({ ...options, nonce: () => '1896.697170952' })
  t.same(await mechanism.authenticate(exchange), { user: 'tim', authzid: '' })
  t.same(exchange.challenges, ['<1896.697170952@postoffice.reston.mci.net>'])
  t.same(exchange.seen, [{ mechanism: 'CRAM-MD5', user: 'tim', authzid: '', verified: true }])
})

t.test('a challenge is new each time', async t => {
  const [a, b] = [script(null, [client('tim', 'x')]), script(null, [client('tim', 'x')])]
  await cramMd5(options).authenticate(a)
  await cramMd5(options).authenticate(b)
  t.match(a.challenges[0], /^<[0-9a-f]{32}\.\d+@postoffice\.reston\.mci\.net>$/)
  t.not(a.challenges[0], b.challenges[0])
})

t.test('names with spaces, names to prepare', async t => {
  t.same(await cramMd5(options).authenticate(script(null, [client('two words', 'secret')])), {
    user: 'two words',
    authzid: '',
  })
  t.same(await cramMd5(options).authenticate(script(null, [client('I\u00adX', 'secret')])), { user: 'IX', authzid: '' })
})

t.test('refused', async t => {
  const table: [string, string, string][] = [
    ['wrong password', 'tim', 'x'],
    ['unknown user', 'nobody', 'x'],
    ['unknown user without password', 'nobody', ''],
    ['user without password', 'nothing', ''],
    ['user that cannot be prepared', 't\x07m', 'x'],
  ]
  for (const [name, user, password] of table) {
    const exchange = script(null, [client(user, password)])
    t.equal(await cramMd5(options).authenticate(exchange), null, name)
    t.same(exchange.seen, [])
  }
  t.equal(await cramMd5(options).authenticate(script(null, [client('tim', 'tanstaaftanstaaf')], false)), null)
})

t.test('malformed', async t => {
  const digest = 'b913a602c7eda7a495b4e6e7334d3890'
  const messages = [
    '',
    ' ',
    'tim',
    digest,
    ` ${digest}`,
    `tim${digest}`,
    `tim ${digest.slice(1)}`,
    `tim ${digest}0`,
    `tim ${digest} `,
    `tim ${digest.toUpperCase()}`,
    `tim ${digest.replace('b', 'g')}`,
    `t\0m ${digest}`,
    `${'x'.repeat(256)} ${digest}`,
    `tim ${digest}\n`,
    Buffer.from(`t\xefm ${digest}`, 'latin1'),
  ]
  for (const message of messages) {
    await t.rejects(
      cramMd5(options).authenticate(script(null, [message])),
      { message: MALFORMED },
      JSON.stringify(message),
    )
  }
  for (const initial of ['', `tim ${digest}`]) {
    const exchange = script(initial, [`tim ${digest}`])
    await t.rejects(cramMd5(options).authenticate(exchange), { message: MALFORMED }, 'the server goes first')
    t.same(exchange.challenges, [])
  }
})

t.test('hostname must be one', async t => {
  for (const hostname of ['', 'a b', 'a>b', 'x'.repeat(256)]) {
    t.throws(() => cramMd5({ ...options, hostname }), { code: 'ERR_OPTION' })
  }
})
