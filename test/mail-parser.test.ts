// The parser of `mailhandler catch`: a message that is hard to parse ends the worker, and not the server.

import t, { type Test } from 'tap'
import { MailParser, PARSE_LIMITS, type ParseLimits } from '../lib/cli/catch/mail-parser.ts'
import { loadParser } from '../lib/testing/catch/parse-mail.ts'
import { FakeClock } from '../lib/testing/index.ts'
import type { Clock } from '../lib/time/clock.ts'

function parserOf(t: Test, limits?: ParseLimits, program?: URL, clock?: Clock): MailParser {
  const parser = new MailParser(limits, program, clock)
  t.teardown(() => parser.close())
  return parser
}

const PARTS = [
  'From: Bob <bob@example.org>\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\nSubject: Parts\r\nContent-Type: multipart/mixed; boundary=x\r\n',
  '--x\r\nContent-Type: text/html\r\n\r\n<p>Hi',
  '--x\r\nContent-Type: image/gif\r\nContent-ID: <a>\r\n\r\nGIF',
  '--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--x--\r\n',
].join('\r\n')

t.test('the same as in this thread, with buffers', async t => {
  const parser = parserOf(t)
  const inThread = await loadParser('the test')
  const raw = Buffer.from(PARTS)
  const [one, two] = await Promise.all([parser.parse(raw), parser.parse(Buffer.from('Subject: 2\r\n\r\nx\r\n'))])
  t.strictSame(one, await inThread(raw))
  t.ok(Buffer.isBuffer(one.attachments[0]!.content))
  t.match(two, { subject: '2', text: 'x\n' })
  t.equal(raw.toString(), PARTS, 'the octets stay here')
})

t.test('a part that lies in the pool of Buffers, as a small invitation does', async t => {
  const raw = Buffer.from(
    [
      'Subject: Invitation',
      'Content-Type: multipart/alternative; boundary=x',
      '',
      '--x',
      'Content-Type: text/plain',
      '',
      'Come.',
      '--x',
      'Content-Type: text/calendar; method=REQUEST',
      '',
      'BEGIN:VCALENDAR',
      'END:VCALENDAR',
      '--x--',
      '',
    ].join('\r\n'),
  )
  const mail = await parserOf(t).parse(raw)
  t.match(mail, { subject: 'Invitation', text: 'Come.\n', problem: null })
  t.match(String(mail.attachments[0]!.content), /^BEGIN:VCALENDAR/)
})

t.test('no thread is to be had: the message has a problem, and the next is parsed', async t => {
  const parser = parserOf(t, PARSE_LIMITS, new URL('http://127.0.0.1/none.js'))
  t.match(await parser.parse(Buffer.from('Subject: 1\r\n\r\n')), { subject: '', problem: /./ })
  t.match(await parser.parse(Buffer.from('Subject: 2\r\n\r\n')), { problem: /./ })
})

t.test('more than may wait: it has a problem at once, and the others are parsed', async t => {
  const parser = parserOf(t, { ...PARSE_LIMITS, waiting: 20 }, HARD)
  const [one, two, three] = ['One', 'Two', 'Three'].map(text => parser.parse(Buffer.from(`${text}\r\nabc`)))
  t.match(await three, { subject: '', problem: 'too much other mail waits to be taken apart' })
  t.match(await Promise.all([one, two]), [{ subject: 'One' }, { subject: 'Two' }])
  t.match(await parser.parse(Buffer.from('Four\r\n')), { subject: 'Four' })
})

t.test('many messages, one worker', async t => {
  const parser = parserOf(t)
  const warned: Error[] = []
  const onWarning = (warning: Error): unknown => warned.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const mails = await Promise.all(
    Array.from({ length: 50 }, (_, i) => parser.parse(Buffer.from(`Subject: ${i}\r\n\r\n`))),
  )
  t.strictSame(
    mails.map(({ subject }) => subject),
    mails.map((_, i) => `${i}`),
  )
  t.strictSame(warned, [], 'no listener is left behind')
})

/** A worker that is as slow, or as large, as the message says; it tells the first line as the subject. */
const HARD = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads'
    parentPort.on('message', raw => {
      const text = Buffer.from(raw).toString()
      if (text.includes('slow')) for (;;);
      const all = []
      if (text.includes('large')) for (;;) all.push(new Array(100000).fill(1.5))
      parentPort.postMessage({ subject: text.split('\\r\\n')[0], attachments: [], problem: null })
    })`)}`,
)

t.test('too long: the header is there, and what comes next', async t => {
  const clock = new FakeClock()
  const parser = parserOf(t, PARSE_LIMITS, HARD, clock)
  const late = parser.parse(Buffer.from('One\r\n\r\nslow'))
  const next = parser.parse(Buffer.from('Two\r\n\r\nslo'))
  await clock.tick(10_000)
  t.match(await late, { subject: 'One', text: null, problem: 'to take it apart took longer than 10 seconds' })
  t.match(await next, { subject: 'Two', problem: null })
})

t.test('too much memory', async t => {
  const parser = parserOf(t, { ...PARSE_LIMITS, time: 60_000, memory: 96 }, HARD)
  const late = await parser.parse(Buffer.from('One\r\n\r\nlarge'))
  t.match(late, { subject: 'One', text: null, problem: 'to take it apart took too much memory' })
  t.match(await parser.parse(Buffer.from('Two')), { subject: 'Two', problem: null })
})

t.test('nested too deeply, or a header that is too long', async t => {
  const parser = parserOf(t)
  let nested = 'Subject: Nested\n'
  for (let i = 0; i < 1000; i++) nested += `Content-Type: multipart/mixed; boundary=x${i}\n\n--x${i}\n`
  t.match(await parser.parse(Buffer.from(nested)), { subject: 'Nested', problem: /nesting/ })
  const long = await parser.parse(Buffer.from(`Subject: Long\nX: ${'y'.repeat(3 * 2 ** 20)}`))
  t.match(long, { subject: 'Long', problem: /header/ })
})

t.test('a worker that does not start, and one that is closed', async t => {
  const parser = parserOf(t, undefined, new URL('none.js', import.meta.url))
  t.match(await parser.parse(Buffer.from(PARTS)), { subject: '', problem: /^to take it apart/ })
  await parser.close()
  t.match(await parser.parse(Buffer.from(PARTS)), { problem: 'the server is closing' })
})
