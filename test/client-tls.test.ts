// TLS from the client's side: STARTTLS in place, over sockets and in memory, and what a server's certificate must be.

import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { connect as dialTls, createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import { SmtpClient, type ClientTlsOptions, type SmtpClientOptions } from '../lib/client.ts'
import { SmtpHandler, type Session } from '../lib/index.ts'
import { connect } from '../lib/testing/index.ts'
import { certificate, makeCertificate } from './fixtures/certificates.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { serveScript } from './fixtures/scripted-server.ts'

const { key, cert } = certificate()
const other = makeCertificate('other.example')
const fingerprint = new X509Certificate(cert).fingerprint256
const NAME = { name: 'client.example' } as const

interface Running {
  readonly port: number
  readonly messages: string[]
  readonly sessions: Partial<Session>[]
}

type Tap = { teardown(callback: () => unknown): unknown }

type HandlerOptions = Omit<ConstructorParameters<typeof SmtpHandler>[0] & object, 'onMessage' | 'delivery'>

/** A server on a port of its own, with STARTTLS unless `options` say otherwise. */
async function serve(t: Tap, options: HandlerOptions = { tls: { key, cert } }, implicit = false): Promise<Running> {
  const running = { port: 0, messages: [] as string[], sessions: [] as Partial<Session>[] }
  const sockets = new Set<Socket>()
  const take = (socket: Socket): void => {
    sockets.add(socket)
    const handler = new SmtpHandler({
      name: 'mx.example',
      ...options,
      async onMessage(message, session) {
        const { protocol, tls } = session
        running.sessions.push({ protocol, tls })
        let text = ''
        for await (const chunk of message) text += (chunk as Buffer).toString('latin1')
        running.messages.push(text)
      },
    })
    socket.on('error', () => {})
    socket.pipe(handler).pipe(socket)
  }
  const server = implicit ? createTlsServer({ key, cert }, take) : createServer(take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  running.port = (server.address() as AddressInfo).port
  return running
}

function client(socket: Socket, options: SmtpClientOptions): SmtpClient {
  const client = new SmtpClient({ ...NAME, ...options })
  socket.pipe(client).pipe(socket)
  return client
}

async function send(client: SmtpClient, mail = 'x\r\n'): Promise<void> {
  client.mail('a@b')
  client.rcpt('c@d')
  const [reply] = await client.data(Readable.from([Buffer.from(mail)]))
  if (reply?.code !== 250) throw new Error(reply?.text)
}

t.test('STARTTLS in place, EHLO again, mail, QUIT', async t => {
  const server = await serve(t)
  const socket = dial(server.port, '127.0.0.1')
  const tls: ClientTlsOptions = { mode: 'must', servername: 'localhost', ca: cert }
  const it = client(socket, { tls })
  const offer = await it.ready()
  t.equal(offer.extensions.has('STARTTLS'), false, 'the offer under TLS')
  t.match(it.tls, { version: 'TLSv1.3', authorized: true, servername: 'localhost' })
  await send(it, `\r\n${'x'.repeat(70)}\r\n`.repeat(20_000))
  t.match(await it.quit(), { code: 221 })
  if (!it.closed) await once(it, 'close')
  t.equal(it.failure, null)
  t.equal(server.messages[0]?.length, 74 * 20_000)
  t.match(server.sessions, [{ protocol: 'ESMTPS' }])
})

t.test('what certificates are good for', async t => {
  const server = await serve(t)
  const good: [string, ClientTlsOptions, boolean][] = [
    ['may, of anybody', { mode: 'may' }, false],
    ['may, valid', { mode: 'may', servername: 'localhost', ca: cert }, true],
    ['may, for another name', { mode: 'may', servername: 'other.example', ca: cert }, false],
    ['must, by name', { mode: 'must', servername: 'mx.example.org', ca: cert }, true],
    ['must, by address', { mode: 'must', servername: '127.0.0.1', ca: cert }, true],
    ['must, pinned', { mode: 'must', fingerprints256: ['00'.repeat(32), fingerprint.toLowerCase()] }, false],
    ['must, pinned without colons', { mode: 'must', fingerprints256: [fingerprint.replaceAll(':', '')] }, false],
    ['must, unchecked', { mode: 'must', rejectUnauthorized: false }, false],
  ]
  for (const [name, tls, authorized] of good) {
    const it = client(dial(server.port, '127.0.0.1'), { tls })
    await t.resolves(it.ready(), name)
    t.equal(it.tls?.authorized, authorized, name)
    await send(it)
    await it.quit()
  }
  const bad: [string, ClientTlsOptions, RegExp][] = [
    ['of nobody known', { mode: 'must', servername: 'localhost' }, /not valid: .*SELF_SIGNED/],
    ['another authority', { mode: 'must', servername: 'localhost', ca: other.cert }, /not valid/],
    ['another name', { mode: 'must', servername: 'other.example', ca: cert }, /not valid: .*ALTNAME|altname/i],
    ['another address', { mode: 'must', servername: '127.0.0.2', ca: cert }, /not valid/],
    ['another pin', { mode: 'must', fingerprints256: ['00'.repeat(32)] }, /not one of/],
    [
      'another pin, valid',
      { mode: 'must', servername: 'localhost', ca: cert, fingerprints256: ['00'.repeat(32)] },
      /pin|not one of/,
    ],
    ['another pin, may', { mode: 'may', fingerprints256: ['00'.repeat(32)] }, /not one of/],
    ['no version in common', { mode: 'may', maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, /./],
  ]
  for (const [name, tls, message] of bad) {
    const it = client(dial(server.port, '127.0.0.1'), { tls })
    await t.rejects(it.ready(), { code: 'ERR_TLS', step: 'TLS', message }, name)
    t.equal(it.destroyed, true)
  }
  t.equal(server.messages.length, good.length, 'nothing was sent to the others')
})

t.test('never, and a server without it', async t => {
  const server = await serve(t)
  const never = client(dial(server.port, '127.0.0.1'), { tls: { mode: 'never' } })
  t.equal((await never.ready()).extensions.has('STARTTLS'), true)
  t.equal(never.tls, null)
  await never.quit()
  const clear = await serve(t, {})
  const may = client(dial(clear.port, '127.0.0.1'), { tls: { mode: 'may' } })
  await send(may)
  await may.quit()
  t.match(clear.sessions, [{ protocol: 'ESMTP' }])
  const must = client(dial(clear.port, '127.0.0.1'), { tls: { mode: 'must', servername: 'localhost', ca: cert } })
  await t.rejects(must.ready(), { code: 'ERR_TLS', step: 'STARTTLS', message: /not offer/ })
})

t.test('a client certificate', async t => {
  const server = await serve(t, { tls: { key, cert, ca: other.cert, requestCert: true, rejectUnauthorized: false } })
  const tls = { mode: 'must', servername: 'localhost', ca: cert } as const
  for (const [options, authorized] of [
    [{ ...tls, ...other }, true],
    [tls, false],
  ] as const) {
    const it = client(dial(server.port, '127.0.0.1'), { tls: options })
    await send(it)
    await it.quit()
    t.equal(server.sessions.at(-1)?.tls?.authorized, authorized)
  }
})

t.test('under TLS from the start: the same checks, no STARTTLS', async t => {
  const server = await serve(t, {}, true)
  const secure = () =>
    dialTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ca: cert, servername: 'localhost' })
  const it = client(secure(), { tls: { mode: 'must', servername: 'localhost' } })
  await send(it)
  t.match(it.tls, { authorized: true })
  await it.quit()
  t.match(server.sessions, [{ protocol: 'ESMTPS' }])
  const pinned = client(secure(), { tls: { mode: 'must', fingerprints256: ['00'.repeat(32)] } })
  await t.rejects(pinned.ready(), { code: 'ERR_TLS', step: 'TLS' })
  const unknown = dialTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
  await t.rejects(client(unknown, { tls: { mode: 'must', servername: 'localhost' } }).ready(), { code: 'ERR_TLS' })
})

t.test('backpressure through TLS: the source waits for the one who reads at the other end', async t => {
  const readers: (() => void)[] = []
  const digest = createHash('sha256')
  const handler = new SmtpHandler({
    tls: { key, cert },
    async onMessage(message) {
      await new Promise<void>(resolve => readers.push(resolve))
      for await (const chunk of message) digest.update(chunk as Buffer)
    },
  })
  const server = createServer(socket => socket.pipe(handler).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const it = client(dial((server.address() as AddressInfo).port, '127.0.0.1'), { tls: { mode: 'may' } })
  const line = Buffer.from(`${'x'.repeat(1022)}\r\n`)
  const chunk = Buffer.concat(Array.from({ length: 64 }, () => line))
  let chunks = 0
  const source = new Readable({
    read() {
      this.push(chunks === 0 ? '\r\n' : chunks > 400 ? null : chunk)
      chunks += 1
    },
  })
  it.mail('a@b')
  it.rcpt('c@d')
  const sent = it.data(source)
  let before = -1
  while (before !== chunks || readers.length === 0) {
    before = chunks
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.ok(chunks < 300, `${chunks} chunks of 64 KiB were read, and no more`)
  readers[0]!()
  t.match(await sent, [{ code: 250 }])
  const expected = createHash('sha256').update('\r\n')
  for (let i = 0; i < 400; i++) expected.update(chunk)
  t.equal(digest.digest('hex'), expected.digest('hex'))
  await it.quit()
})

t.test('in memory, through a handler', async t => {
  const handler = new SmtpHandler({ tls: { key, cert }, onMessage: async message => void message.resume() })
  const socket = connect(handler)
  const it = new SmtpClient({ ...NAME, tls: { mode: 'must', servername: 'localhost', ca: cert } })
  socket.pipe(it).pipe(socket)
  await send(it)
  t.match(it.tls, { authorized: true })
  await it.quit()
})

const STARTTLS = '250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n'

t.test('what came in clear behind the 220 is never acted on', async t => {
  const injected = [
    '250 OK\r\n',
    '250-evil\r\n250 AUTH PLAIN\r\n',
    '2',
    '220 again\r\n',
    '\r\n',
    'x',
    '421 4.3.2 Bye\r\n',
  ]
  for (const octets of injected) {
    for (const apart of [false, true]) {
      const clock = new FakeClock()
      const it = new SmtpClient({ ...NAME, clock, tls: { mode: 'must', servername: 'localhost' } })
      const server = serveScript(it, {
        EHLO: STARTTLS,
        STARTTLS(_line, server) {
          if (!apart) return `220 Go ahead\r\n${octets}`
          server.say('220 Go ahead\r\n')
          server.say(octets)
        },
      })
      // What arrives once the handshake has begun is a part of it: wrong, or never whole.
      const code = apart ? /^ERR_(?:REPLY_\w+|CONNECTION_LOST|TLS|TIMEOUT)$/ : /^ERR_(?:REPLY_\w+|CONNECTION_LOST)$/
      const ready = it.ready()
      await clock.tick(30_000)
      await t.rejects(ready, { code }, JSON.stringify([octets, apart]))
      await settle()
      t.strictSame(server.verbs.slice(0, 2), ['EHLO', 'STARTTLS'])
      t.notOk(server.received.includes('MAIL') || server.received.includes('AUTH'))
      t.ok(it.destroyed && server.gone)
    }
  }
})

t.test('a refused STARTTLS: in clear with may, not with must', async t => {
  const script = { EHLO: STARTTLS, STARTTLS: '454 4.7.0 Not now\r\n' }
  const may = new SmtpClient({ ...NAME, tls: { mode: 'may' } })
  const server = serveScript(may, script)
  t.match(await may.mail('a@b'), { code: 250 })
  t.strictSame(server.verbs, ['EHLO', 'STARTTLS', 'MAIL'])
  const must = new SmtpClient({ ...NAME, tls: { mode: 'must', servername: 'localhost' } })
  serveScript(must, script)
  await t.rejects(must.ready(), { code: 'ERR_TLS', step: 'STARTTLS', reply: { code: 454 } })
})

t.test('faults of STARTTLS and of the handshake', async t => {
  const must: SmtpClientOptions = { ...NAME, tls: { mode: 'must', servername: 'localhost' } }
  const cases: [
    string,
    (
      | string
      | ((
          line: string,
          server: { socket: { destroy(): unknown; end(): unknown }; say(text: string): void },
        ) => string | void)
    ),
    { code: string; step: string },
  ][] = [
    ['garbage', 'what?\r\n', { code: 'ERR_REPLY_SYNTAX', step: 'STARTTLS' }],
    ['250', '250 OK\r\n', { code: 'ERR_REPLY_UNEXPECTED', step: 'STARTTLS' }],
    ['354', '354 Go\r\n', { code: 'ERR_REPLY_UNEXPECTED', step: 'STARTTLS' }],
    ['a reset', (_line, server) => void server.socket.destroy(), { code: 'ERR_CONNECTION_LOST', step: 'STARTTLS' }],
    ['half a reply', '220 Go', { code: 'ERR_TIMEOUT', step: 'STARTTLS' }],
    ['silence', () => {}, { code: 'ERR_TIMEOUT', step: 'STARTTLS' }],
  ]
  for (const [name, STARTTLS_, expected] of cases) {
    const clock = new FakeClock()
    const it = new SmtpClient({ ...must, clock })
    serveScript(it, { EHLO: STARTTLS, STARTTLS: STARTTLS_ })
    const ready = it.ready()
    await clock.tick(300_000)
    await t.rejects(ready, expected, name)
    t.equal(it.destroyed, true)
  }

  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.write('220 mx\r\n')
    socket.on('data', data => {
      const text = data.toString()
      if (text.startsWith('EHLO')) socket.write(STARTTLS)
      else if (text.startsWith('STARTTLS')) socket.write('220 Go\r\n')
      else if (mode === 'garbage') socket.write('500 this is no TLS\r\n')
      else if (mode === 'reset') socket.resetAndDestroy()
      else if (mode === 'end') socket.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  let mode: 'garbage' | 'reset' | 'end' | 'silence' = 'garbage'
  for (mode of ['garbage', 'reset', 'end'] as const) {
    const it = client(dial(port, '127.0.0.1'), must)
    await t.rejects(it.ready(), { code: 'ERR_TLS', step: 'TLS' }, mode)
    t.equal(it.destroyed, true)
  }
  mode = 'silence'
  const clock = new FakeClock()
  const socket = dial(port, '127.0.0.1')
  const it = client(socket, { ...must, clock })
  const ready = it.ready()
  await once(server, 'connection')
  while (socket.listenerCount('data') > 0 || socket.readableFlowing !== false) {
    await new Promise(resolve => setTimeout(resolve, 5))
    if (it.failure !== null || socket.bytesRead > 60) break
  }
  await new Promise(resolve => setTimeout(resolve, 50))
  await clock.tick(30_000)
  await t.rejects(ready, { code: 'ERR_TIMEOUT', step: 'TLS' })
  await settle()
  t.equal(socket.destroyed, true)
})
