// Replies that are always the same.

import type { ErrorCode } from './errors.ts'
import { reply, type Reply } from './reply.ts'

export const OK: Reply = reply(250, '2.0.0', 'OK')
/** The verb is known and has no method that does anything. [RFC 5321 §4.2.4] */
export const NOT_IMPLEMENTED: Reply = reply(502, '5.5.1', 'Command not implemented')
/** The verb is none that anybody knows. [RFC 5321 §4.2.4] */
export const UNKNOWN_COMMAND: Reply = reply(500, '5.5.1', 'Command not recognized')
export const LINE_TOO_LONG: Reply = reply(500, '5.5.2', 'Line too long')
export const BARE_NEWLINE: Reply = reply(500, '5.5.2', 'A line ends with CR LF, and neither stands alone')
export const NUL_IN_COMMAND: Reply = reply(500, '5.5.2', 'A command has no NUL')
export const NOT_UTF8: Reply = reply(500, '5.5.2', 'A command is ASCII or well-formed UTF-8')
/** A fault of the program; what it was is nobody's business but the program's. */
export const LOCAL_ERROR: Reply = reply(451, '4.3.0', 'Local error, please try again later')
/** Mail data came in, and there is nobody who takes it. */
export const NO_DELIVERY: Reply = reply(554, '5.3.0', 'No mail is taken here')

/** What the client is told where a message is refused with an error of this package. */
export const REFUSALS: Readonly<Partial<Record<ErrorCode, Reply>>> = {
  ERR_SIZE_LIMIT: reply(552, '5.3.4', 'Message too large'),
  // [RFC 5321 §2.3.8]
  ERR_BARE_NEWLINE: reply(550, '5.5.2', 'A CR or LF stands alone in the message: lines end with CR LF'),
}
