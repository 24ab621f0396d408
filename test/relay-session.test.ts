// A relay in front of a whole SmtpHandler: TLS and AUTH towards the upstream, what it hears of the client; and time.

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { reply, SmtpHandler, type Session, type SmtpHandlerOptions } from '../lib/index.ts'
import { upstreamChannel, type RelayOptions, type UpstreamEvent } from '../lib/relay.ts'
import { certificate } from './fixtures/certificates.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { frontOf } from './fixtures/front.ts'
import { BY_DATA, front, MAIL, sendMail, startUpstream } from './fixtures/upstream.ts'
import { until } from './fixtures/until.ts'

const { key, cert } = certificate()
const { fingerprint256 } = new X509Certificate(cert)

interface Upstream {
  readonly port: number
  readonly messages: string[]
  readonly sessions: Pick<Session, 'protocol' | 'user' | 'helo' | 'client'>[]
}

async function serve(
  t: Test,
  options: Omit<SmtpHandlerOptions, 'delivery' | 'onMessage'>,
  implicit = false,
): Promise<Upstream> {
  const upstream: Upstream & { port: number } = { port: 0, messages: [], sessions: [] }
  const take = (socket: Socket): void => {
    socket.on('error', () => {})
    const handler = new SmtpHandler({
      name: 'mx.example',
      ...options,
      onRcptTo: ({ localPart }) => (localPart === 'unknown' ? reply(550, '5.1.1', 'No such user here') : undefined),
      async onMessage(message, { protocol, user, helo, client }) {
        let text = ''
        for await (const chunk of message) text += (chunk as Buffer).toString('latin1')
        upstream.messages.push(text)
        upstream.sessions.push({
          protocol,
          user,
          helo,
          client: { ...client, name: client.name, address: client.address, port: client.port },
        })
      },
    } as SmtpHandlerOptions)
    socket.pipe(handler).pipe(socket)
  }
  const server = implicit ? createTlsServer({ key, cert }, take) : createServer(take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  upstream.port = (server.address() as AddressInfo).port
  return upstream
}

const PLAIN = MAIL.replace('..stuffed', '.stuffed')

t.test('TLS towards the upstream', async t => {
  const tls = { tls: { key, cert } }
  const rows: readonly [string, RelayOptions['tls'], boolean, RegExp][] = [
    ['the certificate that is wanted', { mode: 'must', fingerprints256: [fingerprint256] }, false, /^250 /],
    ['another one', { mode: 'must', fingerprints256: ['00'.repeat(32)] }, false, /^451 4\.3\.5 /],
    ['one that nobody signed', { mode: 'must' }, false, /^451 4\.3\.5 /],
    ['one that is trusted', { mode: 'must', ca: cert }, false, /^250 /],
    ['if there is some', { mode: 'may' }, false, /^250 /],
    ['from the start', { mode: 'must', ca: cert }, true, /^250 /],
    ['from the start, with a certificate that nobody signed', { mode: 'must' }, true, /^451 4\.3\.5 /],
  ]
  for (const [name, options, secure, wanted] of rows) {
    const upstream = await serve(t, secure ? {} : tls, secure)
    const { c, delivery, errors } = await front(t, { host: '127.0.0.1', port: upstream.port, tls: options!, secure })
    const told = (await sendMail(c)).find(each => !/^(?:250 2\.1|354)/.test(each))
    t.match(told, wanted, name)
    t.equal(errors.length > 0, !wanted.test('250 '), `${name}: reported`)
    if (upstream.messages.length > 0) t.match(upstream.sessions[0]!.protocol, /^ESMTPS/, name)
    delivery.close()
  }
})

t.test('AUTH towards the upstream; a password that has expired bounces no mail', async t => {
  const upstream = await serve(t, {
    tls: { key, cert },
    auth: { required: true },
    onAuth: credentials =>
      'password' in credentials && credentials.password === 'right' ? reply(235, 'In') : undefined,
  })
  for (const [password, wanted] of [
    ['right', /^250 /],
    ['wrong', /^451 4\.3\.5 /],
  ] as const) {
    // prettier-ignore
    const { c, delivery, errors } = await front(t, {
      host: '127.0.0.1',
      port: upstream.port,
      tls: { fingerprints256: [fingerprint256] },
      auth: { user: 'relay', password },
    })
    const told = (await sendMail(c)).find(each => !/^(?:250 2\.1|354)/.test(each))
    t.match(told, wanted, password)
    t.equal(errors.length > 0, password === 'wrong')
    delivery.close()
  }
  t.match(upstream.sessions, [{ user: 'relay' }])
})

t.test('the upstream knows the client, each one by itself', async t => {
  const upstream = await serve(t, { xclient: ['127.0.0.1'] })
  const one = await front(t, { host: '127.0.0.1', port: upstream.port })
  t.match((await sendMail(one.c, ['unknown@example.org', 'b@example.org']))[1], '550 5.1.1 No such user here')
  await settle(20)
  const two = await frontOf(t, one.delivery, { client: { address: '198.51.100.9', port: 7 } })
  t.match((await sendMail(two.c)).at(-1), /^250 /)
  t.strictSame(upstream.messages, [PLAIN, PLAIN])
  t.match(upstream.sessions, [
    { client: { address: '192.0.2.1', port: 4242 }, helo: 'client.example' },
    { client: { address: '198.51.100.9', port: 7 } },
  ])
  one.delivery.close()
})

t.test('what happens is told on the channel', async t => {
  const events: UpstreamEvent[] = []
  const note = (event: unknown): void => void events.push(event as UpstreamEvent)
  subscribe('mailhandler:upstream', note)
  t.teardown(() => void unsubscribe('mailhandler:upstream', note))
  t.ok(upstreamChannel.hasSubscribers)
  const upstream = await startUpstream(t, { ...BY_DATA, end: (_line, { socket }) => void socket.destroy() })
  const { c, handler } = await front(t, { host: '127.0.0.1', port: upstream.port })
  await sendMail(c)
  const label = `127.0.0.1:${upstream.port}`
  t.match(events, [
    { step: 'open', upstream: label, reply: null, error: null },
    { step: 'RCPT', upstream: label, reply: { code: 250 }, error: null },
    { step: 'DATA', upstream: label, reply: { code: 354 }, error: null },
    { step: 'end', upstream: label, reply: null, error: { code: 'ERR_CONNECTION_LOST' } },
  ])
  t.ok(events.every(({ session, milliseconds }) => session === handler.session && milliseconds >= 0))
})

t.test('time that the upstream does not read is not the client’s', async t => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t, { ...BY_DATA, data: (_line, { socket }) => void socket.pause() })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, clock }, { clock })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  const block = `${'x'.repeat(76)}\r\n`.repeat(1000)
  c.write('Subject: x\r\n\r\n')
  for (let i = 0; i < 400 && c.write(block); i++) await settle(2)
  await settle(20)
  await clock.tick(179_000)
  t.equal(c.unread, 0, 'the limit of a silent client has passed by far')
  await clock.tick(1000)
  c.write('\r\n.\r\n')
  await c.expect(/^451 4\.4\.2 /)
})

t.test('a RCPT whose hook took too long is not in the envelope', async t => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    RCPT: (line, server) => {
      if (!line.includes('<slow@')) return '250 2.1.5 OK\r\n'
      if (server.lines.filter(each => each === line).length === 1) late = () => server.say('250 2.1.5 OK\r\n')
    },
  })
  let late: (() => void) | null = null
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, clock }, { clock, timeouts: { hook: 1000 } })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.send('RCPT TO:<slow@example.org>')
  await until(() => late !== null)
  await clock.tick(1000)
  await c.expect(451)
  late!()
  await settle(20)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect(250)
  const lines = upstream.connections.flatMap(connection => connection.lines)
  const last = lines.slice(lines.lastIndexOf('MAIL FROM:<a@client.example>'))
  t.strictSame(last.slice(1, 3), ['RCPT TO:<b@example.org>', 'DATA'])
  t.equal(upstream.messages.length, 1)
})
