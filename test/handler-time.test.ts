// How long a client may be silent, and take to close: one deadline for each session, whoever keeps it.

import { once } from 'node:events'
import { connect, createServer as createNetServer, type Server, type Socket } from 'node:net'
import { PassThrough, type Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { createServer } from '../lib/server/index.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { client, CLOSED, listening, portOf } from './fixtures/tcp-client.ts'

const TIMES = { idle: 1000, timeouts: { linger: 500 } }

/** Lets the sockets do what they can, and no time pass. */
async function rest(): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await settle()
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

async function serve(t: Test, clock: FakeClock, make: () => Duplex) {
  const server = await listening(createServer({ ...TIMES, clock }, make))
  t.teardown(async () => {
    const closed = server.close({ within: 1 }).catch(() => {})
    await clock.tick(5000)
    await closed
  })
  return server
}

t.test('idle: octets in either direction begin it again', async t => {
  const clock = new FakeClock()
  const made: PassThrough[] = []
  const server = await serve(t, clock, () => made[made.push(new PassThrough()) - 1]!)
  const one = client(server)
  t.equal(await one.say('220 in'), '220 in')
  for (const speak of [() => one.write('220 in\r\n'), () => made[0]!.push('220 out\r\n')]) {
    await clock.tick(999)
    speak()
    t.match(await one.reply(), /^220 /)
    await rest()
  }
  await clock.tick(999)
  t.equal(server.sessions, 1)
  await clock.tick(1)
  t.equal(await one.reply(), CLOSED)
  await rest()
  t.equal(clock.timers, 0)
})

t.test('idle: the time of a handler is not the client’s', async t => {
  const clock = new FakeClock()
  let answer: () => void = () => {}
  let tell: () => void = () => {}
  const isAsked = new Promise<void>(resolve => (tell = resolve))
  const handleNoop = (): Promise<Reply> =>
    new Promise(resolve => {
      answer = () => resolve(reply(250, 'OK'))
      tell()
    })
  const server = await serve(t, clock, () => new MailHandler({ handleNoop }))
  const one = client(server)
  await one.reply()
  one.write('NOOP\r\n')
  await isAsked
  await clock.tick(10_000)
  t.equal(server.sessions, 1)
  answer()
  t.equal(await one.reply(), '250 OK')
  await rest()
  await clock.tick(999)
  t.equal(server.sessions, 1)
  await clock.tick(1)
  t.equal(await one.reply(), '421 4.4.2 Timeout')
  t.equal(await one.reply(), CLOSED)
  one.socket.destroy()
  await rest()
  t.equal(clock.timers, 0)
})

t.test('an SmtpHandler keeps its own time, and is the only one that does', async t => {
  const clock = new FakeClock()
  const server = await serve(t, clock, () => new SmtpHandler({ clock, timeouts: { idle: 3000 } }))
  const one = client(server)
  await one.reply()
  await one.say('EHLO c.test')
  t.equal(clock.timers, 1)
  await clock.tick(2999)
  t.equal(server.sessions, 1)
  await clock.tick(1)
  t.equal(await one.reply(), '421 4.4.2 Timeout')
  t.equal(await one.reply(), CLOSED)
  one.socket.destroy()
  await rest()
  t.equal(clock.timers, 0)
})

t.test(
  'linger: a client that does not take its last replies is cut, though the handler has come to its end',
  async t => {
    const clock = new FakeClock()
    const options = { clock, limits: { junkCommands: Infinity }, timeouts: { linger: 500 } }
    const sockets: Socket[] = []
    const attend = (socket: Socket): unknown => sockets.push(socket)
    const plainServer = await listening(
      createNetServer(socket => socket.pipe(new SmtpHandler(options)).pipe(socket)).on('connection', attend),
    )
    t.teardown(() => plainServer.close())
    const servers: [string, Server][] = [
      ['SmtpHandler, net.createServer', plainServer],
      ['SmtpHandler', await serve(t, clock, () => new SmtpHandler(options))],
      ['MailHandler', await serve(t, clock, () => new MailHandler())],
    ]
    for (const [name, server] of servers) {
      if (server !== plainServer) server.on('connection', attend)
      for (const reads of [true, false]) {
        const before = sockets.length
        const peer = connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
        await once(peer, 'connect')
        if (reads) peer.resume()
        while (sockets.length === before) await rest()
        await rest()
        const socket = sockets.at(-1)!
        // As if the last replies stayed in the server's socket: the handler comes to its end before the connection does.
        if (!reads) socket._final = () => {}
        peer.end('QUIT\r\n')
        await rest()
        const what = `${name}, ${reads ? 'reads' : 'does not read'}`
        if (!reads) {
          t.notOk(socket.destroyed, what)
          await clock.tick(499)
          t.notOk(socket.destroyed, what)
          await clock.tick(1)
        }
        await rest()
        t.ok(socket.destroyed, what)
        t.equal(clock.timers, 0, what)
        peer.destroy()
      }
    }
  },
)
