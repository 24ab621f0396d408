import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createServer, type ConnectionInfo, type MailServer, type ServerOptions } from '../lib/server/index.ts'
import { tlsContexts } from '../lib/tls/tls-contexts.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { TlsOptions } from '../lib/tls/tls-options.ts'
import { client as installed } from './fixtures/clients.ts'
import { freePort, listening as reachable } from './fixtures/free-port.ts'
import { makePem } from './fixtures/pem.ts'
import { client, CLOSED, listening, portOf, TcpClient, tlsClient } from './fixtures/tcp-client.ts'
import { connect } from 'node:net'

const V1 = 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n'
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** A version 2 header: IPv4, with these fields. */
function v2(command: 0x20 | 0x21, fields: Buffer = Buffer.alloc(0)): Buffer {
  const addresses = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 25])
  const head = Buffer.from([command, 0x11, 0, 0])
  head.writeUInt16BE(addresses.length + fields.length, 2)
  return Buffer.concat([SIGNATURE, head, addresses, fields])
}

interface Served {
  readonly server: MailServer
  /** Who said EHLO, with what the proxy said. */
  readonly seen: { client: string; handler: string | null; local: string; tls: boolean; info: ConnectionInfo }[]
}

async function serve(t: Test, options: ServerOptions, tls?: TlsOptions): Promise<Served> {
  const seen: Served['seen'] = []
  const server = createServer(options, info => {
    const handler = new SmtpHandler({
      name: 'mx.test',
      ...(tls === undefined ? {} : { tls }),
      onHelo({ client: { address, port }, local, tls }) {
        seen.push({
          client: `${address} ${port}`,
          handler: handler.client.address,
          local: `${local.address} ${local.port}`,
          tls: tls !== null,
          info,
        })
      },
    })
    return handler
  })
  await listening(server)
  t.teardown(() => server.close({ within: 1 }).catch(() => {}))
  return { server, seen }
}

const PROXIED: ServerOptions = { proxy: ['127.0.0.0/30'] }
const BEHIND = { client: '192.0.2.7 4711', handler: '192.0.2.7', local: '198.51.100.1 25' }

t.test('from a trusted proxy the header says who the client is', async t => {
  for (const header of [V1, v2(0x21)]) {
    const { server, seen } = await serve(t, PROXIED)
    const one = client(server)
    one.write(header)
    t.match(await one.reply(), /^220/)
    t.match(await one.say('EHLO c.test'), /^250/)
    t.match(seen, [BEHIND])

    const split = client(server)
    for (const octet of Buffer.from(header)) {
      split.write(Buffer.from([octet]))
      await pause(0)
    }
    t.match(await split.codes('', 'EHLO c.test'), ['220', '500'], 'octet by octet')
    t.match(await split.reply(), /^250/)
    t.match(seen[1], BEHIND)

    const early = client(server)
    early.write(Buffer.concat([Buffer.from(header), Buffer.from('NOOP\r\nEHLO early.test\r\n')]))
    for (const code of ['220', '250', '250']) t.equal((await early.reply()).slice(0, 3), code, 'what is behind it')
  }
})

t.test('UNKNOWN and LOCAL keep the real address', async t => {
  const { server, seen } = await serve(t, PROXIED)
  for (const header of ['PROXY UNKNOWN\r\n', v2(0x20)]) {
    const one = client(server)
    one.write(header)
    await one.codes('EHLO c.test', 'NOOP')
    t.equal(seen.pop()?.client, `127.0.0.1 ${one.socket.localPort}`)
  }
})

t.test('from a trusted proxy it is required, once, and in time', async t => {
  const { server, seen } = await serve(t, { ...PROXIED, timeouts: { proxyHeader: 300 } })
  const bad: (string | Buffer)[] = [
    'EHLO c.test\r\n',
    'PROXY TCP4 999.2.3.4 198.51.100.1 4711 25\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n',
    Buffer.concat([SIGNATURE, Buffer.from([0x31, 0x11, 0, 12])]),
    'PROXY TCP4 192.0.2.7',
    '',
  ]
  for (const header of bad) {
    const one = client(server)
    one.write(header)
    t.equal(await one.reply(), CLOSED, JSON.stringify(header.toString('latin1')))
  }
  const half = client(server)
  half.socket.end('PROXY TCP4 192')
  t.equal(await half.reply(), CLOSED)
  t.match(server.stats(), { accepted: 0, connections: 0, refused: { proxy: bad.length + 1 } })

  const patient = await serve(t, PROXIED)
  const twice = client(patient.server)
  twice.write(V1 + V1)
  t.match(await twice.reply(), /^220/)
  t.match(await twice.reply(), /^500/, 'the second is no command')
  await twice.say('EHLO c.test')
  t.strictSame(seen, [])
  t.match(patient.seen, [BEHIND])
})

t.test('from a stranger it is an unknown command', async t => {
  const { server, seen } = await serve(t, { proxy: ['10.0.0.0/8'] })
  const one = client(server)
  t.match(await one.reply(), /^220/)
  t.match(await one.say(V1.trimEnd()), /^500 5\.5\.1/)
  one.write('EHLO c.test\r\n')
  await one.reply()
  t.equal(seen[0]?.client, `127.0.0.1 ${one.socket.localPort}`)
  t.equal(seen[0]?.info.proxy, null)
  const two = client(server)
  await two.reply()
  two.write(v2(0x21))
  t.match(await two.reply(), /^500/)
  t.equal(seen.length, 1)
})

t.test('limits count the client behind the proxy', async t => {
  const { server } = await serve(t, { ...PROXIED, perClient: { connections: 2 } })
  const from = (address: string): TcpClient => {
    const one = client(server)
    one.write(`PROXY TCP4 ${address} 198.51.100.1 4711 25\r\n`)
    return one
  }
  t.match(await from('192.0.2.1').reply(), /^220/)
  t.match(await from('192.0.2.1').reply(), /^220/)
  t.match(await from('192.0.2.1').reply(), /^421 4\.7\.0/)
  for (let i = 2; i < 8; i++) t.match(await from(`192.0.2.${i}`).reply(), /^220/)
  for (let i = 0; i < 4; i++) {
    const check = client(server)
    check.write(v2(0x20))
    t.match(await check.reply(), /^220/, 'health checks are not counted by themselves')
  }
})

t.test('a server that closes does not wait for a header', async t => {
  const { server } = await serve(t, PROXIED)
  const one = client(server)
  const other = client(server)
  const accepted: unknown[] = []
  server.on('connection', socket => accepted.push(socket))
  other.write('PROXY TCP4 ')
  while (accepted.length < 2) await pause(1)
  await Promise.all([server.close({ within: 5000 }), one.reply(), other.reply()]).then(([, ...replies]) => {
    for (const reply of replies) t.match(reply, /^421 4\.3\.2/)
  })
  t.match(server.stats(), { accepted: 0, refused: { proxy: 0, shutdown: 2 } })
})

t.test('STARTTLS and implicit TLS behind a proxy', async t => {
  const contexts = tlsContexts({ default: await makePem(`${t.testdir()}/a`, 'mx.test') })
  const starting = await serve(t, PROXIED, contexts)
  const one = client(starting.server)
  one.write(V1)
  t.strictSame(await one.reply().then(() => one.codes('EHLO c.test', 'STARTTLS')), ['250', '220'])
  await one.secure()
  t.match(await one.say('EHLO c.test'), /^250/)
  t.match(starting.seen, [
    { ...BEHIND, tls: false },
    { ...BEHIND, tls: true },
  ])

  const implicit = await serve(t, { ...PROXIED, tls: contexts })
  for (const wait of [0, 30]) {
    const socket = connect({ port: portOf(implicit.server), host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    if (wait === 0) socket.cork() // the header and the first octets of TLS in one packet
    socket.write(V1)
    if (wait === 0) setImmediate(() => socket.uncork())
    await pause(wait)
    const two = new TcpClient(socket)
    await two.secure()
    t.match(await two.reply(), /^220/)
    t.match(await two.say('EHLO c.test'), /^250/)
    t.match(implicit.seen.pop(), { ...BEHIND, tls: true })
  }
  t.equal(
    await tlsClient(implicit.server)
      .reply()
      .catch(() => CLOSED),
    CLOSED,
    'no header',
  )
})

const haproxy = installed('haproxy')
const missing = haproxy === null && process.env['CI'] !== 'true'

t.test('haproxy', { skip: missing && 'not installed' }, async t => {
  const folder = t.testdir()
  const contexts = tlsContexts({ default: await makePem(`${folder}/a`, 'mx.test') })
  const pem = await makePem(`${folder}/front`, 'front.test')
  execFileSync('sh', ['-c', `cat '${pem.keyFile}' '${pem.certFile}' > '${folder}/front.both'`])
  const { server, seen } = await serve(t, PROXIED, contexts)
  const implicit = await serve(t, { ...PROXIED, tls: contexts })
  const [v1Port, v2Port, sslPort, securePort] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const listen = (name: string, bind: string, to: MailServer, options: string): string =>
    `listen ${name}\n  bind 127.0.0.1:${bind}\n  server mx 127.0.0.1:${portOf(to)} ${options}\n`
  const config = [
    'global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n',
    listen('v1', `${v1Port}`, server, 'send-proxy'),
    listen('v2', `${v2Port}`, server, 'send-proxy-v2 check inter 100ms'),
    listen(
      'ssl',
      `${sslPort} ssl crt ${folder}/front.both`,
      server,
      'send-proxy-v2-ssl-cn proxy-v2-options authority,crc32c',
    ),
    listen('secure', `${securePort}`, implicit.server, 'send-proxy-v2'),
  ]
  writeFileSync(`${folder}/haproxy.cfg`, config.join(''))
  const child = spawn(haproxy!, ['-db', '-f', `${folder}/haproxy.cfg`], { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  await Promise.all([v1Port, v2Port, sslPort, securePort].map(reachable))

  for (const [port, version] of [
    [v1Port, 1],
    [v2Port, 2],
  ] as const) {
    const one = new TcpClient(connect({ port, host: '127.0.0.1', localAddress: '127.0.0.5' }))
    t.match(await one.reply(), /^220/)
    t.strictSame(await one.codes('EHLO c.test', 'STARTTLS'), ['250', '220'])
    await one.secure()
    t.strictSame(await one.codes('EHLO c.test', 'QUIT'), ['250', '221'])
    const { client, local, tls, info } = seen.splice(0)[1]!
    t.strictSame([client, local, tls], [`127.0.0.5 ${one.socket.localPort}`, `127.0.0.1 ${port}`, true])
    t.match(info.proxy, { version, command: 'PROXY' })
  }

  const ssl = tlsClient(server, { port: sslPort, servername: 'front.test', localAddress: '127.0.0.6' } as object)
  t.match(await ssl.reply(), /^220/)
  t.strictSame(await ssl.codes('EHLO c.test', 'QUIT'), ['250', '221'])
  t.match(seen.splice(0), [
    { client: /^127\.0\.0\.6 /, info: { proxy: { tls: { version: 'TLSv1.3' }, authority: 'front.test' } } },
  ])

  const secure = tlsClient(server, { port: securePort })
  t.match(await secure.reply(), /^220/)
  t.strictSame(await secure.codes('EHLO c.test', 'QUIT'), ['250', '221'])
  t.match(implicit.seen, [{ client: `127.0.0.1 ${secure.socket.localPort}`, tls: true }])

  const forged = new TcpClient(connect({ port: v1Port, host: '127.0.0.1' }))
  t.match(await forged.reply(), /^220/)
  t.match(await forged.say(V1.trimEnd()), /^500/, 'a header from behind the proxy is no command')
  await forged.codes('EHLO c.test', 'QUIT')
  t.match(seen, [{ client: /^127\.0\.0\.1 / }])
})
