import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { cramMd5 } from '../lib/smtp/auth/cram-md5.ts'
import type { Credentials } from '../lib/smtp/auth/mechanism.ts'
import { oauthbearer, xoauth2 } from '../lib/smtp/auth/oauth.ts'
import { login, plain } from '../lib/smtp/auth/password.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import { scramSha256, type ScramOptions } from '../lib/smtp/auth/scram.ts'
import { channels } from '../lib/smtp/diagnostics.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { closeLogs } from '../lib/log/line-log.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { reply } from '../lib/words/reply.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { address, begin, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { watched } from './fixtures/hooks.ts'

const PASSWORD = 'open-sesame-4711'
const b64 = (text: string): string => Buffer.from(text).toString('base64')
const unb64 = (text: string): string => Buffer.from(text, 'base64').toString()
const PLAIN = b64(`\0joe\0${PASSWORD}`)
const secret = await scramSecret(PASSWORD, { iterations: 4096 })
const mechanisms = [
  plain(),
  login(),
  xoauth2(),
  oauthbearer(),
  scramSha256({ lookup: user => (user === 'joe' ? secret : null), iterations: 4096 }),
  cramMd5({ lookup: user => (user === 'joe' ? PASSWORD : null), hostname: 'mx.example.org' }),
]

/** Lets in who has shown the password. */
function check(credentials: Credentials): ReturnType<NonNullable<SmtpHandlerOptions['onAuth']>> {
  const shown = 'password' in credentials ? credentials.password : 'token' in credentials ? credentials.token : null
  if (shown === PASSWORD) return reply(235, '2.7.0', 'Welcome')
}

const make = (options: SmtpHandlerOptions = {}): SmtpHandler =>
  new SmtpHandler({
    onAuth: check,
    handleError() {},
    ...options,
    auth: { insecure: true, mechanisms, ...options.auth },
  })

type Dialogue = (c: Conversation, password: string) => Promise<void>

/** What the server says in its challenge. */
async function challenge(c: Conversation, line: string): Promise<string> {
  return unb64((await c.command(line, 334)).lines[0] ?? '')
}

const DIALOGUES: Record<string, Dialogue> = {
  'PLAIN, at once': (c, password) => c.send(`AUTH PLAIN ${b64(`\0joe\0${password}`)}`),
  'PLAIN, asked for': async (c, password) => {
    await challenge(c, 'auth plain')
    await c.send(b64(`\0joe\0${password}`))
  },
  LOGIN: async (c, password) => {
    t.equal(await challenge(c, 'AUTH LOGIN'), 'Username:')
    t.equal(await challenge(c, b64('joe')), 'Password:')
    await c.send(b64(password))
  },
  'LOGIN, the name at once': async (c, password) => {
    await challenge(c, `AUTH LOGIN ${b64('joe')}`)
    await c.send(b64(password))
  },
  XOAUTH2: async (c, password) => {
    await c.send(`AUTH XOAUTH2 ${b64(`user=joe\x01auth=Bearer ${password}\x01\x01`)}`)
    if (password !== PASSWORD) await c.expect(334).then(() => c.send(''))
  },
  OAUTHBEARER: async (c, password) => {
    await c.send(`AUTH OAUTHBEARER ${b64(`n,a=joe,\x01auth=Bearer ${password}\x01\x01`)}`)
    if (password !== PASSWORD) await c.expect(334).then(() => c.send('AQ=='))
  },
  'SCRAM-SHA-256': async (c, password) => {
    const first = await challenge(c, `AUTH SCRAM-SHA-256 ${b64('n,,n=joe,r=abc')}`)
    const [, nonce = '', salt = '', i = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(first) ?? []
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(i), 32, 'sha256')
    const key = createHmac('sha256', salted).update('Client Key').digest()
    const stored = createHash('sha256').update(key).digest()
    const final = `c=biws,r=${nonce}`
    const proof = createHmac('sha256', stored).update(`n=joe,r=abc,${first},${final}`).digest()
    await c.send(b64(`${final},p=${Buffer.from(proof.map((octet, n) => octet ^ (key[n] ?? 0))).toString('base64')}`))
    if (password === PASSWORD) await c.expect(334).then(() => c.send(''))
  },
  'CRAM-MD5': async (c, password) => {
    const given = await challenge(c, 'AUTH CRAM-MD5')
    await c.send(b64(`joe ${createHmac('md5', password).update(given).digest('hex')}`))
  },
}

for (const [name, dialogue] of Object.entries(DIALOGUES)) {
  t.test(name, async t => {
    const handler = make()
    const c = await begin(handler)
    await dialogue(c, 'wrong')
    await c.expect('535 5.7.8 …')
    t.equal(handler.session.user, null)
    await dialogue(c, PASSWORD)
    await c.expect(/^235 2\.7\.0 /)
    t.match(handler.session, { user: 'joe', protocol: 'ESMTPA' })
    await c.command(`AUTH PLAIN ${PLAIN}`, '503 5.5.1 …')
    await quit(c)
  })
}

t.test('where it is offered, and where it is in order', async t => {
  const clear = new SmtpHandler({ auth: {}, onAuth: check })
  const a = converse(clear)
  await a.expect(220)
  t.notMatch((await a.command('EHLO a.example', 250)).text, /AUTH/)
  await a.command(`AUTH PLAIN ${PLAIN}`, '538 5.7.11 …')
  await quit(a)

  const none = await begin(new SmtpHandler())
  await none.command(`AUTH PLAIN ${PLAIN}`, '502 5.5.1 …')
  await quit(none)

  const early = converse(make())
  await early.expect(220)
  await early.command(`AUTH PLAIN ${PLAIN}`, '503 5.5.1 …')
  await early.command('EHLO a.example', /\n250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER SCRAM-SHA-256 CRAM-MD5\n/)
  await address(early)
  await early.command(`AUTH PLAIN ${PLAIN}`, '503 5.5.1 …')
  await quit(early)

  const required = await begin(make({ auth: { required: true } }))
  await required.command('MAIL FROM:<>', '530 5.7.0 …')
  await required.command(`AUTH PLAIN ${PLAIN}`, 235)
  await required.command('MAIL FROM:<>', 250)
  await quit(required)
})

t.test('what is none', async t => {
  const table: [string, string][] = [
    ['AUTH', '501 5.5.4 …'],
    ['AUTH PLAIN a b', '501 5.5.4 …'],
    ['AUTH NOSUCH', '504 5.5.4 …'],
    ['AUTH __proto__', '504 5.5.4 …'],
    ['AUTH constructor', '504 5.5.4 …'],
    ['AUTH PLAIN !!!', '501 5.5.2 …'],
    [`AUTH PLAIN ${PLAIN}=`, '501 5.5.2 …'],
    [`AUTH PLAIN ${PLAIN.slice(0, -1)}`, '501 5.5.2 …'],
    [`AUTH PLAIN ${PLAIN}!`, '501 5.5.2 …'],
    ['AUTH PLAIN =', '501 5.5.2 …'],
    [`AUTH CRAM-MD5 ${b64('joe x')}`, '501 5.5.2 …'],
  ]
  const c = await begin(make({ limits: { authFailures: 100, errors: 100, softErrors: 100 } }))
  for (const [line, expected] of table) await c.command(line, expected)
  for (const [line, expected] of [
    ['*', '501 5.5.2 …'],
    ['not base64', '501 5.5.2 …'],
    ['\0', '500 5.5.2 …'],
    ['A'.repeat(12_288), '500 5.5.6 …'],
    ['A'.repeat(70_000), '500 5.5.6 …'],
  ] as const) {
    await c.command('AUTH PLAIN', 334)
    await c.command(line, expected)
    await c.command('NOOP', 250)
  }
  await c.command('AUTH PLAIN', 334)
  await c.command(PLAIN, 235)
  await quit(c)
  t.pass()
})

t.test('long lines: AUTH alone', async () => {
  const token = 'x'.repeat(9000)
  const c = await begin(make({ onAuth: () => reply(235, 'in') }))
  await c.command(`NOOP ${'x'.repeat(2042)}`, '500 5.5.2 …')
  const line = `AUTH XOAUTH2 ${b64(`user=joe\x01auth=Bearer ${token}\x01\x01`)}`
  await c.command(line, 235)
  await quit(c)
  const long = await begin(make())
  await long.command(`AUTH PLAIN ${'A'.repeat(12_288)}`, '500 5.5.6 …')
  await long.command('NOOP', 250)
  await quit(long)
})

t.test('authFailures: each refusal is told, the next command gets 421', async t => {
  const c = await begin(make())
  await c.command(`AUTH PLAIN ${b64('\0joe\0wrong')}`, '535 5.7.8 …')
  await c.command(`AUTH PLAIN ${b64('\0nobody\0wrong')}`, '535 5.7.8 …')
  t.equal(c.replies.at(-1)?.text, c.replies.at(-2)?.text, 'no user is told from a wrong password')
  await c.command('NOOP', 250)
  await c.command(`AUTH PLAIN ${b64('\0joe\0wrong')}`, '535 5.7.8 …')
  await c.command(`AUTH PLAIN ${PLAIN}`, '421 4.7.0 Too many failed attempts to authenticate')
  await c.closed()
})

t.test('authFailures: every mechanism, and a token whose refusal the client cancels', async t => {
  for (const [name, dialogue] of Object.entries(DIALOGUES)) {
    const c = await begin(make({ limits: { authFailures: 1 } }))
    await dialogue(c, 'wrong')
    await c.expect('535 5.7.8 …')
    await c.command('NOOP', '421 4.7.0 …')
    await c.closed()
    t.pass(name)
  }
  const c = await begin(make({ limits: { authFailures: 1 } }))
  await challenge(c, `AUTH XOAUTH2 ${b64('user=joe\x01auth=Bearer wrong\x01\x01')}`)
  await c.command('*', '501 5.5.2 …')
  await c.command('NOOP', '421 4.7.0 …')
  await c.closed()
})

t.test('authFailures: only wrong credentials count', async t => {
  const later = (): ReturnType<typeof check> => reply(454, '4.7.0', 'Later')
  const make1 = (onAuth = check): SmtpHandler => make({ limits: { authFailures: 1, softErrors: 100 }, onAuth })
  const c = await begin(make1())
  for (const [line, expected] of [
    ['AUTH', 501],
    ['AUTH GSSAPI', 504],
    ['AUTH NTLM', 504],
    ['AUTH DIGEST-MD5', 504],
    ['AUTH PLAIN !!!', 501],
    [`AUTH PLAIN ${b64('no NUL')}`, 501],
  ] as const) {
    await c.command(line, expected)
  }
  for (const line of ['*', '!!!', '\0', 'A'.repeat(12_288)]) {
    await c.command('AUTH PLAIN', 334)
    await c.command(line, /^50[01]/)
  }
  await c.command(`AUTH PLAIN ${PLAIN}`, 235)
  await quit(c)

  const refused = await begin(make1(later))
  await refused.command(`AUTH PLAIN ${PLAIN}`, 454)
  await refused.command(`AUTH PLAIN ${PLAIN}`, 454)
  await quit(refused)

  for (const refusal of [reply(535, '5.7.8', 'No'), reply(550, '5.7.1', 'Not you')]) {
    const throwing = await begin(make1(() => Promise.reject(new SmtpError(refusal))))
    await throwing.command(`AUTH PLAIN ${PLAIN}`, refusal.code)
    await throwing.command('NOOP', 421)
    await throwing.closed()
  }
  t.pass('a cancel, an unknown mechanism, a malformed line are errors')
})

t.test('who is let in', async t => {
  const table: [string, SmtpHandlerOptions['onAuth'], number][] = [
    ['nobody says so', undefined, 535],
    ['nothing', () => {}, 535],
    ['nothing, later', async () => {}, 535],
    ['a refusal', () => reply(454, '4.7.0', 'Later'), 454],
    ['a throw', () => Promise.reject(new Error(PASSWORD)), 451],
    [
      'a sync throw',
      () => {
        throw new Error(PASSWORD)
      },
      451,
    ],
    ['what is no reply', () => true as never, 451],
    ['a 334', () => reply(334, ''), 451],
    ['a 250', () => reply(250, 'OK'), 235],
  ]
  for (const [name, onAuth, code] of table) {
    const handler = make({
      ...(onAuth === undefined ? {} : { onAuth }),
      ...(name === 'nobody says so' ? { onAuth: undefined as never } : {}),
    })
    const c = await begin(handler)
    const { text } = await c.command(`AUTH PLAIN ${PLAIN}`, code)
    t.notMatch(text, PASSWORD)
    t.equal(handler.session.user, code === 235 ? 'joe' : null, name)
    await quit(c)
  }
})

t.test('a proof needs no word, but can be refused', async t => {
  const refusing = make({ onAuth: () => reply(535, '5.7.8', 'Not you') })
  const c = await begin(refusing)
  await DIALOGUES['CRAM-MD5']?.(c, PASSWORD)
  await c.expect(535)
  t.equal(refusing.session.user, null)
  await quit(c)
})

t.test('secrets are nowhere', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const seen: string[] = []
  const listen = (event: unknown): void =>
    void seen.push(inspect(event, { depth: 12, showHidden: true }), JSON.stringify(event))
  for (const { name } of Object.values(channels)) {
    subscribe(name, listen)
    t.teardown(() => unsubscribe(name, listen))
  }
  const debugLogFile = join(folder, 'debug')
  const logFile = join(folder, 'log')
  const ways = [
    'auth PLAIN %',
    'AUTH\tPLAIN %',
    'AUTH  PLAIN %',
    ' AUTH PLAIN %',
    'AUTH PLAIN %\rx',
    'AUTH NOSUCH %',
    'AUTH: PLAIN %',
  ]
  for (const password of [PASSWORD, `wrong-${PASSWORD}`]) {
    for (const [name, dialogue] of Object.entries(DIALOGUES)) {
      const c = await begin(
        make({
          debugLogFile,
          logFile,
          onAuth: credentials => (seen.push(inspect(credentials), JSON.stringify(credentials)), check(credentials)),
        }),
      )
      await dialogue(c, password)
      seen.push((await c.expect()).text)
      await quit(c)
      t.ok(seen.length > 0, name)
    }
  }
  for (const way of ways) {
    const c = await begin(make({ debugLogFile, logFile }))
    seen.push((await c.command(way.replace('%', PLAIN))).text)
    c.reset()
    await c.closed()
  }
  await closeLogs()
  seen.push(readFileSync(debugLogFile, 'utf8'))
  const forms = [
    PASSWORD,
    PLAIN,
    PLAIN.toUpperCase(),
    b64(PASSWORD),
    b64(`wrong-${PASSWORD}`),
    b64('\0joe\0wrong-').slice(0, -4),
  ]
  for (const form of forms)
    t.notOk(
      seen.some(text => text.includes(form)),
      form,
    )
})

t.test('a client that goes in the middle', async t => {
  let asked = 0
  const errors: Error[] = []
  const handler = make({ onAuth: () => void asked++, handleError: error => void errors.push(error) })
  const c = await begin(handler)
  await c.command('AUTH LOGIN', 334)
  c.write(b64('joe'))
  c.end()
  await c.closed()
  t.equal(asked, 0)
  t.same(errors, [])
})

t.test('a mechanism that never comes to an end: 451 after timeouts.hook, and the session goes on', async t => {
  const ways: Record<string, Partial<ScramOptions>> = {
    'a look-up that hangs': { lookup: () => new Promise(() => {}) },
    'a preparation that hangs': { prepare: () => new Promise(() => {}) },
  }
  for (const [name, way] of Object.entries(ways)) {
    const clock = new FakeClock()
    const mechanisms = [scramSha256({ lookup: () => null, ...way })]
    const { handler, errors } = watched({ clock, auth: { insecure: true, mechanisms, guesses: {} } })
    const c = await begin(handler)
    for (let i = 0; i < 2; i++) {
      await c.send(`AUTH SCRAM-SHA-256 ${Buffer.from('n,,n=joe,r=abc').toString('base64')}`)
      await clock.tick(239_999)
      t.equal(c.unread, 0, name)
      await clock.tick(1)
      await c.expect('451 4.3.0 …')
      await c.command('NOOP', 250)
    }
    t.match(errors, [{ code: 'ERR_TIMEOUT' }, { code: 'ERR_TIMEOUT' }])
    t.equal(errors.length, 2)
    await quit(c)
    t.equal(clock.timers, 0)
  }
})

t.test('a mechanism that goes on after its time asks the client nothing', async t => {
  const clock = new FakeClock()
  let goOn: (answer: null) => void = () => {}
  const lookup = () => new Promise<null>(resolve => (goOn = resolve))
  const { handler, errors } = watched({
    clock,
    auth: { insecure: true, mechanisms: [scramSha256({ lookup })], guesses: {} },
    onMailFrom: () => new Promise(() => {}),
  })
  const c = await begin(handler)
  await c.send(`AUTH SCRAM-SHA-256 ${Buffer.from('n,,n=joe,r=abc').toString('base64')}`)
  await clock.tick(240_000)
  await c.expect('451 4.3.0 …')
  await c.send('MAIL FROM:<a@b>') // a command is at hand, in which a prompt would be possible
  goOn(null)
  await settle(8)
  t.equal(c.unread, 0)
  await clock.tick(240_000)
  await c.expect('451 4.3.0 …')
  await quit(c)
  t.equal(errors.length, 2)
})
