import type { Transform, TransformCallback } from 'node:stream'
import { headerFields, type HeaderFields } from '../protocol/header/header-field.ts'
import { through } from './through.ts'

/**
 * Creates a transform that writes header fields before the message, for example a trace field or the result of a
 * filter: `prependHeader({ 'X-Spam': 'no' })`, `prependHeader([['Received', '…'], ['Received', '…']])`. Values are
 * folded. If `fields` is a function, it is called when the first octets arrive, or at the end of an empty message; if
 * it throws or returns an invalid field, the stream fails.
 *
 * @throws {MailHandlerError} `ERR_HEADER` for an invalid name, for CR, LF or another control character
 * in a value, and for a word of more than 998 octets.
 */
export function prependHeader(fields: HeaderFields | (() => HeaderFields)): Transform {
  const given = typeof fields === 'function' ? fields : headerFields(fields)
  let headerWritten = false
  function writeHeader(stream: Transform, done: TransformCallback, chunk?: Buffer): void {
    try {
      headerWritten = true
      stream.push(typeof given === 'string' ? given : headerFields(given()))
    } catch (error) {
      return done(error as Error)
    }
    done(null, chunk)
  }
  return through(
    function (chunk, _encoding, done) {
      if (headerWritten) return done(null, chunk)
      writeHeader(this, done, chunk)
    },
    function (done) {
      if (headerWritten) return done()
      writeHeader(this, done)
    },
  )
}
