import type { Transform } from 'node:stream'
import { lineDots } from './line-dots.ts'

/**
 * Creates a transform that adds transparency to mail data for an SMTP server: it doubles a dot at the beginning of a
 * line. It does not write the end of mail data: the caller sends CRLF if the data does not end with it, then `.CRLF`.
 * Only CRLF ends a line. The result does not depend on how the data is cut into chunks. [RFC 5321 §4.5.2]
 */
export function dotStuff(): Transform {
  return lineDots('double')
}
