import { Duplex } from 'node:stream'

import t from 'tap'

import { parseTranscript, pipelined, playEverySplit, playTranscript } from '../lib/testing/index.ts'
import type { Chunking } from '../lib/testing/index.ts'
import { escapeOctets, unescapeOctets } from '../lib/testing/escapes.ts'
import { TranscriptLog } from '../lib/testing/transcript-log.ts'
import { FakeSmtp } from './fixtures/fake-smtp.ts'

/** Milliseconds: what is no timeout must not become one where the process stands still for a moment. */
const PATIENCE = 2000

const SESSION = `
  # a mail, and a second one
  S: 220 mx.example …
  C: EHLO client.example
  S: 250-mx.example
  S: 250-PIPELINING
  S: 250 SIZE *
  C: MAIL FROM:<a@example.org>
  C: RCPT TO:<b@example.org>
  C: DATA
  S: 250 2.1.0 Sender OK
  S: 250
  S: 354
  C: Subject: hello
  C:
  # not mail data
  C: ..stuffed
  C| bare\\n.\\ndots \\x00\\xff\\r\\n
  C: .
  S: 250 2.0.0 Taken
  C: NOOP
  S: 250 2.0.0 OK
  C: QUIT
  S: 221 2.0.0 Bye
  S: <closes>
`

t.test('a transcript is read', async t => {
  const { steps, closes } = parseTranscript(SESSION)
  t.equal(closes, true)
  t.same(
    steps.map(step => [step.line, step.octets.toString('latin1'), step.replies.map(reply => reply.text)]),
    [
      [3, '', ['220 mx.example …']],
      [4, 'EHLO client.example\r\n', ['250-mx.example\n250-PIPELINING\n250 SIZE *']],
      [8, 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n', ['250 2.1.0 Sender OK', '250', '354']],
      [14, 'Subject: hello\r\n\r\n..stuffed\r\nbare\n.\ndots \0\xff\r\n.\r\n', ['250 2.0.0 Taken']],
      [21, 'NOOP\r\n', ['250 2.0.0 OK']],
      [23, 'QUIT\r\n', ['221 2.0.0 Bye']],
    ],
  )
  t.same(
    steps[2]?.replies.map(reply => reply.line),
    [11, 12, 13],
  )
  t.same(parseTranscript('# nothing\r\n\r\n'), { steps: [], closes: false })
  t.same(parseTranscript('C: é\r\n').steps[0]?.octets, Buffer.from('é\r\n'))
})

t.test('what is no transcript is refused, with its line', async t => {
  const cases: [string, RegExp][] = [
    ['S: 220\nHELO', /^transcript line 2: does not begin with/],
    ['C:EHLO', /^transcript line 1: does not begin/],
    ['S: ok', /^transcript line 1: not a reply line: "ok"/],
    ['S: 2200', /not a reply line/],
    ['S: 250-a\nS: 251 b', /^transcript line 2: the code changes/],
    ['S: 220\n\nS: 250-a\nC: x', /^transcript line 3: the reply has no last line/],
    ['S: <closes>\nS: 220', /^transcript line 1: not a reply line/],
    ['C| a\\q', /^transcript line 1: unknown escape \\q;/],
    ['C| a\\x1', /unknown escape/],
    ['C| a\\', /unknown escape/],
  ]
  for (const [text, message] of cases) {
    t.throws(() => parseTranscript(text), { code: 'ERR_TRANSCRIPT', message }, JSON.stringify(text))
  }
})

t.test('escapes go there and back', async t => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  t.same(unescapeOctets(escapeOctets(all)), all)
  t.equal(escapeOctets(Buffer.from('a\r\n\t\0\\é')), 'a\\r\\n\\t\\0\\\\\\xc3\\xa9')
  t.same(unescapeOctets('é\\xfF'), Buffer.from([0xc3, 0xa9, 0xff]))
})

t.test('pipelined: all after the greeting at once', async t => {
  const whole = parseTranscript(SESSION)
  const { steps, closes } = pipelined(whole)
  t.equal(closes, true)
  t.equal(steps.length, 2)
  t.same(steps[0], whole.steps[0])
  t.same(steps[1]?.octets, Buffer.concat(whole.steps.map(step => step.octets)))
  t.equal(steps[1]?.replies.length, 7)
  const greeting = parseTranscript('S: 220')
  t.equal(pipelined(greeting), greeting)
})

t.test('a session is played in any chunks', async t => {
  const chunkings: Chunking[] = ['whole', 'bytes', 1, 7, 1000, { splitAt: 3 }, { splitAt: 0 }, { splitAt: 9999 }]
  for (const pipelined of [false, true]) {
    for (const chunking of chunkings) {
      const output = await playTranscript(SESSION, () => new FakeSmtp(), { chunking, pipelined })
      t.match(output.toString(), /^220 mx[^]*221 2\.0\.0 Bye\r\n$/)
    }
  }
})

t.test('the octets are cut where they should be, and sent once', async t => {
  const text = 'S: 220\nC: AB\nS: 250\nC: CD\nS: 250'
  const cases: [Chunking, boolean, string[]][] = [
    ['whole', false, ['AB\r\n', 'CD\r\n']],
    ['whole', true, ['AB\r\nCD\r\n']],
    ['bytes', false, [...'AB\r\nCD\r\n']],
    [3, false, ['AB\r', '\n', 'CD\r', '\n']],
    [{ splitAt: 1 }, false, ['A', 'B\r\n', 'CD\r\n']],
    [{ splitAt: 4 }, false, ['AB\r\n', 'CD\r\n']],
    [{ splitAt: 7 }, false, ['AB\r\n', 'CD\r', '\n']],
    [{ splitAt: 4 }, true, ['AB\r\n', 'CD\r\n']],
  ]
  for (const [chunking, pipelined, chunks] of cases) {
    const seen: string[] = []
    await playTranscript(text, () => recorder(seen), { chunking, pipelined })
    t.same(seen, chunks, JSON.stringify([chunking, pipelined]))
  }
})

t.test('every split', async t => {
  const { steps } = parseTranscript(SESSION)
  const octets = steps.reduce((sum, step) => sum + step.octets.length, 0)
  const started = performance.now()
  const lockstep = await playEverySplit(SESSION, () => new FakeSmtp())
  const each = (performance.now() - started) / lockstep.runs
  t.equal(lockstep.runs, octets - 4 + 1, 'every place, without those between five writes, whole and octet by octet')
  t.match(lockstep.output.toString(), /^220 mx[^]*221 2\.0\.0 Bye\r\n$/)
  const all = await playEverySplit(SESSION, () => new FakeSmtp(), { pipelined: true })
  t.equal(all.runs, octets + 1)
  t.same(all.output, lockstep.output)
  t.comment(`${each.toFixed(2)} ms a session`)
})

t.test('a handler that minds where it is cut is found out, and the place is named', async t => {
  await t.rejects(
    playEverySplit(SESSION, () => new FakeSmtp({ naive: true })),
    {
      code: 'ERR_TRANSCRIPT',
      message:
        /^split at octet 1 of \d+, "E" \| "HLO client\.examp": line 5: expected "250-mx[^\n]*, got "500 5\.5\.2 Unknown"\n\nS: 220/,
    },
  )
  await t.rejects(
    playEverySplit(SESSION, () => new FakeSmtp({ forgetful: true }), { timeout: PATIENCE }),
    { message: /^split at octet \d+ of \d+, .*: line 20: after 2000 ms the handler has not replied/ },
  )
})

t.test('a difference that the transcript allows is found by comparing sessions', async t => {
  let n = 0
  await t.rejects(
    playEverySplit('S: 220\nC: X\nS: 250 *', () => recorder([], String(n++))),
    {
      code: 'ERR_TRANSCRIPT',
      message: /^split at octet 1 of 3, "X" \| "\\r\\n": output differs from octet \d+ on: .*1.*whole: .*0/,
    },
  )
})

t.test('what else can differ', async t => {
  const cases: [string, RegExp][] = [
    ['S: 220\nC: NOOP\nS: 550', /^whole: line 3: expected "550", got "250 2\.0\.0 OK"\n\nS: 220/],
    ['S: 220\nC: NOOP', /^whole: an unexpected reply at the end\n\nS: 220/],
    ['C: NOOP\nS: 220\nC: NOOP\nS: 250', /^whole: line 3: an unexpected reply before it/],
    ['S: 220\nC: TWICE\nS: 250 one\nC: NOOP\nS: 250 two', /^whole: line 4: an unexpected reply before it/],
    ['S: 220\nC: HALF', /^whole: an incomplete reply at the end/],
    ['S: 220\nC: GARBAGE', /^whole: an incomplete reply at the end/],
    ['S: 220\nC: FAIL', /^whole: the handler failed: the disk is gone/],
    ['S: 220\nC: QUIT\nS: 221\nC: NOOP\nS: 250', /^whole: line (4|5): /],
    ['S: 220\nS: <closes>', /^whole: after 2000 ms the handler has not closed/],
    ['S: 220\nC: MUTE\nS: 250', /^whole: line 3: after 2000 ms/],
  ]
  await Promise.all(
    cases.map(([text, message]) => {
      const played = playTranscript(text, () => new FakeSmtp(), { timeout: PATIENCE })
      return t.rejects(played, { code: 'ERR_TRANSCRIPT', message }, JSON.stringify(text))
    }),
  )
  const destroyed = playTranscript('S: 220', () => {
    const handler = new FakeSmtp()
    return Object.assign(handler, { end: () => handler.destroy() })
  })
  await t.rejects(destroyed, { message: /closed without ending its replies/ })
})

t.test('the log keeps within bounds, and what it shows can be played', async t => {
  const log = new TranscriptLog()
  for (let i = 0; i < 3000; i++) log.add(i % 2 === 0 ? 'C' : 'S', Buffer.from(`${250 + (i % 2)} ${i}\r\n`))
  log.add('C', Buffer.alloc(100_000, 'x'))
  const lines = log.toString().split('\n')
  t.equal(lines[0], '# … 2000 turns before')
  t.equal(lines.at(-1), '# … 95904 more octets')
  t.ok(lines.length < 2010)

  const odd = new TranscriptLog()
  odd.add('C', Buffer.from('plain é\r\nlf\ncr\rx\r\nnul\0\r\nopen'))
  odd.add('C', Buffer.alloc(0))
  odd.add('S', Buffer.from('250 half'))
  t.equal(
    odd.toString(),
    ['C: plain é', 'C| lf\\n', 'C| cr\\rx\\r\\n', 'C| nul\\0\\r\\n', 'C| open', 'S| 250 half'].join('\n'),
  )
  const client = odd.toString().split('\n').slice(0, -1).join('\n')
  t.equal(parseTranscript(client).steps[0]?.octets.toString(), 'plain é\r\nlf\ncr\rx\r\nnul\0\r\nopen')
})

/** Answers each line end with a 250, and notes the chunks as they come. */
function recorder(chunks: string[], id = ''): Duplex {
  const handler = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(String(chunk))
      for (const octet of chunk) if (octet === 10) this.push(`250 ${id}\r\n`)
      callback()
    },
    final(callback) {
      this.push(null)
      callback()
    },
  })
  handler.push('220 hello\r\n')
  return handler
}
