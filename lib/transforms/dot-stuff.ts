import type { Transform } from 'node:stream'
import { lineDots } from './line-dots.ts'

/**
 * Makes a transform that adds transparency to mail data on its way to an SMTP server: a dot at the beginning of a line
 * gets another one. The end of mail data is left to the caller: CRLF if the data does not end with it, then `.CRLF`.
 * Lines end with CRLF alone. The result is the same however the data is cut into chunks. [RFC 5321 §4.5.2]
 */
export function dotStuff(): Transform {
  return lineDots('double')
}
