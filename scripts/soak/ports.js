// A port for a program that is killed and started again on it.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const LOWEST = 12_000
const RANGE = '/proc/sys/net/ipv4/ip_local_port_range'

/**
 * Returns a free port below those that the system gives to clients: while nothing listens there, a client could get one
 * of those as its own port, and connect to itself.
 */
export async function reservePort() {
  const above = Number(readFileSync(RANGE, 'latin1').split(/\s/)[0])
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (above - LOWEST))
    const server = createServer()
    server.listen(above > LOWEST ? port : 0, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    const { port: free } = server.address()
    server.close()
    await once(server, 'close')
    return free
  }
}
