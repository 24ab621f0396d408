// TLS of the command: which cipher suite is chosen where, and what is told of a handshake that fails.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { describeTlsFailure } from '../lib/tls/tls-failure.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { Client, run, start, type Running } from './fixtures/command.ts'

interface Ports {
  readonly starttls: number
  readonly implicit: number
  readonly metrics: number
}

/** Starts a server with STARTTLS at one port and implicit TLS at another. */
async function serve(t: Test, more = '', timeout = '30s'): Promise<{ server: Running; ports: Ports }> {
  const folder = t.testdir()
  makeCertificate(folder, [], 'rsa')
  writeFileSync(join(folder, 'users'), '')
  const listen = (tls: string): string => `[[listen]]\naddress = "127.0.0.1:0"\ntls = "${tls}"\n`
  const before = `metrics.listen = "127.0.0.1:0"\ntimeouts.tls = "${timeout}"\n${listen('starttls')}${listen('implicit')}`
  writeFileSync(join(folder, 'm.toml'), `${before}[tls]\ncert = "cert.pem"\nkey = "key.pem"\n${more}`)
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.teardown(() => server.child.kill('SIGKILL'))
  await server.port
  const [starttls = 0, implicit = 0, metrics = 0] = server.ports()
  return { server, ports: { starttls, implicit, metrics } }
}

/** Opens a connection as far as the TLS handshake. */
async function beforeTls(ports: Ports, how: 'starttls' | 'implicit'): Promise<Socket> {
  if (how === 'implicit') return connect(ports.implicit, '127.0.0.1')
  const client = new Client(ports.starttls)
  await client.reply()
  await client.say('EHLO x')
  await client.say('STARTTLS')
  client.socket.removeAllListeners('data')
  return client.socket
}

/** Shakes hands; resolves with the cipher suite, or the code of the error. */
async function suite(ports: Ports, how: 'starttls' | 'implicit', options: ConnectionOptions): Promise<string> {
  const socket = await beforeTls(ports, how)
  return new Promise(resolve => {
    const tls: TLSSocket = connectTls({ socket, rejectUnauthorized: false, ...options }, () => {
      resolve(tls.getCipher().name)
      tls.destroy()
    })
    tls.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? 'error'))
  })
}

const RSA_FIRST = {
  maxVersion: 'TLSv1.2',
  ciphers: 'AES256-SHA:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384',
} as const
const RSA_ONLY = { maxVersion: 'TLSv1.2', ciphers: 'AES256-SHA:AES128-GCM-SHA256' } as const

t.test(
  'the server chooses: forward secrecy first, RSA key exchange last and only where mail may go in clear',
  async t => {
    const { ports } = await serve(t)
    for (const how of ['starttls', 'implicit'] as const) {
      t.equal(await suite(ports, how, RSA_FIRST), 'ECDHE-RSA-AES256-GCM-SHA384', how)
      t.match(await suite(ports, how, {}), /^TLS_AES_256_GCM_SHA384$/, how)
      t.match(await suite(ports, how, { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256' }), /^DHE-RSA/, how)
    }
    t.equal(await suite(ports, 'starttls', RSA_ONLY), 'AES128-GCM-SHA256')
    t.match(await suite(ports, 'implicit', RSA_ONLY), /HANDSHAKE_FAILURE|ECONNRESET/)
  },
)

t.test('no RSA key exchange where TLS or AUTH is required', async t => {
  for (const more of ['required = true\n', '[auth]\nusers = "users"\nrequired = true\n']) {
    const { server, ports } = await serve(t, more)
    t.match(await suite(ports, 'starttls', RSA_ONLY), /HANDSHAKE_FAILURE|ECONNRESET/, more)
    t.equal(await suite(ports, 'starttls', RSA_FIRST), 'ECDHE-RSA-AES256-GCM-SHA384', more)
    server.child.kill('SIGTERM')
    await server.ended
  }
})

t.test('tls.ciphers', async t => {
  const { ports } = await serve(t, 'ciphers = "AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA"\n')
  for (const how of ['starttls', 'implicit'] as const) {
    t.equal(await suite(ports, how, RSA_FIRST), 'AES128-GCM-SHA256', 'in the order that is given')
    t.match(await suite(ports, how, {}), /^TLS_/, 'TLS 1.3 stays')
  }
  const folder = t.testdir()
  makeCertificate(folder)
  writeFileSync(join(folder, 'm.toml'), '[tls]\ncert = "cert.pem"\nkey = "key.pem"\nciphers = "NO-SUCH-SUITE"\n')
  t.match(await run(['check', '-c', 'm.toml'], folder), {
    code: 1,
    stderr: /^m\.toml:4:1: tls\.ciphers: .*no cipher match/m,
  })
})

t.test('a handshake that fails: one log line with the client and a readable reason, and a metric', async t => {
  const { server, ports } = await serve(t)
  const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  const send = (text: string) => async (how: 'starttls' | 'implicit') => {
    const socket = await beforeTls(ports, how)
    socket.on('error', () => {}).end(text)
    await once(socket.resume(), 'close')
  }
  const failures: [string, RegExp, (how: 'starttls' | 'implicit') => Promise<unknown>][] = [
    [
      'version',
      /the client offers only TLS versions that are too old \(unsupported protocol\)/,
      how => suite(ports, how, old),
    ],
    [
      'cipher',
      /client and server have no cipher suite in common/,
      how => suite(ports, how, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }),
    ],
    [
      'certificate',
      /the client does not accept the certificate \(tlsv1 alert unknown ca\)/,
      how => openssl(ports, how),
    ],
    ['not_tls', /the client speaks HTTP|is not TLS/, send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['not_tls', /what the client sent is not TLS/, send('EHLO printer\r\n')],
    ['closed', /the client closed the connection before the handshake was done/, send('')],
  ]
  for (const how of ['starttls', 'implicit'] as const) {
    for (const [kind, reason, act] of failures) {
      const before = server.said().length
      await act(how)
      const line = await lineAfter(server, before, /"msg":"TLS failed"/)
      t.match(JSON.parse(line ?? '{}'), { client: '127.0.0.1', how, kind, reason, level: 'info' }, `${how}: ${kind}`)
      t.equal('session' in JSON.parse(line ?? '{}'), how === 'starttls')
      t.notMatch(line, /error:|\\x0a|openssl/i)
    }
  }
  const metrics = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text()
  for (const how of ['starttls', 'implicit']) {
    t.match(metrics, new RegExp(`^mailhandler_tls_failures_total\\{how="${how}",kind="version"\\} 1$`, 'm'))
  }
  t.equal([...server.said().matchAll(/"connection refused"/g)].length, 0, 'told once')
})

t.test('a client that does not shake hands in time', async t => {
  const { server, ports } = await serve(t, '', '1s')
  for (const how of ['starttls', 'implicit'] as const) {
    const socket = await beforeTls(ports, how)
    await once(socket.resume(), 'close')
    await server.says(new RegExp(`"how":"${how}","kind":"timeout","reason":"the handshake took too long"`))
  }
  const [, session] = /"session":"([^"]+)","client":"127.0.0.1","how":"starttls","kind":"timeout"/.exec(server.said())!
  await server.says(new RegExp(`"session":"${session}".*"msg":"session"`))
})

/** A client that looks at the certificate during the handshake, as most do and Node does not. */
function openssl(ports: Ports, how: 'starttls' | 'implicit'): Promise<unknown> {
  const way = how === 'starttls' ? ['-starttls', 'smtp'] : []
  const args = ['s_client', '-connect', `127.0.0.1:${ports[how]}`, ...way, '-verify_return_error']
  return once(spawn('openssl', args, { stdio: ['pipe', 'ignore', 'ignore'] }), 'close')
}

/** The line that the server says after what it had said; null if it says none for half a minute. */
async function lineAfter(server: Running, offset: number, wanted: RegExp): Promise<string | null> {
  for (let i = 0; i < 3000; i++) {
    const line = server
      .said()
      .slice(offset)
      .split('\n')
      .find(each => wanted.test(each))
    if (line !== undefined) return line
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return null
}

t.test('behind a proxy the client is the one that its header names', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const listen = '[[listen]]\naddress = "127.0.0.1:0"\ntls = "implicit"\nproxy = ["127.0.0.1"]\n'
  writeFileSync(join(folder, 'm.toml'), `${listen}[tls]\ncert = "cert.pem"\nkey = "key.pem"\n`)
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.teardown(() => server.child.kill('SIGKILL'))
  const socket = connect(await server.port, '127.0.0.1').on('error', () => {})
  socket.end('PROXY TCP4 203.0.113.7 198.51.100.1 4711 465\r\nEHLO printer\r\n')
  await server.says(/"client":"203\.0\.113\.7","how":"implicit","kind":"not_tls"/)
})

t.test('reasons for errors that are rare', t => {
  const reason = (code: string): string => describeTlsFailure(Object.assign(new Error('x\n'), { code })).reason
  t.match(reason('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), /does not accept the certificate/)
  t.match(reason('ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN'), /does not accept the certificate/)
  t.match(reason('ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE'), /does not accept the certificate/)
  t.match(reason('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'), /does not accept the TLS version/)
  t.match(reason('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'), /accepts no cipher suite/)
  t.match(reason('ERR_SSL_SOMETHING_NEW'), /^TLS failed \(something new\)$/)
  t.match(reason('ENEW'), /^ENEW$/)
  t.end()
})
