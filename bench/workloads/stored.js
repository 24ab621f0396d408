// Mail that is on the disk before its 250: mails a second into a Maildir, at 1, 10 and 100 connections. By LMTP: Dovecot
// with mail_fsync = always makes the same promise. Postfix takes them by SMTP, flushes them into its queue before the 250
// and into the Maildir afterwards; it is measured until the last one is there.

import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sendSessions } from '../clients/send-sessions.js'
import { here, start, stop, until } from '../processes.js'
import { startDelivering } from '../servers/postfix.js'
import { SERVERS } from '../servers.js'

const CONNECTIONS = [1, 10, 100]
const messagesFor = (connections, quick) => (connections === 1 ? 300 : 1500) / (quick ? 3 : 1)

const STARTS = { mailhandler: startMaildir, Dovecot: startDovecot, Postfix: startPostfix }
const MAIL = 8 // Debian's user and group for mail

export const STORED = {
  key: 'stored',
  title: 'Into a Maildir, flushed before the reply',
  unit: 'mails/s',
  rounds: { full: 5, quick: 2 },
  subjects: Object.keys(STARTS),
  async open(names) {
    const servers = {}
    for (const name of names) {
      servers[name] = await STARTS[name]()
      await sendSessions({
        lmtp: true,
        ...servers[name].address,
        sessions: 10,
        messages: 200,
        octets: 1024,
        keep: true,
      })
    }
    return servers
  },
  async close(servers) {
    for (const server of Object.values(servers)) await server.end()
  },
  async measure(name, quick, servers) {
    const figures = {}
    for (const sessions of CONNECTIONS) {
      const messages = messagesFor(sessions, quick)
      const stored = servers[name].count()
      const began = performance.now()
      await sendSessions({ lmtp: true, ...servers[name].address, sessions, messages, octets: 1024, keep: true })
      const stores = () => servers[name].count() - stored >= messages
      if (name === 'Postfix') await until(stores, 'Postfix does not deliver')
      const seconds = (performance.now() - began) / 1000
      if (servers[name].count() - stored !== messages) throw new Error(`${name}: not every mail is stored once`)
      figures[`${name} · ${sessions}`] = [messages / seconds]
    }
    return figures
  },
}

async function startMaildir() {
  mkdirSync(here('../.bench'), { recursive: true })
  const folder = mkdtempSync(here('../.bench/maildir-'))
  const server = await start({ ...SERVERS.mailhandler, env: { MAILDIR: folder, LMTP: '1' } })
  return {
    address: { port: server.port },
    count: () => readdirSync(join(folder, 'new')).length,
    async end() {
      await stop(server)
      rmSync(folder, { recursive: true })
    },
  }
}

async function startPostfix() {
  const folder = mkdtempSync('/var/tmp/mailhandler-bench-')
  chmodSync(folder, 0o755)
  chownSync(folder, MAIL, MAIL)
  const { port, end } = await startDelivering(folder, MAIL)
  const stored = join(folder, 'box/new')
  return {
    address: { port, lmtp: false },
    count: () => (existsSync(stored) ? readdirSync(stored).length : 0),
    async end() {
      await end()
      rmSync(folder, { recursive: true })
    },
  }
}

/** A private one; the fixture of the tests starts it. */
async function startDovecot() {
  const { startDovecot: begin } = await import('../../dist/test/fixtures/dovecot.js')
  const endings = []
  const t = { teardown: ending => void endings.unshift(ending) }
  const { path, count } = await begin(t, ['b@example.org'], new Set(), 'always')
  return {
    address: { path },
    count: () => count('b@example.org'),
    end: () => endings.reduce((before, ending) => before.then(ending), Promise.resolve()),
  }
}
