// The header of the PROXY protocol, read from a socket; every octet behind it stays there for the session.

import type { Socket } from 'node:net'
import { parseProxyHeader } from '../protocol/proxy/parse-proxy-header.ts'
import type { ProxyHeader } from '../protocol/proxy/proxy-header.ts'
import type { Clock } from '../time/clock.ts'

/** How long a header may take, and by which clock. */
export interface HeaderTime {
  readonly clock: Clock
  readonly milliseconds: number
}

/** Resolves with the header; rejects where there is none in time, or no good one. What is wrong says its message. */
export function readProxyHeader(socket: Socket, { clock, milliseconds }: HeaderTime): Promise<ProxyHeader> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const fail = (problem: string) => {
      stop()
      reject(new Error(`PROXY header: ${problem}`))
    }
    const gone = () => fail('the connection ended before it')
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
      socket.off('readable', read).off('end', gone).off('close', gone)
    }
    socket.on('readable', read).on('end', gone).on('close', gone)
  })
}
