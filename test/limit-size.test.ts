import t from 'tap'
import { limitSize } from '../lib/transforms/limit-size.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

t.test('lets the limit through, and fails at one octet more, at every cut', async t => {
  for (const chunks of cuts('0123456789')) {
    t.equal((await through(chunks, limitSize(10))).toString(), '0123456789')
    await t.rejects(through(chunks, limitSize(9)), { name: 'MailHandlerError', code: 'ERR_SIZE_LIMIT' })
  }
})

t.test('0 lets an empty message through', async t => {
  t.equal((await through([], limitSize(0))).length, 0)
  await t.rejects(through(['a'], limitSize(0)), { code: 'ERR_SIZE_LIMIT' })
})

t.test('what was cut never ends', async t => {
  const stream = limitSize(3)
  let ended = false
  let octets = 0
  stream.on('data', (chunk: Buffer) => (octets += chunk.length)).on('end', () => (ended = true))
  const failed = new Promise(resolve => stream.once('error', resolve))
  stream.write('ab')
  stream.end('cd')
  t.match(await failed, { code: 'ERR_SIZE_LIMIT' })
  await new Promise(setImmediate)
  t.notOk(ended)
  t.ok(octets <= 3)
})

for (const octets of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  t.throws(() => limitSize(octets), { code: 'ERR_OPTION' }, String(octets))
}

t.test('stops the writer while nobody reads', async t => {
  t.ok((await fill(limitSize(2 ** 30))) < 400_000)
})
