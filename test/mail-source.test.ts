import { Readable } from 'node:stream'
import t from 'tap'
import { MailSource, type MailData } from '../lib/client/mail-source.ts'
import { LineScanner } from '../lib/protocol/mail-data/line-scanner.ts'
import { settle } from './fixtures/fake-clock.ts'

interface Taken {
  readonly source: MailSource
  readonly pieces: string[]
  readonly ends: unknown[]
  isReady: boolean
}

function take(data: MailData, endsLines = true): Taken {
  const taken: Omit<Taken, 'source'> = { pieces: [], ends: [], isReady: true }
  const scanner = new LineScanner({ endOfData: false, dots: 'double', bareNewline: 'reject' })
  const source = new MailSource(
    data,
    {
      get isReady() {
        return taken.isReady
      },
      take: octets => void taken.pieces.push(octets.toString('latin1')),
      done: error => void taken.ends.push(error),
    },
    { scanner, endsLines, step: 'data' },
  )
  return Object.assign(taken, { source })
}

const LISTENED = ['data', 'end', 'error', 'close'] as const
const listeners = (source: Readable): number[] => LISTENED.map(event => source.listenerCount(event))

t.test('a string, octets, a stream of octets, a stream of text', async t => {
  const text = new Readable({ read() {} })
  text.setEncoding('latin1')
  text.push(Buffer.from('a\r\n.é', 'latin1'))
  text.push(null)
  for (const [data, sent] of [
    ['a\r\n.é', 'a\r\n..\xc3\xa9\r\n'],
    [new Uint8Array([0x61, 0xff]), 'a\xff\r\n'],
    [Readable.from([Buffer.from('a\r\n.'), Buffer.alloc(0), Buffer.from('b')]), 'a\r\n..b\r\n'],
    [text, 'a\r\n..\xc3\xa9\r\n'],
    ['', ''],
    ['a\r\n', 'a\r\n'],
  ] as const) {
    const taken = take(data)
    taken.source.start()
    await settle()
    t.equal(taken.pieces.join(''), sent)
    t.strictSame(taken.ends, [null])
  }
  const counted = take('a', false)
  counted.source.start()
  await settle()
  t.equal(counted.pieces.join(''), 'a')
})

t.test('a stream is left as it was found, but for what was read', async t => {
  const source = Readable.from([Buffer.from('a')], { autoDestroy: false })
  const before = listeners(source)
  source.pause()
  const taken = take(source)
  taken.source.start()
  await settle()
  t.strictSame(taken.ends, [null], 'it was paused before, and is read all the same')
  t.strictSame(listeners(source), before)
  t.equal(source.destroyed, false)
  taken.source.stop()
  taken.source.resume()
  t.equal(source.destroyed, false, 'nothing is left to stop')
})

t.test('pauses while the taker is not ready', async t => {
  const source = new Readable({ read() {} })
  const taken = take(source)
  taken.source.start()
  source.push('one\r\n')
  await settle()
  taken.isReady = false
  source.push('two\r\n')
  source.push('three\r\n')
  source.push('four\r\n')
  await settle()
  t.ok(taken.pieces.join('').length < 'one\r\ntwo\r\nthree\r\nfour\r\n'.length)
  t.equal(source.isPaused(), true)
  taken.isReady = true
  taken.source.resume()
  source.push(null)
  await settle()
  t.equal(taken.pieces.join(''), 'one\r\ntwo\r\nthree\r\nfour\r\n')
  t.strictSame(taken.ends, [null])
})

t.test('what fails is destroyed, tells why once, and calls nothing any more', async t => {
  const cases: [string, (source: Readable) => void, object][] = [
    ['an error', source => void source.destroy(new Error('disk')), { code: 'ERR_ABORTED', cause: { message: 'disk' } }],
    ['destroyed', source => void source.destroy(), { code: 'ERR_ABORTED', message: /cut short/ }],
    ['a bare LF', source => void source.push('a\nb'), { code: 'ERR_BARE_NEWLINE', step: 'data' }],
    [
      'a bare CR at the end',
      source => {
        source.push('a\r')
        source.push(null)
      },
      { code: 'ERR_BARE_NEWLINE' },
    ],
  ]
  for (const [name, fail, error] of cases) {
    const source = new Readable({ read() {} })
    source.push('good\r\n')
    const taken = take(source)
    taken.source.start()
    await settle()
    fail(source)
    await settle()
    t.match(taken.ends, [error], name)
    t.equal(taken.ends.length, 1, name)
    t.equal(source.destroyed, true)
    t.notMatch(taken.pieces.join(''), /\n(?<!\r\n)|\r(?!\n)/)
    source.emit('data', Buffer.from('late'))
    source.emit('end')
    source.emit('close')
    t.equal(taken.ends.length, 1, 'nothing more')
    t.notMatch(taken.pieces.join(''), 'late')
  }
})

t.test('a stream that was over before', async t => {
  const failed = new Readable({ read() {} })
  failed.on('error', () => {})
  failed.destroy(new Error('before'))
  await settle()
  const read = Readable.from(['x'])
  for await (const _ of read);
  const gone = new Readable({ read() {} })
  gone.destroy()
  for (const [source, error] of [
    [failed, { code: 'ERR_ABORTED', cause: { message: 'before' } }],
    [read, { code: 'ERR_ABORTED', message: /read before/ }],
    [gone, { code: 'ERR_ABORTED', message: /read before/ }],
  ] as const) {
    const taken = take(source)
    taken.source.start()
    t.match(taken.ends, [error])
  }
})

t.test('stop() is silent, and an error that comes late is not thrown', async t => {
  const source = new Readable({
    read() {},
    destroy: (_error, done) => void setImmediate(done, new Error('late')),
  })
  const taken = take(source)
  taken.source.start()
  taken.source.stop()
  taken.source.stop()
  t.equal(source.destroyed, true)
  await settle()
  t.strictSame(taken.ends, [])
})
