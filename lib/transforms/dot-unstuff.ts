import type { Transform } from 'node:stream'
import { lineDots } from './line-dots.ts'

/**
 * Creates a transform that removes transparency from mail data, for example from `message.raw()`: it drops the first
 * dot of each line that begins with a dot. It does not look for the end of mail data: write the data without the final
 * `.CRLF`. Only CRLF ends a line. The result does not depend on how the data is cut into chunks. [RFC 5321 §4.5.2]
 */
export function dotUnstuff(): Transform {
  return lineDots('drop')
}
