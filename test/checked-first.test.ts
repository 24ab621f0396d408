// Mail data is checked before it is handed out: with `bareNewline: 'reject'` neither a filter nor `raw()` nor a reader of
// the message sees the offending octet or one behind it, however the octets are cut. The first offence decides.

import { PassThrough } from 'node:stream'
import t from 'tap'
import type { SessionOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { settle } from './fixtures/fake-clock.ts'
import { watchProcess } from './fixtures/hooks.ts'
import { sample } from './fixtures/sample.ts'

watchProcess(t)

const READERS = ['message', 'raw', 'filter', 'filter and raw'] as const
type Reader = (typeof READERS)[number]

/** What one reader has seen of a message, and what the client was told. */
interface Outcome {
  /** What the filter, `raw()` or the reader of the message was given, octets as latin1. */
  readonly seen: readonly string[]
  /** Codes, statuses and texts of the replies to the mail data. */
  readonly replies: readonly string[]
}

const PROLOGUE = 'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n'
/** What would be a command if the mail data had ended: its reply would be seen. */
const SMUGGLED = 'QUIT\r\n'

/** Waits until something is so; a session that has had its share of a turn goes on in a later one. */
async function soon(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !isSo(); i++) await settle(1)
}

interface Session {
  readonly write: (octets: string) => Promise<void>
  readonly seen: string[]
  readonly end: () => Promise<Outcome>
}

/** A session up to the mail data, which arrives piece by piece, a turn of the event loop for each. */
function begin(reader: Reader, options: SessionOptions = {}, mail = PROLOGUE): Session {
  const seen: string[] = []
  let said = ''
  const look = (i: number, piece: unknown): void =>
    void (seen[i] = (seen[i] ?? '') + (piece as Buffer).toString('latin1'))
  const filter = (): PassThrough => {
    const stage = new PassThrough()
    stage.on('data', piece => look(1, piece))
    return stage
  }
  const handler = new SmtpHandler({
    unlawfulPipelining: 'allow',
    bareNewline: 'reject',
    filters: reader.startsWith('filter') ? [filter] : [],
    async onMessage(message) {
      const stream = reader.endsWith('raw') ? message.raw() : message
      for await (const piece of stream) look(0, piece)
    },
    ...options,
  })
  handler.on('data', octets => (said += String(octets)))
  handler.write(mail)
  return {
    seen,
    async write(octets) {
      handler.write(Buffer.from(octets, 'latin1'))
      await settle(2)
    },
    async end() {
      await settle(6)
      handler.write('VRFY still in step\r\n')
      await soon(() => /^252 /m.test(said))
      handler.destroy()
      const replies = said.split('\r\n').filter(line => /^\d{3} /.test(line))
      return { seen, replies: replies.slice(4) }
    },
  }
}

async function play(reader: Reader, prologue: string, pieces: readonly string[], options?: SessionOptions) {
  const session = begin(reader, options, PROLOGUE + prologue)
  await settle(2)
  for (const piece of pieces) await session.write(piece)
  return session.end()
}

/** The octets whole, octet by octet, and cut in two: at each place, or at a sample of them. */
function cuts(octets: string): string[][] {
  const places = Array.from({ length: octets.length - 1 }, (_, i) => i + 1)
  return [[octets], [...octets], ...sample(places).map(at => [octets.slice(0, at), octets.slice(at)])]
}

/** The mail data as DATA sends it, whole and cut. */
const dataWays = (content: string): [prologue: string, pieces: string[]][] =>
  cuts(`${content}\r\n.\r\n`).map(pieces => ['DATA\r\n', pieces])

/** The mail data by one BDAT, cut, and by two, whole and octet by octet. */
function chunkWays(content: string): [prologue: string, pieces: string[]][] {
  const ways: [string, string[]][] = cuts(content).map(pieces => [`BDAT ${content.length} LAST\r\n`, pieces])
  for (const at of sample(Array.from({ length: content.length + 1 }, (_, i) => i))) {
    const wire = `BDAT ${at}\r\n${content.slice(0, at)}BDAT ${content.length - at} LAST\r\n${content.slice(at)}`
    ways.push(['', [wire]], ['', [...wire]])
  }
  return ways
}

const WAYS = { DATA: dataWays, BDAT: chunkWays } as const
type Way = keyof typeof WAYS

// ── Smuggling ──

const PLAIN = ['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r']
const SEQUENCES = [
  ...PLAIN,
  ...PLAIN.map(each => each.replace('.', '..')),
  ...PLAIN.map(each => each.replace('.', '\0.')),
  ...PLAIN.map(each => each.replace('.', '.\0')),
  ...PLAIN.filter(each => each.includes('\r\n')).map(each => each.replace('\r\n', '\r\0\n')),
  '\r\r\n',
  '\r\n.\r\r\n',
  '\r\n.\r.\r\n',
  '\n',
  '\r',
  '\r\n..\n.\r\n',
]
/** Without a bare CR or LF: taken as they are. */
const HARMLESS = ['\r\n.\0\r\n', '\r\n\0.\r\n', '\r\n..\r\n', '\r\n...\r\n', '\r\n.x\r\n', '\r\n. \r\n', '\0']

/** Where the first bare CR or LF is; -1 if there is none. */
function offenceIn(content: string): number {
  return content.search(/(?<!\r)\n|\r(?!\n)/)
}

const stuff = (content: string): string => content.replaceAll(/(^|\r\n)\./g, '$1..')
const unstuff = (content: string): string => content.replaceAll(/(^|\r\n)\./g, '$1')

/** What may be seen of `content`: by the reader, and by the filter. Behind a filter `raw()` is stuffed again. */
function visible(way: Way, content: string, reader: Reader): [read: string, filtered: string] {
  const message = way === 'DATA' ? unstuff(content) : content
  if (!reader.endsWith('raw')) return [message, message]
  return [way === 'DATA' && reader === 'raw' ? content : stuff(message), message]
}

function mismatch(way: Way, content: string, outcome: Outcome, reader: Reader): string | null {
  const sent = way === 'DATA' ? `${content}\r\n` : content
  const offence = offenceIn(sent)
  const whole = offence === -1
  const { seen, replies } = outcome
  for (const [i, view] of visible(way, whole ? sent : sent.slice(0, offence), reader).entries()) {
    const given = seen[i] ?? ''
    if (i === 1 && !reader.startsWith('filter')) continue
    if (whole ? given !== view : !view.startsWith(given)) return `saw ${JSON.stringify(given)}`
  }
  const verdicts = replies.filter(line => !/^250 2\.0\.0 \d+ octets received|^354/.test(line)).join('|')
  const good = whole
    ? /^250 2\.0\.0 OK\|252 2\.\d\.\d [^|]+$/
    : /^550 5\.5\.2 [^|]+\|(?:503 5\.5\.1 [^|]+\|)?252 2\.\d\.\d [^|]+$/
  return good.test(verdicts) ? null : verdicts
}

for (const way of ['DATA', 'BDAT'] as const) {
  for (const reader of READERS) {
    t.test(`${way}, ${reader}: none sees an octet from the offending one on, however it is cut`, async t => {
      let sessions = 0
      for (const sequence of [...SEQUENCES, ...HARMLESS]) {
        const content = `a${sequence}${SMUGGLED}b`
        const ways = WAYS[way](content)
        const problems = await Promise.all(
          ways.map(async ([prologue, pieces]) => {
            const problem = mismatch(way, content, await play(reader, prologue, pieces), reader)
            return problem === null ? null : `${JSON.stringify(pieces)}: ${problem}`
          }),
        )
        sessions += ways.length
        t.strictSame(
          problems.filter(each => each !== null),
          [],
          JSON.stringify(sequence),
        )
      }
      t.comment(`${sessions} sessions`)
    })
  }
}

t.test('mail data that begins or ends with the sequence', async t => {
  for (const way of ['DATA', 'BDAT'] as const) {
    for (const reader of READERS) {
      for (const content of ['\n.\r\nx', '\rx', '\nx', '.\nx', '.\rx', '..\nx', 'x\r', 'x\n', 'x\r\n.\n', '.\r\r']) {
        const outcomes = await Promise.all(
          WAYS[way](content).map(async ([prologue, pieces]) =>
            mismatch(way, content, await play(reader, prologue, pieces), reader),
          ),
        )
        t.strictSame(
          outcomes.filter(each => each !== null),
          [],
          `${way}, ${reader}: ${JSON.stringify(content)}`,
        )
      }
    }
  }
})

// ── A CR that ends a chunk ──

t.test('a CR that ends a chunk is held until its LF is seen', async t => {
  for (const bareNewline of ['reject', 'normalize'] as const) {
    for (const reader of READERS) {
      for (const prologue of ['DATA\r\n', 'BDAT 8 LAST\r\n']) {
        const session = begin(reader, { bareNewline }, PROLOGUE + prologue)
        const steps = [
          ['ab\r', 'ab'],
          ['\n', 'ab\r\n'],
          ['c', 'ab\r\nc'],
          ['d\r', 'ab\r\ncd'],
        ] as const
        for (const [piece, expected] of steps) {
          await session.write(piece)
          await soon(() => session.seen[0] === expected)
          await settle(2)
          t.equal(session.seen[0], expected, `${bareNewline}, ${reader}, ${prologue}`)
        }
        await session.end()
      }
    }
  }
})

t.test('a CR at the end of one BDAT, and its LF at the beginning of the next', async t => {
  const good = await play('message', '', ['BDAT 2\r\na\r', 'BDAT 3 LAST\r\n\nbc'])
  t.strictSame(good.seen, ['a\r\nbc'])
  const bad = await play('message', '', ['BDAT 2\r\na\r', 'BDAT 2 LAST\r\nbc'])
  t.strictSame(bad.seen, ['a'])
  t.match(bad.replies[1], /^550 5\.5\.2/)
  const last = await play('message', '', ['BDAT 2\r\na\r', 'BDAT 0 LAST\r\n'])
  t.strictSame(last.seen, ['a'], 'no LF comes any more')
  t.match(last.replies[1], /^550 5\.5\.2/)
})

// ── The first offence ──

const BARE = '550 5.5.2 The message has a bare CR or LF; lines must end with CRLF'
const SIZE = '552 5.3.4 Message too large'
const HEADER = '552 5.3.4 Message header too large'
const OK = '250 2.0.0 OK'

/** The verdicts however the mail data is cut, each once. */
async function verdicts(way: Way, content: string, options: SessionOptions, mail = ''): Promise<string[]> {
  const all = await Promise.all(
    WAYS[way](content).map(async ([prologue, pieces]) => {
      const session = begin('message', options, (mail === '' ? PROLOGUE : mail) + prologue)
      await settle(2)
      for (const piece of pieces) await session.write(piece)
      const { replies } = await session.end()
      return replies.find(line => !/^250 2\.0\.0 \d+ octets received|^354/.test(line))
    }),
  )
  return [...new Set(all.map(String))]
}

t.test('a LF 12345 and 12345 LF, with a size of 4', async t => {
  t.strictSame(await verdicts('DATA', 'a\n12345', { size: 4 }), [BARE])
  t.strictSame(await verdicts('DATA', '12345\n', { size: 4 }), [SIZE])
  t.strictSame(await verdicts('DATA', 'a\r12345', { size: 4 }), [BARE])
  t.strictSame(await verdicts('DATA', '12345\r6', { size: 4 }), [SIZE])
  t.strictSame(await verdicts('DATA', '1234\n', { size: 4 }), [BARE], 'the fifth octet is the LF: it is no mail data')
  t.strictSame(await verdicts('DATA', '12\r\n\n', { size: 4 }), [BARE])
})

t.test('size, header limit and bare newline, in each order: the first decides', async t => {
  const [first, second, third] = [5, 9, 13]
  const orders: [size: number, header: number, bare: number, verdict: string][] = [
    [first, second, third, SIZE],
    [first, third, second, SIZE],
    [second, first, third, HEADER],
    [third, first, second, HEADER],
    [second, third, first, BARE],
    [third, second, first, BARE],
  ]
  for (const [size, header, bare, verdict] of orders) {
    for (const offence of ['\n', '\r']) {
      const content = `${'x'.repeat(bare - 1)}${offence}${'y'.repeat(20)}`
      const options: SessionOptions = { size: size - 1, limits: { header: header - 1 } }
      t.strictSame(await verdicts('DATA', content, options), [verdict], `size ${size}, header ${header}, bare ${bare}`)
    }
  }
})

t.test('header limit and bare newline by BDAT, in both orders', async t => {
  t.strictSame(await verdicts('BDAT', 'xxxx\nyyyyyyyy', { limits: { header: 7 } }), [BARE])
  t.strictSame(await verdicts('BDAT', 'xxxxxxxx\nyyyy', { limits: { header: 7 } }), [HEADER])
  t.strictSame(await verdicts('BDAT', 'x\r\n\r\nyyyyyyy\r\n', { limits: { header: 7 } }), [OK])
})

t.test('size and header limit where no newline is refused, DATA and BDAT: the first decides', async t => {
  for (const bareNewline of ['normalize', 'allow'] as const) {
    const content = 'x'.repeat(20)
    const both = { bareNewline, size: 7, limits: { header: 11 } }
    t.strictSame(await verdicts('DATA', content, both), [SIZE], bareNewline)
    t.strictSame(await verdicts('DATA', content, { ...both, size: 11, limits: { header: 7 } }), [HEADER], bareNewline)
    t.strictSame(await verdicts('BDAT', content, { ...both, size: 20, limits: { header: 7 } }), [HEADER], bareNewline)
  }
  // Counted as what the reader gets, a LF is two octets; the count of BDAT serves the early refusal only.
  const grows = { bareNewline: 'normalize', size: 8 } as const
  t.strictSame(await verdicts('BDAT', 'a\nb\nc\n', { ...grows, size: 9 }), [OK])
  t.strictSame(await verdicts('BDAT', 'a\nb\nc\n', grows), [SIZE])
  t.strictSame(await verdicts('DATA', 'a\nb\nc', { ...grows, size: 9 }), [OK])
  t.strictSame(await verdicts('DATA', 'a\nb\nc', grows), [SIZE])
})

// ── The header ──

t.test('the header limit counts what the reader takes for the header', async t => {
  const crlf = 'A: 1\r\nB: 2\r\n\r\n'.concat('body'.repeat(10)) // 12 octets of header
  const lf = 'A: 1\nB: 2\n\n'.concat('body'.repeat(10)) // 10 octets as they are, 12 normalized
  const table: [string, Way, string, NonNullable<SessionOptions['bareNewline']>, number][] = [
    ['CRLF', 'DATA', crlf, 'reject', 12],
    ['CRLF', 'BDAT', crlf, 'reject', 12],
    ['CRLF', 'DATA', crlf, 'normalize', 12],
    ['CRLF', 'BDAT', crlf, 'normalize', 12],
    ['CRLF', 'DATA', crlf, 'allow', 12],
    ['CRLF', 'BDAT', crlf, 'allow', 12],
    ['LF', 'DATA', lf, 'normalize', 12],
    ['LF', 'BDAT', lf, 'normalize', 12],
    ['LF', 'DATA', lf, 'allow', 10],
    ['LF', 'BDAT', lf, 'allow', 10],
    ['LF LF at once', 'DATA', '\nbody of the message', 'normalize', 1],
    ['LF LF at once', 'DATA', '\nbody of the message', 'allow', 1],
  ]
  for (const [name, way, content, bareNewline, header] of table) {
    const shown = `${name}, ${way}, ${bareNewline}`
    t.strictSame(await verdicts(way, content, { bareNewline, limits: { header } }), [OK], shown)
    if (header > 1) {
      const less = { bareNewline, limits: { header: header - 1 } }
      t.strictSame(await verdicts(way, content, less), [HEADER], `${shown}: one octet less`)
    }
  }
})

t.test('BINARYMIME is neither checked nor normalized; its header ends at LF LF too', async t => {
  const mail = 'EHLO c.example\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n'
  for (const bareNewline of ['reject', 'normalize', 'allow'] as const) {
    for (const [content, header] of [
      ['A: 1\nB: 2\n\n'.concat('\r\0\n'.repeat(10)), 10],
      ['A: 1\r\nB: 2\r\n\r\n'.concat('\r\0\n'.repeat(10)), 12],
    ] as const) {
      const options = (limit: number) => ({ bareNewline, limits: { header: limit } })
      t.strictSame(await verdicts('BDAT', content, options(header), mail), [OK], bareNewline)
      t.strictSame(await verdicts('BDAT', content, options(header - 1), mail), [HEADER], bareNewline)
    }
  }
})

t.test('a header beyond the default limit, and a body of LF only beyond it', async t => {
  const body = 'x'.repeat(99).concat('\n').repeat(12_000)
  for (const [bareNewline, content, verdict] of [
    ['normalize', `A: 1\n\n${body}`, OK],
    ['allow', `A: 1\n\n${body}`, OK],
    ['normalize', body, HEADER],
    ['allow', body, HEADER],
  ] as const) {
    const { replies } = await play('message', 'DATA\r\n', [`${content}\r\n.\r\n`], { bareNewline })
    t.equal(replies[1], verdict, bareNewline)
  }
})
