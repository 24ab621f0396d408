// TLS, AUTH and BDAT: what a mail of 1 KiB costs with them, on a connection of its own or on kept ones.

import { certificateFolder, sendSessions } from '../clients/send-sessions.js'
import { received, start, stop, until, usage } from '../processes.js'
import { SERVERS } from '../servers.js'

const PEER = 'smtp-server, no greeting delay'
const EACH = { sessions: 10, messages: 600, octets: 1024 }
const KEPT = { sessions: 20, messages: 8000, octets: 1024, keep: true }

const LOADS = {
  starttlsNew: {
    title: 'STARTTLS, a new TLS session each',
    load: { ...EACH, tls: 'starttls' },
    env: { TLS: 'starttls' },
    subjects: ['mailhandler', PEER, 'Haraka'],
  },
  starttlsResumed: {
    title: 'STARTTLS, a resumed TLS session each',
    load: { ...EACH, tls: 'starttls', resume: true },
    env: { TLS: 'starttls' },
    subjects: ['mailhandler', PEER, 'Haraka'],
  },
  implicitKept: {
    title: 'Implicit TLS, kept connections',
    load: { ...KEPT, tls: 'implicit' },
    env: { TLS: 'implicit' },
    subjects: ['mailhandler', 'smtp-server', 'Haraka'],
  },
  authPlain: {
    title: 'AUTH PLAIN, a new connection each',
    load: { ...EACH, messages: 2000, auth: 'PLAIN' },
    env: { AUTH: '1' },
    subjects: ['mailhandler', PEER, 'Haraka'],
  },
  authScram: {
    title: 'AUTH SCRAM-SHA-256, a new connection each',
    load: { ...EACH, messages: 400, auth: 'SCRAM-SHA-256' },
    env: { AUTH: '1' },
    subjects: ['mailhandler'],
  },
  data: {
    title: '1 KiB by DATA, kept connections, pipelined by SmtpClient',
    load: KEPT,
    env: {},
    subjects: ['mailhandler', 'smtp-server'],
  },
  bdat: {
    title: '1 KiB by BDAT, kept connections, pipelined by SmtpClient',
    load: { ...KEPT, bdat: true },
    env: {},
    subjects: ['mailhandler'],
  },
}

export const SESSION_WORKLOADS = Object.entries(LOADS).map(([key, { title, load, env, subjects }]) => ({
  key,
  title,
  unit: 'µs of CPU a message',
  rounds: { full: 5, quick: 2 },
  subjects,
  async open(names) {
    const servers = {}
    for (const name of names) {
      const { env: own = {}, ...server } = SERVERS[name]
      servers[name] = await start({ ...server, env: { ...own, ...env, CERTIFICATE: certificateFolder() } })
      await sendSessions({ ...load, port: servers[name].port })
    }
    return servers
  },
  async close(servers) {
    await Promise.all(Object.values(servers).map(stop))
  },
  async measure(name, quick, servers) {
    const messages = load.messages / (quick ? 2 : 1)
    return { [name]: [await measure(servers[name], { ...load, messages })] }
  },
}))

async function measure(server, load) {
  const before = (await received(server)).messages
  const { cpu } = usage(server.pid)
  await sendSessions({ ...load, port: server.port })
  const used = usage(server.pid).cpu - cpu
  let arrived
  await until(async () => (arrived = (await received(server)).messages - before) >= load.messages, 'mail is missing')
  if (arrived > load.messages) throw new Error('more mail has arrived than was sent')
  return (used / load.messages) * 1e6
}
