// Ends a connection as a server that breaks down does.

import { controls, type MailHandler } from '../stream/mail-handler.ts'
import type { Reply } from '../words/reply.ts'

/**
 * How a connection is cut. `'reset'` or true: by TCP's RST, so the client gets `ECONNRESET`; over TLS it gets an end.
 * If a reply arrives just before, the client may see an end as well: Node's sockets do. `'close'`: by a regular end.
 */
export type Cut = 'reset' | 'close' | true

/** Ends a session after the replies so far and the optional `last` one. */
export function cutOff(handler: MailHandler, cut: Cut, last?: Reply): void {
  // It must run before the listener of pipe(), which starts a regular end of the socket.
  if (cut !== 'close') handler.prependOnceListener('end', () => reset(handler))
  handler.hangUp(last)
}

function reset(handler: MailHandler): void {
  const source = controls.source(handler) as ResettableSource | null
  if (source === null) {
    handler.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }))
    return
  }
  try {
    if (source.resetAndDestroy !== undefined) source.resetAndDestroy()
    else source.destroy()
  } catch {
    source.destroySoon?.() // TLS and Unix sockets cannot reset
  }
}

interface ResettableSource {
  resetAndDestroy?(): unknown
  destroySoon?(): void
  destroy(): unknown
}
