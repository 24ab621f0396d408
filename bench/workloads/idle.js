// Idle connections after EHLO: what each adds to the memory that the process had before.

import { setTimeout as pause } from 'node:timers/promises'
import { openConnections } from '../clients/connections.js'
import { received, start, stop, usage } from '../processes.js'
import { OTHER_BUILDS, SERVERS } from '../servers.js'

export const IDLE_SERVERS = [
  'mailhandler',
  ...OTHER_BUILDS,
  'smtp-server, no greeting delay',
  'floor: net.Server',
  'floor: Duplex',
]
export const idleCounts = quick => (quick ? [1000] : [1000, 4000])

/** One round of one server: KiB a connection, by how many there are. */
export async function measureIdle(name, quick) {
  const server = await start({ ...SERVERS[name], args: ['--expose-gc', ...SERVERS[name].args] })
  try {
    const closeFirst = await openConnections(server.port, 200) // to have all code loaded and compiled
    await closeFirst()
    const before = await resident(server)
    const closings = []
    const results = {}
    let open = 0
    for (const count of idleCounts(quick)) {
      closings.push(await openConnections(server.port, count - open))
      open = count
      results[count] = ((await resident(server)) - before) / count
    }
    for (const close of closings) await close()
    return results
  } finally {
    await stop(server)
  }
}

/** KiB, once collecting garbage makes it no less: the heap gives back what it grew by only little by little. */
async function resident(server) {
  await pause(200)
  for (let least = Infinity; ;) {
    await received(server)
    const { rss } = usage(server.pid)
    if (rss > least * 0.99) return Math.min(rss, least)
    least = rss
  }
}
