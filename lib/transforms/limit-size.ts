import type { Transform } from 'node:stream'
import { MailHandlerError } from '../words/errors.ts'
import { through } from './through.ts'

/**
 * Creates a transform that passes at most `octets` octets. If more are written, it fails with a
 * {@link MailHandlerError} with code `ERR_SIZE_LIMIT`, so a truncated message never ends like a complete one.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if `octets` is not a whole number, 0 or more.
 */
export function limitSize(octets: number): Transform {
  if (!Number.isSafeInteger(octets) || octets < 0) {
    throw new MailHandlerError('ERR_OPTION', 'limitSize takes a whole number of octets, 0 or more')
  }
  let remaining = octets
  return through((chunk, _encoding, done) => {
    remaining -= chunk.length
    if (remaining >= 0) return done(null, chunk)
    done(new MailHandlerError('ERR_SIZE_LIMIT', `the message is longer than ${octets} octets`))
  })
}
