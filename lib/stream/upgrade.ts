// Another stream in the place of the one that is piped in and out: TLS in that of the socket. [RFC 3207 §4]

import type { Duplex } from 'node:stream'
import type { Source } from './peer.ts'
import type { ReplyQueue } from './reply-queue.ts'

/** A handler whose source is replaced. */
interface Upgradable extends Duplex {
  readonly inputWaiting: boolean
}

/**
 * Hands all replies to `source`, which is piped into the handler, puts what `wrap` makes of it in its place, and calls
 * `done`. Destroys the handler if more has come in clear.
 */
export function replaceSource(
  handler: Upgradable,
  source: Source | null,
  replies: ReplyQueue,
  wrap: (source: Source) => Source,
  done: () => void,
): void {
  if (source === null || handler.inputWaiting || source.readableLength > 0) {
    handler.destroy()
    return
  }
  const clear = source as Source & Duplex
  clear.unpipe(handler)
  replies.flush()
  const whenFlushed = () => {
    if (handler.destroyed) return
    if (handler.readableLength > 0) {
      if (clear.writableNeedDrain) clear.once('drain', whenFlushed)
      else setImmediate(whenFlushed)
      return
    }
    handler.unpipe(clear)
    const secure = wrap(source) as Source & NodeJS.WritableStream
    secure.pipe(handler).pipe(secure)
    done()
  }
  whenFlushed()
}
