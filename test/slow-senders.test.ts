// Clients that send slowly hold connections to the upstream: while others wait, the slowest of them is cut.

import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Script } from './fixtures/scripted-server.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { frontOf } from './fixtures/front.ts'
import {
  BY_BDAT,
  BY_DATA,
  front,
  MAIL,
  sendMail,
  startUpstream,
  type Front,
  type TestUpstream,
} from './fixtures/upstream.ts'
import { until } from './fixtures/until.ts'

const SECOND = 1000
const LINE = `${'x'.repeat(998)}\r\n`

/** Sessions of these addresses before one upstream, each of which has had MAIL. */
async function sessions(
  t: Test,
  addresses: readonly string[],
  { script = BY_DATA, connections = 2 }: { readonly script?: Script; readonly connections?: number } = {},
) {
  const clock = new FakeClock()
  const upstream = await startUpstream(t, script)
  const all: Front[] = []
  for (const address of addresses) {
    const own = { client: { address, port: 4711 } }
    const pool = { connections, perNetwork: 0.5 }
    const next: Front =
      all[0] === undefined
        ? await front(t, { host: '127.0.0.1', port: upstream.port, clock, pool }, own)
        : await frontOf(t, all[0].delivery, own)
    await next.c.command('MAIL FROM:<a@client.example>', 250)
    all.push(next)
  }
  return { clock, upstream, all, delivery: all[0]!.delivery }
}

/** Octets that have come on a connection. */
function octetsAt(upstream: TestUpstream, n: number): number {
  return (upstream.connections[n]!.socket as Socket).bytesRead
}

/** RCPT and DATA, and the beginning of a message. */
async function begin({ c }: Front, text: string): Promise<void> {
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(text)
}

t.test('the slowest makes room for one who waits; one that is fast enough, or new, does not', async t => {
  const addresses = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '203.0.113.2']
  const { clock, upstream, all, delivery } = await sessions(t, addresses, { connections: 3 })
  const [silent, fast, young, waiting] = all as [Front, Front, Front, Front]
  await begin(silent, 'Subject: slow\r\n') // its header has no end
  await begin(fast, `Subject: fast\r\n\r\n${LINE.repeat(300)}`)
  await clock.tick(27 * SECOND)
  await begin(young, 'Subject: young\r\n\r\n')
  await until(() => octetsAt(upstream, 1) > 300_000)
  await waiting.c.send('RCPT TO:<b@example.org>')
  await until(() => delivery.stats()[0]!.waiting === 1)
  await clock.tick(2 * SECOND)
  await settle(30)
  t.match(delivery.stats(), [{ connections: 3, waiting: 1 }], 'nobody has had 30 s')
  await clock.tick(SECOND)
  await waiting.c.expect(250)
  await until(() => upstream.connections[0]!.gone)
  t.strictSame(
    upstream.connections.map(({ gone }) => gone),
    [true, false, false, false],
  )
  silent.c.write('\r\nslow\r\n.\r\n')
  await silent.c.expect(/^451 4\.3\.2 The message came too slowly/)
  t.strictSame(silent.errors, [], 'no trouble of this side')
  fast.c.write('.\r\n')
  await fast.c.expect(250)
  young.c.write('.\r\n')
  await young.c.expect(250)
  t.equal(upstream.messages.length, 2)
  await silent.c.command('RSET', 250)
  t.match((await sendMail(silent.c)).at(-1), /^250 /, 'the session goes on')
})

t.test('by BDAT too, in the middle of the message', async t => {
  const { clock, upstream, all } = await sessions(t, ['192.0.2.1', '198.51.100.1', '203.0.113.1'], { script: BY_BDAT })
  const [silent, fast, waiting] = all as [Front, Front, Front]
  await silent.c.command('RCPT TO:<b@example.org>', 250)
  silent.c.write('BDAT 10\r\nA: b\r\n\r\nc\r')
  await silent.c.expect(250)
  const text = LINE.repeat(600)
  await fast.c.command('RCPT TO:<b@example.org>', 250)
  fast.c.write(`BDAT ${text.length + 2}\r\n\r\n${text}`)
  await fast.c.expect(250)
  await until(() => octetsAt(upstream, 1) > 524_288)
  await clock.tick(60 * SECOND)
  await waiting.c.command('RCPT TO:<b@example.org>', 250)
  await until(() => upstream.connections[0]!.gone)
  silent.c.write('BDAT 1 LAST\r\n\n')
  await silent.c.expect(/^451 4\.3\.2 The message came too slowly/)
  await fast.c.command('BDAT 0 LAST', 250)
  t.equal(upstream.messages.length, 1)
})

t.test('nobody is cut for a client whose own network has its share', async t => {
  const { clock, all, delivery } = await sessions(t, ['192.0.2.1', '198.51.100.1', '192.0.2.1'])
  const [silent, other, waiting] = all as [Front, Front, Front]
  await begin(silent, 'Subject: slow\r\n\r\n')
  await begin(other, 'Subject: slow\r\n\r\n')
  await clock.tick(60 * SECOND)
  await waiting.c.send('RCPT TO:<b@example.org>')
  await until(() => delivery.stats()[0]!.waiting === 1)
  await clock.tick(5 * SECOND)
  await waiting.c.expect(/^451 4\.3\.2 Too many/)
  for (const { c } of [silent, other]) {
    c.write(`${MAIL}.\r\n`)
    await c.expect(250)
  }
  t.match(delivery.stats(), [{ waiting: 0 }])
})

t.test('nor one whose message has come to its end: the upstream may have taken it', async t => {
  const script = { ...BY_DATA, end: '' }
  const addresses = ['192.0.2.1', '198.51.100.1', '203.0.113.1']
  const { clock, upstream, all, delivery } = await sessions(t, addresses, { script })
  const [one, two, waiting] = all as [Front, Front, Front]
  for (const each of [one, two]) await begin(each, `${MAIL}.\r\n`)
  await until(() => upstream.messages.length === 2)
  await clock.tick(60 * SECOND)
  await waiting.c.send('RCPT TO:<b@example.org>')
  await until(() => delivery.stats()[0]!.waiting === 1)
  await clock.tick(5 * SECOND)
  await waiting.c.expect(/^451 4\.3\.2 Too many/)
  for (const { socket } of upstream.connections) socket.write('250 2.0.0 Taken\r\n')
  await one.c.expect(250)
  await two.c.expect(250)
})
