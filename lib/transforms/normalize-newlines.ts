import type { Transform } from 'node:stream'
import { CR, CRLF } from '../words/octets.ts'
import { through } from './through.ts'

/**
 * Makes a transform that puts CRLF in the place of every bare CR and bare LF, and leaves all else as it is. It belongs
 * before anything that reads the mail data. A dot that begins a line only then is not stuffed: `dotStuff()` behind it
 * does that. The result is the same however the data is cut into chunks. [RFC 5321 §2.3.8]
 */
export function normalizeNewlines(): Transform {
  let afterCR = false
  return through((chunk, _encoding, done) => {
    // A CR goes on as CRLF as soon as it is seen, so an LF right behind it adds nothing.
    const text = chunk.toString('latin1', afterCR && chunk[0] === 10 ? 1 : 0)
    afterCR = chunk[chunk.length - 1] === CR
    done(null, Buffer.from(text.replaceAll(/\r\n?|\n/g, CRLF), 'latin1'))
  })
}
