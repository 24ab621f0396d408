import type { Transform, TransformCallback } from 'node:stream'
import { headerFields, type HeaderFields } from '../protocol/header/header-field.ts'
import { through } from './through.ts'

/**
 * Makes a transform that puts header fields in front of the message, as a trace field or the verdict of a filter goes:
 * `prependHeader({ 'X-Spam': 'no' })`, `prependHeader([['Received', '…'], ['Received', '…']])`. A function is called when
 * the first octets arrive, or the end if none do. Values are folded. Fields given as such are checked at once, those of
 * a function when it is called: then the stream fails. The error is a `MailHandlerError` with code `ERR_HEADER`, for
 * a wrong name, for CR, LF or other control characters in a value, and for a word over 998 octets.
 */
export function prependHeader(fields: HeaderFields | (() => HeaderFields)): Transform {
  const given = typeof fields === 'function' ? fields : headerFields(fields)
  let written = false
  function writeHeader(stream: Transform, done: TransformCallback, chunk?: Buffer): void {
    try {
      written = true
      stream.push(typeof given === 'string' ? given : headerFields(given()))
    } catch (error) {
      return done(error as Error)
    }
    done(null, chunk)
  }
  return through(
    function (chunk, _encoding, done) {
      if (written) return done(null, chunk)
      writeHeader(this, done, chunk)
    },
    function (done) {
      if (written) return done()
      writeHeader(this, done)
    },
  )
}
