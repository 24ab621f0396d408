// One worker and two, through node:cluster, on kept connections.

import { smtpSource } from '../clients/smtp-source.js'
import { received, start, stop, usage } from '../processes.js'

export const WORKERS = [1, 2]

/** One round: messages a second, and the share of all processors that the servers used. */
export async function measureWorkers(workers, quick) {
  const messages = quick ? 2000 : 5000
  const server = await start({ args: ['servers/workers.js'], env: { WORKERS: String(workers) } })
  try {
    const load = { sessions: 40, octets: 1024, keep: true }
    await smtpSource(server.port, { ...load, messages: 4000 * workers })
    const before = { ...usage(server.pid), ...(await received(server)) }
    const began = performance.now()
    await smtpSource(server.port, { ...load, messages })
    const seconds = (performance.now() - began) / 1000
    const now = await received(server)
    if (now.messages - before.messages !== messages) throw new Error('not every message has arrived')
    return { rate: messages / seconds, cpu: ((usage(server.pid).cpu - before.cpu) / messages) * 1e6 }
  } finally {
    await stop(server)
  }
}
