import { PassThrough, Writable } from 'node:stream'
import t from 'tap'
import { tee } from '../lib/transforms/tee.ts'
import { cuts, fill, through } from './fixtures/streams.ts'

function collector(delay = false): { sink: Writable; text(): string } {
  let text = ''
  const sink = new Writable({
    highWaterMark: 4,
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      if (delay) setImmediate(done)
      else done()
    },
  })
  return { sink, text: () => text }
}

t.test('both get everything, at every cut, and the second ends', async t => {
  for (const chunks of cuts('0123456789')) {
    const { sink, text } = collector(true)
    t.equal((await through(chunks, tee(sink))).toString(), '0123456789')
    t.equal(text(), '0123456789')
    t.ok(sink.writableFinished)
  }
})

t.test('ends only when the second has finished', async t => {
  let finish = (): void => {}
  const sink = new Writable({ write: (_c, _e, done) => done(), final: done => void (finish = done) })
  const stream = tee(sink)
  let ended = false
  stream.resume().on('end', () => (ended = true))
  stream.end('a')
  await new Promise(resolve => setTimeout(resolve, 20))
  t.notOk(ended)
  finish()
  await new Promise(resolve => stream.once('end', resolve))
})

t.test('a second that stands still stops the writer, though the first reads', async t => {
  const stream = tee(new Writable({ write: () => {} }))
  stream.resume()
  t.ok((await fill(stream)) < 400_000)
})

t.test('a first that stands still stops the writer', async t => {
  t.ok((await fill(tee(collector().sink))) < 400_000)
})

t.test('when the second fails, so does the first', async t => {
  const wrong = new Error('wrong')
  await t.rejects(through(['a', 'b'], tee(new Writable({ write: (_c, _e, done) => done(wrong) }))), wrong)
  await t.rejects(through(['a'], tee(new Writable({ final: done => done(wrong), write: (_c, _e, d) => d() }))), wrong)
  await t.rejects(through(['a'], tee(new PassThrough().destroy())), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})

t.test('a second that fails while it is waited for', async t => {
  const sink = new Writable({ highWaterMark: 1, write: () => {} })
  const failed = through(['aa', 'bb'], tee(sink))
  setImmediate(() => sink.destroy(new Error('late')))
  await t.rejects(failed, { message: 'late' })
})

t.test('a second that somebody else ends', async t => {
  const { sink } = collector()
  const stream = tee(sink)
  const failed = new Promise(resolve => stream.once('error', resolve))
  sink.end()
  t.match(await failed, { code: 'ERR_ABORTED' })
})

t.test('when the first is destroyed, so is the second, with its error', async t => {
  const { sink, text } = collector()
  const stream = tee(sink)
  stream.on('error', () => {})
  stream.write('a')
  stream.destroy(new Error('cut'))
  await new Promise(resolve => sink.once('close', resolve))
  t.match(sink.errored, { message: 'cut' })
  t.notOk(sink.writableFinished)
  t.equal(text(), 'a')
  const quiet = collector().sink
  tee(quiet).destroy()
  await new Promise(resolve => quiet.once('close', resolve))
})
