import type { Transform } from 'node:stream'
import { CR, CRLF } from '../words/octets.ts'
import { through } from './through.ts'

/**
 * Creates a transform that replaces every bare CR and every bare LF by CRLF, and changes nothing else. Put it before
 * everything that reads the mail data. It does not stuff a dot that begins a line only after the change: put
 * `dotStuff()` behind it for that. The result does not depend on how the data is cut into chunks. [RFC 5321 §2.3.8]
 */
export function normalizeNewlines(): Transform {
  let afterCR = false
  return through((chunk, _encoding, done) => {
    // A CR is written as CRLF as soon as it is seen, so an LF directly behind it adds nothing.
    const text = chunk.toString('latin1', afterCR && chunk[0] === 10 ? 1 : 0)
    afterCR = chunk[chunk.length - 1] === CR
    done(null, Buffer.from(text.replaceAll(/\r\n?|\n/g, CRLF), 'latin1'))
  })
}
