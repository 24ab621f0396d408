import t from 'tap'
import { ReplyReader } from '../lib/client/reply-reader.ts'
import { randomChunks } from '../lib/testing/index.ts'

/** Everything that a reader makes of the chunks: replies, then the message of the fault. */
function read(chunks: readonly Buffer[], reader: ReplyReader = new ReplyReader()): string[] {
  const read: string[] = []
  for (const chunk of chunks) reader.push(chunk)
  try {
    for (let reply = reader.next(); reply !== null; reply = reader.next()) read.push(reply.text)
  } catch (error) {
    read.push(`fault: ${(error as Error).message}`)
  }
  return read
}

t.test('replies are the same however the octets are cut', async t => {
  const octets = Buffer.from('220 mx\r\n250-2.0.0 a\r\n250 2.0.0 \u2028é\0\r\n421\r\n')
  const expected = ['220 mx', '250-2.0.0 a\n250 2.0.0 \u2028é\0', '421']
  const cuts: Buffer[][] = [[octets], [...octets].map(octet => Buffer.from([octet]))]
  for (let at = 0; at <= octets.length; at++) cuts.push([octets.subarray(0, at), octets.subarray(at)])
  for (let seed = 0; seed < 50; seed++) cuts.push([...randomChunks(octets, seed)])
  for (const chunks of cuts) t.strictSame(read(chunks), expected)
})

t.test('code, enhanced status code and text are told apart', async t => {
  const cases: [wire: string, code: number, status: string | null, lines: string[]][] = [
    ['250', 250, null, ['']],
    ['250 ', 250, null, ['']],
    ['250 OK', 250, null, ['OK']],
    ['250 2.0.0', 250, '2.0.0', ['']],
    ['250 2.0.0  OK', 250, '2.0.0', [' OK']],
    ['250 3.0.0 OK', 250, null, ['3.0.0 OK']],
    ['250 2.0.0x', 250, null, ['2.0.0x']],
    ['250 see 2.0.0 OK', 250, null, ['see 2.0.0 OK']],
    ['250 null and void', 250, null, ['null and void']],
    ['550-5.7.1 a\r\n550-b\r\n550 5.7.1 c', 550, '5.7.1', ['a', 'b', 'c']],
    ['550-a\r\n550 5.7.1 b', 550, null, ['a', '5.7.1 b']],
    ['777 seven', 777, null, ['seven']],
    ['250 caf\xe9', 250, null, ['caf\ufffd']],
  ]
  for (const [wire, code, status, lines] of cases) {
    const reader = new ReplyReader()
    reader.push(Buffer.from(`${wire}\r\n`, 'latin1'))
    const reply = reader.next()
    t.strictSame([reply?.code, reply?.status, reply?.lines], [code, status, lines], wire)
    t.equal(reader.next(), null)
    t.equal(reader.unfinished, false)
  }
})

t.test('an unterminated tail is no reply', async t => {
  for (const tail of ['2', '250', '250 OK', '250 OK\r', '250-OK\r\n', '250-OK\r\n250 OK']) {
    const reader = new ReplyReader()
    reader.push(Buffer.from(`220 mx\r\n${tail}`))
    t.equal(reader.size, 1)
    t.equal(reader.next()?.code, 220)
    t.equal(reader.next(), null)
    t.equal(reader.unfinished, true, JSON.stringify(tail))
  }
})

const faults: [octets: string, message: RegExp][] = [
  ['250 OK\n', /bare CR or LF/],
  ['250 a\rb\r\n', /bare CR or LF/],
  ['250 a\r\r\n', /bare CR or LF/],
  ['250 a\nb\r\n', /bare CR or LF/],
  ['\r\n', /not a reply line: ""/],
  ['250-a\r\n251 b\r\n', /code changes/],
  ['250_a\r\n', /not a reply line: "250_a"/],
  ['2500 a\r\n', /not a reply/],
  ['25 a\r\n', /not a reply/],
  ['HTTP/1.1 400 Bad Request\r\n', /not a reply/],
  ['250-a\r\n\r\n', /not a reply/],
  ['a\x1b[2Jb\r\n', /not a reply line: "a\\x1b\[2Jb"$/],
  [`${'x'.repeat(4000)}\r\n`, /not a reply line: "x{99}…"$/],
  [`250 ${'x'.repeat(4091)}\r\n`, /line exceeds 4096/],
  ['x'.repeat(4097), /line exceeds 4096/],
  ['250-a\r\n'.repeat(9363), /a reply exceeds 65536/],
]

t.test('octets that are no reply are a fault, at any cut, and nothing behind them is read', async t => {
  for (const [octets, message] of faults) {
    const all = Buffer.from(`220 mx\r\n${octets}250 too late\r\n`)
    const cuts = [[all], [...all].map(octet => Buffer.from([octet])), [...randomChunks(all, 1)]]
    for (const chunks of cuts) {
      const reader = new ReplyReader()
      const [first, fault, more] = read(chunks, reader)
      t.equal(first, '220 mx')
      t.match(fault, message, octets.slice(0, 20))
      t.equal(more, undefined)
      t.equal(reader.unfinished, true)
      t.throws(() => reader.next(), { code: 'ERR_REPLY_SYNTAX', message })
    }
  }
})

t.test('limits are options', async t => {
  const line = Buffer.from('250-a\r\n250 b\r\n')
  t.strictSame(read([line], new ReplyReader({ replyLine: 7, reply: 14 })), ['250-a\n250 b'])
  t.strictSame(read([line, line], new ReplyReader({ replyLine: 7, reply: 14 })), ['250-a\n250 b', '250-a\n250 b'])
  t.match(read([line], new ReplyReader({ replyLine: 6, reply: 14 })), [/line exceeds 6/])
  t.match(read([line], new ReplyReader({ replyLine: 7, reply: 13 })), [/reply exceeds 13/])
})
