// in ─→ tee ─→ out        the slower reader sets the pace
//        └──→ second      ends when `in` ends, is destroyed when the tee is destroyed; its error destroys the tee

import { finished, type Transform, type TransformCallback, type Writable } from 'node:stream'
import { MailHandlerError } from '../words/errors.ts'
import { through } from './through.ts'

/**
 * Creates a transform that passes every chunk on and writes it to `second` too. It ends only after `second` has
 * emitted `'finish'`, and fails when `second` fails. If `second` ends or closes before the tee ends it, the error is
 * Node's `ERR_STREAM_PREMATURE_CLOSE` or a {@link MailHandlerError} with code `ERR_ABORTED`.
 */
export function tee(second: Writable): Transform {
  let flushed: TransformCallback | null = null
  const stream = through(
    (chunk, _encoding, done) => {
      if (second.write(chunk)) return done(null, chunk)
      second.once('drain', () => done(null, chunk))
    },
    done => {
      flushed = done
      second.end()
    },
    {
      destroy(error, done) {
        if (!second.writableFinished) second.destroy(error ?? undefined)
        done(error)
      },
    },
  )
  finished(second, { readable: false }, error => {
    if (error) return void stream.destroy(error)
    if (flushed) return flushed()
    stream.destroy(new MailHandlerError('ERR_ABORTED', 'the second stream of a tee ended before the first'))
  })
  return stream
}
