import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { connect, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createServer, type ConnectionEvent, type HandlerFactory } from '../lib/server/index.ts'
import type { ServerOptions } from '../lib/server/index.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { client, CLOSED, listening, portOf, TcpClient, tlsClient } from './fixtures/tcp-client.ts'
import { makePem } from './fixtures/pem.ts'
import { tlsContexts } from '../lib/tls/tls-contexts.ts'

const name = 'mx.test'
const onMessage = async (message: AsyncIterable<unknown>) => {
  for await (const _ of message);
}
const receiver = () => new SmtpHandler({ name, onMessage })
const UNLIMITED = { maxConnections: Infinity, perClient: { connections: Infinity, perMinute: Infinity } }

async function serve(t: Test, options: ServerOptions, factory: HandlerFactory = receiver) {
  const server = await listening(createServer(options, factory))
  t.teardown(async () => {
    const closed = server.close({ within: 1 }).catch(() => {})
    if (options.clock instanceof FakeClock) await options.clock.tick(5000)
    await closed
  })
  return server
}

t.test('the manners of net.Server', async t => {
  const server = createServer(receiver)
  t.type(server, Server)
  t.equal(server.address(), null)
  await listening(server)
  t.equal(server.listening, true)
  const one = client(server)
  t.match(await one.reply(), /^220 mx\.test/)
  t.equal(server.sessions, 1)
  t.strictSame(await one.codes('QUIT'), ['221'])
  t.equal(await one.reply(), CLOSED)
  await new Promise<void>(resolve => {
    const same = server.close(error => {
      t.equal(error, undefined)
      resolve()
    })
    t.equal(same, server)
  })
  await t.rejects(server.close({ within: 1 }), { code: 'ERR_SERVER_NOT_RUNNING' })
  await new Promise<void>(resolve => {
    server.close(error => {
      t.match(error, { code: 'ERR_SERVER_NOT_RUNNING' })
      resolve()
    })
  })
  await listening(server)
  t.match(await client(server).reply(), /^220/, 'it may listen again')
  await server[Symbol.asyncDispose]()
  t.equal(server.listening, false)
})

t.test('it listens on a descriptor that was handed over', async t => {
  const holder = await listening(new Server())
  const { fd } = (holder as unknown as { _handle: { fd: number } })._handle
  const port = portOf(holder)
  const program = `import { createServer, SmtpHandler } from ${JSON.stringify(import.meta.resolve('./fixtures/serve.js'))}
    createServer(() => new SmtpHandler({ name: 'child.test' })).listen({ fd: 3 }, () => console.log('listening'))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
  })
  t.teardown(() => child.kill())
  holder.close()
  await once(child.stdout!, 'data')
  t.match(await new TcpClient(connect(port, '127.0.0.1')).reply(), /^220 child\.test/)
})

t.test('it listens on a Unix socket, whose clients have no address to be counted by', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mail-')) // a path of at most 107 octets
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'socket')
  const server = createServer({ perClient: { connections: 1 }, proxy: ['0.0.0.0/0'] }, receiver)
  server.listen(path)
  await once(server, 'listening')
  for (let i = 0; i < 3; i++) {
    const one = new TcpClient(connect(path))
    t.match(await one.reply(), /^220/)
    t.match(await one.say('EHLO c.test'), /^250/)
    one.socket.destroy()
  }
  await server.close({ within: 1 })
  t.notOk(existsSync(path))
})

t.test('options that are wrong', async t => {
  const wrong: unknown[] = [
    { maxConnections: 0 },
    { perClient: { connections: -1 } },
    { perClient: { except: ['10.0.0.1/8'] } },
    { proxy: ['everybody'] },
    { idle: 0 },
    { timeouts: { greeting: 1 } },
    { timeouts: { tls: -1 } },
    { maxConnection: 5 },
    { perClient: { connection: 5 } },
    { perClient: 5 },
    { timeouts: 5 },
    { idle: '5' },
    5,
    null,
  ]
  for (const options of wrong) {
    t.throws(() => createServer(options as ServerOptions, receiver), { code: 'ERR_OPTION' }, JSON.stringify(options))
  }
  t.throws(() => (createServer as (options: object) => unknown)({}), { code: 'ERR_OPTION' })
})

t.test('limits: who is one too many is told so at the greeting', async t => {
  const events: ConnectionEvent[] = []
  const note = (event: unknown) => void events.push(event as ConnectionEvent)
  subscribe('mailhandler:connection', note)
  t.teardown(() => unsubscribe('mailhandler:connection', note))
  const server = await serve(t, {
    maxConnections: 3,
    perClient: { connections: 2, perMinute: 5, except: ['127.0.0.9'] },
  })
  const held = [client(server), client(server)]
  for (const each of held) t.match(await each.reply(), /^220/)
  t.strictSame(await client(server).rest(), ['421 4.7.0 Too many connections from your address'])
  const other = client(server, { localAddress: '127.0.0.2' })
  t.match(await other.reply(), /^220/, 'others come in')
  t.strictSame(await client(server, { localAddress: '127.0.0.9' }).rest(), [
    '421 4.7.0 Too many connections, please try again later',
  ])
  held[0]!.socket.destroy()
  while (server.stats().connections > 2) await pause(1)
  for (let i = 0; i < 8; i++) {
    const exempt = client(server, { localAddress: '127.0.0.9' })
    t.match(await exempt.reply(), /^220/)
    exempt.socket.destroy()
    while (server.stats().connections > 2) await pause(1)
  }
  for (let i = 0; i < 3; i++) {
    const again = client(server)
    await again.reply()
    again.socket.destroy()
    while (server.stats().connections > 2) await pause(1)
  }
  t.strictSame(await client(server).rest(), ['421 4.7.0 Too many connections from your address in a minute'])
  t.match(server.stats(), {
    connections: 2,
    sessions: 2,
    accepted: 14,
    refused: { connections: 1, perClient: 1, rate: 1 },
  })
  t.equal(events.filter(({ event }) => event === 'accepted').length, 14)
  t.equal(events.filter(({ event }) => event === 'closed').length, 12)
  t.match(
    events
      .filter(({ event }) => event === 'refused')
      .map(({ refusal, client: { address } }) => `${refusal} ${address}`),
    ['perClient 127.0.0.1', 'connections 127.0.0.9', 'rate 127.0.0.1'],
  )
})

t.test('a flood from one address is held while others are served', async t => {
  const server = await serve(t, { perClient: { connections: 20, perMinute: 60 } })
  const flood = Array.from({ length: 300 }, () => client(server, { localAddress: '127.0.0.3' }))
  const others = ['127.0.0.1', '127.0.0.2'].map(async localAddress => {
    const one = client(server, { localAddress })
    t.match(await one.reply(), /^220/)
    return one.codes('EHLO c.test', 'MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>', 'DATA', 'Hi\r\n.', 'QUIT')
  })
  for (const codes of await Promise.all(others)) t.strictSame(codes, ['250', '250', '250', '354', '250', '221'])
  const greetings = await Promise.all(flood.map(each => each.reply()))
  t.equal(greetings.filter(each => each.startsWith('220')).length, 20)
  t.equal(greetings.filter(each => each.startsWith('421 4.7.0')).length, 280)
  for (const { socket } of flood) socket.destroy()
})

t.test('2,000 connections at once, each with a mail', async t => {
  let taken = 0
  const options = {
    name,
    async onMessage(message: AsyncIterable<unknown>) {
      await onMessage(message)
      taken += 1
    },
  }
  const server = await serve(t, { ...UNLIMITED, maxConnections: 2000 }, () => new SmtpHandler(options))
  const clients = Array.from({ length: 2000 }, () => client(server))
  const greetings = await Promise.all(clients.map(each => each.reply()))
  t.ok(greetings.every(each => each.startsWith('220')))
  t.equal(server.sessions, 2000, 'all at once')
  const codes = await Promise.all(
    clients.map(async each => {
      each.write('EHLO c.test\r\n')
      await each.reply()
      each.write('MAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n')
      await each.reply()
      await each.reply()
      await each.reply()
      each.write('Subject: hi\r\n\r\nhello\r\n.\r\nQUIT\r\n')
      return (await each.rest()).map(line => line.slice(0, 3)).join()
    }),
  )
  t.ok(codes.every(each => each === '250,221'))
  t.equal(taken, 2000)
  while (server.sessions > 0) await pause(5)
  t.match(server.stats(), { connections: 0, sessions: 0 })
})

t.test('sessions opened and reset leave nothing behind', async t => {
  const server = await serve(t, UNLIMITED)
  const before = readdirSync('/proc/self/fd').length
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const socket = connect({ port: portOf(server), host: '127.0.0.1' }).on('error', () => {})
        await once(socket, 'connect')
        if (i % 3 === 1) await once(socket, 'data')
        if (i % 3 === 2) socket.write('EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRC')
        socket.resetAndDestroy()
      }),
    )
  }
  while (server.stats().connections > 0 || server.sessions > 0) await pause(5)
  t.ok(readdirSync('/proc/self/fd').length <= before + 2)
})

t.test('idle time of a plain MailHandler', async t => {
  const clock = new FakeClock()
  const answers: ((reply: Reply) => void)[] = []
  const server = await serve(t, { clock, idle: 60, timeouts: { linger: 60 } }, () => {
    return new MailHandler({ name, handleNoop: () => new Promise(resolve => answers.push(resolve)) })
  })
  const one = client(server, { allowHalfOpen: true })
  await one.reply()
  one.write('NOOP\r\n')
  while (answers.length === 0) await pause(1)
  await clock.tick(200)
  answers[0]!(reply(250, 'OK'))
  t.match(await one.reply(), /^250/, 'its own time is not counted')
  await clock.tick(60)
  t.equal(await one.reply(), '421 4.4.2 Timeout')
  t.equal(await one.reply(), CLOSED)
  await clock.tick(60)
  while (server.sessions > 0) await pause(5)
  t.pass('who does not close is cut')
  one.socket.destroy()
})

t.test('handlers of another kind', async t => {
  const clock = new FakeClock()
  const echo = await serve(t, { clock, idle: 100 }, () => new PassThrough())
  const one = client(echo)
  t.equal(await one.say('220 hello'), '220 hello')
  await clock.tick(100)
  t.equal(await one.reply(), CLOSED, 'idle')

  const warned = once(process, 'warning')
  const failing = await serve(t, {}, () => {
    return new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done(new Error('the disk is gone'))
      },
    })
  })
  const two = client(failing)
  t.equal(await two.say('hello'), CLOSED)
  t.match(await warned, [{ message: 'the disk is gone' }], 'the server goes on')
  while (failing.sessions > 0) await pause(1)
})

t.test('a factory that throws', async t => {
  const server = await serve(t, {}, () => {
    throw new Error('secret')
  })
  const warned = once(process, 'warning')
  t.strictSame(await client(server).rest(), ['421 4.3.0 Local error, please try again later'])
  t.match(await warned, [{ message: 'secret' }])
  t.match(server.stats(), { sessions: 0, refused: { handler: 1 } })
})

t.test('implicit TLS', async t => {
  const folder = t.testdir()
  const pem = await makePem(`${folder}/a`, name)
  const sessions: (string | null)[] = []
  const clock = new FakeClock()
  const server = await serve(t, { clock, tls: tlsContexts({ default: pem }), timeouts: { tls: 100 } }, () => {
    return new SmtpHandler({ name, onMessage, onHelo: session => void sessions.push(session.tls?.version ?? null) })
  })
  const one = tlsClient(server)
  t.match(await one.reply(), /^220/)
  const ehlo = await one.say('EHLO c.test')
  t.notMatch(ehlo, /STARTTLS/)
  t.strictSame(sessions, ['TLSv1.3'])
  t.strictSame(await one.codes('MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>', 'DATA', 'Hi\r\n.', 'QUIT'), [
    '250',
    '250',
    '354',
    '250',
    '221',
  ])
  t.equal(await one.reply(), CLOSED)
  const clear = client(server)
  t.equal(await clear.say('EHLO c.test'), CLOSED, 'no TLS')
  const silent = client(server)
  while (server.stats().accepted < 3) await pause(1)
  await clock.tick(100)
  t.equal(await silent.reply(), CLOSED, 'nothing in time')
  while (server.stats().connections > 0) await pause(1)
  t.match(server.stats(), { sessions: 0, refused: { tls: 2 } })

  const patient = await serve(t, { tls: tlsContexts({ default: pem }) })
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const { socket } = client(patient)
    socket.write(Buffer.from('1603010005010000', 'hex'), () => socket[leave]())
  }
  while (patient.stats().refused.tls < 3) await pause(1)
  while (patient.stats().connections > 0) await pause(1)
  t.pass('who goes in the middle of the handshake is not waited for')
})

t.test('a record that is none ends a session under TLS', async t => {
  const tls = tlsContexts({ default: await makePem(`${t.testdir()}/a`, name) })
  const server = await serve(t, {}, () => new SmtpHandler({ name, onMessage, tls }))
  const one = client(server)
  await one.reply()
  await one.codes('EHLO c.test', 'STARTTLS')
  const { fd } = (one.socket as unknown as { _handle: { fd: number } })._handle
  await one.secure()
  t.match(await one.say('EHLO c.test'), /^250/)
  writeSync(fd, 'this is no record')
  t.equal(await one.reply(), CLOSED)
  while (server.sessions > 0) await pause(1)
  t.equal(server.stats().connections, 0)
})
