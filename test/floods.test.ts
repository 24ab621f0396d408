// What a client may repeat before its session ends: nothing is free for ever.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { logEvents } from '../lib/cli/log/event-log.ts'
import { createLogger } from '../lib/cli/log/json-logger.ts'
import { channels, reply, SmtpHandler, type LimitEvent, type SessionOptions, type TakingHook } from '../lib/index.ts'
import { converse, FakeClock, type Conversation } from '../lib/testing/index.ts'

type OwnOptions = SessionOptions & TakingHook

const LATER = reply(451, '4.7.1', 'Greylisted, please try again')

function make(options: OwnOptions): { c: Conversation; clock: FakeClock; limits: string[] } {
  const clock = new FakeClock()
  const limits: string[] = []
  const handler = new SmtpHandler({ name: 'mx', clock, onMessage() {}, ...options })
  const note = (event: unknown): void => {
    const { session, limit } = event as LimitEvent
    if (session === handler.session) limits.push(limit)
  }
  subscribe(channels.limit.name, note)
  handler.once('close', () => unsubscribe(channels.limit.name, note))
  return { c: converse(handler), clock, limits }
}

async function begin(c: Conversation): Promise<void> {
  await c.expect(220)
  await c.command('EHLO c', 250)
  await c.command('MAIL FROM:<a@b>', 250)
}

/** Sends the same command without end, in groups; resolves with the codes of its replies. */
async function flood(c: Conversation, clock: FakeClock, line: string, most: number): Promise<number[]> {
  const before = c.replies.length
  c.write(`${line}\r\n`.repeat(most))
  while (!c.ended) {
    await clock.tick(1000)
    while (c.unread > 0) await c.expect()
  }
  return c.replies.slice(before).map(({ code }) => code)
}

/** `[452, 452, 421]` as `'452 ×2, 421 ×1'`. */
function runs(codes: readonly number[]): string {
  const counts: [code: number, count: number][] = []
  for (const code of codes) {
    const last = counts.at(-1)
    if (last?.[0] === code) last[1] += 1
    else counts.push([code, 1])
  }
  return counts.map(([code, count]) => `${code} ×${count}`).join(', ')
}

t.test('RCPT without end: 452 past the limit, 421 after 100 more and 20 errors, logged once', async t => {
  const { c, clock, limits } = make({ limits: { recipients: 5 } })
  await begin(c)
  t.equal(runs(await flood(c, clock, 'RCPT TO:<a@b.example>', 10_000)), '250 ×5, 452 ×120, 421 ×1')
  t.strictSame(limits, ['recipients', 'errors'])
})

t.test('a session that floods has at most three lines in the log', async t => {
  for (const line of ['RCPT TO:<a@b.example>', 'RCPT TO:<a..b@c>', 'NOOP', 'WHAT', 'MAIL FROM:<a@b>']) {
    const lines: string[] = []
    const log = createLogger({ level: 'info', write: each => void lines.push(each) })
    const stop = logEvents(() => ({ log, kamaelia: null }))
    const { c, clock } = make({ limits: { recipients: 5 } })
    await begin(c)
    const codes = await flood(c, clock, line, 10_000)
    stop()
    t.equal(codes.at(-1), 421, line)
    t.ok(lines.length <= 3, `${line}: ${lines.length} lines: ${lines.join('')}`)
  }
})

t.test('RCPT that a hook defers: as many in a transaction as recipients, then errors', async t => {
  const { c, clock, limits } = make({ limits: { recipients: 500 }, onRcptTo: () => LATER })
  await begin(c)
  t.equal(runs(await flood(c, clock, 'RCPT TO:<a@b.example>', 10_000)), '451 ×520, 421 ×1')
  t.strictSame(limits, ['errors'])
})

t.test('deferrals over many transactions: 1,000 between two accepted mails, then errors', async t => {
  const { c, clock } = make({ onRcptTo: () => LATER, limits: { junkCommands: 1e6 } })
  await begin(c)
  let codes: number[] = []
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 100; j++) codes.push((await c.command('RCPT TO:<a@b.example>')).code)
    await c.command('RSET', 250)
    await c.command('MAIL FROM:<a@b>', 250)
  }
  t.ok(codes.every(code => code === 451))
  codes = await flood(c, clock, 'RCPT TO:<a@b.example>', 1000)
  t.equal(runs(codes), '451 ×20, 421 ×1')
})

t.test('a list server with 500 greylisted recipients is not punished', async () => {
  const { c } = make({ onRcptTo: ({ localPart }) => (localPart.startsWith('new') ? LATER : undefined) })
  await begin(c)
  for (let i = 0; i < 500; i++) await c.command(`RCPT TO:<new${i}@b.example>`, 451)
  await c.command('RCPT TO:<known@b.example>', 250)
  await c.command('DATA', 354)
  await c.data('x')
  await c.expect(250)
})

t.test('an accepted mail starts the counts again', async () => {
  const { c } = make({ onRcptTo: ({ localPart }) => (localPart === 'no' ? reply(550, '5.1.1', 'Unknown') : undefined) })
  await c.expect(220)
  await c.command('EHLO c', 250)
  for (let i = 0; i < 60; i++) {
    await c.command('MAIL FROM:<a@b>', 250)
    await c.command('RCPT TO:<no@b>', 550)
    await c.command('RCPT TO:<yes@b>', 250)
    await c.command('DATA', 354)
    await c.data('x')
    await c.expect(250)
  }
})

t.test('a BDAT sequence that has failed is one error, not one a chunk; yet not free for ever', async t => {
  const { c, clock } = make({ onData: () => reply(550, '5.7.1', 'No'), limits: { errors: 3, softErrors: 1000 } })
  await begin(c)
  await c.command('RCPT TO:<a@b.example>', 250)
  c.write('BDAT 1\r\nx'.repeat(100))
  await c.expect(550)
  for (let i = 1; i < 100; i++) await c.expect(503)
  c.write('BDAT 1 LAST\r\nx')
  await c.expect(503)
  await c.command('NOOP', 250)
  await c.command('MAIL FROM:<a@b>', 250)
  await c.command('RCPT TO:<a@b.example>', 250)
  await c.command('BDAT 0', 550)
  const codes = await flood(c, clock, 'BDAT 0', 5000)
  t.equal(runs(codes), '503 ×901, 421 ×1')
})

t.test('each command that brings no mail further counts in the end', async t => {
  const floods: [line: string, options: OwnOptions][] = [
    ['NOOP', {}],
    ['RSET', {}],
    ['VRFY a', {}],
    ['HELP', {}],
    ['EXPN a', {}],
    ['EHLO c', { unlawfulPipelining: 'allow' }],
    ['WHAT', {}],
    ['\0', {}],
    ['DATA', { unlawfulPipelining: 'allow' }],
    ['MAIL FROM:<a@b>', { onMailFrom: () => LATER }],
    ['AUTH PLAIN AGEAYg==', { auth: { insecure: true }, unlawfulPipelining: 'allow' }],
    ['BDAT 0 LAST', {}],
  ]
  for (const [line, options] of floods) {
    const { c, clock } = make(options)
    await c.expect(220)
    await c.command('EHLO c', 250)
    const codes = await flood(c, clock, line, 3000)
    t.equal(codes.at(-1), 421, line)
    t.ok(codes.length <= 1101, `${line}: ${codes.length} replies`)
  }
})
