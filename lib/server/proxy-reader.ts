// Reads the header of the PROXY protocol from a socket; every octet behind it stays there for the session.

import type { Socket } from 'node:net'
import { parseProxyHeader } from '../protocol/proxy/parse-proxy-header.ts'
import type { ProxyHeader } from '../protocol/proxy/proxy-header.ts'
import type { Clock } from '../time/clock.ts'

/** The text of the error for a connection that ended before anything was sent, as a health check does. */
export const NOTHING_SENT = 'PROXY header: the connection ended before it'

/** How long a header may take. */
export interface HeaderTime {
  readonly clock: Clock
  readonly milliseconds: number
}

/** Resolves with the header; rejects with an Error that says why if it is invalid or does not come in time. */
export function readProxyHeader(socket: Socket, { clock, milliseconds }: HeaderTime): Promise<ProxyHeader> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const fail = (problem: string) => {
      stop()
      reject(new Error(`PROXY header: ${problem}`))
    }
    const handleEnd = () => {
      if (received.length > 0) return fail('the connection ended in it')
      stop()
      reject(new Error(NOTHING_SENT))
    }
    const timer = clock.after(milliseconds, () => fail('it took too long'))
    const read = () => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const result = parseProxyHeader(received)
      if (result.kind === 'incomplete') return
      if (result.kind === 'invalid') return fail(result.problem)
      stop()
      if (received.length > result.length) socket.unshift(received.subarray(result.length))
      resolve(result.header)
    }
    const stop = () => {
      clock.clear(timer)
      socket.off('readable', read).off('end', handleEnd).off('close', handleEnd)
    }
    socket.on('readable', read).on('end', handleEnd).on('close', handleEnd)
  })
}
