// The end of a connection, as a server that breaks down makes it.

import type { MailHandler } from '../stream/mail-handler.ts'
import type { Reply } from '../words/reply.ts'

/**
 * `'reset'`, or true: TCP's RST, `ECONNRESET` for the client; under TLS an end. A client that has a reply to read just
 * before may see an end too, as Node's sockets do. `'close'`: an end in order, without a further word.
 */
export type Cut = 'reset' | 'close' | true

/** Ends a session behind the replies that were given, with a last one where there is one. */
export function cutOff(handler: MailHandler, cut: Cut, last?: Reply): void {
  // Before the listener of pipe(), which would begin to close the socket in order.
  if (cut !== 'close') handler.prependOnceListener('end', () => reset(handler))
  handler.hangUp(last)
}

function reset(handler: MailHandler): void {
  const source = handler.source as ResettableSource | null
  if (source === null) {
    handler.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }))
    return
  }
  try {
    if (source.resetAndDestroy !== undefined) source.resetAndDestroy()
    else source.destroy()
  } catch {
    source.destroySoon?.() // TLS and Unix sockets have no reset
  }
}

interface ResettableSource {
  resetAndDestroy?(): unknown
  destroySoon?(): void
  destroy(): unknown
}
