import t from 'tap'
import fc from 'fast-check'
import { dotUnstuff } from '../lib/transforms/dot-unstuff.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

const CASES: readonly [stuffed: string, data: string][] = [
  ['', ''],
  ['.', ''],
  ['..', '.'],
  ['.a\r\n', 'a\r\n'],
  ['a.b', 'a.b'],
  ['a\r\n..\r\nb', 'a\r\n.\r\nb'],
  ['a\r\n.b', 'a\r\nb'],
  ['.\r\n.\r\n', '\r\n\r\n'],
  ['a\n..b\r..c\r\r..d\n\r..e', 'a\n..b\r..c\r\r..d\n\r..e'],
  ['..\r\n'.repeat(30), '.\r\n'.repeat(30)],
]

t.test('drops the first dot of each line that begins with one, at every cut', async t => {
  for (const [stuffed, data] of CASES) {
    for (const chunks of cuts(stuffed)) {
      const made = await through(chunks, dotUnstuff())
      if (made.toString('latin1') !== data) t.fail(JSON.stringify({ chunks, made: made.toString('latin1') }))
    }
    t.pass(JSON.stringify(stuffed))
  }
})

t.test('agrees with the definition for any cut of any data', async t => {
  const piece = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.'), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async pieces => {
      const chunks = pieces.map(p => p.join(''))
      const made = await through(chunks, dotUnstuff())
      return made.toString() === chunks.join('').replace(/(^|\r\n)\./g, '$1')
    }),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('stops the writer while nobody reads', async t => {
  t.ok((await fill(dotUnstuff())) < 400_000)
})
