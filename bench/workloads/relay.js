// The relay in front of smtp-sink: what each mail, or MiB, costs the server in between, beside others in its place.

import { smtpSource } from '../clients/smtp-source.js'
import { received, start, stop, until, usage } from '../processes.js'
import { startPostfix } from '../servers/postfix.js'
import { SERVERS } from '../servers.js'

const FILTER = 'Postfix, smtpd_proxy_filter'

/** What stands in front of smtp-sink; mailhandler alone takes the mail itself. */
const STARTS = {
  relay: port => start({ args: ['servers/relay.js'], env: { UPSTREAM: String(port) } }),
  'bare pipe': port => start({ args: ['servers/pipe.js'], env: { UPSTREAM: String(port) } }),
  mailhandler: () => start(SERVERS.mailhandler),
  'HAProxy, TCP mode': port =>
    start({ args: ['servers/haproxy.js'], env: { UPSTREAM: String(port) }, needsPort: true, silent: true }),
  [FILTER]: startPostfix,
}

const LARGE = 25 * 2 ** 20
const LOADS = {
  relayLarge: {
    title: 'Relay: 1 GiB in mails of 25 MiB, four at once',
    warm: 8,
    messages: 41,
    load: { sessions: 4, octets: LARGE },
    units: (41 * LARGE) / 2 ** 20,
    subjects: Object.keys(STARTS),
  },
  relayKept: {
    title: 'Relay: 1 KiB, kept connections',
    warm: 8000,
    messages: 10_000,
    load: { sessions: 20, octets: 1024, keep: true },
    units: 10_000,
    subjects: ['relay', 'bare pipe', 'HAProxy, TCP mode', FILTER],
  },
  relayNew: {
    title: 'Relay: 1 KiB, a new client connection each',
    warm: 4000,
    messages: 4000,
    load: { sessions: 20, octets: 1024 },
    units: 4000,
    subjects: ['relay', 'bare pipe', 'HAProxy, TCP mode', FILTER],
  },
}

export const RELAY_WORKLOADS = Object.entries(LOADS).map(([key, load]) => ({
  key,
  title: load.title,
  unit: load.load.octets === LARGE ? 'µs of CPU a MiB' : 'µs of CPU a message',
  rounds: { full: 5, quick: 2 },
  subjects: load.subjects,
  open: (subjects, quick) => openRelays(load, subjects, quick),
  close: closeRelays,
  async measure(name, quick, opened) {
    return { [name]: [await measure(load, name, quick, opened[name])] }
  },
}))

async function openRelays(load, subjects, quick) {
  const opened = {}
  try {
    for (const name of subjects) {
      const sink = await start(SERVERS['smtp-sink (C)'])
      opened[name] = { server: null, sink }
      opened[name].server = await STARTS[name](sink.port)
      await smtpSource(opened[name].server.port, { ...load.load, messages: Math.ceil(load.warm / (quick ? 4 : 1)) })
    }
    return opened
  } catch (error) {
    await closeRelays(opened)
    throw error
  }
}

async function closeRelays(opened) {
  const servers = Object.values(opened).flatMap(({ server, sink }) => [server, sink])
  await Promise.all(servers.filter(server => server !== null).map(stop))
}

/** One round: microseconds of the CPU of what stands in between. */
async function measure(load, name, quick, { server, sink }) {
  const share = quick ? 4 : 1
  const messages = Math.ceil(load.messages / share)
  const counted = name === 'mailhandler' ? server : sink
  const before = (await received(counted)).messages
  const { cpu } = usage(server.pid)
  await smtpSource(server.port, { ...load.load, messages })
  let arrived
  await until(
    async () => (arrived = (await received(counted)).messages - before) >= messages,
    `${name}: mail is missing`,
  )
  if (arrived > messages) throw new Error(`${name}: more mail has arrived than was sent`)
  return ((usage(server.pid).cpu - cpu) / (load.units * (messages / load.messages))) * 1e6
}

/**
 * Memory: what 1 GiB more adds to the relay after a mail of 256 MiB. What it holds rises and falls by up to 32 MiB: V8
 * collects the buffers of the sockets only then. So each side is the median while mail flows.
 */
export const RELAY_MEMORY = {
  key: 'relayMemory',
  title: 'Relay: 1 GiB after a mail of 256 MiB',
  unit: 'MiB of growth',
  rounds: { full: 3, quick: 1 },
  subjects: ['relay'],
  async measure(name) {
    const sink = await start(SERVERS['smtp-sink (C)'])
    const server = await STARTS[name](sink.port)
    try {
      const mail = { sessions: 1, octets: 2 ** 28 }
      const before = await medianRss(server, { ...mail, messages: 1 })
      await smtpSource(server.port, { ...mail, messages: 3 })
      return { [name]: [((await medianRss(server, { ...mail, messages: 1 })) - before) / 1024] }
    } finally {
      await stop(server)
      await stop(sink)
    }
  },
}

/** Resident KiB in the second half of a load. */
async function medianRss({ pid, port }, load) {
  const samples = []
  const timer = setInterval(() => samples.push(usage(pid).rss), 20)
  await smtpSource(port, load).finally(() => clearInterval(timer))
  const half = samples.slice(samples.length >> 1).toSorted((a, b) => a - b)
  return half[half.length >> 1]
}
