// What greylisting, lists and suspicion add to a relayed session: 1 KiB mails, a new connection each.
//
//   npm run build && node bench/greylist-session.js [--rounds=7] [--messages=4000] [--in-flight=200]
//
// The figure is CPU of the gateway with all its threads, the store's among them. The gateways take turns in rounds; a
// ratio is taken within a round, and the median of them counts. All answers of DNS are in the cache, and every triplet has
// passed. Needs smtp-source and smtp-sink (.ci/install-clients).

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { smtpSource } from './clients/smtp-source.js'
import { received, start, stop, until, usage } from './processes.js'
import { SERVERS } from './servers.js'
import { median, ratios } from './statistics.js'

const option = (name, fallback) =>
  Number(process.argv.find(argument => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback)
const ROUNDS = option('rounds', 7)
const MESSAGES = option('messages', 4000)
const load = { sessions: option('in-flight', 200), octets: 1024 }
const TITLES = {
  none: 'relay, allowRecipients()',
  lists: '+ four lists, suspicion() with three DNS lists',
  suspicious: '+ greylist() over SQLite: it looks right, and passes',
  all: "+ greylist({ hold: 'all' }): the store is asked twice",
}
const NAMES = Object.keys(TITLES)
const LIMIT = 1.3
/** Clients in networks of their own: greylisting would leave one on loopback alone. */
const CLIENTS = 50

/** Each client has a name, which points back to it; no list has one. The fixture of the tests answers. */
async function nameServer() {
  const { FakeDns } = await import('../dist/test/fixtures/fake-dns.js')
  const server = await new FakeDns().listen()
  for (let i = 0; i < CLIENTS; i++) {
    server.say(`7.${i}.18.198.in-addr.arpa`, 'PTR', `mx${i}.client.example`)
    server.say(`mx${i}.client.example`, 'A', `198.18.${i}.7`)
  }
  return server
}

/** Passes connections on, each as one of the clients. In this process, so that it is not in the figures. */
async function clients(port) {
  let next = 0
  const proxy = createServer(socket => {
    const inner = connect({ port, host: '127.0.0.1', noDelay: true })
    inner.write(`PROXY TCP4 198.18.${next++ % CLIENTS}.7 192.0.2.1 4711 25\r\n`)
    socket.pipe(inner).pipe(socket)
    socket.on('error', () => inner.destroy())
    inner.on('error', () => socket.destroy())
  })
  proxy.listen(0, '127.0.0.1', 4096)
  await once(proxy, 'listening')
  return proxy
}

async function round({ server, sink, proxy }) {
  const before = (await received(sink)).messages
  const { cpu } = usage(server.pid)
  await smtpSource(proxy.address().port, { ...load, messages: MESSAGES })
  await until(async () => (await received(sink)).messages - before >= MESSAGES, 'mail is missing')
  return ((usage(server.pid).cpu - cpu) / MESSAGES) * 1e6
}

/** Until every triplet has passed, smtp-source fails. */
async function warm({ proxy }) {
  for (let i = 0; i < 20; i++) {
    const isDone = await smtpSource(proxy.address().port, { ...load, messages: Math.min(MESSAGES, 1000) }).then(
      () => true,
      () => false,
    )
    if (isDone && i > 2) return
  }
  throw new Error('mail is refused')
}

const folder = mkdtempSync(join(tmpdir(), 'mailhandler-session-'))
const dns = await nameServer()
const opened = {}
try {
  for (const name of NAMES) {
    const sink = await start(SERVERS['smtp-sink (C)'])
    const env = { UPSTREAM: String(sink.port), POLICIES: name, DNS: dns.address, FOLDER: folder }
    const server = await start({ args: ['servers/gateway.js'], env })
    opened[name] = { sink, server, proxy: await clients(server.port) }
    await warm(opened[name])
  }
  const samples = Object.fromEntries(NAMES.map(name => [name, []]))
  for (let i = 0; i < ROUNDS; i++) for (const name of NAMES) samples[name].push(await round(opened[name]))
  console.log(
    `| ${ROUNDS} rounds of ${MESSAGES} mails, ${load.sessions} in flight | µs of CPU a mail | × | least to most |`,
  )
  console.log('| --- | ---: | ---: | --- |')
  for (const name of NAMES) {
    const times = ratios(samples[name], samples.none).toSorted((a, b) => a - b)
    const shown = [times[0], times.at(-1)].map(each => each.toFixed(2)).join(' to ')
    const cells = [
      TITLES[name],
      Math.round(median(samples[name])),
      median(times).toFixed(2),
      name === 'none' ? '' : shown,
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  const times = median(ratios(samples.suspicious, samples.none))
  console.log(`\nAs it is by default: ${times.toFixed(2)} ×, wanted: at most ${LIMIT} ×`)
} finally {
  for (const { server, sink, proxy } of Object.values(opened)) {
    proxy.close()
    await stop(server)
    await stop(sink)
  }
  dns.close()
  rmSync(folder, { recursive: true })
}
