import { Duplex, PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Source } from '../lib/stream/peer.ts'
import { ReplyQueue } from '../lib/stream/reply-queue.ts'
import { replaceSource } from '../lib/stream/upgrade.ts'
import { reply } from '../lib/words/reply.ts'

/** What replaceSource() needs of a handler: replies are read out of it, commands written in. */
class Handler extends Duplex {
  inputWaiting = false
  received = ''

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    this.received += chunk.toString()
    written()
  }
}

function begin(clear = new PassThrough()) {
  const handler = new Handler()
  const replies = new ReplyQueue(handler)
  clear.pipe(handler).pipe(clear)
  const secure = new PassThrough()
  const seen = { wrapped: 0, done: 0 }
  const replace = (source: Source | null = clear): void =>
    replaceSource(
      handler,
      source,
      replies,
      () => {
        seen.wrapped += 1
        return secure
      },
      () => void (seen.done += 1),
    )
  return { handler, replies, clear, secure, seen, replace }
}

t.test('the replies leave in clear, and the other stream comes after them', async t => {
  const { handler, replies, clear, secure, seen, replace } = begin()
  replies.add(reply(220, 'go ahead'))
  clear.unpipe(handler)
  replace()
  t.equal(seen.wrapped, 0, 'not before the reply has left')
  while (seen.done === 0) await setImmediate()
  t.equal(String(clear.read()), '220 go ahead\r\n')
  t.equal(clear.listenerCount('data'), 0)
  replies.add(reply(250, 'hello'))
  replies.flush()
  await setImmediate()
  t.match(handler.received, '250 hello', 'what the other stream echoes')
  t.notOk(secure.destroyed)
})

t.test('a client that does not read: it waits until the replies have left', async t => {
  const { handler, replies, clear, seen, replace } = begin(new PassThrough({ highWaterMark: 8 }))
  clear.unpipe(handler)
  replies.add(reply(220, 'x'.repeat(400)))
  replies.flush()
  replies.add(reply(220, 'x'.repeat(400)))
  replace()
  await setImmediate()
  t.equal(seen.done, 0)
  clear.resume()
  while (seen.done === 0) await setImmediate()
  t.equal(seen.wrapped, 1)
})

t.test('a handler that is destroyed meanwhile gets no other stream', async t => {
  const { handler, replies, clear, seen, replace } = begin()
  clear.unpipe(handler)
  replies.add(reply(220, 'go ahead'))
  replace()
  handler.destroy()
  await setImmediate()
  await setImmediate()
  t.equal(seen.wrapped, 0)
})

for (const [what, prepare] of [
  ['there is no stream', null],
  ['more was written in clear', (of: ReturnType<typeof begin>) => void (of.handler.inputWaiting = true)],
  [
    'more is to be read in clear',
    (of: ReturnType<typeof begin>) => void (of.clear.unpipe(of.handler), of.clear.write('EHLO')),
  ],
] as const) {
  t.test(`the handler is destroyed if ${what}`, async t => {
    const of = begin()
    prepare?.(of)
    if (prepare === null) of.replace(null)
    else of.replace()
    t.ok(of.handler.destroyed)
    t.equal(of.seen.wrapped, 0)
  })
}
