// Another stream in the place of the one that is piped in and out: TLS in that of the socket. [RFC 3207 §4]

import type { Duplex } from 'node:stream'
import type { Source } from './peer.ts'

/**
 * Once `handler`, which `source` is no longer piped into, has handed all its replies to it, puts what `wrap` makes of
 * the source in its place, and calls `done`.
 */
export function replaceSource(
  handler: Duplex,
  source: Source,
  wrap: (source: Source) => Source,
  done: () => void,
): void {
  const clear = source as Source & Duplex
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
