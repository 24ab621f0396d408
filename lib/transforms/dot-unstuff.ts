import type { Transform } from 'node:stream'
import { lineDots } from './line-dots.ts'

/**
 * Makes a transform that removes transparency from mail data, for example from `message.raw()`: the first dot of each
 * line that begins with one is dropped. It does not look for the end of mail data: what is written must be without its
 * last `.CRLF`. Lines end with CRLF alone. The result is the same however the data is cut into chunks.
 * [RFC 5321 §4.5.2]
 */
export function dotUnstuff(): Transform {
  return lineDots('drop')
}
