// BDAT in depth: whatever becomes of it, its octets are taken, and every command gets its reply. [RFC 3030]

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { reply, SmtpError, SmtpHandler, type Message, type SmtpHandlerOptions, type TakingHook } from '../lib/index.ts'
import { connect, converse, rechunk, type Conversation } from '../lib/testing/index.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { octetsHeld } from './fixtures/memory.ts'

const ENVELOPE = ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>']

interface Sink {
  readonly messages: Buffer[]
  readonly errors: string[]
}

/** Reads every message whole; notes why one was not. */
function sink(): Sink & Required<TakingHook> {
  const messages: Buffer[] = []
  const errors: string[] = []
  return {
    messages,
    errors,
    async onMessage(message) {
      const chunks: Buffer[] = []
      try {
        for await (const chunk of message) chunks.push(chunk as Buffer)
      } catch (error) {
        errors.push((error as NodeJS.ErrnoException).code!)
        throw error
      }
      messages.push(Buffer.concat(chunks))
    },
  }
}

async function ready(options: SmtpHandlerOptions, lines: readonly string[] = ENVELOPE): Promise<Conversation> {
  const c = converse(new SmtpHandler({ name: 'mx', handleError() {}, ...options }))
  await c.expect(220)
  for (const line of [options.lmtp === true ? 'LHLO c' : 'EHLO c', ...lines]) await c.command(line, 250)
  return c
}

t.test('a BDAT that a hook refuses, or fails at, takes its octets', async t => {
  const hooks: SmtpHandlerOptions['onData'][] = [
    () => reply(451, '4.7.1', 'Later'),
    async () => reply(451, '4.7.1', 'Later'),
    () => {
      throw new Error('no')
    },
    async () => {
      await sleep(1)
      throw new SmtpError(reply(451, '4.7.1', 'Later'))
    },
  ]
  for (const onData of hooks) {
    const { messages, onMessage } = sink()
    const c = await ready({ onData: onData!, onMessage: onMessage! })
    c.write('BDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n')
    for (const code of [451, 503, 250]) await c.expect(code)
    await c.command('RCPT TO:<c@d>', '503 5.5.1 Send MAIL first')
    t.strictSame(messages, [])
    t.equal(c.unread, 0)
  }
})

t.test('LMTP: a chunk is refused only if the message is refused for all of its recipients [RFC 3030 §2]', async t => {
  const refusal = reply(554, '5.7.1', 'No')
  const later = reply(450, '4.2.1', 'Later')
  const recipients = ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'RCPT TO:<e@d>']
  const mixed = await ready({ lmtp: true, onMessage: () => [refusal, reply(250, '2.1.5', 'OK')] }, recipients)
  await mixed.command('BDAT 0', 250)
  mixed.write('BDAT 3 LAST\r\nabc')
  await mixed.expect(554)
  await mixed.expect(250)
  t.equal(mixed.unread, 0)
  const none = await ready({ lmtp: true, onMessage: () => [later, refusal] }, recipients)
  await none.command('BDAT 0', 450)
})

t.test('a message that onMessage refuses early is refused at the BDAT at hand', async t => {
  const early: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    () => reply(554, '5.7.1', 'No'),
    async () => reply(554, '5.7.1', 'No'),
    message => (message.destroy(), reply(554, '5.7.1', 'No')),
    async message => {
      for await (const _ of message) throw new SmtpError(reply(554, '5.7.1', 'No'))
    },
  ]
  for (const onMessage of early) {
    for (const size of [6, 200_000]) {
      const c = await ready({ onMessage })
      for (const piece of rechunk(Buffer.from(`BDAT ${size}\r\n${'x'.repeat(size)}NOOP\r\n`), [50_000])) c.write(piece)
      await c.expect('554 5.7.1 No')
      await c.expect('250 2.0.0 OK')
      c.write('BDAT 6 LAST\r\nRSET\r\n')
      await c.expect('503 5.5.1 A BDAT was refused: send RSET to begin again')
      for (const line of ENVELOPE) await c.command(line, 250)
      c.write('BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n')
      await c.expect('554 5.7.1 No')
      await c.expect(250)
      t.equal(c.unread, 0)
    }
  }
})

t.test('a message that nobody reads is taken all the same, with any verdict', async t => {
  const unread: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    () => {},
    async () => {},
    message => void message.destroy(),
    message => void message.raw(),
  ]
  for (const onMessage of unread) {
    const c = await ready({ onMessage })
    for (let i = 0; i < 3; i++) {
      const size = 150_000
      for (const piece of rechunk(
        Buffer.from(`BDAT ${size}${i < 2 ? '' : ' LAST'}\r\n${'x'.repeat(size)}`),
        [40_000],
      )) {
        c.write(piece)
      }
      await c.expect(250)
    }
    await c.command('MAIL FROM:<a@b>', 250)
    t.equal(c.unread, 0)
  }
})

t.test('what is refused in flight is refused whatever onMessage says', async () => {
  const ignoring: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    () => {},
    message => void message.resume().on('error', () => {}),
    message =>
      new Promise(resolve =>
        message
          .resume()
          .on('error', () => {})
          .on('close', () => resolve()),
      ),
  ]
  for (const onMessage of ignoring) {
    for (const data of ['a\nb', 'a\rb', 'ab\r', '\n', '\r\n\n']) {
      const c = await ready({ onMessage, bareNewline: 'reject' })
      c.write(`BDAT ${data.length} LAST\r\n${data}NOOP\r\n`)
      await c.expect('550 5.5.2 The message has a bare CR or LF; lines must end with CRLF')
      await c.expect('250 2.0.0 OK')
    }
    const c = await ready({ onMessage, limits: { header: 5 } })
    c.write('BDAT 8\r\nToo: long')
    await c.expect('552 5.3.4 Message header too large')
  }
})

t.test('a line end cut in two by two BDATs is whole', async t => {
  const { messages, onMessage } = sink()
  const c = await ready({ onMessage: onMessage! })
  c.write('BDAT 2\r\na\rBDAT 2 LAST\r\n\nb')
  await c.expect(250)
  await c.expect(250)
  t.strictSame(messages, [Buffer.from('a\r\nb')])
})

t.test('RSET, EHLO and QUIT inside a sequence cut the message', async t => {
  for (const [line, code] of [
    ['RSET', 250],
    ['EHLO c', 250],
    ['QUIT', 221],
  ] as const) {
    const { messages, errors, onMessage } = sink()
    const c = await ready({ onMessage: onMessage! })
    c.write('BDAT 3\r\nabc')
    await c.expect(250)
    await c.command(line, code)
    await sleep(1)
    t.strictSame([messages, errors], [[], ['ERR_TRUNCATED']], line)
    if (code === 221) return c.closed()
    for (const each of ENVELOPE) await c.command(each, 250)
    c.write('BDAT 3 LAST\r\nxyz')
    await c.expect(250)
    t.strictSame(messages, [Buffer.from('xyz')], 'the next begins anew')
  }
})

t.test('the limit of the size counts anew after RSET', async () => {
  const c = await ready({ onMessage: sink().onMessage, size: 10 })
  c.write('BDAT 9\r\n123456789')
  await c.expect(250)
  await c.command('RSET', 250)
  for (const each of ENVELOPE) await c.command(each, 250)
  c.write('BDAT 9\r\n123456789BDAT 2 LAST\r\n12NOOP\r\n')
  await c.expect(250)
  await c.expect('552 5.3.4 Message too large')
  await c.expect(250)
  for (const each of ENVELOPE) await c.command(each, 250)
  c.write('BDAT 10 LAST\r\n1234567890')
  await c.expect(250)
})

t.test('a size over the limit is refused before any hook, and by option the session ends', async t => {
  let asked = 0
  const c = await ready({ size: 10, oversize: 'close', onData: () => void asked++, onMessage: () => void asked++ })
  await c.command('BDAT 11', '552 5.3.4 Message too large')
  await c.closed()
  t.equal(asked, 0)
})

t.test('no memory is taken on a claim', async t => {
  const before = octetsHeld()
  const c = await ready({ onMessage: sink().onMessage, size: 0 })
  c.write('BDAT 999999999999999\r\n')
  await sleep(1)
  t.ok(octetsHeld() - before < 1e7)
  c.reset()
})

t.test('what cannot be counted: 521, closed, and nothing behind it is run', async t => {
  const sizes = '-1 +1 0x10 1e3 1.0 1,0 9999999999999999 99999999999999999999999999 LAST x'.split(' ')
  for (const size of [...sizes, '', '5 FIRST', '5 LAST LAST', '5LAST', ' 5', '٣', '5\t6']) {
    const { messages, onMessage } = sink()
    const c = await ready({ onMessage: onMessage! })
    c.write(`BDAT ${size}\r\nNOOP\r\n`)
    await c.expect('521 5.5.4 BDAT takes a number of octets, then LAST or nothing')
    await c.closed()
    t.strictSame([c.unread, messages.length], [0, 0], JSON.stringify(size).replaceAll(/[^ -~]/g, '?'))
  }
})

t.test('a BDAT line that is none cannot be counted either', async t => {
  const bare = ['BDAT 6\n', 'bdat 6\r\r\n'] // commands, unless bare newlines are refused
  const lines = [...bare, 'BDAT 6\0\r\n', 'BDAT 6\xff\r\n', `BDAT 6${' '.repeat(3000)}\r\n`]
  for (const line of [...lines, `BDAT 6${' '.repeat(20_000)}\r\n`]) {
    const bareNewline = bare.includes(line) ? 'reject' : 'normalize'
    for (const wire of [[line], [...line]]) {
      for (const auth of [{}, { auth: { insecure: true } }]) {
        const c = await ready({ onMessage: sink().onMessage, bareNewline, ...auth })
        for (const octets of [...wire, 'NOOP\r\n']) c.write(Buffer.from(octets, 'latin1'))
        await c.expect('521 5.5.4 BDAT takes a number of octets, then LAST or nothing')
        await c.closed()
        t.equal(c.unread, 0, `nothing behind ${JSON.stringify(line.slice(0, 10))} is run`)
      }
    }
  }
})

t.test('not offered: 502, closed, and nothing behind it is run', async t => {
  const c = await ready({ onMessage: sink().onMessage, extensions: { CHUNKING: false } })
  c.write('BDAT 6\r\nNOOP\r\n')
  await c.expect('502 5.5.1 BDAT is not available: send DATA')
  await c.closed()
  t.equal(c.unread, 0)
})

t.test('a connection that ends inside BDAT n LAST: the message is cut, and gets no 250', async t => {
  const ends: ((c: Conversation) => void)[] = [c => c.end(), c => c.reset()]
  for (const end of ends) {
    const { messages, errors, onMessage } = sink()
    const handler = new SmtpHandler({ name: 'mx', onMessage: onMessage! })
    const c = converse(connect(handler))
    await c.expect(220)
    for (const line of ['EHLO c', ...ENVELOPE]) await c.command(line, 250)
    c.write('BDAT 4 LAST\r\nabc')
    await sleep(2)
    end(c)
    await c.closed()
    await sleep(2)
    t.strictSame([messages, errors, c.unread], [[], ['ERR_TRUNCATED'], 0])
  }
})

t.test('between two BDATs too', async t => {
  const { messages, errors, onMessage } = sink()
  const c = await ready({ onMessage: onMessage! })
  c.write('BDAT 3\r\nabc')
  await c.expect(250)
  c.end()
  await c.closed()
  t.strictSame([messages, errors], [[], ['ERR_TRUNCATED']])
})

t.test('a consumer that does not read stops the client', async t => {
  const messages: Message[] = []
  const onMessage = (message: Message): Promise<void> => {
    messages.push(message)
    return new Promise(() => {})
  }
  const handler = new SmtpHandler({ name: 'mx', onMessage })
  const c = converse(handler)
  await c.expect(220)
  for (const line of ['EHLO c', ...ENVELOPE]) await c.command(line, 250)
  c.write('BDAT 10000000 LAST\r\n')
  let written = 0
  for (let turns = 0; turns < 100 && written < 10_000_000;) {
    if (handler.writableNeedDrain) {
      turns += 1
      await new Promise(setImmediate)
    } else {
      c.write(Buffer.alloc(16_384, 'x'))
      written += 16_384
      turns = 0
    }
  }
  t.ok(written < 300_000, `${written} octets`)
  messages[0]!.resume()
  await c.drained()
  c.reset()
})

t.test('a slow verdict of a message that was reset leaves the next one its time', async t => {
  const clock = new FakeClock()
  const late: (() => void)[] = []
  const c = await ready({
    clock,
    timeouts: { verdict: 30 },
    onMessage: () => new Promise<void>(resolve => late.push(resolve)),
  })
  c.write('BDAT 0\r\nRSET\r\n')
  await c.expect(250)
  await c.expect(250)
  for (const each of ENVELOPE) await c.command(each, 250)
  c.write('BDAT 0 LAST\r\n')
  await clock.tick(5)
  late[0]!()
  await clock.tick(24)
  t.equal(c.unread, 0)
  await clock.tick(1)
  await c.expect('451 4.3.0 …')
  t.equal(late.length, 2)
})

t.test('a slow verdict of a message without octets has its time too', async t => {
  const clock = new FakeClock()
  const c = await ready({ clock, timeouts: { verdict: 30 }, onMessage: () => new Promise<void>(() => {}) })
  await c.send('BDAT 0 LAST')
  await clock.tick(30)
  await c.expect('451 4.3.0 …')
  t.pass('it is over')
})

t.test('any octets in any chunks by any cut arrive as they are', async t => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(chunks, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), async (data, cuts) => {
      const { messages, onMessage } = sink()
      const c = converse(new SmtpHandler({ name: 'mx', onMessage: onMessage! }))
      await c.expect(220)
      await c.command('EHLO c', 250)
      const packet = Buffer.concat([
        Buffer.from('MAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n'),
        ...data.flatMap((octets, i) => [
          Buffer.from(`BDAT ${octets.length}${i === data.length - 1 ? ' LAST' : ''}\r\n`),
          octets,
        ]),
        Buffer.from('QUIT\r\n'),
      ])
      for (const piece of rechunk(packet, cuts)) {
        c.write(piece)
        await new Promise(setImmediate)
      }
      for (let i = 0; i < data.length + 2; i++) await c.expect(250)
      await c.expect(221)
      return messages.length === 1 && messages[0]!.equals(Buffer.concat(data))
    }),
    { numRuns: 40 },
  )
  t.pass()
})

t.test('a verdict that is there before the mail data is given once, whatever comes in the same packet', async t => {
  const c = converse(new SmtpHandler({ name: 'mx', unlawfulPipelining: 'allow', onMessage: async () => {} }))
  await c.expect(220)
  await c.command('EHLO c', 250)
  c.write('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nBDAT 1\r\nNNOOP\r\n')
  for (const code of [250, 250, 354, 250, 503, 250]) await c.expect(code)
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(c.unread, 0)
})
