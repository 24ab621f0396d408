import { inspect } from 'node:util'
import t from 'tap'
import type { TokenCredentials } from '../lib/smtp/auth/mechanism.ts'
import { NOTHING_SHOWN } from '../lib/smtp/auth/mechanism.ts'
import { oauthbearer, xoauth2 } from '../lib/smtp/auth/oauth.ts'
import { decodeBase64 } from '../lib/words/base64.ts'
import { MALFORMED, script } from './fixtures/exchange.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'

const TOKEN = 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=='

t.test('OAUTHBEARER as RFC 7628 §4.1 has it', async t => {
  const message = decodeBase64(
    'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52' +
      'YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB',
  )
  const exchange = script(message)
  t.same(await oauthbearer().authenticate(exchange), { user: 'user@example.com', authzid: '' })
  t.same(exchange.challenges, [])
  const [credentials] = exchange.seen as TokenCredentials[]
  t.same(
    { ...credentials },
    {
      mechanism: 'OAUTHBEARER',
      user: 'user@example.com',
      host: 'server.example.com',
      port: 143,
    },
  )
  t.equal(credentials?.token, TOKEN)
  t.notMatch(inspect(credentials) + JSON.stringify(credentials), TOKEN)
})

t.test('a refused token: the reason, the dummy, the end', async t => {
  // [RFC 7628 §4.2]
  const options = {
    scope: 'example_scope',
    openidConfiguration: 'https://example.com/.well-known/openid-configuration',
  }
  const exchange = script(null, [`n,a=user@example.com,\x01auth=Bearer ${TOKEN}\x01\x01`, '\x01'], false)
  t.equal(await oauthbearer(options).authenticate(exchange), null)
  t.equal(exchange.challenges[0], '')
  t.same(JSON.parse(exchange.challenges[1] ?? ''), {
    status: 'invalid_token',
    scope: 'example_scope',
    'openid-configuration': 'https://example.com/.well-known/openid-configuration',
  })
  t.equal(exchange.challenges.length, 2)

  const google = script(`user=a@example.com\x01auth=Bearer ${TOKEN}\x01\x01`, [''], false)
  t.equal(await xoauth2({ scope: 'https://mail.google.com/' }).authenticate(google), null)
  t.same(
    google.challenges.map(text => JSON.parse(text)),
    [{ status: '401', schemes: 'bearer', scope: 'https://mail.google.com/' }],
  )
})

t.test('whatever the client says to its refusal, refused it is', async t => {
  for (const answer of ['', '\x01', 'garbage', `n,,\x01auth=Bearer ${TOKEN}\x01\x01`]) {
    const exchange = script(`n,,\x01auth=Bearer ${TOKEN}\x01\x01`, [answer], false)
    t.equal(await oauthbearer().authenticate(exchange), null)
    t.equal(exchange.seen.length, 1)
  }
  await t.rejects(oauthbearer().authenticate(script(`n,,\x01auth=\x01\x01`)), { name: 'Cancelled' })
})

t.test('discovery and other schemes get the reason, nobody is asked, and it is no guess', async t => {
  const auths = ['', 'Basic abc', 'Bearer', 'Bearer ', 'Bearer a b', 'Bearer a=b', 'Bearer é', `Bearer${TOKEN}`]
  for (const auth of auths) {
    const exchange = script(`n,a=user@example.com,\x01auth=${auth}\x01\x01`, ['\x01'])
    await t.rejects(oauthbearer().authenticate(exchange), new SmtpError(NOTHING_SHOWN), auth)
    t.same(exchange.challenges, ['{"status":"invalid_token"}'])
    t.same(exchange.seen, [])
  }
})

t.test('OAUTHBEARER in other forms', async t => {
  const table: [string, object][] = [
    [`n,,\x01auth=Bearer ${TOKEN}\x01\x01`, { user: '' }],
    [`y,,\x01auth=bearer ${TOKEN}\x01\x01`, { user: '' }],
    [`n,a=a=2Cb=3Dc,\x01auth=BEARER  ${TOKEN}\x01\x01`, { user: 'a,b=c' }],
    [`n,a=u,\x01auth=Bearer ${TOKEN}\x01extra=a=b, c\x01\x01`, { user: 'u' }],
    [`n,a=I\u00adX,\x01port=65535\x01auth=Bearer ${TOKEN}\x01\x01`, { user: 'IX', port: 65535 }],
  ]
  for (const [message, expected] of table) {
    const exchange = script(message)
    t.ok(await oauthbearer().authenticate(exchange), JSON.stringify(message))
    t.same({ ...exchange.seen[0] }, { mechanism: 'OAUTHBEARER', ...expected })
  }
})

t.test('malformed OAUTHBEARER', async t => {
  const auth = `auth=Bearer ${TOKEN}\x01`
  const messages = [
    '',
    '\x01',
    '\x01\x01',
    'n,,',
    'n,,\x01',
    'n,,\x01\x01', // no auth
    `n,,${auth}\x01`,
    `n,,\x01auth=Bearer ${TOKEN}\x01`,
    `n,,\x01auth=Bearer ${TOKEN}`,
    `n,,\x01${auth}\x01\x01`, // separators
    `n,,\x01\x01${auth}\x01`,
    `n,,\x01${auth}\x01x`,
    `,,\x01${auth}\x01`,
    `x,,\x01${auth}\x01`,
    `n,\x01${auth}\x01`,
    `n,a=,\x01${auth}\x01`,
    `n,b=u,\x01${auth}\x01`, // header
    `p=tls-unique,,\x01${auth}\x01`,
    `n,a=a=b,\x01${auth}\x01`,
    `n,a=a=2c,\x01${auth}\x01`,
    `n,a=a\0,\x01${auth}\x01`,
    `n,a=${'x'.repeat(256)},\x01${auth}\x01`,
    `n,,\x01${auth}${auth}\x01`,
    `n,,\x01=x\x01${auth}\x01`,
    `n,,\x01x\x01${auth}\x01`,
    `n,,\x01h1=x\x01${auth}\x01`, // pairs
    ...['', '0', '65536', '-1', '1e3', '0x10', ' 1', '123456'].map(port => `n,,\x01port=${port}\x01${auth}\x01`),
    ...['', 'a b', 'é', 'a\n', 'x'.repeat(256)].map(host => `n,,\x01host=${host}\x01${auth}\x01`),
    Buffer.from(`n,a=\xe9,\x01${auth}\x01`, 'latin1'),
  ]
  for (const message of messages) {
    const exchange = script(message, ['\x01'])
    await t.rejects(oauthbearer().authenticate(exchange), { message: MALFORMED }, JSON.stringify(message))
    t.same(exchange.seen, [])
    t.same(exchange.challenges, [])
  }
})

t.test('XOAUTH2', async t => {
  const exchange = script(
    decodeBase64(
      'dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0' +
        'Q2cBAQ==',
    ),
  )
  t.same(await xoauth2().authenticate(exchange), { user: 'someuser@example.com', authzid: '' })
  const [credentials] = exchange.seen as TokenCredentials[]
  t.same({ ...credentials }, { mechanism: 'XOAUTH2', user: 'someuser@example.com' })
  t.equal(credentials?.token, 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg')
  t.equal(await xoauth2().authenticate(script('user=t\x07m\x01auth=Bearer t\x01\x01', [''])), null)
})

t.test('malformed XOAUTH2', async t => {
  const messages = [
    '',
    '\x01',
    '\x01\x01',
    'user=a',
    'user=a\x01',
    'user=a\x01\x01',
    'auth=Bearer t\x01\x01', // something missing
    'user=\x01auth=Bearer t\x01\x01',
    'user=a\x01auth=Bearer t\x01',
    'user=a\x01auth=Bearer t',
    '\x01user=a\x01auth=Bearer t\x01\x01',
    'user=a\x01user=b\x01auth=Bearer t\x01\x01',
    'user=a\0\x01auth=Bearer t\x01\x01',
    `user=${'x'.repeat(256)}\x01auth=Bearer t\x01\x01`,
    Buffer.from('user=\xe9\x01auth=Bearer t\x01\x01', 'latin1'),
  ]
  for (const message of messages) {
    await t.rejects(xoauth2().authenticate(script(message, [''])), { message: MALFORMED }, JSON.stringify(message))
  }
})

t.test('a refusal must fit into a reply line', async t => {
  t.throws(() => oauthbearer({ scope: 'x'.repeat(400) }), { code: 'ERR_OPTION' })
  t.throws(() => xoauth2({ scope: 'x'.repeat(400) }), { code: 'ERR_OPTION' })
})
