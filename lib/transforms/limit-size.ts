import type { Transform } from 'node:stream'
import { MailHandlerError } from '../words/errors.ts'
import { through } from './through.ts'

/**
 * Makes a transform that lets at most `octets` octets through. One more, and it fails with a {@link MailHandlerError}
 * of code `ERR_SIZE_LIMIT`, so that a message cut short never ends like a whole one. Throws one of code `ERR_OPTION`
 * for a limit that is no whole number of octets, 0 or more.
 */
export function limitSize(octets: number): Transform {
  if (!Number.isSafeInteger(octets) || octets < 0) {
    throw new MailHandlerError('ERR_OPTION', 'limitSize takes a whole number of octets, 0 or more')
  }
  let left = octets
  return through((chunk, _encoding, done) => {
    left -= chunk.length
    if (left >= 0) return done(null, chunk)
    done(new MailHandlerError('ERR_SIZE_LIMIT', `the message is over ${octets} octets`))
  })
}
