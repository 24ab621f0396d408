// One worker and two, through node:cluster, on kept connections: as fast as the client can, and where each mail costs a
// filter about six milliseconds, so that the servers are the limit and not the client.

import { smtpSource } from '../clients/smtp-source.js'
import { received, start, stop, usage } from '../processes.js'

/** Rounds of hashing that take about six milliseconds. */
const FILTER = 20_000

export const WORKERS = [
  { label: '1 worker', workers: 1, filter: 0 },
  { label: '2 workers', workers: 2, filter: 0 },
  { label: '1 worker, a filter', workers: 1, filter: FILTER },
  { label: '2 workers, a filter', workers: 2, filter: FILTER },
]

/** One round: messages a second, and microseconds of the servers' CPU a message. */
export async function measureWorkers({ workers, filter }, quick) {
  const messages = (quick ? 2000 : 5000) / (filter > 0 ? 8 : 1)
  const env = { WORKERS: String(workers), FILTER: String(filter) }
  const server = await start({ args: ['servers/workers.js'], env })
  try {
    const load = { sessions: 40, octets: 1024, keep: true }
    await smtpSource(server.port, { ...load, messages: (filter > 0 ? 300 : 4000) * workers })
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
