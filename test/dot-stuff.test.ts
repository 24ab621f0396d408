import fc from 'fast-check'
import t from 'tap'
import { dotStuff } from '../lib/transforms/dot-stuff.ts'
import { dotUnstuff } from '../lib/transforms/dot-unstuff.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

const CASES: readonly [data: string, stuffed: string][] = [
  ['', ''],
  ['.', '..'],
  ['.\r\n', '..\r\n'],
  ['..', '...'],
  ['a.b\r\n', 'a.b\r\n'],
  ['a\r\n.\r\nb', 'a\r\n..\r\nb'],
  ['a\r\n.b\r\n.c\r\n', 'a\r\n..b\r\n..c\r\n'],
  ['a\n.b\r.c\r\r.d\n\r.e', 'a\n.b\r.c\r\r.d\n\r.e'],
  ['\r\n\r\n.\r\n', '\r\n\r\n..\r\n'],
  ['\r\r\n.x\xff\x00', '\r\r\n..x\xff\x00'],
  ['.\r\n'.repeat(30), '..\r\n'.repeat(30)],
]

t.test('adds a dot to each line that begins with one, at every cut', async t => {
  for (const [data, stuffed] of CASES) {
    for (const chunks of cuts(data)) {
      const made = await through(chunks, dotStuff())
      if (made.toString('latin1') !== stuffed) t.fail(JSON.stringify({ chunks, made: made.toString('latin1') }))
    }
    t.pass(JSON.stringify(data))
  }
})

t.test('agrees with the definition for any cut of any data, and is undone', async t => {
  const piece = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.'), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async pieces => {
      const chunks = pieces.map(p => p.join(''))
      const expected = chunks.join('').replace(/(^|\r\n)\./g, '$1..')
      const stuffed = await through(chunks, dotStuff())
      const back = await through(chunks, dotStuff(), dotUnstuff())
      return stuffed.toString() === expected && back.toString() === chunks.join('')
    }),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('passes a chunk without such a line on as it is', async t => {
  const stream = dotStuff()
  const chunk = Buffer.from('no dots at the start\r\n'.repeat(10))
  stream.write(chunk)
  const passed = stream.read() as Buffer
  t.equal(passed.buffer, chunk.buffer)
  t.equal(passed.length, chunk.length)
})

t.test('stops the writer while nobody reads', async t => {
  t.ok((await fill(dotStuff())) < 400_000)
})

t.test('the cost of many dots stays flat', async t => {
  const chunk = '.\r\n'.repeat(20_000)
  const begun = process.cpuUsage()
  const made = await through(
    Array.from({ length: 50 }, () => chunk),
    dotStuff(),
  )
  t.equal(made.length, chunk.length * 50 + 50 * 20_000)
  t.ok(process.cpuUsage(begun).user < 2_000_000, `${process.cpuUsage(begun).user} µs for 3 MB`)
})
