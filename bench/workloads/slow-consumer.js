// A consumer that reads slowly: what it makes the process grow by, and how far the clients get ahead of it.

import { setTimeout as pause } from 'node:timers/promises'
import { sendAtOnce } from '../clients/throttled.js'
import { received, start, stop, until, usage } from '../processes.js'
import { SERVERS } from '../servers.js'

const MIB = 2 ** 20

export const SLOW_SERVERS = ['mailhandler', 'smtp-server', 'floor: Duplex']
const slowLoad = quick => (quick ? { mails: 8, mib: 12, rate: 4 } : { mails: 20, mib: 25, rate: 1 })

/** One round of one server: MiB of growth at most, and MiB that a client has sent before they are read, at most. */
export async function measureSlowConsumer(name, quick) {
  const { mails, mib, rate } = slowLoad(quick)
  const server = await start({ ...SERVERS[name], env: { RATE: String(rate * MIB) } })
  try {
    const arrived = async count => (await received(server)).messages === count
    await sendAtOnce(server.port, 2, MIB / 4).done
    await until(() => arrived(2), 'the first messages have not arrived')
    const before = { ...usage(server.pid), ...(await received(server)) }
    const load = sendAtOnce(server.port, mails, mib * MIB)
    let finished = false
    load.done.then(
      () => (finished = true),
      () => (finished = true),
    )
    let growth = 0
    let ahead = 0
    while (!finished) {
      await pause(100)
      growth = Math.max(growth, usage(server.pid).rss - before.rss)
      const { octets } = await received(server)
      ahead = Math.max(ahead, load.sent() - (octets - before.octets))
    }
    await load.done
    await until(() => arrived(2 + mails), 'not every message has arrived') // a floor answers before its consumer is done
    return { growth: growth / 1024, ahead: ahead / MIB / mails }
  } finally {
    await stop(server)
  }
}
