// oxlint-disable no-misused-promises -- consumers are odd here
import t from 'tap'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Body } from '../lib/stream/body.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import type { Verdict } from '../lib/stream/handlers.ts'
import { reply } from '../lib/words/reply.ts'
import { converse, duplexPair, settle } from '../lib/testing/index.ts'

const OK = reply(250, 'OK')
const CHUNK = Buffer.alloc(65_536, `${'x'.repeat(62)}\r\n`)
const PATIENCE = 10

async function begin(consume: (body: Body) => Verdict) {
  let body: Body | null = null
  const handler = new MailHandler({
    handleData: () => reply(354, 'go'),
    handleBody: b => consume((body = b)),
    handleNoop: () => OK,
    handleError: () => {},
  })
  const c = converse(handler)
  await c.expect(220)
  await c.command('DATA', 354)
  return { handler, c, body: body! as Body }
}

/** Writes for as long as the handler has room, and waits for more a while: how many octets it took. */
async function flood(handler: MailHandler, most: number): Promise<number> {
  let taken = 0
  while (taken < most) {
    if (handler.destroyed) break
    taken += CHUNK.length
    if (handler.write(CHUNK)) continue
    const drained = new Promise(resolve => handler.once('drain', () => resolve(true)))
    if ((await Promise.race([drained, pause(PATIENCE, false)])) === false) break
  }
  return taken
}

t.test('nobody reads the body: the writer gets false, and nothing grows', async t => {
  const consumers: readonly [string, (body: Body) => Verdict][] = [
    ['never reads', () => new Promise(() => {})],
    ['reads and stops', body => (body.once('data', () => body.pause()), new Promise(() => {}))],
    ['listens for readable, never reads', body => (body.on('readable', () => {}), new Promise(() => {}))],
    ['paused, answered early', body => (body.on('data', () => {}).pause(), OK)],
    [
      'an iterator that stops',
      async body => void (await body[Symbol.asyncIterator]().next(), await new Promise(() => {})),
    ],
    ['a sink that stops', body => pipeline(body, new Writable({ write: () => {} }))],
  ]
  for (const [name, consume] of consumers) {
    for (const choose of [(body: Body) => body, (body: Body) => body.unstuffed().refuseBareNewlines()]) {
      const { handler, body } = await begin(body => consume(choose(body)))
      const taken = await flood(handler, 32 * 2 ** 20)
      t.ok(taken <= 5 * CHUNK.length, `${name}: ${taken} octets taken`)
      t.ok(handler.writableNeedDrain)
      t.ok(body.readableLength + handler.writableLength <= 5 * CHUNK.length)
      handler.destroy()
      await once(body, 'close').catch(() => {})
      t.equal(body.ending, 'truncated')
    }
  }
})

t.test('a slow consumer slows the writer, gets all, and the session goes on', async t => {
  let read = 0
  let most = 0
  const { handler, c, body } = await begin(async body => {
    for await (const piece of body) {
      most = Math.max(most, body.readableLength + handler.writableLength)
      read += (piece as Buffer).length
      if (read % (16 * CHUNK.length) === 0) await pause(1)
    }
    return OK
  })
  const octets = 16 * 2 ** 20
  for (let sent = 0; sent < octets; sent += CHUNK.length) {
    c.write(CHUNK)
    await c.drained()
  }
  c.write('.\r\nNOOP\r\n')
  await c.expect(250)
  await c.expect(250)
  t.equal(read, octets)
  t.equal(body.octets, octets)
  t.ok(most <= 4 * CHUNK.length, `${most} octets waited`)
})

t.test('a consumer that left lets the writer go on at full speed', async () => {
  const leavers: ((body: Body) => Verdict)[] = [
    () => OK,
    body => (body.destroy(), OK),
    async body => {
      for await (const _ of body) return OK
    },
    body => pipeline(body, new Writable({ write: (_c, _e, done) => setImmediate(done, new Error('disk full')) })),
    body => {
      const sink = new Writable({ write: () => {} })
      body.pipe(sink)
      setTimeout(() => sink.destroy(), 5) // the writer is waiting by then, the verdict long there
      return OK
    },
  ]
  for (const leave of leavers) {
    const { c } = await begin(leave)
    for (let i = 0; i < 32; i++) {
      c.write(CHUNK)
      await c.drained()
    }
    c.write('.\r\nNOOP\r\n')
    await c.expect()
    await c.expect('250 OK')
  }
})

t.test('nobody reads the replies: mail data is still taken, further commands are not', async t => {
  let commands = 0
  const handler = new MailHandler({
    handleData: () => reply(354, 'go'),
    handleBody: body => void body.resume(),
    handleNoop: () => (commands++, reply(250, 'x'.repeat(400))),
  })
  handler.once('readable', () => handler.read(1))
  await settle()
  // Twice: a slow machine answers a command a turn, and has room again once it has answered all that it may.
  for (let filled = 0; filled < 2; filled++) {
    let writable = true
    for (let i = 0; i < 100_000 && writable; i++) writable = handler.write('NOOP\r\n')
    await settle(500)
  }
  t.notOk(handler.write('NOOP\r\n'))
  t.ok(handler.readableLength <= 2 * 16_384 + 512, `${handler.readableLength} octets of replies`)
  const before = commands
  await settle(500)
  t.equal(commands, before)
  handler.resume()
  await once(handler, 'drain')
  t.ok(commands > before)
  handler.destroy()
})

t.test('an answer that does not come holds the writer', async t => {
  let answer: () => void = () => {}
  const handler = new MailHandler({ handleNoop: () => new Promise(resolve => (answer = () => resolve(OK))) })
  const c = converse(handler)
  await c.expect(220)
  c.write('NOOP\r\n')
  const taken = await flood(handler, 32 * 2 ** 20)
  t.ok(taken <= 2 * CHUNK.length, `${taken} octets`)
  answer()
  await c.expect(250)
  handler.destroy()
})

t.test('it passes through a connection: a reader that stops stops the client', async t => {
  const [client, socket] = duplexPair()
  let release: () => void = () => {}
  const handler = new MailHandler({
    handleData: () => reply(354, 'go'),
    handleBody: async body => {
      await new Promise<void>(resolve => (release = resolve))
      for await (const _ of body);
    },
  })
  socket.pipe(handler).pipe(socket)
  const c = converse(client)
  await c.expect(220)
  await c.command('DATA', 354)
  let sent = 0
  while (client.write(CHUNK) && sent < 2 ** 24) sent += CHUNK.length
  await settle(500)
  t.ok(client.writableNeedDrain)
  t.ok(sent < 4 * CHUNK.length)
  release()
  await c.drained()
  c.write('.\r\n')
  await c.expect(250)
  client.destroy()
  await c.closed()
})

t.test('destroy() halfway, with everything full', async t => {
  for (const error of [undefined, new Error('x')]) {
    let failure: unknown
    const { handler, c, body } = await begin(async body => {
      await pause(PATIENCE * 2)
      for await (const _ of body);
    })
    body.once('error', e => (failure = e))
    let calledBack = 0
    for (let i = 0; i < 8; i++) handler.write(CHUNK, () => calledBack++)
    handler.destroy(error)
    await c.closed()
    await pause(1)
    t.match(failure, { code: 'ERR_TRUNCATED' })
    t.equal(calledBack, 8, 'every write calls back')
  }
})
