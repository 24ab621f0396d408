import fc from 'fast-check'
import t from 'tap'
import { dotStuff } from '../lib/transforms/dot-stuff.ts'
import { normalizeNewlines } from '../lib/transforms/normalize-newlines.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

const CASES: readonly [data: string, normalized: string][] = [
  ['', ''],
  ['a\r\nb\r\n', 'a\r\nb\r\n'],
  ['a\nb\n', 'a\r\nb\r\n'],
  ['a\r\r\n\r\r\r\nb', 'a\r\n\r\nb'],
  ['\n\n\r\n', '\r\n\r\n\r\n'],
  ['Subject: a\rBcc: evil\n', 'Subject: a Bcc: evil\r\n'],
  ['a\r', 'a '],
  ['\r\r', '  '],
  ['a\n\rb\r\r', 'a\r\n b  '],
  ['.\n..\r\n.\r.', '.\r\n..\r\n. .'],
  ['\x00\xff\n', '\x00\xff\r\n'],
]

t.test('leaves CRLF as the only line end, at every cut', async t => {
  for (const [data, normalized] of CASES) {
    for (const chunks of cuts(data)) {
      const made = await through(chunks, normalizeNewlines())
      if (made.toString('latin1') !== normalized) t.fail(JSON.stringify({ chunks, made: made.toString('latin1') }))
    }
    t.pass(JSON.stringify(data))
  }
})

t.test(
  'agrees with the definition for any cut of any data; with dotStuff() behind it there is no end of data',
  async t => {
    const piece = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\n.'), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async pieces => {
        const chunks = pieces.map(p => p.join(''))
        const expected = chunks.join('').replaceAll(/\r*\n|\r/g, end => (end.endsWith('\n') ? '\r\n' : ' '))
        const normalized = await through(chunks, normalizeNewlines())
        const stuffed = await through(chunks, normalizeNewlines(), dotStuff())
        return normalized.toString() === expected && !`\r\n${stuffed.toString()}`.includes('\r\n.\r\n')
      }),
      { numRuns: 300 },
    )
    t.pass()
  },
)

t.test('passes a chunk that has nothing to normalize on as it is', async t => {
  const stream = normalizeNewlines()
  const chunk = Buffer.from('a line\r\n'.repeat(10))
  stream.write(chunk)
  const passed = stream.read() as Buffer
  t.equal(passed.buffer, chunk.buffer)
  t.equal(passed.length, chunk.length)
})

t.test('stops the writer while nobody reads', async t => {
  t.ok((await fill(normalizeNewlines())) < 400_000)
})
