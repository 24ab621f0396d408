// `mailhandler serve` in front of an upstream.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readCommandLine } from '../lib/cli/command-line.ts'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError } from '../lib/cli/config/problems.ts'
import { relayOptions } from '../lib/cli/relay-options.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { Client, delivered, run, start, type Running } from './fixtures/command.ts'
import { freePort } from './fixtures/free-port.ts'
import { readText } from './fixtures/repository.ts'
import { BY_BDAT, BY_DATA, offers, startUpstream } from './fixtures/upstream.ts'

const FILE = 'm.toml'
const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n'
const DOMAINS = 'recipients.domains = ["example.org"]\n'

/** Starts the command with this configuration, until the test ends. */
function serve(t: Test, config: string, folder: string = t.testdir()): Running {
  writeFileSync(join(folder, FILE), config)
  const server = start(['serve', '-c', FILE], folder)
  t.teardown(async () => {
    server.child.kill('SIGKILL')
    await server.ended
  })
  return server
}

async function stop(server: Running): Promise<void> {
  server.child.kill('SIGTERM')
  await server.ended
}

function to(port: number, more = ''): string {
  return `${DOMAINS}[upstream]\naddress = "127.0.0.1:${port}"\n${more}`
}

/** The lines of the log with this message. */
function lines(server: Running, msg: string): Record<string, unknown>[] {
  const all = server.said().trim().split('\n')
  return all.map(line => JSON.parse(line) as Record<string, unknown>).filter(line => line['msg'] === msg)
}

t.test('mail goes to the upstream, its words to the client, and nothing to a Maildir', async t => {
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    RCPT: line => (line.includes('nobody') ? '550 5.1.1 No mailbox here by that name\r\n' : '250 2.1.5 Fine\r\n'),
    end: '250 2.0.0 Queued as 4711\r\n',
  })
  const folder = t.testdir()
  const server = serve(t, `${to(upstream.port)}${LISTEN}[metrics]\nlisten = "127.0.0.1:0"\n`, folder)
  await server.port
  const [port = 0, metricsPort = 0] = server.ports()
  const client = new Client(port)
  await client.reply()
  await client.say('EHLO client.example')
  await client.say('MAIL FROM:<ann@example.net>')
  t.match(await client.say('RCPT TO:<nobody@example.org>'), /^550 5\.1\.1 No mailbox here by that name\r\n/)
  t.match(await client.say('RCPT TO:<joe@elsewhere.example>'), /^550 5\.7\.1 Relay not permitted/)
  await client.say('RSET')
  t.equal(await client.send('hello'), '250 2.0.0 Queued as 4711\r\n')
  await client.say('QUIT')
  t.match(upstream.messages, [/^Received: from client\.example [^]*\r\nSubject: test\r\n\r\nhello\r\n$/])
  t.notMatch(upstream.messages[0]!, /Return-Path|Delivered-To/)
  t.strictSame(delivered(join(folder, 'Maildir')), [])

  const get = async (path: string) => (await fetch(`http://127.0.0.1:${metricsPort}${path}`)).text()
  const metrics = await get('/metrics')
  const label = `upstream="127.0.0.1:${upstream.port}"`
  for (const expected of [
    `mailhandler_upstream_replies_total{${label},step="RCPT",class="5xx"} 1`,
    `mailhandler_upstream_replies_total{${label},step="end",class="2xx"} 1`,
    `mailhandler_upstream_duration_seconds_count{${label},step="end"} 1`,
    `mailhandler_upstream_circuit_open{${label}} 0`,
    `mailhandler_upstream_waiting{${label}} 0`,
  ]) {
    t.ok(metrics.includes(`${expected}\n`), expected)
  }
  t.match(metrics, new RegExp(`^mailhandler_upstream_connections_total\\{${label},result="open"\\} [1-9]`, 'm'))
  t.match(metrics, new RegExp(`^mailhandler_upstream_connections\\{${label}\\} \\d`, 'm'))
  t.equal(await get('/readyz'), 'ready\n')

  await server.says(/"msg":"session"/)
  const [transaction] = lines(server, 'transaction')
  t.match(transaction, {
    upstream: `127.0.0.1:${upstream.port}`,
    upstreamReply: '250 2.0.0 Queued as 4711',
    upstreamMs: Number,
    verdict: 'accepted',
  })
  const [session] = lines(server, 'session')
  const [unknown, foreign] = session!['refusals'] as Record<string, unknown>[]
  t.match(unknown, { command: 'RCPT TO:<nobody@example.org>', upstreamReply: /^550 5\.1\.1/, upstreamMs: Number })
  t.notOk('upstream' in foreign!, 'what was refused here has no upstream')
  t.match(lines(server, 'upstream')[0], {
    upstream: `127.0.0.1:${upstream.port}`,
    offers: ['PIPELINING', /BITMIME/, /SIZE/],
  })
  t.match(lines(server, `listening on 127.0.0.1:${port}`)[0], { upstream: [`127.0.0.1:${upstream.port}`] })
  await stop(server)
})

t.test('an upstream that is not there: 451, a line at the start, not ready, the circuit', async t => {
  const port = await freePort()
  const server = serve(t, `${to(port)}circuit.failures = 1\n${LISTEN}[metrics]\nlisten = "127.0.0.1:0"\n`)
  await server.port
  const [own = 0, metricsPort = 0] = server.ports()
  await server.says('the upstream cannot be used')
  t.match(await Client.deliver(own, 'hello'), /^451 4\.4\.1 The next mail server does not answer/)
  await server.says('"msg":"upstream failed"')
  t.match(lines(server, 'upstream failed'), [{ level: 'warn', session: String, code: 'ERR_CONNECTION_LOST' }])
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${metricsPort}${path}`)
    return `${response.status} ${await response.text()}`
  }
  t.match(await get('/readyz'), /^503 not ready: the upstream cannot be delivered to/)
  t.match(
    await get('/metrics'),
    new RegExp(`^mailhandler_upstream_circuit_open\\{upstream="127.0.0.1:${port}"\\} 1$`, 'm'),
  )
  await stop(server)
})

t.test('several workers share the limits, and pass on; SIGHUP names another upstream', async t => {
  const one = await startUpstream(t, { ...BY_BDAT, BDAT: '250 2.0.0 One\r\n' })
  const two = await startUpstream(t, { ...BY_BDAT, BDAT: '250 2.0.0 Two\r\n' })
  const folder = t.testdir()
  const config = (port: number) => `workers = 2\n${to(port, 'pool.connections = 2\n')}${LISTEN}`
  const server = serve(t, config(one.port), folder)
  const port = await server.port
  for (let i = 0; i < 4; i++) t.match(await Client.deliver(port, `hello ${i}`), /^250 2\.0\.0 One/)
  writeFileSync(join(folder, FILE), config(two.port))
  server.child.kill('SIGHUP')
  await server.says(/(?:"msg":"reloaded"[^]*){3}/)
  for (let i = 0; i < 4; i++) t.match(await Client.deliver(port, `hello ${i}`), /^250 2\.0\.0 Two/)
  t.equal(one.messages.length, 4)
  t.equal(two.messages.length, 4)
  await stop(server)
})

t.test('LMTP on a unix socket, and an upstream from the command line', async t => {
  const folder = t.testdir()
  const short = mkdtempSync(join(tmpdir(), 'lmtp-')) // the path of a socket has 107 octets at most
  t.teardown(() => rmSync(short, { recursive: true }))
  const path = join(short, 'lmtp')
  const lmtp = await startUpstream(t, { LHLO: offers('PIPELINING') }, path)
  const server = serve(t, `${DOMAINS}[upstream]\naddress = "${path}"\nprotocol = "lmtp"\n${LISTEN}`, folder)
  t.match(await Client.deliver(await server.port, 'hello'), /^250 2\.0\.0 Taken/)
  t.equal(lmtp.messages.length, 1)
  await stop(server)

  const upstream = await startUpstream(t)
  const address = `127.0.0.1:${upstream.port}`
  const other = start(['serve', '-u', address, '-d', 'example.org', '-l', '127.0.0.1:0'], folder)
  t.match(await Client.deliver(await other.port, 'hello'), /^250 2\.0\.0 Taken/)
  await stop(other)
})

t.test('--upstream with something else than an address', t => {
  const { overrides } = readCommandLine(['serve', '-u', 'mail', '-d', 'example.org'])
  const message = '--upstream: upstream.address: "mail" is not allowed here: an address and port such as "10.0.0.5:25"'
  t.throws(() => loadConfig(null, '', { overrides }), {
    message: new RegExp(`^${message.replaceAll('.', String.raw`\.`)}`),
  })
  t.end()
})

t.test('each error of [upstream] is told, on every listener', async t => {
  const folder = t.testdir({ empty: '\n', users: '' })
  const open = /m\.toml:\d+:1: upstream: whoever can connect could send anywhere through it: .*recipients\.domains/m
  const cases: [string, RegExp][] = [
    [`[upstream]\naddress = "127.0.0.1:25"\n`, open],
    [`[upstream]\naddress = "127.0.0.1:25"\n[[listen]]\naddress = "*:2525"\n`, open],
    [`[upstream]\naddress = "127.0.0.1:25"\n[auth]\nusers = "users"\ninsecure = true\n`, open],
    [`${DOMAINS}[upstream]\nname = "a.example"\n`, /m\.toml:2:1: upstream\.address: is missing/],
    [to(0), /upstream\.address: "127\.0\.0\.1:0" is not allowed here: an address and port/],
    [`${DOMAINS}[upstream]\naddress = "*:25"\n`, /upstream\.address: .* is not allowed here/],
    [`${DOMAINS}[upstream]\naddress = []\n`, /upstream\.address: a list is not allowed here/],
    [
      `${DOMAINS}[upstream]\naddress = ["a.example:25", "a.example"]\n`,
      /upstream\.address: a list is not allowed here: "a\.example" is not an address and port/,
    ],
    [`${DOMAINS}[upstream]\naddress = [7]\n`, /upstream\.address: a list is not allowed here: an address and port/],
    [to(25, 'weights = [1, 2]\n'), /upstream\.weights: needs a number for each address/],
    [to(25, 'weights = [0]\n'), /upstream\.weights\[0\]: 0 is not allowed here: a number above 0/],
    [to(25, 'client_info = "x"\n'), /upstream\.client_info: "x" is not allowed here: one of "auto"/],
    [to(25, 'pool.per_network = 2\n'), /upstream\.pool\.per_network: 2 is not allowed here/],
    [to(25, 'auth.user = "me"\n'), /upstream\.auth: needs password_file or token_file/],
    [to(25, 'auth = { user = "me", password_file = "none" }\n'), /upstream\.auth\.password_file: ENOENT/],
    [
      to(25, 'auth = { user = "me", password_file = "empty" }\n'),
      /upstream\.auth\.password_file: \S+ has no first line/,
    ],
    [to(25, 'tls.ca = "none.pem"\n'), /upstream\.tls\.ca: ENOENT/],
    [to(25, 'tls.cert = "empty"\n'), /upstream\.tls: a certificate needs its key/],
    [to(25, 'tls.fingerprints = ["abc"]\n'), /upstream\.tls\.fingerprints\[0\]: "abc" is not allowed here/],
    [
      `${DOMAINS}[upstream]\naddress = "/run/lmtp"\ntls.mode = "must"\n`,
      /upstream: .*tls\.servername is needed to check the certificate/,
    ],
  ]
  for (const [config, problem] of cases) {
    t.match(problemsOf(config, folder), problem, config)
  }
  const good = [
    `recipients.domains = ["*"]\n[upstream]\naddress = "127.0.0.1:25"\n`,
    `[upstream]\naddress = "127.0.0.1:25"\n[auth]\nusers = "users"\ninsecure = true\nrequired = true\n`,
    `${DOMAINS}[upstream]\naddress = ["[::1]:25", "mx.internal:25", "/run/lmtp"]\n[[listen]]\naddress = "*:25"\n`,
  ]
  for (const config of good) {
    t.equal(problemsOf(config, folder), '', config)
  }
  writeFileSync(join(folder, FILE), cases[0]![0])
  for (const command of ['check', 'serve']) {
    t.match(await run([command, '-c', FILE], folder), { code: 1, stderr: open }, command)
  }
})

t.test('routes: mail for some recipients goes elsewhere, without the account of another', async t => {
  const main = await startUpstream(t, { ...BY_DATA, end: '250 2.0.0 Main\r\n' })
  const other = await startUpstream(t, { ...BY_DATA, end: '250 2.0.0 Other\r\n' })
  const route = (domains: string, port: number) => `[[routes]]\ndomains = [${domains}]\naddress = "127.0.0.1:${port}"\n`
  const domains = 'recipients.domains = ["example.org", "example.net", "sub.example.net"]\n'
  const both = `${domains}[upstream]\naddress = "127.0.0.1:${main.port}"\n${route('"example.net", ".example.net"', other.port)}`
  const server = serve(t, `${both}${LISTEN}`)
  const port = await server.port
  t.match(await Client.deliver(port, 'hello', 'joe@example.org'), /^250 2\.0\.0 Main/)
  t.match(await Client.deliver(port, 'hello', 'joe@example.net'), /^250 2\.0\.0 Other/)
  t.match(await Client.deliver(port, 'hello', 'joe@sub.example.net'), /^250 2\.0\.0 Other/)
  await stop(server)

  const alone = serve(t, `${domains}${route('"example.net"', other.port)}${LISTEN}`)
  t.match(await Client.deliver(await alone.port, 'hello', 'joe@example.org'), /^550 5\.7\.1 Relay not permitted/)
  await stop(alone)

  const folder = t.testdir({ secret: 'password\n' })
  const account = '[upstream]\nauth = { user = "me", password_file = "secret" }\npool.uses = 7\n'
  const { config } = loadConfig(join(folder, FILE), `${domains}${account}${route('"example.net"', 25)}`)
  const context = {
    config,
    name: 'mx.example',
    share: (count: number) => count,
    attempt: <T>(_: unknown, make: () => T) => make(),
  }
  const options = relayOptions(config, context)!
  t.notOk('auth' in options, 'no account for all')
  t.notOk('auth' in options.routes!['example.net']!, 'nor for the route')
  t.equal(options.routes!['example.net']!.pool!.uses, 7, 'the rest is inherited')

  const cases: [string, RegExp][] = [
    [route('"example.net"', 25), /m\.toml:1:1: routes\[0\]: whoever can connect could send anywhere/],
    [`${domains}[[routes]]\ndomains = ["example.net"]\n`, /routes\[0\]\.address: is missing/],
    [`${domains}[[routes]]\naddress = "127.0.0.1:25"\n`, /routes\[0\]\.domains: is missing/],
    [`${domains}${route('"x y"', 25)}`, /routes\[0\]\.domains\[0\]: "x y" is not allowed here/],
    [`${both}${route('"example.net"', 25)}`, /routes\[1\]\.domains\[0\]: another route is for it/],
    [`${both}${route('"*"', 25)}`, /routes\[1\]\.domains\[0\]: "\*" is what upstream\.address is for/],
    [`${domains}${route('"a.example"', 25)}${route('"A.example"', 26)}`, /m\.toml:\d+:1: routes: .* is there twice/],
    [`${both}[upstream.timeouts]\nfoo = "1s"\n`, /upstream\.timeouts\.foo: there is no such key/],
    ['[verify_recipients]\n', /verify_recipients: needs an upstream that can be asked/],
    [`maildir = "mail"\n${to(25)}`, /maildir: messages go to the upstream, and none to a Maildir: remove this key/],
  ]
  for (const [text, problem] of cases) t.match(problemsOf(text, folder), problem, text)
})

t.test(
  'verify_recipients: unknown recipients cost the upstream one question, and a network learns only some',
  async t => {
    const upstream = await startUpstream(t, {
      ...BY_DATA,
      RCPT: line => (line.includes('<joe') ? '250 2.1.5 Fine\r\n' : '550 5.1.1 Nobody of that name\r\n'),
    })
    const server = serve(t, `${to(upstream.port)}[verify_recipients]\nunknown = 2\n${LISTEN}`)
    const port = await server.port
    for (let i = 0; i < 3; i++)
      t.match(await Client.deliver(port, 'x', 'ann@example.org'), /^550 5\.1\.1 Nobody of that name/)
    t.equal(upstream.connections.flatMap(({ lines }) => lines).filter(line => line.includes('<ann@')).length, 1)
    t.match(await Client.deliver(port, 'x', 'joe@example.org'), /^250 /)
    t.match(await Client.deliver(port, 'x', 'bob@example.org'), /^550 5\.1\.1/)
    t.match(await Client.deliver(port, 'x', 'joe@example.org'), /^450 4\.7\.1 Too many unknown recipients/)
    await stop(server)
  },
)

t.test('the example of a gateway is good', t => {
  t.equal(problemsOf(readText('examples/gateway.toml'), t.testdir()), '')
  t.end()
})

/** What keeps a server from starting with a configuration, a line each. */
function problemsOf(config: string, folder: string): string {
  try {
    makeSettings(loadConfig(join(folder, FILE), config))
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message
  }
}
