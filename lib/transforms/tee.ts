// in ─→ tee ─→ out        the slower of the two sets the pace
//        └──→ second      ends when the first ends, is destroyed when the first is, and fails it when it fails

import { finished, type Transform, type TransformCallback, type Writable } from 'node:stream'
import { MailHandlerError } from '../words/errors.ts'
import { through } from './through.ts'

/**
 * Makes a transform that passes everything on and writes it to `second` too. It ends only when `second` has taken it
 * all (`'finish'`), and fails when `second` fails. If `second` ends or closes before it was told to, the error is
 * Node's `ERR_STREAM_PREMATURE_CLOSE` or a {@link MailHandlerError} with code `ERR_ABORTED`.
 */
export function tee(second: Writable): Transform {
  let ended: TransformCallback | null = null
  const stream = through(
    (chunk, _encoding, done) => {
      if (second.write(chunk)) return done(null, chunk)
      second.once('drain', () => done(null, chunk))
    },
    done => {
      ended = done
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
    if (ended) return ended()
    stream.destroy(new MailHandlerError('ERR_ABORTED', 'the second stream of a tee ended before the first'))
  })
  return stream
}
