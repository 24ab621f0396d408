// What onMessage reads.

import type { Readable } from 'node:stream'

/**
 * The mail data of one message, transparency removed. It ends only if it is whole; else it is destroyed, with the code
 * `ERR_TRUNCATED` if the client went away, `ERR_SIZE_LIMIT`, `ERR_HEADER_LIMIT`, `ERR_BARE_NEWLINE`, or what a filter
 * failed with. No octet from the offending one on is handed out.
 */
export interface Message extends Readable {
  /**
   * The same with transparency, as DATA sends it: for a relay. Read this one instead of the message, from the start;
   * throws `ERR_BODY_STARTED` later. [RFC 5321 §4.5.2]
   */
  raw(): Readable
}
