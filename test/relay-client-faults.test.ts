// What a client can do wrong at each step: gone, reset, half closed, slow. No part of a message is taken for the whole,
// and the next client finds the relay as it was.

import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { SmtpHandler, type Filter } from '../lib/index.ts'
import { relay, type Relay } from '../lib/relay.ts'
import { through } from '../lib/transforms/through.ts'
import { converse } from '../lib/testing/index.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { frontOf } from './fixtures/front.ts'
import { TcpClient } from './fixtures/tcp-client.ts'
import { until } from './fixtures/until.ts'
import { BY_BDAT, BY_DATA, front, MAIL, sendMail, startUpstream, type TestUpstream } from './fixtures/upstream.ts'

const LINE = `${'x'.repeat(76)}\r\n`
const LONG = `Subject: x\r\n\r\n${LINE.repeat(20_000)}`

/** What a client says one after the other; the mail data is not ended. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  'before MAIL': [],
  MAIL: ['MAIL FROM:<a@client.example>\r\n'],
  'half a RCPT': ['MAIL FROM:<a@client.example>\r\nRCPT TO:<b@exa'],
  RCPT: ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n'],
  DATA: ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'DATA\r\n'],
  header: ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'DATA\r\n', 'Subject: x\r\nTo:'],
  'mail data': ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'DATA\r\n', LONG],
  'a dot without its line end': [
    'MAIL FROM:<a@client.example>\r\n',
    'RCPT TO:<b@example.org>\r\n',
    'DATA\r\n',
    `${MAIL}.`,
  ],
  'a dot and CR': ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'DATA\r\n', `${MAIL}.\r`],
  'a dot and LF': ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'DATA\r\n', `${MAIL}.\n`],
  BDAT: ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', `BDAT ${MAIL.length}\r\n${MAIL}`],
  'in a chunk': ['MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.org>\r\n', 'BDAT 100000\r\n', MAIL],
  'in the last chunk': [
    'MAIL FROM:<a@client.example>\r\n',
    'RCPT TO:<b@example.org>\r\n',
    `BDAT ${MAIL.length + 1} LAST\r\n`,
    MAIL,
  ],
}

/** Ways to go. */
const WAYS: Readonly<Record<string, (client: TcpClient) => void>> = {
  resets: ({ socket }) => void socket.resetAndDestroy(),
  closes: ({ socket }) => void socket.destroy(),
  'ends its side': ({ socket }) => void socket.end(),
}

/** The relay on a TCP port. */
async function listen(t: Test, delivery: Relay, filters: readonly Filter[] = []): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.pipe(new SmtpHandler({ name: 'front.example', delivery, filters })).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function dial(port: number): Promise<TcpClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  const client = new TcpClient(socket)
  await client.reply()
  await client.say('EHLO client.example')
  return client
}

/** No message with an end has come to the upstream. */
function nothingArrived(t: Test, upstream: TestUpstream, row: string): void {
  t.strictSame(upstream.messages, [], row)
  t.notOk(
    upstream.connections.some(({ lines }) => lines.some(line => line.endsWith('LAST'))),
    row,
  )
}

for (const [how, script] of Object.entries({ DATA: BY_DATA, BDAT: BY_BDAT })) {
  t.test(`upstream by ${how}`, async t => {
    for (const [step, says] of Object.entries(STEPS)) {
      for (const [way, go] of Object.entries(WAYS)) {
        const row = `${step}, ${way}`
        const upstream = await startUpstream(t, script)
        const delivery = relay({ host: '127.0.0.1', port: upstream.port, name: 'relay.example', probes: false })
        const client = await dial(await listen(t, delivery))
        for (const text of says) {
          client.write(text)
          await settle(15)
        }
        go(client)
        await settle(30)
        nothingArrived(t, upstream, row)
        t.match(delivery.stats(), [{ waiting: 0 }], row)

        // The next client is served as the first one, and what it is served with has no trace of that one.
        const next = await frontOf(t, delivery)
        t.match((await sendMail(next.c)).at(-1), /^250 /, row)
        t.equal(upstream.messages.length, 1, row)
        t.notMatch(upstream.messages[0], /xxxx/, row)
        client.socket.destroy()
        delivery.close()
      }
    }
  })

  t.test(`upstream by ${how}: a filter that refuses at the end`, async t => {
    const { SmtpError, reply } = await import('../lib/index.ts')
    const upstream = await startUpstream(t, script)
    const gate: Filter = () =>
      through(
        (chunk, _encoding, done) => done(null, chunk),
        done => done(new SmtpError(reply(550, '5.7.1', 'A virus'))),
      )
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port }, { filters: [gate] })
    t.equal((await sendMail(c)).at(-1), '550 5.7.1 A virus')
    await until(() => upstream.connections[0]!.gone || upstream.verbs.at(-1) === 'RSET')
    nothingArrived(t, upstream, how)
    const verbs = upstream.connections[0]!.verbs.at(-1)
    t.equal(verbs, how === 'BDAT' ? 'RSET' : 'DATA', 'BDAT loses no connection')
  })

  t.test(`upstream by ${how}: a client slower than the upstream`, async t => {
    const upstream = await startUpstream(t, script)
    const clock = new FakeClock()
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, clock })
    await c.command('MAIL FROM:<a@client.example>', 250)
    await c.command('RCPT TO:<b@example.org>', 250)
    await c.command('DATA', 354)
    for (const octet of MAIL) {
      c.write(octet)
      await clock.tick(10_000)
    }
    nothingArrived(t, upstream, how)
    c.write('.\r\n')
    await c.expect(250)
    t.strictSame(
      upstream.messages.map(each => each.replace('\r\n.stuffed', '\r\n..stuffed')),
      [MAIL],
    )
  })
}

t.test('a client that is gone while the upstream decides: the mail that was whole arrives once', async t => {
  let decide: (() => void) | null = null
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    end: (_line, server) => void (decide = () => server.say('250 2.0.0 Taken\r\n')),
  })
  const { c, delivery } = await front(t, { host: '127.0.0.1', port: upstream.port })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await until(() => decide !== null)
  c.reset()
  await settle(20)
  decide!()
  await until(() => delivery.stats()[0]!.connections === delivery.stats()[0]!.kept)
  t.equal(upstream.messages.length, 1)
  t.match(delivery.stats(), [{ connections: 1, kept: 1 }])
})

t.test('commands in the place of mail data that was refused early are not run', async t => {
  const upstream = await startUpstream(t, { ...BY_DATA, data: '552 5.3.4 Too much\r\n' })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(LONG)
  await settle(20)
  c.write(
    'RSET\r\nMAIL FROM:<evil@client.example>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\n',
  )
  await c.expect('552 5.3.4 Too much')
  await settle(20)
  t.equal(c.unread, 0)
  t.notMatch(upstream.connections.map(({ received }) => received.toString()).join(''), /MAIL FROM:<evil/)
})

for (const hook of ['onMailFrom', 'onRcptTo'] as const) {
  t.test(
    `a program that destroys the handler and asks the relay in ${hook}: nothing is said to the upstream`,
    async t => {
      const upstream = await startUpstream(t)
      const to = relay({ host: '127.0.0.1', port: upstream.port, when: 'mail', tls: { mode: 'never' }, probes: false })
      const asked: unknown[] = []
      const ask = (...[subject, session]: Parameters<typeof to.onRcptTo>): ReturnType<typeof to.onRcptTo> => {
        handler.destroy()
        asked.push(session.ended)
        return to[hook](subject as never, session) as ReturnType<typeof to.onRcptTo>
      }
      const errors: Error[] = []
      const handler: SmtpHandler = new SmtpHandler({
        delivery: { onMessage() {}, [hook]: ask },
        handleError: error => void errors.push(error),
      })
      const c = converse(handler)
      await c.expect(220)
      await c.command('EHLO client.example', 250)
      if (hook === 'onRcptTo') await c.command('MAIL FROM:<a@client.example>', 250)
      c.write(hook === 'onRcptTo' ? 'RCPT TO:<b@example.org>\r\n' : 'MAIL FROM:<a@client.example>\r\n')
      await c.closed()
      await settle(20)
      t.strictSame(asked, [true])
      t.match(to.stats(), [{ connections: 0, kept: 0, waiting: 0 }])
      t.strictSame(errors, [])
      to.close()
    },
  )
}
