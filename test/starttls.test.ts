import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as dial, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { duplexPair, type Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as dialTls, createSecureContext, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t from 'tap'
import type { TakingHook } from '../lib/smtp/hooks.ts'
import type { SessionOptions } from '../lib/smtp/options.ts'
import type { Session } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { controls } from '../lib/stream/mail-handler.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { stuff } from '../lib/testing/mail-data.ts'
import { reply } from '../lib/words/reply.ts'
import { certificate, makeCertificate } from './fixtures/certificates.ts'
import { address, deliver, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { until } from './fixtures/until.ts'

type OwnOptions = SessionOptions & TakingHook

const TLS = certificate()
const LOGIN = `AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`

interface Running {
  readonly port: number
  readonly handlers: SmtpHandler[]
  readonly sockets: Socket[]
  readonly closes: Session[]
}

/** The server of the README: nothing but `socket.pipe(handler).pipe(socket)`. */
async function serve(
  t: Tap,
  options: OwnOptions = {},
  make?: (on: (socket: Socket) => void) => Server,
): Promise<Running> {
  const running: Running & { port: number } = { port: 0, handlers: [], sockets: [], closes: [] }
  const on = (socket: Socket): void => {
    const handler = new SmtpHandler({
      name: 'mx.example.org',
      tls: TLS,
      onMessage: async message => void (await buffer(message)),
      onClose: session => void running.closes.push(session),
      handleError() {},
      ...options,
    })
    running.handlers.push(handler)
    running.sockets.push(socket)
    socket.pipe(handler).pipe(socket)
  }
  const server = make === undefined ? createServer(on) : make(on)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of running.sockets) socket.destroy()
    server.close()
  })
  running.port = (server.address() as AddressInfo).port
  return running
}
type Tap = { teardown(fn: () => unknown): unknown }

/** A client that has greeted, in clear. */
async function clear(running: Running): Promise<{ socket: Socket; c: Conversation }> {
  const socket = dial(running.port, '127.0.0.1')
  const c = converse(socket)
  await c.expect(220)
  await c.command('EHLO client.example', /STARTTLS/)
  return { socket, c }
}

/** TLS, on the client's side, over a connection that has been told to go ahead. */
async function secure(socket: Duplex, servername = 'mx.example.org'): Promise<TLSSocket> {
  socket.removeAllListeners('data')
  const secured = dialTls({ socket, servername, ca: TLS.cert, rejectUnauthorized: false })
  secured.on('error', () => {})
  await once(secured, 'secureConnect')
  return secured
}

async function starttls(running: Running, servername?: string): Promise<Conversation> {
  const { socket, c } = await clear(running)
  await c.command('STARTTLS', '220 2.0.0 …')
  c.pause()
  return converse(await secure(socket, servername))
}

t.test('the session starts anew', async t => {
  const seen: unknown[] = []
  const running = await serve(t, {
    auth: { insecure: true },
    onConnect: session => void (session.trusted = 'network'),
    onAuth: (_, session) => {
      session.trusted = 'user'
      return reply(235, 'in')
    },
    onMessage: async (message, session) => {
      await buffer(message)
      seen.push([session.protocol, session.helo, session.user, session.tls?.version, session.tls?.servername])
    },
  })
  const { socket, c } = await clear(running)
  await c.command(LOGIN, 235)
  const [handler] = running.handlers
  t.equal(handler?.session.trusted, 'user')
  await c.command('STARTTLS', 220)
  c.pause()
  const s = converse(await secure(socket))
  t.match(handler?.session, { helo: null, user: null, envelope: null, phase: 'connected', trusted: 'network' })
  await s.command('MAIL FROM:<>', 503)
  const { text } = await s.command('EHLO other.example', 250)
  t.notMatch(text, /STARTTLS/)
  t.match(text, /AUTH PLAIN LOGIN/)
  await address(s)
  await deliver(s, 250)
  await s.command(LOGIN, 235)
  await address(s)
  await deliver(s, 250)
  await quit(s)
  t.same(seen, [
    ['ESMTPS', 'other.example', null, 'TLSv1.3', 'mx.example.org'],
    ['ESMTPSA', 'other.example', 'joe', 'TLSv1.3', 'mx.example.org'],
  ])
  await until(() => running.closes.length > 0)
  await settle(20)
  t.equal(running.closes.length, 1)
})

t.test('STARTTLS twice, with an argument, in a transaction, before EHLO', async t => {
  const running = await serve(t)
  const { c } = await clear(running)
  await c.command('STARTTLS now', '501 5.5.4 …')
  await address(c)
  await c.command('STARTTLS', '503 5.5.1 …')
  await quit(c)
  const s = await starttls(running)
  await s.command('EHLO a.example', 250)
  await s.command('STARTTLS', '503 5.5.1 …')
  await quit(s)
  const early = converse(dial(running.port, '127.0.0.1'))
  await early.expect(220)
  await early.command('STARTTLS', 503)
  await quit(early)
})

t.test('not configured, or not to be had: neither offered nor taken', async t => {
  const running = await serve(t, { tls: undefined as never, extensions: { STARTTLS: true } })
  const off = await serve(t, { extensions: { STARTTLS: false } })
  for (const { port } of [running, off]) {
    const c = converse(dial(port, '127.0.0.1'))
    await c.expect(220)
    t.notMatch((await c.command('EHLO a.example', 250)).text, /STARTTLS/)
    await c.command('STARTTLS', '502 5.5.1 …')
    t.notMatch((await c.command('HELP', 214)).text, /STARTTLS/)
    await quit(c)
  }
  const there = await clear(await serve(t))
  await there.c.command('HELP', /^214-.* STARTTLS/)
  await quit(there.c)
  const c = converse(new SmtpHandler({ tls: TLS }))
  await c.expect(220)
  t.notMatch((await c.command('EHLO a.example', 250)).text, /STARTTLS/, 'nothing to be wrapped')
  await c.command('STARTTLS', '502 5.5.1 …')
  await quit(c)
})

t.test('tls.required', async t => {
  const running = await serve(t, { tls: { ...TLS, required: true } })
  const { c } = await clear(running)
  // [RFC 3207 §4]
  const refused = ['HELO c', 'MAIL FROM:<>', 'RCPT TO:<a@b>', 'DATA', 'RSET', 'VRFY a', 'EXPN a', 'HELP', 'BDAT 0 LAST']
  for (const line of refused) await c.command(line, '530 5.7.0 Send STARTTLS first')
  for (const line of ['NOOP', 'EHLO c']) await c.command(line, 250)
  await c.command('XCLIENT NAME=x', 500)
  await quit(c)
  const proxy = await clear(await serve(t, { tls: { ...TLS, required: true }, xclient: ['127.0.0.1'] }))
  await proxy.c.command('XCLIENT NAME=x', 220)
  await proxy.c.command('XFORWARD NAME=x', 530)
  await quit(proxy.c)
  const lmtp = await serve(t, { lmtp: true, tls: { ...TLS, required: true } })
  const l = converse(dial(lmtp.port, '127.0.0.1'))
  await l.expect(220)
  await l.command('LHLO c', 250)
  await l.command('MAIL FROM:<>', 530)
  await quit(l)
  const s = await starttls(running)
  t.notMatch((await s.command('HELP', 214)).text, /STARTTLS/, 'HELP lists what is offered now')
  await s.command('EHLO a.example', 250)
  await s.command('MAIL FROM:<>', 250)
  await quit(s)
})

t.test('what comes in clear behind STARTTLS ends the connection', async t => {
  let senders = 0
  const ways: [string, (socket: Socket) => unknown][] = [
    ['in the same chunk', socket => socket.write('STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n')],
    ['one octet', socket => socket.write('STARTTLS\r\nM')],
    ['in a pipelined group', socket => socket.write('NOOP\r\nSTARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<>\r\n')],
    [
      'in the next chunk, before the reply was read',
      socket => {
        socket.write('STARTTLS\r\n')
        setImmediate(() => socket.write('EHLO evil.example\r\nMAIL FROM:<>\r\nQUIT\r\n'))
      },
    ],
    [
      'after the reply, in place of a handshake',
      async socket => {
        socket.write('STARTTLS\r\n')
        await once(socket, 'data')
        socket.write('EHLO evil.example\r\nMAIL FROM:<>\r\nQUIT\r\n')
      },
    ],
  ]
  for (const [name, inject] of ways) {
    const running = await serve(t, { onMailFrom: () => void senders++ })
    const { socket, c } = await clear(running)
    const [handler] = running.handlers
    await inject(socket)
    await c.closed()
    if (handler?.closed !== true) await once(handler as SmtpHandler, 'close')
    t.equal(senders, 0, `${name}: nothing is acted on`)
    t.not(handler?.session.helo, 'evil.example', name)
    t.equal(running.closes.length, 1, `${name}: closed once`)
    await until(() => running.sockets[0]!.destroyed)
  }
})

t.test('a handshake that fails, or is left', async t => {
  const ways: [string, (socket: Socket) => unknown][] = [
    ['garbage', socket => socket.write(Buffer.alloc(500, 7))],
    ['closes', socket => socket.end()],
    ['resets', socket => socket.resetAndDestroy()],
    [
      'closes in the middle',
      socket => {
        const secured = dialTls({ socket, servername: 'mx.example.org', rejectUnauthorized: false })
        secured.on('error', () => {})
        setImmediate(() => socket.destroy())
      },
    ],
    [
      'wants another version',
      socket => {
        socket.removeAllListeners('data')
        const secured = dialTls({ socket, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' })
        secured.on('error', () => {})
      },
    ],
  ]
  for (const [name, spoil] of ways) {
    const running = await serve(t)
    const { socket, c } = await clear(running)
    await c.command('STARTTLS', 220)
    const [handler] = running.handlers
    const closed = once(handler as SmtpHandler, 'close').catch(() => {})
    await spoil(socket)
    await closed
    await until(() => running.sockets[0]!.destroyed)
    t.equal(running.closes.length, 1, name)
    t.equal(handler?.session.tls, null)
  }
})

t.test('a handshake that hangs: timeouts.tls', async t => {
  const clock = new FakeClock()
  const running = await serve(t, { clock })
  const { c } = await clear(running)
  await c.command('STARTTLS', 220)
  const [handler] = running.handlers
  while (controls.source(handler!) === running.sockets[0]) await settle(1)
  await clock.tick(29_999)
  t.notOk(handler?.destroyed)
  await clock.tick(1)
  t.ok(handler?.destroyed)
  await c.closed()
  t.equal(running.closes.length, 1)
  t.equal(clock.timers, 0)
})

t.test('the time to HELO begins anew', async t => {
  const clock = new FakeClock()
  const running = await serve(t, { clock })
  const { socket, c } = await clear(running)
  await clock.tick(200_000)
  await c.command('STARTTLS', 220)
  c.pause()
  const s = converse(await secure(socket))
  await until(() => running.handlers[0]!.session.tls !== null) // in TLS 1.3 the client is ready first
  await clock.tick(50_000)
  await s.command('NOOP', 250)
  await clock.tick(10_000)
  await s.expect('421 4.4.2 …')
  await s.closed()
})

t.test('a large mail comes through exactly', async t => {
  const digests: string[] = []
  const running = await serve(t, {
    bareNewline: 'allow',
    onMessage: async message => {
      const hash = createHash('sha256')
      for await (const chunk of message) hash.update(chunk as Buffer)
      digests.push(hash.digest('hex'))
    },
  })
  const mail = Buffer.concat([
    Buffer.from('Subject: x\r\n\r\n.\r\n..\r\n'),
    randomBytes(3_000_000),
    Buffer.from('\r\n'),
  ])
  const s = await starttls(running)
  await s.command('EHLO a.example', 250)
  await address(s)
  await s.command('DATA', 354)
  s.write(stuff(mail))
  await s.expect(250)
  await quit(s)
  t.same(digests, [createHash('sha256').update(mail).digest('hex')])
})

t.test('the context for each session', async t => {
  let made = 0
  const other = makeCertificate('other.example')
  const running = await serve(t, {
    tls: {
      context: () => (made++, createSecureContext(TLS)),
      SNICallback: (name, callback) =>
        callback(null, name === 'other.example' ? createSecureContext(other) : undefined),
    },
  })
  for (const [name, cn] of [
    ['mx.example.org', 'localhost'],
    ['other.example', 'other.example'],
  ] as const) {
    const { socket, c } = await clear(running)
    await c.command('STARTTLS', 220)
    c.pause()
    const secured = await secure(socket, name)
    t.equal(secured.getPeerCertificate().subject.CN, cn)
    const s = converse(secured)
    await s.command('EHLO a.example', 250)
    t.equal(running.handlers.at(-1)?.session.tls?.servername, name)
    await quit(s)
  }
  t.equal(made, 2)
})

t.test('implicit TLS', async t => {
  const running = await serve(t, { auth: {} }, on => createTlsServer(TLS, on))
  const socket = dialTls({ port: running.port, host: '127.0.0.1', servername: 'mx.example.org', ca: TLS.cert })
  const s = converse(socket)
  await s.expect(220)
  const { text } = await s.command('EHLO a.example', 250)
  t.match(text, /AUTH PLAIN/)
  t.notMatch(text, /STARTTLS/)
  const { session } = running.handlers[0] as SmtpHandler
  t.match(session.tls, { version: 'TLSv1.3', servername: 'mx.example.org' })
  t.equal(session.protocol, 'ESMTPS')
  await s.command('STARTTLS', 503)
  await quit(s)
})

t.test('in memory too', async t => {
  let got = ''
  const handler = new SmtpHandler({
    tls: TLS,
    onMessage: async message => void (got = (await buffer(message)).toString()),
  })
  const [client, server] = duplexPair()
  server.pipe(handler).pipe(server)
  const c = converse(client)
  await c.expect(220)
  await c.command('EHLO a.example', /STARTTLS/)
  await c.command('STARTTLS', 220)
  c.pause()
  const s = converse(await secure(client))
  await s.command('EHLO a.example', 250)
  await address(s)
  await deliver(s, 250, 'Subject: x\r\n\r\nin memory\r\n')
  t.equal(got, 'Subject: x\r\n\r\nin memory\r\n')
  await s.command('QUIT', 221)
  client.destroy()
  server.destroy()
})

t.test('who does not read the reply in clear gets no handshake, and no CPU', async t => {
  const clock = new FakeClock()
  const running = await serve(t, { clock, limits: { junkCommands: Infinity } })
  const { socket, c } = await clear(running)
  c.pause()
  for (let i = 0; i < 400; i++) {
    socket.write('HELP\r\n'.repeat(50))
    if (i % 20 === 0) await settle(2)
  }
  socket.write('STARTTLS\r\n')
  const octets = (): number => running.sockets[0]!.bytesRead + running.sockets[0]!.bytesWritten
  for (let before = -1; before !== octets();) {
    before = octets()
    await pause(20)
    await settle(4)
  }
  await clock.tick(400_000)
  t.ok(running.handlers[0]?.destroyed)
  t.equal(running.closes.length, 1)
})
