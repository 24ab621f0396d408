import type { Transform } from 'node:stream'
import { ChunkScanner } from '../protocol/mail-data/scanners.ts'
import { through } from './through.ts'

/**
 * Makes a transform that leaves no bare CR or LF in mail data: an LF, with all CRs directly before it, becomes CRLF; any
 * other CR becomes a space, so that it cannot make a new line. It changes no dot: use `dotStuff()` behind it if the data
 * goes to an SMTP server. The result is the same however the data is cut into chunks.
 *
 * SmtpHandler does the same itself with `bareNewline: 'normalize'`. [RFC 5321 §2.3.8]
 */
export function normalizeNewlines(): Transform {
  const scanner = new ChunkScanner({ unstuff: true, bareNewline: 'normalize' })
  return through(
    function (chunk, _encoding, done) {
      scanner.take(chunk, piece => void this.push(piece))
      done()
    },
    function (done) {
      scanner.end(piece => void this.push(piece))
      done()
    },
  )
}
