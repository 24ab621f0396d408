// Misbehaving on purpose: each point, each thing to do wrong, in memory and as clients on a socket see it.

import { once } from 'node:events'
import { connect as connectTcp, createServer, type Server } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { createTransport } from 'nodemailer'
import t, { type Test } from 'tap'
import { reply, SmtpHandler, type SessionOptions, type SmtpHandlerOptions, type TakingHook } from '../lib/index.ts'
import { connect, converse, misbehave, type Conversation, type MisbehaviourRule } from '../lib/testing/index.ts'
import { client as installed } from './fixtures/clients.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { selfSigned } from './fixtures/self-signed.ts'
import { listening, portOf } from './fixtures/tcp-client.ts'

type OwnOptions = SessionOptions & TakingHook
const MAIL = 'Subject: hello\r\n\r\nHello.\r\n'
const LATER = reply(451, '4.3.0', 'Later')

/** A server with these rules, and the messages that it took whole. */
function serverWith(rules: readonly MisbehaviourRule[], more: OwnOptions = {}) {
  const policy = misbehave(rules)
  const taken: string[] = []
  const cut: unknown[] = []
  const options: SmtpHandlerOptions = {
    name: 'mx.example',
    bareNewline: 'reject',
    policies: [policy],
    async onMessage(message) {
      let text = ''
      try {
        for await (const chunk of message) text += String(chunk)
      } catch (error) {
        cut.push((error as { code?: string }).code)
        throw error
      }
      taken.push(text)
    },
    ...more,
  }
  const handler = (): SmtpHandler => new SmtpHandler(options)
  const seen = { policy, taken, cut }
  return {
    ...seen,
    handler,
    talk: () => converse(handler()),
    talkByPipe: () => converse(connect(handler())),
  }
}

/** Says HELO, MAIL, RCPT, DATA and the message; stops where the reply is a refusal, and resolves with it. */
async function send(c: Conversation, recipient = 'b@example.org', mail = MAIL): Promise<string> {
  for (const line of ['MAIL FROM:<a@example.org>', `RCPT TO:<${recipient}>`, 'DATA']) {
    const { code, text } = await c.command(line)
    if (code >= 400) return text
  }
  await c.data(mail)
  return (await c.expect()).text
}

async function greeted(c: Conversation): Promise<Conversation> {
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  return c
}

async function over(t: Test, c: Conversation): Promise<Error | null> {
  await t.rejects(c.expect(), { code: 'ERR_TRANSCRIPT' })
  await c.closed()
  return c.error
}

t.test('a reply at each command', async t => {
  const lines = {
    HELO: 'HELO client.example',
    EHLO: 'EHLO client.example',
    LHLO: 'LHLO client.example',
    STARTTLS: 'STARTTLS',
    AUTH: 'AUTH PLAIN AGEAYg==',
    MAIL: 'MAIL FROM:<a@example.org>',
    RCPT: 'RCPT TO:<b@example.org>',
    DATA: 'DATA',
    BDAT: 'BDAT 0 LAST',
    RSET: 'RSET',
    NOOP: 'NOOP',
    VRFY: 'VRFY b',
    EXPN: 'EXPN b',
    HELP: 'HELP',
    QUIT: 'QUIT',
    command: 'XYZZY',
  } as const
  for (const [at, line] of Object.entries(lines)) {
    const server = serverWith([{ at: at as keyof typeof lines, nth: 1, reply: reply(450, '4.9.9', 'Not now') }])
    const c = server.talk()
    await c.expect(220)
    if (at !== 'command') await c.command('XYZZY', 500)
    await c.command(line.toLowerCase(), '450 4.9.9 Not now')
    t.notMatch((await c.command(line)).text, /^450/, `${at}: once`)
    t.match(server.policy.done, [{ rule: 0, at, nth: 1, session: /^[\da-f-]{36}$/ }])
    t.equal(server.policy.done.length, 1)
  }
})

t.test('a greeting', async t => {
  const refusing = serverWith([{ at: 'greeting', reply: reply(554, '5.3.2', 'Go away') }]).talk()
  await refusing.expect('554 5.3.2 Go away')
  await refusing.command('EHLO client.example', 503)
  await refusing.command('QUIT', 221)
  await refusing.closed()
  const words = serverWith([{ at: 'greeting', reply: reply(220, 'odd words') }]).talk()
  await words.expect('220 odd words')
  await words.command('EHLO client.example', 250)
  const busy = serverWith([{ at: 'greeting', reply: reply(421, '4.3.2', 'Busy') }]).talk()
  await busy.expect(421)
  t.equal(await over(t, busy), null)
})

t.test('for an address', async t => {
  const server = serverWith([
    { at: 'RCPT', when: { recipient: /@full\.example$/gi }, reply: reply(452, '4.2.2', 'Mailbox full') },
    { at: 'MAIL', when: { sender: '' }, reply: reply(550, '5.7.1', 'No bounces') },
    { at: 'DATA', when: { sender: 'A@example.org', recipient: 'slow@example.org' }, reply: LATER },
    {
      at: 'verdict',
      when: { recipient: 'late@example.org', helo: /^client/ },
      reply: reply(452, '4.3.1', 'Disk full'),
    },
    { at: 'NOOP', when: { helo: 'client.example' }, reply: LATER },
  ])
  const c = server.talk()
  await c.expect(220)
  await c.command('NOOP', 250)
  await c.command('EHLO client.example', 250)
  await c.command('NOOP', 451)
  await c.command('MAIL FROM:<>', /^550/)
  await c.command('MAIL FROM:<a@example.org>', 250)
  for (const address of ['a@full.example', 'b@full.example', 'C@FULL.example']) {
    await c.command(`RCPT TO:<${address}>`, '452 4.2.2 Mailbox full')
  }
  await c.command('RCPT TO:nobody', 501)
  await c.command('RSET', 250)
  t.match(await send(c, 'slow@example.org'), /^451 4\.3\.0/)
  await c.command('RSET', 250)
  t.match(await send(c, 'late@example.org'), /^452 4\.3\.1/)
  t.match(await send(c), /^250/)
  t.strictSame(server.taken, [MAIL, MAIL], 'the verdict alone was wrong')
})

t.test('the n-th time, over all sessions', async t => {
  const server = serverWith([
    { at: 'MAIL', nth: [1, 3], reply: LATER },
    { at: 'MAIL', nth: 2, reply: reply(421, '4.3.2', 'Down') },
  ])
  const one = await greeted(server.talk())
  await one.command('MAIL FROM:<a@example.org>', 451)
  await one.command('MAIL FROM:<a@example.org>', 421)
  await one.closed()
  const two = await greeted(server.talk())
  await two.command('MAIL FROM:<a@example.org>', 451)
  await two.command('MAIL FROM:<a@example.org>', 250)
  const places = server.policy.done.map(({ rule, nth }) => [rule, nth])
  t.strictSame(places, [
    [0, 1],
    [1, 2],
    [0, 3],
  ])
  t.not(server.policy.done[0]!.session, server.policy.done[2]!.session)
  server.policy.reset()
  t.strictSame(server.policy.done, [])
  await two.command('MAIL FROM:<a@example.org>', 451)
})

t.test('the first that is due is carried out, the others count', async () => {
  const server = serverWith([
    { at: 'NOOP', nth: 2, reply: reply(450, 'first') },
    { at: 'command', nth: [1, 3, 4], reply: reply(450, 'second') },
  ])
  const c = server.talk()
  await c.expect(220)
  await c.command('NOOP', '450 second')
  await c.command('NOOP', '450 first')
  await c.command('RSET', '450 second')
  await c.command('RSET', '450 second')
  await c.command('RSET', 250)
})

t.test('a positive reply replaces the words of a positive one', async t => {
  const server = serverWith([
    { at: 'EHLO', reply: reply(250, 'mx.example', 'SIZE 10') },
    { at: 'RCPT', reply: reply(251, '2.1.5', 'Forwarded') },
    { at: 'DATA', nth: 1, reply: reply(250, '2.0.0', 'What?') },
    { at: 'DATA', nth: 2, reply: reply(354, 'Speak') },
    { at: 'verdict', reply: reply(250, '2.6.0', 'Queued') },
  ])
  const c = server.talk()
  await c.expect(220)
  await c.command('EHLO client.example', '250-mx.example\n250 SIZE 10')
  await c.command('RCPT TO:<b@example.org>', 503)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', '251 2.1.5 Forwarded')
  await c.command('DATA', '250 2.0.0 What?')
  await c.command('NOOP', 250)
  await c.command('DATA', '354 Speak')
  await c.data(MAIL)
  await c.expect('250 2.6.0 Queued')
  t.match(await send(c, 'b@example.org', 'bare\nnewline\r\n'), /^550 5\.6\.11|^550 5\.5\.2/, 'a refusal stays')
})

t.test('a late reply, by the clock of the handler', async t => {
  const clock = new FakeClock()
  const server = serverWith(
    [
      { at: 'greeting', delay: 3000 },
      { at: 'NOOP', delay: 400_000, reply: LATER },
      { at: 'verdict', delay: 5000, nth: [1, 2] },
      { at: 'QUIT', delay: 1000, cut: true },
    ],
    { clock },
  )
  const c = server.talk()
  const late = async (milliseconds: number): Promise<void> => {
    await clock.tick(milliseconds - 1)
    t.equal(c.unread, 0)
    await clock.tick(1)
  }
  await late(3000)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.send('NOOP')
  await late(400_000)
  await c.expect(451)
  const sent = send(c)
  await late(5000)
  t.match(await sent, /^250/)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.send(`BDAT ${MAIL.length} LAST`)
  c.write(MAIL)
  await late(5000)
  await c.expect(250)
  await c.send('QUIT')
  await late(1000)
  t.match(await over(t, c), { code: 'ECONNRESET' })
  t.equal(clock.timers, 0)

  const gone = server.talkByPipe()
  await settle()
  t.equal(clock.timers, 1)
  gone.reset()
  await gone.closed()
  await settle()
  t.equal(clock.timers, 0, 'nobody is waited for who has left')
})

interface CutCase {
  readonly rule: MisbehaviourRule
  /** A reply goes right before the cut. */
  readonly spoken?: true
  /** What the client does until then. */
  until(c: Conversation, t: Test): Promise<unknown>
}

async function addressed(c: Conversation): Promise<Conversation> {
  await greeted(c)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  return c
}

async function sendChunk(c: Conversation): Promise<void> {
  await addressed(c)
  await c.send(`BDAT ${MAIL.length} LAST`)
  c.write(MAIL)
}

const CUTS: readonly CutCase[] = [
  { rule: { at: 'greeting', cut: true }, until: async () => {} },
  {
    rule: { at: 'EHLO', cut: true },
    async until(c) {
      await c.expect(220)
      await c.send('EHLO client.example')
    },
  },
  {
    rule: { at: 'RCPT', cut: true },
    spoken: true,
    async until(c) {
      await greeted(c)
      c.write('MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nNOOP\r\n')
      await c.expect('250 2.1.0 …')
    },
  },
  {
    rule: { at: 'DATA', cut: true, reply: reply(421, '4.3.2', 'Crash') },
    spoken: true,
    until: async (c, t) => t.match(await send(await greeted(c)), '421 4.3.2 Crash'),
  },
  {
    rule: { at: 'body', cut: true },
    spoken: true,
    until: async c => (await addressed(c)).command('DATA', 354),
  },
  {
    rule: { at: 'body', afterOctets: 1000, cut: true },
    async until(c, t) {
      await (await addressed(c)).command('DATA', 354)
      c.write('x'.repeat(999))
      await settle(10)
      t.equal(c.ended, false, 'not before')
      c.write('x')
    },
  },
  {
    rule: { at: 'body', afterOctets: 1000, reply: reply(552, '5.3.4', 'Enough'), cut: true },
    spoken: true,
    until: async (c, t) => t.match(await send(await greeted(c), 'b@example.org', 'x'.repeat(1000)), '552 5.3.4 Enough'),
  },
  { rule: { at: 'body', afterOctets: 10, cut: true }, until: sendChunk },
  {
    rule: { at: 'verdict', cut: true },
    async until(c) {
      await (await addressed(c)).command('DATA', 354)
      await c.data(MAIL)
    },
  },
  { rule: { at: 'verdict', cut: true }, until: sendChunk },
]

t.test('a cut at each point', async t => {
  for (const { rule, until } of CUTS) {
    const { at } = rule
    for (const cut of ['reset', 'close'] as const) {
      for (const way of ['talk', 'talkByPipe'] as const) {
        const server = serverWith([{ ...rule, cut }])
        const c = server[way]()
        await until(c, t)
        const error = await over(t, c)
        if (cut === 'close') t.equal(error, null, `${at}: an end`)
        else t.match(error, { code: 'ECONNRESET' }, `${at}: a reset`)
        t.match(server.policy.done, [{ rule: 0, at, nth: 1 }])
        t.strictSame(server.taken, at === 'verdict' ? [MAIL] : [], `${at}: ${way}`)
        if (at === 'body') t.strictSame(server.cut, ['ERR_TRUNCATED'])
      }
    }
  }
})

t.test('a body that nobody reads is cut too', async t => {
  const server = serverWith([{ at: 'body', afterOctets: 100, cut: true }], { onMessage() {} })
  const c = await greeted(server.talk())
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write('x'.repeat(99))
  await settle(10)
  c.write('x')
  t.match(await over(t, c), { code: 'ECONNRESET' })
})

t.test('a chunk that is refused is swallowed, and its message with it', async t => {
  const refusal = reply(452, '4.3.1', 'Full')
  const server = serverWith([{ at: 'BDAT', nth: [2, 4], reply: refusal }])
  const c = await addressed(server.talk())
  c.write(`BDAT 6\r\nNOOP\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\n`)
  await c.expect(250)
  await c.expect(/^452/)
  await c.expect(503)
  t.strictSame(server.taken, [])
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  c.write('BDAT 6 LAST\r\nQUIT\r\n')
  await c.expect(/^452/)
  t.match(await send(c), /^250/, 'the transaction was over')
  t.strictSame(server.taken, [MAIL])
})

t.test('LMTP: a verdict for each recipient', async () => {
  const server = serverWith([{ at: 'verdict', reply: LATER }], { lmtp: true })
  const c = server.talk()
  await c.expect(220)
  await c.command('LHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('RCPT TO:<c@example.org>', 250)
  await c.command('DATA', 354)
  await c.data(MAIL)
  await c.expect(451)
  await c.expect(451)
})

// ── On a socket ──

async function listen(t: Test, handler: () => SmtpHandler): Promise<Server> {
  const server = createServer(socket => {
    const h = handler()
    socket.pipe(h).pipe(socket)
  })
  t.teardown(() => server.close())
  return listening(server)
}

t.test('a reset and a close as a socket sees them', async t => {
  for (const cut of ['reset', 'close'] as const) {
    for (const { rule, spoken, until } of CUTS) {
      const server = await listen(t, serverWith([{ ...rule, cut }]).handler)
      const c = converse(connectTcp({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true }))
      await until(c, t)
      const { code = null } = ((await over(t, c)) as NodeJS.ErrnoException | null) ?? {}
      if (cut === 'close') t.equal(code, null, `${rule.at}: an end`)
      // A socket of Node that reads a reply and the reset at once makes an end of it.
      else if (spoken === undefined || code !== null) t.equal(code, 'ECONNRESET', `${rule.at}: a reset`)
    }
  }
})

t.test('under TLS', { skip: installed('openssl') === null ? 'openssl is missing' : false }, async t => {
  for (const cut of ['reset', 'close'] as const) {
    const { handler } = serverWith([{ at: 'MAIL', cut }])
    const server = createTlsServer(selfSigned(), socket => void socket.pipe(handler()).pipe(socket))
    t.teardown(() => server.close())
    await listening(server)
    const socket = connectTls({ port: portOf(server), host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const c = await greeted(converse(socket))
    await c.send('MAIL FROM:<a@example.org>')
    t.equal(await over(t, c), null, 'there is no reset; an end')
  }
})

t.test('what nodemailer makes of it', async t => {
  const full = reply(452, '4.2.2', 'Mailbox full')
  const table: readonly [MisbehaviourRule, { code: string | RegExp; responseCode?: number; command?: string }][] = [
    [
      { at: 'greeting', nth: 1, reply: reply(554, '5.3.2', 'No') },
      { code: 'EPROTOCOL', responseCode: 554 },
    ],
    [
      { at: 'RCPT', nth: 1, reply: full },
      { code: 'EENVELOPE', responseCode: 452, command: 'RCPT TO' },
    ],
    [
      { at: 'DATA', nth: 1, reply: LATER },
      { code: 'EENVELOPE', responseCode: 451, command: 'DATA' },
    ],
    [
      { at: 'verdict', nth: 1, reply: LATER },
      { code: 'EMESSAGE', responseCode: 451 },
    ],
    [{ at: 'MAIL', nth: 1, cut: 'reset' }, { code: /^(?:ESOCKET|ECONNECTION|ECONNRESET)$/ }],
    [{ at: 'verdict', nth: 1, cut: 'close' }, { code: 'ECONNECTION' }],
    [{ at: 'body', nth: 1, afterOctets: 10, cut: 'reset' }, { code: /^(?:ESOCKET|ECONNECTION|ECONNRESET)$/ }],
  ]
  for (const [rule, expected] of table) {
    const { handler, policy, taken } = serverWith([rule])
    const transport = createTransport({ host: '127.0.0.1', port: portOf(await listen(t, handler)), ignoreTLS: true })
    const mail = { envelope: { from: 'a@example.org', to: 'b@example.org' }, raw: MAIL }
    await t.rejects(transport.sendMail(mail), expected)
    await transport.sendMail(mail)
    t.equal(policy.done.length, 1)
    t.equal(taken.length, rule.at === 'verdict' ? 2 : 1, 'a lost verdict makes two of one mail [RFC 1047]')
  }
})

t.test('wrong rules', t => {
  const ok = reply(250, 'OK')
  const table: readonly [unknown, RegExp][] = [
    [null, /^rules is a list/],
    [[null], /^rules\[0\] is an object/],
    [
      [
        { at: 'MAIL', cut: true },
        { at: 'mail', cut: true },
      ],
      /^rules\[1\]\.at is one of greeting, /,
    ],
    [[{ at: 'MAIL' }], /^rules\[0\] has no reply, no cut and no delay/],
    [[{ at: 'MAIL', nht: 1, cut: true }], /^rules\[0\]\.nht: /],
    [[{ at: 'MAIL', nth: 0, cut: true }], /^rules\[0\]\.nth /],
    [[{ at: 'MAIL', nth: [1, 2.5], cut: true }], /^rules\[0\]\.nth /],
    [[{ at: 'MAIL', nth: [], cut: true }], /^rules\[0\]\.nth /],
    [[{ at: 'MAIL', afterOctets: 1, cut: true }], /^rules\[0\]\.afterOctets is for body/],
    [[{ at: 'body', afterOctets: -1, cut: true }], /^rules\[0\]\.afterOctets /],
    [[{ at: 'body', delay: 1 }], /^rules\[0\]\.delay is not for body/],
    [[{ at: 'MAIL', delay: 0 }], /^rules\[0\]\.delay /],
    [[{ at: 'MAIL', delay: Infinity }], /^rules\[0\]\.delay /],
    [[{ at: 'MAIL', cut: false }], /^rules\[0\]\.cut /],
    [[{ at: 'MAIL', reply: '250 OK' }], /^rules\[0\]\.reply is a Reply/],
    [[{ at: 'RCPT', reply: reply(354, 'Go') }], /^rules\[0\]\.reply .* 354/],
    [[{ at: 'DATA', reply: reply(334, 'Go') }], /^rules\[0\]\.reply .* 334/],
    [[{ at: 'MAIL', when: null, reply: ok }], /^rules\[0\]\.when is/],
    [[{ at: 'MAIL', when: { from: 'a' }, reply: ok }], /^rules\[0\]\.when\.from: /],
    [[{ at: 'MAIL', when: { sender: 1 }, reply: ok }], /^rules\[0\]\.when\.sender /],
    [[{ at: 'MAIL', when: { recipient: 'b' }, reply: ok }], /^rules\[0\]\.when\.recipient is not known at MAIL/],
    [[{ at: 'greeting', when: { helo: 'b' }, reply: ok }], /^rules\[0\]\.when\.helo is not known at greeting/],
  ]
  for (const [rules, message] of table) {
    t.throws(() => misbehave(rules as MisbehaviourRule[]), { name: 'MailHandlerError', code: 'ERR_OPTION', message })
  }
  t.end()
})
