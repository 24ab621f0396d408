// Has servers listen: at addresses, or on sockets from systemd. Errors say what to do.

import type { Server } from 'node:net'
import { listenDescriptors, type ListenDescriptor } from '../server/systemd.ts'
import { showAddress, type ListenAddress } from './config/units.ts'

/** A server that cannot listen. The text says where, why, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Returns the sockets that systemd opened for the process `pid`. Throws a MailHandlerError for values it never sets. */
export function handedOver(pid: number): readonly ListenDescriptor[] {
  return listenDescriptors(process.env, pid)
}

/** Has a server listen; resolves with the address as people write it. Rejects with a ListenError. */
export function listen(server: Server, address: ListenAddress, sockets: readonly ListenDescriptor[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(new ListenError(explain(address, error)))
    server.once('error', fail)
    server.once('listening', () => {
      server.off('error', fail)
      const at = server.address()
      resolve(at !== null && typeof at === 'object' ? showAddress(at.address, at.port) : showListen(address))
    })
    if (address.systemd === undefined) {
      server.listen({ host: address.host, port: address.port })
      return
    }
    const socket = sockets.find(({ name }, i) => name === address.systemd || String(i) === address.systemd)
    if (socket === undefined)
      reject(new ListenError(`systemd has handed over no socket with the name ${address.systemd}`))
    else server.listen({ fd: socket.fd })
  })
}

/**
 * Has each server listen at the address of its listener; resolves with the addresses as people write them. Rejects with a
 * ListenError, and then no server listens.
 */
export async function listenAll(
  servers: readonly Server[],
  listeners: readonly { readonly address: ListenAddress }[],
  sockets: readonly ListenDescriptor[],
): Promise<string[]> {
  const results = await Promise.allSettled(servers.map((server, i) => listen(server, listeners[i]!.address, sockets)))
  const failed = results.find(result => result.status === 'rejected')
  if (failed === undefined) return results.map(result => (result as PromiseFulfilledResult<string>).value)
  for (const server of servers) if (server.listening) server.close()
  throw failed.reason
}

/** Returns the address as a configuration writes it. */
export function showListen(address: ListenAddress): string {
  return address.systemd === undefined ? showAddress(address.host, address.port) : `systemd:${address.systemd}`
}

function explain(address: ListenAddress, { code, message }: NodeJS.ErrnoException): string {
  const where = `cannot listen on ${showListen(address)}`
  switch (code) {
    case 'EADDRINUSE':
      return `${where}: another program listens there; "ss -ltnp" tells which. End it, or choose another address`
    case 'EACCES':
      return `${where}: ports below 1024 need root, the capability CAP_NET_BIND_SERVICE, or a socket from systemd`
    case 'EADDRNOTAVAIL':
      return `${where}: this machine does not have the address`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${where}: there is no host of this name`
    default:
      return `${where}: ${message}`
  }
}
