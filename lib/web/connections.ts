// No client can keep a server from answering others: the number of connections is bounded, and a new connection replaces
// the oldest one without a request.

import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const MAX_CONNECTIONS = 100

/** Destroys a connection for each one above the limit: the oldest without a request under way, else the oldest. */
export function boundConnections(server: Server): void {
  /** Requests under way, by connection, the oldest connection first. */
  const requests = new Map<Socket, number>()
  server.on('connection', (socket: Socket) => {
    if (requests.size >= MAX_CONNECTIONS) oldest(requests)?.destroy()
    requests.set(socket, 0)
    socket.once('close', () => requests.delete(socket))
  })
  server.on('request', ({ socket }, response) => {
    requests.set(socket, (requests.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const count = requests.get(socket)
      if (count !== undefined) requests.set(socket, count - 1)
    })
  })
}

function oldest(requests: ReadonlyMap<Socket, number>): Socket | undefined {
  for (const [socket, count] of requests) if (count === 0 && !socket.destroyed) return socket
  return [...requests.keys()].find(socket => !socket.destroyed)
}
