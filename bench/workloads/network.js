// Mails over the network: what each costs the server.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { smtpSource } from '../clients/smtp-source.js'
import { here, received, start, stop, until, usage } from '../processes.js'
import { OTHER_BUILDS, SERVERS } from '../servers.js'

const run = promisify(execFile)

const PEERS = ['smtp-server', 'Haraka', 'aiosmtpd', 'smtp-sink (C)']
const SMALL = ['mailhandler', ...OTHER_BUILDS, ...PEERS, 'floor: net.Server', 'floor: Duplex']
const LARGE = [...SMALL, 'floor: Duplex, every LF']
/** Those that need a second for what takes the others a tenth get an eighth of the mails. */
const SLOW = new Set(['Haraka', 'aiosmtpd'])
const LARGE_OCTETS = 25 * 2 ** 20
/** glibc keeps what is freed: without it, one process gives memory back and faults it in again, and another does not. */
const KEEPS_MEMORY = { MALLOC_TRIM_THRESHOLD_: '1073741824', MALLOC_TOP_PAD_: '67108864' }

/** Each: how many mails warm a server up, and how many are measured in a full round and in a quick one. */
export const NETWORK_LOADS = {
  kept: {
    title: '1 KiB, kept connections',
    servers: SMALL,
    warm: 8000,
    full: 20_000,
    quick: 500,
    octets: 1024,
    send: (port, messages) => smtpSource(port, { sessions: 20, messages, octets: 1024, keep: true }),
  },
  pipelined: {
    title: '1 KiB, pipelined',
    servers: SMALL,
    warm: 8000,
    full: 10_000,
    quick: 500,
    octets: 1024,
    send: (port, messages) =>
      run(process.execPath, [here('clients/pipelining.js'), port, 20, messages, 1024].map(String)),
  },
  new: {
    title: '1 KiB, a new connection each',
    servers: SMALL.toSpliced(3, 0, 'smtp-server, no greeting delay'),
    warm: 4000,
    full: 4000,
    quick: 300,
    octets: 1024,
    send: (port, messages) => smtpSource(port, { sessions: 20, messages, octets: 1024 }),
  },
  cold: {
    title: '1 KiB, a new connection each, to a fresh process',
    servers: ['mailhandler', ...OTHER_BUILDS, 'smtp-server, no greeting delay', 'floor: Duplex'],
    isCold: true,
    full: 20_000,
    quick: 2000,
    octets: 1024,
    send: (port, messages) => smtpSource(port, { sessions: 20, messages, octets: 1024 }),
  },
  one: {
    title: '25 MiB, one at a time',
    servers: LARGE,
    warm: 8,
    full: 12,
    quick: 3,
    octets: LARGE_OCTETS,
    send: (port, messages) => smtpSource(port, { sessions: 1, messages, octets: LARGE_OCTETS }),
  },
  four: {
    title: '25 MiB, four at once',
    servers: LARGE,
    warm: 8,
    full: 12,
    quick: 4,
    octets: LARGE_OCTETS,
    send: (port, messages) => smtpSource(port, { sessions: 4, messages, octets: LARGE_OCTETS }),
  },
  base64: {
    title: '25 MiB of base64, bare newlines allowed',
    servers: ['mailhandler, bare newlines allowed', 'floor: Duplex'],
    warm: 8,
    full: 12,
    quick: 4,
    octets: LARGE_OCTETS,
    env: KEEPS_MEMORY,
    countsFaults: true,
    send: (port, messages) => smtpSource(port, { sessions: 4, messages, file: base64Mail() }),
  },
}

/** Starts the servers and warms each up, until its code is compiled for good; a cold load starts one for each round. */
export async function openServers(load, names, quick) {
  const servers = {}
  if (load.isCold) return servers
  try {
    for (const name of names) {
      servers[name] = await start({ ...SERVERS[name], env: { ...SERVERS[name].env, ...load.env } })
      await load.send(servers[name].port, Math.ceil(load.warm / (quick ? 2 : 1) / share(name)))
    }
    return servers
  } catch (error) {
    await closeServers(servers)
    throw error
  }
}

/** Ends them, once no more is sent. */
export async function closeServers(servers) {
  await Promise.all(Object.values(servers).map(stop))
}

/** One round of one server: microseconds of CPU, by message or MiB, and beside it the rate, or page faults. */
export async function measureNetwork(load, name, quick, server) {
  if (load.isCold && server === undefined) {
    const fresh = await start(SERVERS[name])
    try {
      return await measureNetwork(load, name, quick, fresh)
    } finally {
      await stop(fresh)
    }
  }
  const messages = Math.ceil((quick ? load.quick : load.full) / share(name))
  const before = { ...usage(server.pid), ...(await received(server)) }
  const began = performance.now()
  await load.send(server.port, messages)
  const seconds = (performance.now() - began) / 1000
  const { cpu, faults } = usage(server.pid)
  await everyMessageArrived(server, before, messages, load.octets)

  const units = load.octets < 2 ** 20 ? messages : (messages * load.octets) / 2 ** 20
  const beside = load.countsFaults ? (faults - before.faults) / units : units / seconds
  return { cpu: ((cpu - before.cpu) / units) * 1e6, beside }
}

const share = name => (SLOW.has(name) ? 8 : 1)

async function everyMessageArrived(server, before, messages, octets) {
  let now
  await until(async () => {
    now = await received(server)
    return now.messages - before.messages >= messages
  }, `${messages} messages were sent, fewer have arrived`)
  const missing = now.octets !== null && now.octets - before.octets < messages * (octets - 512)
  if (missing || now.messages - before.messages > messages) throw new Error('not the messages that were sent')
}

let mailFile = null

/** A mail of 25 MiB of base64 in lines of 76 and CRLF; smtp-source makes CRLF of each LF. */
function base64Mail() {
  if (mailFile === null) {
    mkdirSync(here('../.bench'), { recursive: true })
    mailFile = here('../.bench/base64.eml')
    const lines = randomBytes(57 * 1024)
      .toString('base64')
      .replaceAll(/.{76}/g, '$&\n')
    writeFileSync(mailFile, `Subject: base64\n\n${lines.repeat(Math.ceil(LARGE_OCTETS / (78 * 1024)))}`)
  }
  return mailFile
}
