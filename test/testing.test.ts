import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { connect as startTls } from 'node:tls'

import t from 'tap'

import { connect, converse, duplexPair, matchesReply, randomChunks, rechunk } from '../lib/testing/index.ts'
import type { ExpectedReply } from '../lib/testing/index.ts'
import { stuff } from '../lib/testing/mail-data.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { certificate } from './fixtures/certificates.ts'
import { FakeSmtp } from './fixtures/fake-smtp.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('a whole session', async t => {
  const handler = new FakeSmtp()
  const c = converse(handler)
  t.equal((await c.expect(220)).text, '220 mx.example ESMTP')
  t.same(await c.command('EHLO client', '250-mx.example\n250-PIPELINING\n250 SIZE …'), {
    code: 250,
    status: null,
    lines: ['mx.example', 'PIPELINING', 'SIZE 1000'],
    text: '250-mx.example\n250-PIPELINING\n250 SIZE 1000',
  })
  const mail = await c.command('MAIL FROM:<a@b>', /Sender/)
  t.match(mail, { code: 250, status: '2.1.0', lines: ['Sender OK'] })
  await c.command('DATA', '354 Go on')
  await c.data('Subject: x\r\n\r\n.hidden')
  await c.expect('250 2.0.0 Taken')
  t.same(handler.messages, ['Subject: x\r\n\r\n..hidden\r\n'])
  c.write('NOOP\r\nNO')
  c.write(new Uint8Array([0x4f, 0x50, 13, 10]))
  await c.expect(250)
  await c.expect()
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(c.ended, true)
  t.equal(c.error, null)
  t.equal(c.unread, 0)
  t.same(
    c.replies.map(reply => reply.code),
    [220, 250, 250, 354, 250, 250, 250, 221],
  )
  t.equal(
    c.transcript,
    [
      'S: 220 mx.example ESMTP',
      'C: EHLO client',
      'S: 250-mx.example',
      'S: 250-PIPELINING',
      'S: 250 SIZE 1000',
      'C: MAIL FROM:<a@b>',
      'S: 250 2.1.0 Sender OK',
      'C: DATA',
      'S: 354 Go on',
      'C: Subject: x',
      'C: ',
      'C: ..hidden',
      'C: .',
      'S: 250 2.0.0 Taken',
      'C: NOOP',
      'C| NO',
      'S: 250 2.0.0 OK',
      'C: OP',
      'S: 250 2.0.0 OK',
      'C: QUIT',
      'S: 221 2.0.0 Bye',
    ].join('\n'),
  )
})

t.test('failures show what was expected and the transcript', async t => {
  const cases: [string, ExpectedReply, RegExp][] = [
    ['NOOP', 500, /^expected 500, got "250 2\.0\.0 OK"\n\nS: 220 .*\nC: NOOP\nS: 250 2\.0\.0 OK$/],
    ['NOOP', '250 OK', /^expected "250 OK", got "250 2\.0\.0 OK"/],
    ['NOOP', /^5/, /^expected \/\^5\/, got "250 /],
    ['GARBAGE', 250, /^not a reply line: "what\?"\n\nS: 220/],
    ['HALF', 250, /^expected 250, but the handler ended its replies in the middle of a reply\n/],
    ['FAIL', 250, /^expected 250, but the handler closed \(the disk is gone\)\n/],
    ['MUTE', 250, /^after 20 ms the handler has not replied; expected 250\n\nS: 220 .*\nC: MUTE$/],
  ]
  for (const [line, expected, message] of cases) {
    await using c = converse(new FakeSmtp(), { timeout: 20 })
    await c.expect(220)
    await t.rejects(c.command(line, expected), { name: 'MailHandlerError', code: 'ERR_TRANSCRIPT', message }, line)
  }
})

t.test('nothing can be written to a handler that has closed, and nothing comes', async t => {
  const c = converse(new FakeSmtp())
  await c.expect(220)
  await c.command('QUIT', 221)
  await t.rejects(c.expect(), { message: /^expected a reply, but the handler ended its replies\n/ })
  await c.closed()
  t.throws(() => c.write('x'), { code: 'ERR_TRANSCRIPT', message: /accepts no more/ })
  const late = converse(new FakeSmtp().destroy())
  await t.rejects(late.expect(220), { code: 'ERR_TRANSCRIPT' })
})

t.test('the failure of the handler is the cause', async t => {
  const c = converse(new FakeSmtp())
  await c.expect(220)
  await t.rejects(c.command('FAIL', 250), { cause: { message: 'the disk is gone' } })
  t.equal(c.error?.message, 'the disk is gone')
  await c.closed()
})

t.test('half-close, reset and disposal', async t => {
  const half = converse(new FakeSmtp())
  half.end()
  await half.expect(220)
  await half.closed()
  t.equal(half.ended, true)

  const handler = new FakeSmtp()
  const cut = converse(handler)
  await cut.expect(220)
  cut.reset()
  await cut.closed()
  t.equal(cut.ended, false)

  const left = new FakeSmtp()
  {
    await using c = converse(left)
    await c.expect(220)
  }
  t.equal(left.closed, true)

  const deaf = converse(new Duplex({ read() {}, write() {}, final() {} }), { timeout: 10 })
  await t.rejects(deaf.closed(), { message: /^after 10 ms the handler has not closed/ })
})

t.test('expectations are answered in the order they were made', async t => {
  const c = converse(new FakeSmtp())
  const all = Promise.all([c.expect(220), c.expect(250), c.expect(500)])
  c.write('NOOP\r\nXYZZY\r\n')
  t.same(
    (await all).map(reply => reply.code),
    [220, 250, 500],
  )
})

t.test('a slow reader holds the handler back', async t => {
  for (const slow of ['readAhead', 'pause'] as const) {
    const handler = new FakeSmtp({ readableHighWaterMark: 64 })
    const c = converse(handler, slow === 'readAhead' ? { readAhead: false } : {})
    await c.expect(220)
    if (slow === 'pause') c.pause()
    c.write('NOOP\r\n'.repeat(100))
    await turn()
    t.ok(handler.commands < 10, `${slow}: ${handler.commands} commands carried out`)
    t.equal(c.unread, 0, slow)
    if (slow === 'pause') c.resume()
    for (let i = 0; i < 100; i++) {
      await c.expect(250)
      if (slow === 'readAhead') t.ok(handler.commands <= i + 10, `reads no further than wanted: ${handler.commands}`)
    }
    t.equal(handler.commands, 100)
    t.equal(c.unread, 0)
    c.end()
    await c.closed()
  }
})

t.test('send waits for room', async t => {
  const handler = new FakeSmtp({ readableHighWaterMark: 16, writableHighWaterMark: 16 })
  const c = converse(handler, { readAhead: false, timeout: 20 })
  await t.rejects(c.send('NOOP 0123456789\r\nNOOP\r\nNOOP'), { message: /^after 20 ms the handler has not drained/ })
  const sent = c.drained()
  await c.expect(220)
  await c.expect(250)
  await c.expect(250)
  await c.expect(250)
  await sent
  c.reset()
  await c.closed()
})

t.test('options are checked', async t => {
  for (const timeout of [0, -1, Number.NaN, Infinity, 2 ** 31]) {
    t.throws(() => converse(new FakeSmtp(), { timeout }), { code: 'ERR_OPTION' }, String(timeout))
  }
})

t.test('what matches a reply', async t => {
  const reply = { code: 250, status: null, lines: ['mx', 'SIZE 10'], text: '250-mx\n250 SIZE 10' }
  const cases: [ExpectedReply, boolean][] = [
    [250, true],
    [251, false],
    ['250', true],
    ['550', false],
    ['250-mx\n250 SIZE 10', true],
    ['250-mx\n250 SIZE *', true],
    ['250-mx\n250 SIZE…', true],
    ['250-…\n250 …', true],
    ['250-mx', false],
    ['250-…', false],
    ['250 SIZE 10', false],
    ['250-mx\n250 SIZE 1', false],
    ['250-mx\n250 SIZE 10\n250 X', false],
    [/SIZE/g, true],
    [/^250 SIZE/m, true],
    [/^5/, false],
  ]
  for (const [expected, matches] of cases) {
    t.equal(matchesReply(reply, expected), matches, String(expected))
    t.equal(matchesReply(reply, expected), matches, `${String(expected)} again`)
  }
})

t.test('mail data is stuffed', async t => {
  const cases: [string, string][] = [
    ['', '.\r\n'],
    ['a', 'a\r\n.\r\n'],
    ['a\r\n', 'a\r\n.\r\n'],
    ['.', '..\r\n.\r\n'],
    ['.\r\n.\r\n..', '..\r\n..\r\n...\r\n.\r\n'],
    ['a\n.\nb', 'a\n.\nb\r\n.\r\n'],
    ['é\u0000', 'é\u0000\r\n.\r\n'],
  ]
  for (const [message, wire] of cases) t.equal(stuff(message).toString(), wire, JSON.stringify(message))
  t.same(stuff(new Uint8Array([0xff, 0x80])), Buffer.from('ff800d0a2e0d0a', 'hex'))
})

t.test('chunks', async t => {
  const octets = Buffer.from('0123456789')
  t.same(rechunk(octets, [1]).map(String), [...'0123456789'])
  t.same(rechunk(octets, [1, 3]).map(String), ['0', '123', '4', '567', '8', '9'])
  t.same(rechunk(octets, [99]).map(String), ['0123456789'])
  t.same(rechunk(Buffer.alloc(0), [1]), [])
  for (const sizes of [[], [0], [1, -1], [1.5], [Number.NaN]]) {
    t.throws(() => rechunk(octets, sizes), { code: 'ERR_OPTION' }, String(sizes))
  }
  const seen = new Set<string>()
  for (let seed = -50; seed < 50; seed++) {
    const chunks = randomChunks(octets, seed)
    t.same(Buffer.concat(chunks), octets)
    t.ok(chunks.every(chunk => chunk.length > 0))
    t.same(randomChunks(octets, seed), chunks, 'the same seed, the same places')
    seen.add(chunks.join('|'))
  }
  t.ok(seen.size > 50, `${seen.size} different ways`)
})

t.test('a pair passes octets, ends and backpressure', async t => {
  const [a, b] = duplexPair({ highWaterMark: 4 })
  const closed = Promise.all([a, b].map(side => new Promise(resolve => side.once('close', resolve))))
  t.equal(a.write('12345678'), false)
  a.end('9')
  let drained = false
  a.once('finish', () => (drained = true))
  await turn()
  t.equal(drained, false, 'nobody reads')
  b.end('x')
  t.equal((await b.toArray()).join(''), '123456789')
  t.equal((await a.toArray()).join(''), 'x')
  await closed
  t.equal(drained, true)
  t.equal(a.errored, null)
  t.equal(b.errored, null)
})

t.test('a pair passes a reset', async t => {
  const [a, b] = duplexPair()
  const error = new Promise(resolve => b.once('error', resolve))
  a.destroy()
  t.match(await error, { code: 'ECONNRESET' })
  t.equal(b.destroyed, true)

  const [c, d] = duplexPair({ highWaterMark: 1 })
  d.on('error', () => {})
  c.on('error', () => {})
  const written = new Promise(resolve => c.write('wait', resolve))
  d.destroy()
  t.match(await written, { code: /EPIPE|ECONNRESET/ })
})

t.test('TLS over a pair', async () => {
  const client = connect(new SmtpHandler({ tls: certificate() }))
  const c = converse(client)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('STARTTLS', 220)
  c.pause()
  client.removeAllListeners('data')
  const secure = startTls({ socket: client, rejectUnauthorized: false })
  await once(secure, 'secureConnect')
  const secured = converse(secure)
  await secured.command('EHLO client.example', 250)
  await secured.command('QUIT', 221)
  await secured.closed()
})

t.test('a conversation through a piped socket', async t => {
  const client = connect(new FakeSmtp())
  const c = converse(client)
  await c.expect(220)
  await c.command('NOOP', 250)
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(c.error, null)

  const handler = new FakeSmtp()
  const cut = converse(connect(handler))
  await cut.expect(220)
  cut.reset()
  await cut.closed()
  t.equal(handler.destroyed, false, 'pipe() tells the handler nothing of a reset')
  handler.destroy()
})
