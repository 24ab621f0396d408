// Guesses of passwords: counted by client network across sessions, and a few checks at a time.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { availableParallelism } from 'node:os'
import { inspect } from 'node:util'
import t from 'tap'
import { AuthGuard, authGuard, checksAtATime, GUESS_LIMITS, type GuessOptions } from '../lib/smtp/auth/auth-guard.ts'
import { cramMd5 } from '../lib/smtp/auth/cram-md5.ts'
import type { Credentials } from '../lib/smtp/auth/mechanism.ts'
import { xoauth2 } from '../lib/smtp/auth/oauth.ts'
import { login, plain } from '../lib/smtp/auth/password.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import { scramSha256 } from '../lib/smtp/auth/scram.ts'
import { channels, type LimitEvent } from '../lib/smtp/diagnostics.ts'
import type { TakingHook } from '../lib/smtp/hooks.ts'
import type { SessionOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Conversation } from '../lib/testing/conversation.ts'
import { networks } from '../lib/protocol/networks/network.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, begin, deliver } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

type OwnOptions = SessionOptions & TakingHook

const b64 = (text: string): string => Buffer.from(text).toString('base64')
const PASSWORD = 'open-sesame-4711'
const WELCOME = reply(235, '2.7.0', 'Welcome')
const TOO_MANY = '454 4.7.0 Too many wrong credentials from your network, try later'
const guess = (password: string, user = 'joe'): string => `AUTH PLAIN ${b64(`\0${user}\0${password}`)}`
const RIGHT = guess(PASSWORD)
const secret = await scramSecret(PASSWORD, { iterations: 4096 })

function isRight(credentials: Credentials): boolean {
  return 'password' in credentials
    ? credentials.password === PASSWORD
    : 'token' in credentials && credentials.token === PASSWORD
}

/** Handlers of one options object, each for a client of its own. */
function service(options: OwnOptions = {}, guesses?: GuessOptions) {
  const clock = new FakeClock()
  let asked = 0
  const make = (client: string | null, more: OwnOptions = {}): Promise<Conversation> =>
    begin(
      new SmtpHandler({
        clock,
        limits: { authFailures: 1000, errors: 1000, softErrors: 1000 },
        async onMessage(message) {
          for await (const _ of message);
        },
        onAuth(credentials) {
          asked += 1
          if (isRight(credentials)) return WELCOME
        },
        ...options,
        auth: {
          insecure: true,
          mechanisms: [
            plain(),
            login(),
            xoauth2(),
            scramSha256({ lookup: user => (user === 'joe' ? secret : null), iterations: 4096 }),
            cramMd5({ lookup: user => (user === 'joe' ? PASSWORD : null), hostname: 'mx.example.org' }),
          ],
          ...(guesses !== undefined && { guesses }),
        },
        client: { address: client },
        ...more,
      }),
    )
  return { clock, connect: make, asked: () => asked }
}

t.test('20 different wrong credentials of a network, then 454 without a check; mail is taken', async t => {
  const { connect, asked } = service()
  for (let i = 0; i < 20; i++) await (await connect('192.0.2.1')).command(guess(`wrong${i}`), '535 5.7.8 …')
  const c = await connect('192.0.2.1')
  for (const line of [
    RIGHT,
    guess('wrong0'),
    'AUTH PLAIN',
    'AUTH LOGIN',
    `AUTH SCRAM-SHA-256 ${b64('n,,n=joe,r=abc')}`,
  ]) {
    await c.command(line, TOO_MANY)
  }
  t.equal(asked(), 20)
  await c.command('AUTH', 501)
  await c.command('AUTH NOSUCH', 504)
  await address(c)
  await deliver(c, 250)
  await (await connect('192.0.2.2')).command(RIGHT, 235)
})

t.test('the same wrong password counts once; each leaves after its ten minutes', async t => {
  const { clock, connect } = service()
  const c = await connect('192.0.2.1', { timeouts: { idle: 10 ** 7 } })
  for (let i = 0; i < 50; i++) await c.command(guess('old password'), 535)
  await clock.tick(60_000)
  for (let i = 0; i < 19; i++) await c.command(guess(`wrong${i}`), 535)
  await c.command(RIGHT, TOO_MANY)
  await clock.tick(539_999)
  await c.command(RIGHT, TOO_MANY)
  await clock.tick(1)
  await c.command(guess('another'), 535)
  await c.command(RIGHT, TOO_MANY)
  await clock.tick(60_000)
  await c.command(RIGHT, 235)
  t.pass()
})

t.test('a network: an IPv4 address, an IPv6 /64; none without an address, or by option', async t => {
  const table: [string | null, string | null, number][] = [
    ['192.0.2.1', '::ffff:192.0.2.1', 454],
    ['192.0.2.1', '192.0.2.2', 235],
    ['2001:db8::1', '2001:db8::ffff:2', 454],
    ['2001:db8::1', '2001:db8:0:1::1', 235],
    [null, null, 235],
    ['10.0.0.5', '10.0.0.5', 235],
  ]
  for (const [first, second, code] of table) {
    const { connect } = service({}, { credentials: 2, except: ['10.0.0.0/8'] })
    const c = await connect(first)
    for (let i = 0; i < 2; i++) await c.command(guess(`wrong${i}`), 535)
    await (await connect(second)).command(RIGHT, code)
    t.pass(`${first} ${second}`)
  }
})

/** Says wrong credentials in each mechanism. */
const WRONG: Record<string, (c: Conversation, i: number) => Promise<unknown>> = {
  PLAIN: (c, i) => c.command(guess(`wrong${i}`), 535),
  LOGIN: async (c, i) => {
    await c.command(`AUTH LOGIN ${b64('joe')}`, 334)
    await c.command(b64(`wrong${i}`), 535)
  },
  XOAUTH2: async (c, i) => {
    await c.command(`AUTH XOAUTH2 ${b64(`user=joe\x01auth=Bearer wrong${i}\x01\x01`)}`, 334)
    await c.command('', 535)
  },
  'XOAUTH2, cancelled': async (c, i) => {
    await c.command(`AUTH XOAUTH2 ${b64(`user=joe\x01auth=Bearer wrong${i}\x01\x01`)}`, 334)
    await c.command('*', 501)
  },
  'SCRAM-SHA-256': async c => {
    const first = Buffer.from((await c.command(`AUTH SCRAM-SHA-256 ${b64('n,,n=joe,r=abc')}`, 334)).lines[0]!, 'base64')
    const [, nonce = ''] = /^r=([^,]+)/.exec(first.toString()) ?? []
    await c.command(b64(`c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`), 535)
  },
  'CRAM-MD5': async c => {
    await c.command('AUTH CRAM-MD5', 334)
    await c.command(b64(`joe ${'0'.repeat(32)}`), 535)
  },
}

for (const [name, say] of Object.entries(WRONG)) {
  t.test(`${name} is counted`, async t => {
    const { connect } = service({}, { credentials: 3 })
    const c = await connect('192.0.2.1')
    for (let i = 0; i < 3; i++) await say(c, i)
    await c.command(RIGHT, TOO_MANY)
    t.pass()
  })
}

t.test('what is no guess is not counted', async t => {
  const { connect } = service(
    { onAuth: credentials => (isRight(credentials) ? WELCOME : reply(454, '4.7.0', 'Later')) },
    { credentials: 1 },
  )
  const c = await connect('192.0.2.1')
  for (const [line, code] of [
    [guess('wrong'), 454],
    ['AUTH PLAIN =', 501],
    ['AUTH PLAIN !!!', 501],
    ['AUTH GSSAPI', 504],
  ] as const) {
    await c.command(line, code)
  }
  await c.command('AUTH PLAIN', 334)
  await c.command('*', 501)
  await c.command(`AUTH XOAUTH2 ${b64('user=joe\x01auth=\x01\x01')}`, 334)
  await c.command('', 535)
  await c.command(RIGHT, 235)
  t.pass()
})

t.test('SCRAM: exchanges that go on at the same time do not slip through', async t => {
  const { connect } = service({}, { credentials: 2 })
  const scram = async (password: string): Promise<() => Promise<{ code: number }>> => {
    const c = await connect('192.0.2.1')
    const first = Buffer.from(
      (await c.command(`AUTH SCRAM-SHA-256 ${b64('n,,n=joe,r=abc')}`, 334)).lines[0]!,
      'base64',
    ).toString()
    const [, nonce = '', salt = '', i = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(first) ?? []
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(i), 32, 'sha256')
    const key = createHmac('sha256', salted).update('Client Key').digest()
    const final = `c=biws,r=${nonce}`
    const signature = createHmac('sha256', createHash('sha256').update(key).digest())
    const proof = signature.update(`n=joe,r=abc,${first},${final}`).digest()
    const message = b64(`${final},p=${Buffer.from(proof.map((octet, n) => octet ^ (key[n] ?? 0))).toString('base64')}`)
    return () => c.command(message)
  }
  const begun = [await scram('wrong'), await scram('wrong too'), await scram('wrong again'), await scram(PASSWORD)]
  const codes = (await Promise.all(begun.map(finish => finish()))).map(({ code }) => code)
  t.strictSame(codes, [535, 535, 454, 454], 'not even the right one is told')
})

/** A check that takes until the test lets it end. */
function slowChecks() {
  const pending: { client: string | null; end(answer?: Reply): void }[] = []
  const onAuth: NonNullable<OwnOptions['onAuth']> = (_credentials, { client }) =>
    new Promise(resolve => void pending.push({ client: client.address, end: resolve }))
  return { pending, onAuth }
}

t.test('checks leave a processor to the mail of others', t => {
  t.strictSame([1, 2, 3, 4, 64].map(checksAtATime), [1, 1, 2, 2, 2])
  t.equal(GUESS_LIMITS.checks, checksAtATime(availableParallelism()))
  t.end()
})

t.test('two checks at a time, one of a network, the networks in turn', async t => {
  const { pending, onAuth } = slowChecks()
  const { connect } = service({ onAuth }, { credentials: Infinity, checks: 2 })
  const clients = ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']
  const sessions = await Promise.all(clients.map(each => connect(each)))
  for (const c of sessions) {
    await c.send(RIGHT)
    await settle()
  }
  const order: (string | null)[] = []
  while (order.length < clients.length) {
    t.equal(pending.length, Math.min(2, clients.length - order.length))
    const { client, end } = pending.shift()!
    order.push(client)
    end(WELCOME)
    await settle(8)
  }
  t.strictSame(order, ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3', '192.0.2.1'])
  for (const c of sessions) await c.expect(235)
})

t.test('a wait ends with timeouts.hook, a hanging check gives its turn back', async t => {
  const { pending, onAuth } = slowChecks()
  const { clock, connect } = service({ onAuth, timeouts: { hook: 5000 }, handleError() {} }, { checks: 1 })
  const [a, b, c] = [await connect('192.0.2.1'), await connect('192.0.2.2'), await connect('192.0.2.3')]
  await a!.send(RIGHT)
  await clock.tick(1000)
  await b!.send(RIGHT)
  await clock.tick(3999)
  await c!.send(RIGHT)
  await settle()
  t.equal(pending.length, 1)
  await clock.tick(1)
  await a!.expect('451 4.3.0 …')
  t.equal(pending.length, 2, 'the next has its turn')
  await clock.tick(4998)
  t.equal(c.unread, 0)
  await clock.tick(1)
  await c.expect('454 4.7.0 Too many clients authenticate, please try again later')
  t.equal(b.unread, 0)
  await clock.tick(1)
  await b.expect('451 4.3.0 …')
  t.equal(pending.length, 2)
})

t.test('a check that hangs after its client has left gives its turn back too', async t => {
  const { pending, onAuth } = slowChecks()
  const { clock, connect } = service({ onAuth, timeouts: { hook: 5000 } }, { checks: 1 })
  const [gone, next] = [await connect('192.0.2.1'), await connect('192.0.2.2')]
  await gone.send(RIGHT)
  await settle()
  gone.reset()
  await clock.tick(1000)
  await next.send(RIGHT)
  await clock.tick(3999)
  t.equal(pending.length, 1)
  await clock.tick(1)
  t.equal(pending.length, 2)
  pending[1]!.end(WELCOME)
  await next.expect(235)
})

t.test(
  'a client that leaves while it waits takes no turn; one that leaves in its turn frees it when the check ends',
  async t => {
    const { pending, onAuth } = slowChecks()
    const { connect } = service({ onAuth }, { checks: 1 })
    const [first, gone, next] = [await connect('192.0.2.1'), await connect('192.0.2.2'), await connect('192.0.2.3')]
    await first!.send(RIGHT)
    await settle()
    await gone!.send(RIGHT)
    await next!.send(RIGHT)
    await settle()
    gone!.reset()
    first!.reset()
    await settle()
    t.equal(pending.length, 1, 'the check goes on')
    pending[0]!.end()
    await settle(8)
    t.strictSame(
      pending.map(({ client }) => client),
      ['192.0.2.1', '192.0.2.3'],
    )
    pending[1]!.end(WELCOME)
    await next!.expect(235)
  },
)

t.test('handlers share a guard: those of one options object, all without an option, none of another clock', t => {
  const clock = new FakeClock()
  const guesses = { credentials: 5 }
  t.equal(authGuard(undefined, clock), authGuard(undefined, clock))
  t.equal(authGuard(guesses, clock), authGuard(guesses, clock))
  t.not(authGuard(guesses, clock), authGuard({ ...guesses }, clock))
  t.not(authGuard(undefined, clock), authGuard(undefined, new FakeClock()))
  for (const wrong of [
    { credential: 5 },
    { credentials: 0 },
    { checks: -1 },
    { window: '10m' },
    { except: ['x'] },
    5,
    null,
  ]) {
    t.throws(() => authGuard(wrong as never, clock), { code: 'ERR_OPTION' }, JSON.stringify(wrong))
  }
  t.end()
})

t.test('the limit is told once a session', async t => {
  const told: unknown[] = []
  const listen = (event: unknown): void => void told.push((event as LimitEvent).limit)
  subscribe(channels.limit.name, listen)
  t.teardown(() => unsubscribe(channels.limit.name, listen))
  const { connect } = service({}, { credentials: 1 })
  const c = await connect('192.0.2.1')
  await c.command(guess('wrong'), 535)
  for (let i = 0; i < 3; i++) await c.command(RIGHT, 454)
  t.strictSame(told, ['guesses'])
})

t.test('secrets are kept as digests', async t => {
  const guard = new AuthGuard(GUESS_LIMITS, networks([]), new FakeClock())
  const digest = guard.digest('joe', PASSWORD)
  t.match(digest, /^[\w-]{16,22}$/)
  t.equal(guard.digest('joe', PASSWORD), digest)
  t.not(guard.digest('jo', `e${PASSWORD}`), digest)
  t.not(new AuthGuard(GUESS_LIMITS, networks([]), new FakeClock()).digest('joe', PASSWORD), digest)
  t.notMatch(inspect(guard, { depth: 9, showHidden: true }), PASSWORD)
})
