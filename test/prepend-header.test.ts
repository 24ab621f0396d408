import t from 'tap'
import { prependHeader } from '../lib/transforms/prepend-header.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

t.test('puts the fields in front, once, at every cut', async t => {
  for (const chunks of cuts('A: b\r\n\r\nc')) {
    t.equal((await through(chunks, prependHeader({ 'X-Y': 'z' }))).toString(), 'X-Y: z\r\nA: b\r\n\r\nc')
  }
  t.equal((await through([], prependHeader({ 'X-Y': 'z' }))).toString(), 'X-Y: z\r\n')
})

t.test('asks a function when the message begins, once', async t => {
  let asked = 0
  const stream = prependHeader(() => [['N', String(++asked)]])
  t.equal(asked, 0)
  t.equal((await through(['a', 'b'], stream)).toString(), 'N: 1\r\nab')
  t.equal(asked, 1)
})

t.test('refuses injection', async t => {
  t.throws(() => prependHeader({ A: 'b\r\nC: d' }), { code: 'ERR_HEADER' })
  await t.rejects(
    through(
      ['a'],
      prependHeader(() => ({ A: 'b\nC' })),
    ),
    { code: 'ERR_HEADER' },
  )
  await t.rejects(
    through(
      [],
      prependHeader(() => ({ 'A\r\n': '' })),
    ),
    { code: 'ERR_HEADER' },
  )
})

t.test('passes the error of a function on', async t => {
  const wrong = new Error('wrong')
  const stream = prependHeader(() => {
    throw wrong
  })
  await t.rejects(through(['a'], stream), wrong)
})

t.test('stops the writer while nobody reads', async t => {
  t.ok((await fill(prependHeader({ A: 'b' }))) < 400_000)
})
