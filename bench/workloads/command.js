// The command as it is shipped: what it adds to the bare handlers, and what it takes to start and to wait.

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { smtpSource } from '../clients/smtp-source.js'
import { received, start, stop, until, usage } from '../processes.js'
import { startCommand } from '../servers/command.js'
import { SERVERS } from '../servers.js'

const LOAD = { sessions: 20, octets: 1024, keep: true }
const MESSAGES = 6000

/** Both pass mail on to smtp-sink. */
const STARTS = {
  'mailhandler serve': sink => startCommand(sink),
  'SmtpHandler and relay()': sink => start({ args: ['servers/relay.js'], env: { UPSTREAM: String(sink) } }),
}

export const COMMAND = {
  key: 'command',
  title: 'The command as a gateway: 1 KiB, kept connections',
  unit: 'µs of CPU a message',
  rounds: { full: 5, quick: 2 },
  subjects: Object.keys(STARTS),
  async open(names) {
    const opened = {}
    for (const name of names) {
      const sink = await start(SERVERS['smtp-sink (C)'])
      opened[name] = { sink, server: await STARTS[name](sink.port) }
      await smtpSource(opened[name].server.port, { ...LOAD, messages: MESSAGES })
    }
    return opened
  },
  async close(opened) {
    for (const { server, sink } of Object.values(opened)) {
      await stop(server)
      await stop(sink)
    }
  },
  async measure(name, quick, opened) {
    const { server, sink } = opened[name]
    const messages = MESSAGES / (quick ? 3 : 1)
    const before = (await received(sink)).messages
    const { cpu } = usage(server.pid)
    await smtpSource(server.port, { ...LOAD, messages })
    await until(async () => (await received(sink)).messages - before >= messages, 'mail is missing')
    return { [name]: [((usage(server.pid).cpu - cpu) / messages) * 1e6] }
  },
}

/** By what is in its configuration. */
const KINDS = {
  'one worker': '',
  'one worker, SQLite': '[greylist]\n',
}

export const START = {
  key: 'start',
  title: 'The command: from its start to the first greeting, and its memory while it waits',
  unit: 'ms to the greeting',
  beside: 'MiB resident',
  rounds: { full: 5, quick: 2 },
  subjects: Object.keys(KINDS),
  async measure(name) {
    const server = await startCommand(null, KINDS[name])
    try {
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'data')
      const took = performance.now() - server.began
      socket.destroy()
      await pause(3000)
      return { [name]: [took, usage(server.pid).rss / 1024] }
    } finally {
      await server.end()
    }
  },
}
