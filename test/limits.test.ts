import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Message } from '../lib/smtp/message.ts'
import type { TakingHook } from '../lib/smtp/hooks.ts'
import type { SessionOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/conversation.ts'
import { reply } from '../lib/words/reply.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

type OwnOptions = SessionOptions & TakingHook

const read = async (message: Message): Promise<void> => void (await text(message))
const noop = (octets: number, fill = 'x'): string => `NOOP ${fill.repeat((octets - 7) / Buffer.byteLength(fill))}`
const make = (options: OwnOptions = {}): SmtpHandler => new SmtpHandler({ onMessage: read, ...options })

t.test('commandLine: 500 5.5.2, and the session goes on', async t => {
  for (const auth of [{}, { auth: { insecure: true } }]) {
    const c = await begin(make(auth))
    t.equal(Buffer.byteLength(noop(2048)) + 2, 2048)
    await c.command(noop(2048), 250)
    await c.command(noop(2049), '500 5.5.2 …')
    await c.command(noop(2047, 'é'), 250)
    await c.command(noop(2049, 'é'), '500 5.5.2 …')
    await c.command(noop(60_001), '500 5.5.2 …')
    await c.command('NOOP', 250)
    await c.command(noop(80_001), '500 5.5.2 …')
    await c.expect('421 4.7.0 …')
    await c.closed()
  }
  const c = await begin(make({ limits: { commandLine: 100, authLine: 50 }, auth: { insecure: true } }))
  await c.command(noop(100), 250)
  await c.command(noop(101), 500)
  await quit(c)
  const off = await begin(make())
  await off.command(`AUTH PLAIN ${'A'.repeat(2048)}`, '500 5.5.2 …')
  await quit(off)
})

t.test('recipients: 452 4.5.3, and those already taken stay', async t => {
  let got = 0
  const c = await begin(
    make({
      limits: { recipients: 2 },
      async onMessage(message, session) {
        await read(message)
        got = session.envelope?.recipients.length ?? 0
      },
    }),
  )
  for (let i = 0; i < 2; i++) {
    await address(c, 'a@example.org', 'b@example.org')
    await c.command('RCPT TO:<c@example.org>', '452 4.5.3 …')
    await deliver(c, 250)
    t.equal(got, 2)
  }
  await quit(c)
})

t.test('size: declared', async () => {
  const c = await begin(make({ size: 1000 }))
  await c.command('MAIL FROM:<> SIZE=1001', '552 5.3.4 …')
  await c.command('MAIL FROM:<> SIZE=1000', 250)
  await c.command('RSET', 250)
  await quit(c)
  const unlimited = await begin(make({ size: 0 }))
  await unlimited.command(`MAIL FROM:<> SIZE=${10 ** 12}`, 250)
  await quit(unlimited)
})

t.test('size: in flight', async t => {
  const over = `Subject: x\r\n\r\n${'x'.repeat(78).concat('\r\n').repeat(2000)}`
  for (const taker of [read, () => {}, async (message: Message) => read(message).catch(() => {})]) {
    const c = await begin(make({ size: MAIL.length, onMessage: taker }))
    await address(c)
    await deliver(c, 250)
    await c.command('MAIL FROM:<> SIZE=1', 250)
    await c.command('RCPT TO:<a@example.org>', 250)
    await deliver(c, '552 5.3.4 …', over)
    await address(c)
    await deliver(c, 250)
    await quit(c)
  }
  const hooks = { closed: 0 }
  const c = await begin(make({ size: 100, oversize: 'close', onClose: () => void hooks.closed++ }))
  await address(c)
  await c.command('DATA', 354)
  c.write(over)
  await c.expect('552 5.3.4 …')
  await c.closed()
  t.equal(hooks.closed, 1)
})

t.test('size: by BDAT', async () => {
  for (const taker of [read, () => {}]) {
    const c = await begin(make({ size: 10, onMessage: taker }))
    await address(c)
    c.write('BDAT 8\r\nSubject:')
    await c.expect(250)
    c.write('BDAT 3 LAST\r\nxyz')
    await c.expect('552 5.3.4 …')
    await address(c)
    c.write('BDAT 10 LAST\r\nSubject:\r\n')
    await c.expect(250)
    await quit(c)
  }
})

t.test('what BDAT brings is refused even where nobody reads it', async () => {
  for (const taker of [read, () => {}]) {
    const c = await begin(make({ limits: { header: 20 }, bareNewline: 'reject', onMessage: taker }))
    await address(c)
    c.write('BDAT 14 LAST\r\nSubject:\n\r\nx\r\n')
    await c.expect('550 5.5.2 …')
    await address(c)
    c.write(`BDAT 30 LAST\r\n${'Subject: x'.repeat(3)}`)
    await c.expect('552 5.3.4 …')
    await address(c)
    c.write(`BDAT 30\r\n${'Subject: x'.repeat(3)}`)
    await c.expect('552 5.3.4 …')
    c.write('BDAT 0 LAST\r\n')
    await c.expect(503)
    await c.command('RSET', 250)
    await quit(c)
  }
})

t.test('header: 552 5.3.4', async () => {
  const c = await begin(make({ limits: { header: 100 } }))
  const body = 'x'.repeat(50).concat('\r\n').repeat(10)
  for (const [octets, code] of [
    [90, 250],
    [110, 552],
  ] as const) {
    await address(c)
    await deliver(c, code, `A: ${'x'.repeat(octets - 9)}\r\n\r\n${body}`)
  }
  await quit(c)
})

t.test('errors: slow from the tenth, over at the twentieth', async t => {
  const clock = new FakeClock()
  const c = await begin(make({ clock }))
  for (let i = 0; i < 10; i++) await c.command(i % 2 === 0 ? 'WHAT' : 'WHAT\0NOW', 500)
  for (let i = 10; i < 20; i++) {
    await c.send(i % 2 === 0 ? 'WHAT' : 'WHAT\0NOW')
    await clock.tick(999)
    t.equal(c.unread, 0)
    await clock.tick(1)
    await c.expect(500)
  }
  await c.command('NOOP', '421 4.7.0 …')
  await c.closed()
  t.equal(clock.timers, 0)
})

t.test('errors: a line that is none is one too, and nothing is acted on after the end', async t => {
  for (const [bad, code] of [
    ['WHAT', 500],
    ['\xff', 500],
    ['\0', 500],
    [noop(3001), 500],
    ['RCPT TO:<a@example.org>', 503],
  ] as const) {
    let senders = 0
    const c = await begin(make({ limits: { errors: 3 }, onMailFrom: () => void senders++ }))
    c.write(`${bad}\r\n`.repeat(4).concat('MAIL FROM:<>\r\nQUIT\r\n'))
    for (let i = 0; i < 3; i++) await c.expect(code)
    await c.expect('421 4.7.0 …')
    await c.closed()
    t.equal(c.unread, 0)
    t.equal(senders, 0)
  }
})

t.test('errors: a client that goes while its command is held back', async t => {
  const clock = new FakeClock()
  let senders = 0
  const c = await begin(make({ clock, limits: { softErrors: 1 }, onMailFrom: () => void senders++ }))
  await c.command('WHAT', 500)
  await c.send('MAIL FROM:<>')
  await settle()
  c.reset()
  await c.closed()
  t.equal(clock.timers, 0)
  await clock.tick(5000)
  t.equal(senders, 0, 'it is not carried out')
})

t.test('junkCommands: each further one counts as an error', async t => {
  const junk = ['NOOP', 'RSET', 'VRFY x', 'HELP', 'EHLO a.example', 'HELO a.example']
  for (const line of junk) {
    const c = await begin(make({ limits: { junkCommands: 5, errors: 3 } }))
    for (let i = 0; i < 4 + 3; i++) await c.command(line, /^2/)
    await c.command('NOOP', '421 4.7.0 …')
    await c.closed()
  }
  const c = await begin(make({ limits: { junkCommands: 2, errors: 1 } }))
  for (let i = 0; i < 5; i++) {
    await address(c)
    await deliver(c, 250)
    await c.command('NOOP', 250)
  }
  await quit(c)
  t.pass('a mail makes up for it')
})

t.test('transactions: 421 for the next', async () => {
  const c = await begin(make({ limits: { transactions: 2 } }))
  await address(c)
  await c.command('RSET', 250)
  for (let i = 0; i < 2; i++) {
    await address(c)
    await deliver(c, 250)
  }
  await c.command('MAIL FROM:<>', '421 4.7.0 …')
  await c.closed()
})

t.test('replies that nobody reads: commands wait', async t => {
  let seen = 0
  const handler = make({ limits: { junkCommands: Infinity }, onMailFrom: () => void seen++ })
  const c = converse(handler, { readAhead: false })
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  const many = 5000
  c.write('MAIL FROM:<>\r\nRSET\r\n'.repeat(many))
  let before = -1
  while (seen > before) {
    before = seen
    await settle(20)
  }
  const octets = seen * '250 2.1.0 OK\r\n250 2.0.0 OK\r\n'.length
  t.ok(octets <= 65_536 + 16_384, `${seen} were carried out: their replies are what waits, and what is gathered`)
  t.ok(handler.readableLength <= 65_536, `${handler.readableLength} octets wait`)
  c.resume()
  for (let i = 0; i < many; i++) {
    await c.expect('250 2.1.0 OK')
    await c.expect('250 2.0.0 OK')
  }
  t.equal(seen, many)
  await quit(c)
})

t.test('100,000 commands in one write', async t => {
  const handler = make({ unlawfulPipelining: 'allow', limits: { junkCommands: Infinity } })
  let octets = 0
  handler.on('data', (chunk: Buffer) => (octets += chunk.length))
  handler.end(`EHLO a.example\r\n${'RSET\r\n'.repeat(100_000)}QUIT\r\n`)
  await once(handler, 'close')
  t.ok(octets > 100_000 * '250 2.0.0 OK\r\n'.length)
})

t.test('what is refused by a hook counts as an error', async () => {
  const c = await begin(make({ limits: { errors: 3 }, onRcptTo: () => reply(550, '5.1.1', 'No such user') }))
  await c.command('MAIL FROM:<>', 250)
  for (let i = 0; i < 3; i++) await c.command('RCPT TO:<a@example.org>', 550)
  await c.command('RCPT TO:<a@example.org>', '421 4.7.0 …')
  await c.closed()
})

t.test('errors: who is to come again has made none', async t => {
  const later = reply(450, '4.7.1', 'Greylisted')
  const c = await begin(make({ limits: { errors: 1 }, onMailFrom: () => later }))
  for (let i = 0; i < 5; i++) await c.command('MAIL FROM:<>', 450)
  await c.command('WHAT', 500)
  await c.command('NOOP', '421 4.7.0 …')
  await c.closed()
  t.pass('5yz alone counts')
})

t.test('errors: a message is one, however many recipients refuse it', async t => {
  const refusal = reply(550, '5.7.1', 'No')
  const c = converse(make({ lmtp: true, limits: { errors: 3 }, onMessage: () => refusal }))
  await c.expect(220)
  await c.command('LHLO a.example', 250)
  for (let i = 0; i < 3; i++) {
    await c.command('MAIL FROM:<>', 250)
    for (const name of ['a', 'b', 'c']) await c.command(`RCPT TO:<${name}@example.org>`, 250)
    await c.command('DATA', 354)
    c.write('.\r\n')
    for (let each = 0; each < 3; each++) await c.expect(550)
  }
  await c.command('NOOP', '421 4.7.0 …')
  await c.closed()
  t.pass('three messages, three errors')
})
