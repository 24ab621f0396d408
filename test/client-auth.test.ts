// AUTH from the client's side: against a handler, and against servers that lie.

import { createHmac, pbkdf2Sync, X509Certificate } from 'node:crypto'
import t from 'tap'
import { SmtpClient, type ClientAuthOptions, type SmtpClientOptions } from '../lib/client.ts'
import { scramExchange } from '../lib/client/auth/scram.ts'
import { login, plain, scramSecret, scramSha256, SmtpHandler, xoauth2, type Mechanism } from '../lib/index.ts'
import { connect } from '../lib/testing/index.ts'
import { reply } from '../lib/words/reply.ts'
import { certificate } from './fixtures/certificates.ts'
import { settle } from './fixtures/fake-clock.ts'
import { serveScript, type Script, type ScriptedServer } from './fixtures/scripted-server.ts'

const CLEAR: SmtpClientOptions = { name: 'client.example', tls: { mode: 'never' } }
const USER = 'jörg,=x'
const PASSWORD = 'se sa=me,ü'

async function handler(mechanisms: readonly Mechanism[], insecure = true): Promise<SmtpHandler> {
  return new SmtpHandler({
    name: 'mx.example',
    tls: certificate(),
    auth: { mechanisms, insecure },
    async onMessage(message) {
      message.resume()
    },
    onAuth(credentials) {
      if ('verified' in credentials) return
      const secret = 'token' in credentials ? credentials.token : 'password' in credentials ? credentials.password : ''
      if (credentials.user === USER && (secret === PASSWORD || secret === 'token')) return reply(235, '2.7.0', 'In')
    },
  })
}

const secret = await scramSecret(PASSWORD, { iterations: 4096 })
const scram = scramSha256({ lookup: user => (user === USER ? secret : null), iterations: 4096 })
const ALL: readonly Mechanism[] = [plain(), login(), scram, xoauth2()]

async function attempt(mechanisms: readonly Mechanism[], auth: Partial<ClientAuthOptions>): Promise<SmtpClient> {
  const client = new SmtpClient({ ...CLEAR, auth: { user: USER, insecure: true, ...auth } })
  const server = await handler(mechanisms)
  server.pipe(client).pipe(server)
  return client
}

t.test('each mechanism, with the right secret and a wrong one', async t => {
  for (const mechanism of ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'] as const) {
    const client = await attempt(ALL, { password: PASSWORD, mechanisms: [mechanism] })
    await t.resolves(client.ready(), mechanism)
    t.match(await client.mail('a@b'), { code: 250 })
    const wrong = await attempt(ALL, { password: 'wrong', mechanisms: [mechanism] })
    await t.rejects(wrong.ready(), { code: 'ERR_REFUSED', step: 'AUTH', reply: { code: 535 } }, mechanism)
    t.equal(wrong.destroyed, true)
  }
  for (const token of ['token', () => 'token', async () => 'token']) {
    await t.resolves((await attempt(ALL, { token })).ready())
  }
  await t.rejects((await attempt(ALL, { token: 'wrong' })).ready(), { code: 'ERR_REFUSED', reply: { code: 535 } })
})

t.test('to act as another', async t => {
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256'] as const) {
    const allow = [plain({ allowAuthzid: true }), scramSha256({ lookup: () => secret, allowAuthzid: true })]
    const refused = await attempt(ALL, { password: PASSWORD, authzid: 'b=o,b', mechanisms: [mechanism] })
    await t.rejects(refused.ready(), { code: 'ERR_REFUSED', reply: { code: 535 } })
    await t.resolves((await attempt(allow, { password: PASSWORD, authzid: 'b=o,b', mechanisms: [mechanism] })).ready())
  }
})

/** A server that offers these mechanisms and answers AUTH as told. */
function scripted(
  offer: string,
  auth: ClientAuthOptions,
  script: Script,
): { client: SmtpClient; server: ScriptedServer } {
  const client = new SmtpClient({ ...CLEAR, auth: { insecure: true, ...auth } })
  const server = serveScript(client, { EHLO: `250-mx\r\n250 ${offer}\r\n`, ...script })
  return { client, server }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const anna = { user: 'anna', password: 'sesame' }

t.test('the preferred mechanism of those that are offered', async t => {
  const ok = '235 In\r\n'
  const cases: [offer: string, auth: Partial<ClientAuthOptions>, line: string][] = [
    ['AUTH LOGIN PLAIN', {}, `AUTH PLAIN ${base64('\0anna\0sesame')}`],
    ['AUTH=LOGIN PLAIN', {}, `AUTH PLAIN ${base64('\0anna\0sesame')}`],
    ['auth plain', { authzid: 'bob' }, `AUTH PLAIN ${base64('bob\0anna\0sesame')}`],
    ['AUTH LOGIN PLAIN', { mechanisms: ['LOGIN', 'PLAIN'] }, 'AUTH LOGIN'],
  ]
  for (const [offer, auth, line] of cases) {
    const { client, server } = scripted(
      offer,
      { ...anna, ...auth },
      { AUTH: line.endsWith('LOGIN') ? '535 No\r\n' : ok },
    )
    await client.ready().catch(() => {})
    t.equal(server.lines[1], line)
  }
  const { client, server } = scripted('AUTH GSSAPI', anna, {})
  await t.rejects(client.ready(), { code: 'ERR_NOT_OFFERED', step: 'AUTH', message: /SCRAM-SHA-256 or PLAIN or LOGIN/ })
  await settle()
  t.strictSame(server.verbs, ['EHLO', 'QUIT'])
})

t.test('LOGIN, whatever the prompts say', async t => {
  const { client, server } = scripted('AUTH LOGIN', anna, {
    AUTH: '334 VXNlcm5hbWU6\r\n',
    [base64('anna')]: '334 Password please\r\n',
    [base64('sesame')]: '235 In\r\n',
  })
  await client.ready()
  t.strictSame(server.lines.slice(1), ['AUTH LOGIN', base64('anna'), base64('sesame')])
  const early = scripted('AUTH LOGIN', anna, { AUTH: '235 In\r\n' })
  await t.rejects(early.client.ready(), { code: 'ERR_REFUSED', message: /not proved/ })
})

t.test('XOAUTH2: the reason of a refusal is answered, and the reply is the error', async t => {
  const { client, server } = scripted(
    'AUTH XOAUTH2',
    { user: 'anna', token: 'tok' },
    {
      AUTH: `334 ${base64('{"status":"401"}')}\r\n`,
      '': '535 5.7.8 No\r\n',
    },
  )
  await t.rejects(client.ready(), { code: 'ERR_REFUSED', reply: { code: 535, status: '5.7.8' } })
  t.strictSame(server.lines.slice(1), [`AUTH XOAUTH2 ${base64('user=anna\x01auth=Bearer tok\x01\x01')}`, '', 'QUIT'])
  const failing = scripted('AUTH XOAUTH2', { user: 'anna', token: () => Promise.reject(new Error('no net')) }, {})
  await t.rejects(failing.client.ready(), { code: 'ERR_OPTION', step: 'AUTH', message: /auth.token: no net/ })
  const wrong = scripted('AUTH XOAUTH2', { user: 'anna', token: 'a\r\nb' }, {})
  await t.rejects(wrong.client.ready(), { code: 'ERR_OPTION' })
})

t.test('a long initial response waits for a challenge', async t => {
  const token = 'x'.repeat(400)
  const { client, server } = scripted('AUTH XOAUTH2', { user: 'anna', token }, { AUTH: '334 \r\n', dXNl: '' })
  const ready = client.ready().catch(() => {})
  await new Promise(resolve => setImmediate(resolve))
  t.equal(server.lines[1], 'AUTH XOAUTH2')
  server.say('235 In\r\n')
  await ready
  t.equal(Buffer.from(server.lines[2] ?? '', 'base64').toString(), `user=anna\x01auth=Bearer ${token}\x01\x01`)
})

/** What a server of SCRAM-SHA-256 that knows the password would say. */
function scramServer(password: string, spoil: (message: string, which: 'first' | 'final') => string): Script {
  const salt = Buffer.from('saltsalt')
  const keys = pbkdf2Sync(password, salt, 4096, 32, 'sha256')
  let first = ''
  let bare = ''
  return {
    EHLO: '250-mx\r\n250 AUTH SCRAM-SHA-256\r\n',
    AUTH(line) {
      bare = Buffer.from(line.split(' ')[2]!, 'base64').toString().replace('n,,', '')
      first = spoil(`${/r=[^,]+/.exec(bare)![0]}more,s=${salt.toString('base64')},i=4096`, 'first')
      return `334 ${base64(first)}\r\n`
    },
    '*': '501 Cancelled\r\n',
    // Every other line of the exchange: the final message, then the empty one.
    '': '235 In\r\n',
    final(line: string) {
      const final = Buffer.from(line, 'base64').toString()
      const message = `${bare},${first},${final.replace(/,p=.*/, '')}`
      const serverKey = createHmac('sha256', keys).update('Server Key').digest()
      const signature = createHmac('sha256', serverKey).update(message).digest('base64')
      return `334 ${base64(spoil(`v=${signature}`, 'final'))}\r\n`
    },
  }
}

function scramClient(script: Script): { client: SmtpClient; server: ScriptedServer } {
  const answers = new Proxy(script, {
    get: (target, name: string) => target[name] ?? (/^[A-Za-z\d+/=]{40,}$/.test(name) ? target['final'] : undefined),
  })
  const client = new SmtpClient({ ...CLEAR, auth: { ...anna, insecure: true } })
  return { client, server: serveScript(client, answers) }
}

t.test('SCRAM-SHA-256: a server that does not prove itself is left', async t => {
  const good = scramClient(scramServer('sesame', message => message))
  await t.resolves(good.client.ready())
  const lies: [string, (message: string, which: 'first' | 'final') => string, RegExp][] = [
    ['another password', (m, which) => (which === 'final' ? `v=${base64('x'.repeat(32))}` : m), /has not proved/],
    ['no signature', (m, which) => (which === 'final' ? 'e=other-error' : m), /has not proved/],
    ['a short signature', (m, which) => (which === 'final' ? m.slice(0, 10) : m), /has not proved/],
    ['another nonce', (m, which) => (which === 'first' ? m.replace(/r=./, 'r=') : m), /nonce/],
    ['the same nonce', (m, which) => (which === 'first' ? m.replace('more,', ',') : m), /nonce/],
    ['no salt', (m, which) => (which === 'first' ? m.replace(/s=[^,]+/, 's=?') : m), /salt/],
    ['few iterations', (m, which) => (which === 'first' ? m.replace('4096', '4095') : m), /iterations/],
    ['many iterations', (m, which) => (which === 'first' ? m.replace('4096', '10000001') : m), /iterations/],
    ['garbage', (m, which) => (which === 'first' ? '' : m), /nonce/],
  ]
  for (const [name, spoil, message] of lies) {
    const { client, server } = scramClient(scramServer('sesame', spoil))
    await t.rejects(client.ready(), { code: 'ERR_REFUSED', step: 'AUTH', message }, name)
    await settle()
    t.strictSame(server.lines.slice(-2), ['*', 'QUIT'], 'cancelled')
    t.equal(client.destroyed, true)
  }
  const early = scramClient({ EHLO: '250-mx\r\n250 AUTH SCRAM-SHA-256\r\n', AUTH: '235 In\r\n' })
  await t.rejects(early.client.ready(), { code: 'ERR_REFUSED', message: /not proved/ }, '235 without an exchange')
})

t.test('an exchange without end is cancelled', async t => {
  const { client, server } = scripted('AUTH PLAIN', anna, {
    AUTH: '334 \r\n',
    '': '334 \r\n',
    '*': '501 Cancelled\r\n',
  })
  await t.rejects(client.ready(), { code: 'ERR_REFUSED', message: /does not end/ })
  t.ok(server.lines.length < 10)
})

t.test('credentials leave in clear only if that was asked for', async t => {
  const { client, server } = scripted('AUTH PLAIN', { ...anna, insecure: false }, {})
  await t.rejects(client.ready(), { code: 'ERR_TLS' })
  await settle()
  t.strictSame(server.verbs, ['EHLO', 'QUIT'])
  t.throws(() => new SmtpClient({ auth: anna }), { code: 'ERR_OPTION', message: /servername/ })
})

t.test('nor over TLS with a certificate that nobody checked', async t => {
  const { cert } = certificate()
  const fingerprint = new X509Certificate(cert).fingerprint256
  const auth = { user: USER, password: PASSWORD, mechanisms: ['PLAIN'] } as const
  const cases: [string, SmtpClientOptions, boolean][] = [
    ['may, not valid', { tls: { mode: 'may' }, auth }, false],
    ['may, valid', { tls: { mode: 'may', servername: 'localhost', ca: cert }, auth }, true],
    ['may, pinned', { tls: { mode: 'may', fingerprints256: [fingerprint] }, auth }, true],
    ['may, insecure', { tls: { mode: 'may' }, auth: { ...auth, insecure: true } }, true],
    ['must, unchecked', { tls: { mode: 'must', rejectUnauthorized: false }, auth }, true],
    ['must, valid', { tls: { servername: 'localhost', ca: cert }, auth }, true],
  ]
  for (const [name, options, letIn] of cases) {
    const server = await handler([plain()], false)
    const socket = connect(server)
    const client = new SmtpClient({ name: 'client.example', ...options })
    socket.on('error', () => {})
    socket.pipe(client).pipe(socket)
    if (letIn) await t.resolves(client.ready(), name)
    else await t.rejects(client.ready(), { code: 'ERR_TLS', step: 'AUTH' }, name)
    client.destroy()
  }
})

t.test('no secret is in an error', async t => {
  const { client } = scripted('AUTH PLAIN', { user: 'anna', password: 'sEcReT' }, { AUTH: '535 5.7.8 No\r\n' })
  const error = await client.ready().catch((error: unknown) => error as Error)
  const shown = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).stack)
  for (const text of ['sEcReT', base64('\0anna\0sEcReT')]) t.notOk(shown.includes(text))
})

t.test('after XCLIENT it logs in again', async t => {
  const { client, server } = scripted('AUTH PLAIN', anna, {
    EHLO: '250-mx\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR\r\n',
    AUTH: '235 In\r\n',
    XCLIENT: '220 mx\r\n',
  })
  await client.xclient({ addr: { family: 4, address: '192.0.2.1' } })
  t.strictSame(server.verbs, ['EHLO', 'AUTH', 'XCLIENT', 'EHLO', 'AUTH'])
})

t.test('the keys of RFC 7677', async t => {
  // The example of RFC 7677 §3.
  const exchange = scramExchange({
    user: async () => 'user',
    password: async () => 'pencil',
    authzid: '',
    nonce: 'rOprNGfwEbeRWgbNEkqO',
  })
  t.equal(await exchange.initial(), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  t.equal(
    await exchange.answer(`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`),
    `c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
  )
  t.equal(exchange.isComplete(), false)
  t.equal(await exchange.answer('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), '')
  t.equal(exchange.isComplete(), true)
})
