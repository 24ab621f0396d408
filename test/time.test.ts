import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { text } from 'node:stream/consumers'
import { finished, PassThrough, Writable, type Readable } from 'node:stream'
import t from 'tap'
import type { TakingHook } from '../lib/smtp/hooks.ts'
import type { SessionOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Session } from '../lib/smtp/session.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { connect } from '../lib/testing/duplex-pair.ts'
import { plain } from '../lib/smtp/auth/password.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

type OwnOptions = SessionOptions & TakingHook

interface Timed {
  readonly clock: FakeClock
  readonly handler: SmtpHandler
  readonly c: Conversation
}

const outcomes: unknown[] = []

function timed(options: OwnOptions = {}): Timed {
  const clock = new FakeClock()
  outcomes.length = 0
  const handler = new SmtpHandler({
    clock,
    async onMessage(message) {
      outcomes.push(await text(message).catch((error: { code: string }) => error.code))
    },
    handleError() {},
    ...options,
  })
  return { clock, handler, c: converse(handler) }
}

async function greeted(options: OwnOptions = {}): Promise<Timed> {
  const all = timed(options)
  await all.c.expect(220)
  await all.c.command('EHLO client.example', 250)
  return all
}

/** Nothing happens before so many milliseconds are over; then 421 and the end. */
async function endsAfter(milliseconds: number, { clock, c }: Timed): Promise<void> {
  await clock.tick(milliseconds - 1)
  t.equal(c.unread, 0, `nothing within ${milliseconds} ms`)
  await clock.tick(1)
  await c.expect('421 4.4.2 …')
  await c.closed()
  t.equal(clock.timers, 0, 'no timer is left')
}

t.test('greeting: 60 s to the first HELO, whatever else is said', async () => {
  const quiet = timed()
  await quiet.c.expect(220)
  await endsAfter(60_000, quiet)

  const talking = timed()
  await talking.c.expect(220)
  for (let i = 0; i < 5; i++) {
    await talking.clock.tick(10_000)
    await talking.c.command('NOOP', 250)
  }
  await endsAfter(10_000, talking)

  const dripping = timed()
  await dripping.c.expect(220)
  for (let i = 0; i < 5; i++) {
    await dripping.clock.tick(10_000)
    dripping.c.write('E')
  }
  await endsAfter(10_000, dripping)
})

t.test('greeting: the time onConnect and onHelo take is not the client’s', async t => {
  let go = (): void => {}
  const hang = () => new Promise<void>(resolve => (go = resolve))
  const all = timed({ onConnect: hang, onHelo: hang })
  await settle()
  await all.clock.tick(200_000)
  go()
  await all.c.expect(220)
  await all.clock.tick(59_999)
  await all.c.send('EHLO a.example')
  await all.clock.tick(200_000)
  t.equal(all.c.unread, 0)
  go()
  await all.c.expect(250)
  await endsAfter(300_000, all)
})

t.test('idle: 300 s from a reply to the next command', async () => {
  const all = await greeted()
  await all.clock.tick(299_999)
  await all.c.command('NOOP', 250)
  await all.clock.tick(299_999)
  await all.c.command('MAIL FROM:<>', 250)
  await endsAfter(300_000, all)
})

t.test('command: 300 s for a line, and a drip does not extend it', async () => {
  const all = await greeted()
  await all.clock.tick(250_000)
  all.c.write('N')
  for (let i = 0; i < 29; i++) {
    await all.clock.tick(10_000)
    all.c.write('x')
  }
  await endsAfter(10_000, all)
})

t.test('command: each line has its own', async () => {
  const all = await greeted()
  for (let i = 0; i < 3; i++) {
    all.c.write('NO')
    await all.clock.tick(290_000)
    await all.c.command('OP', 250)
  }
  all.c.write('NOOP\r\nNO')
  await all.c.expect(250)
  await endsAfter(300_000, all)
})

t.test('command: a line of AUTH too', async () => {
  const all = await greeted({ auth: { insecure: true, mechanisms: [plain()] } })
  await all.c.command('AUTH PLAIN', 334)
  for (let i = 0; i < 29; i++) {
    await all.clock.tick(10_000)
    all.c.write('A')
  }
  await endsAfter(10_000, all)
})

t.test('data: 180 s without progress', async t => {
  const all = await greeted()
  await address(all.c)
  await all.c.command('DATA', 354)
  await all.clock.tick(179_999)
  all.c.write('x'.repeat(200_000))
  await all.clock.tick(179_999)
  all.c.write('x'.repeat(200_000))
  await endsAfter(180_000, all)
  t.same(outcomes, ['ERR_TRUNCATED'], 'the message is discarded')
})

t.test('data: progress that is too slow', async t => {
  const all = await greeted({ minDataRate: 100 })
  await address(all.c)
  await all.c.command('DATA', 354)
  // 50 octets a second: half of what it should be, so that 180 s more are over after 350 s
  for (let i = 1; i < 35; i++) {
    await all.clock.tick(10_000)
    all.c.write('x'.repeat(500))
  }
  t.equal(all.c.unread, 0)
  await all.clock.tick(10_000)
  await all.c.expect('421 4.4.2 …')
  await all.c.closed()
  await settle()
  t.same(outcomes, ['ERR_TRUNCATED'])
  t.equal(all.clock.timers, 0)
})

t.test('data: a steady client has all the time it needs; 0 lets any rate pass', async () => {
  for (const [minDataRate, octets] of [
    [100, 1001],
    [0, 1],
  ] as const) {
    const all = await greeted({ minDataRate })
    await address(all.c)
    await all.c.command('DATA', 354)
    for (let i = 0; i < 200; i++) {
      await all.clock.tick(10_000)
      all.c.write('x'.repeat(octets))
    }
    all.c.write('\r\n.\r\n')
    await all.c.expect(250)
    await quit(all.c)
    t.equal(all.clock.timers, 0)
  }
})

t.test('data: the octets of BDAT', async t => {
  const all = await greeted()
  await address(all.c)
  all.c.write('BDAT 1000 LAST\r\nabc')
  await endsAfter(180_000, all)
  await settle()
  t.same(outcomes, ['ERR_TRUNCATED'])
})

t.test('data: many small BDATs are no way around it', async t => {
  for (const size of [100, 1]) {
    const all = await greeted({ size }) // the second is refused from its second octet on
    await address(all.c)
    for (let i = 0; i < 4; i++) {
      all.c.write('BDAT 1\r\nx')
      await all.c.expect(i < size ? 250 : i > size ? 503 : 552)
      await all.clock.tick(40_000)
    }
    all.c.write('BDAT 1')
    await all.clock.tick(25_000)
    await all.c.expect('421 4.4.2 …')
    await all.c.closed()
    t.same(outcomes, ['ERR_TRUNCATED'])
    t.equal(all.clock.timers, 0)
  }
})

t.test('data: each message has its own time, and BDATs that bring enough have all they need', async () => {
  const all = await greeted({ minDataRate: 100 })
  for (let message = 0; message < 3; message++) {
    await address(all.c)
    for (let i = 0; i < 30; i++) {
      all.c.write(`BDAT 1001\r\n${'x'.repeat(1001)}`)
      await all.c.expect(250)
      await all.clock.tick(10_000)
    }
    await all.clock.tick(150_000)
    await all.c.command('BDAT 0 LAST', 250)
  }
  await quit(all.c)
})

t.test('data: a slow reader of the body is not counted against the client', async t => {
  const waiting: (() => void)[] = []
  const slow = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void waiting.push(done) })
  const all = await greeted({
    onMessage: message =>
      new Promise((resolve, reject) => message.pipe(slow).on('finish', resolve).on('error', reject)),
  })
  await address(all.c)
  await all.c.command('DATA', 354)
  for (let i = 0; i < 10; i++) all.c.write('x'.repeat(70_000))
  all.c.write('\r\n.\r\n')
  for (let i = 0; i < 5; i++) {
    await all.clock.tick(400_000)
    t.equal(all.c.unread, 0)
    t.notOk(all.handler.destroyed)
    waiting.pop()?.()
    await settle()
  }
  for (let turn = 0; turn < 50; turn++) {
    waiting.pop()?.()
    await settle(1)
  }
  await all.c.expect(250)
  await quit(all.c)
  t.equal(all.clock.timers, 0)
})

t.test('verdict: 540 s', async t => {
  let signal: AbortSignal | null = null
  const all = await greeted({
    onMessage: async (message, session) => {
      signal = session.signal
      await text(message)
      await new Promise(() => {})
    },
  })
  await address(all.c)
  await all.c.command('DATA', 354)
  await all.c.data('Subject: x\r\n\r\nx\r\n')
  await all.clock.tick(539_999)
  t.equal(all.c.unread, 0)
  await all.clock.tick(1)
  await all.c.expect('451 4.3.0 …')
  t.equal((signal as AbortSignal | null)?.aborted, false, 'the client is still there')
  await all.c.command('NOOP', 250)
  await endsAfter(300_000, all)
})

t.test('verdict: what stands between, and who has yet to read, learns that it took too long', async t => {
  const told: unknown[] = []
  const tell = (error: NodeJS.ErrnoException | null | undefined): void => void told.push(error?.code)
  const filter = (): PassThrough => {
    const stream = new PassThrough()
    finished(stream, tell)
    return stream
  }
  const all = await greeted({
    filters: [filter],
    onMessage: message => {
      finished(message, tell)
      return new Promise(() => {})
    },
  })
  await address(all.c)
  await all.c.command('DATA', 354)
  for (let i = 0; i < 40; i++) all.c.write('x'.repeat(70).concat('\r\n').repeat(1000))
  await all.clock.tick(540_000)
  t.strictSame(told, ['ERR_TIMEOUT', 'ERR_TIMEOUT'])
  all.c.write('.\r\n')
  await all.c.expect('451 4.3.0 …')
  await quit(all.c)
})

t.test('verdict: a message that came whole, and that nobody reads, is closed', async t => {
  const seen: Readable[] = []
  const all = await greeted({
    filters: [() => new PassThrough()],
    onMessage: message => {
      seen.push(message)
      return new Promise(() => {})
    },
  })
  await address(all.c)
  await all.c.command('DATA', 354)
  all.c.write('x\r\n.\r\n')
  await all.clock.tick(539_999)
  t.notOk(seen[0]?.destroyed)
  await all.clock.tick(1)
  await all.c.expect('451 4.3.0 …')
  await new Promise(setImmediate)
  t.ok(seen[0]?.destroyed)
  await quit(all.c)
})

t.test('verdict: for BDAT', async t => {
  const all = await greeted({ onMessage: () => new Promise(() => {}) })
  await address(all.c)
  all.c.write('BDAT 3 LAST\r\nabc')
  await all.clock.tick(539_999)
  t.equal(all.c.unread, 0)
  await all.clock.tick(1)
  await all.c.expect('451 4.3.0 …')
  await quit(all.c)
  t.equal(all.clock.timers, 0)
})

t.test('hook: a hook’s time is never counted as the client’s', async t => {
  const go: (() => void)[] = []
  const hang = () => new Promise<void>(resolve => go.push(resolve))
  const all = await greeted({
    timeouts: { idle: 1000, command: 1000, hook: 5000 },
    onMailFrom: hang,
    onRcptTo: hang,
    onData: hang,
    onReset: hang,
  })
  for (const [line, code] of [
    ['MAIL FROM:<>', 250],
    ['RCPT TO:<a@example.org>', 250],
    ['DATA', 354],
  ] as const) {
    await all.c.send(line)
    await all.clock.tick(4999)
    t.equal(all.c.unread, 0, line)
    go.pop()?.()
    await all.c.expect(code)
  }
  await all.c.data('x')
  await all.clock.tick(4999)
  go.pop()?.()
  await all.c.expect(250)
  await endsAfter(1000, all)
})

t.test('hook: each policy has its own time', async () => {
  const slow = () => new Promise<void>(resolve => void clock.after(200_000, resolve))
  const clock = new FakeClock()
  const handler = new SmtpHandler({ clock, policies: [{ onMailFrom: slow }, { onMailFrom: slow }], onMailFrom: slow })
  const c = await begin(handler)
  await c.send('MAIL FROM:<>')
  await clock.tick(600_000)
  await c.expect(250)
  await quit(c)
})

t.test('linger: 10 s after the last reply, then the connection is cut', async t => {
  for (const last of ['QUIT', 'GET / HTTP/1.1']) {
    const clock = new FakeClock()
    let closes = 0
    const handler = new SmtpHandler({ clock, onClose: () => void closes++ })
    const client = connect(handler, { allowHalfOpen: true })
    const c = await begin(client)
    await c.command(last)
    await clock.tick(9999)
    t.notOk(handler.destroyed)
    await clock.tick(1)
    t.ok(handler.destroyed)
    await settle()
    t.equal(closes, 1)
    t.equal(clock.timers, 0)
    client.destroy()
  }
})

t.test('a client that does not read its replies', async t => {
  const clock = new FakeClock()
  const handler = new SmtpHandler({ clock, limits: { junkCommands: Infinity } })
  handler.write('EHLO a.example\r\n')
  handler.write('NOOP\r\n'.repeat(20_000))
  handler.on('error', () => {})
  let before = -1
  while (handler.readableLength > before) {
    before = handler.readableLength
    await settle(20) // until the replies are as many as may wait, which takes several turns on a busy machine
  }
  await clock.tick(300_000 + 10_000)
  t.ok(handler.destroyed)
  await settle()
  t.equal(clock.timers, 0)
})

t.test('no timer is left, however a session ends', async t => {
  const ways: ((c: Conversation) => unknown)[] = [
    c => c.command('QUIT', 221),
    c => c.end(),
    c => c.reset(),
    c => c.write('NOO') && c.reset(),
    async c => (await address(c), await c.command('DATA', 354), c.write('x'), c.reset()),
    async c => (await address(c), await c.command('DATA', 354), c.write('x'), c.end()),
    async c => (await address(c), c.write('BDAT 10\r\nx'), await settle(), c.reset()),
    async c => (await address(c), await deliver(c, 250), c.reset()),
    c => c.write('VRFY') && c.end(),
  ]
  for (const way of ways) {
    const all = await greeted()
    await way(all.c)
    await all.c.closed()
    await settle()
    t.equal(all.clock.timers, 0)
  }
  const unborn = new FakeClock()
  new SmtpHandler({ clock: unborn }).destroy()
  t.equal(unborn.timers, 0)
})

t.test('a limit is told, by its name', async t => {
  const { channels } = await import('../lib/smtp/diagnostics.ts')
  const limits: string[] = []
  let who: Session | null = null
  const listen = (event: unknown): void => {
    const { limit, session } = event as { limit: string; session: Session }
    limits.push(limit)
    who = session
  }
  subscribe(channels.limit.name, listen)
  t.teardown(() => unsubscribe(channels.limit.name, listen))
  const all = await greeted()
  await endsAfter(300_000, all)
  t.same(limits, ['idle'])
  t.equal(who, all.handler.session)
})
