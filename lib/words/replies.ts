// Replies with fixed texts.

import type { ErrorCode } from './errors.ts'
import { reply, type Reply } from './reply.ts'

export const OK: Reply = reply(250, '2.0.0', 'OK')
/** The verb is known, but has no method. [RFC 5321 §4.2.4] */
export const NOT_IMPLEMENTED: Reply = reply(502, '5.5.1', 'Command not implemented')
/** The verb is unknown. [RFC 5321 §4.2.4] */
export const UNKNOWN_COMMAND: Reply = reply(500, '5.5.1', 'Command not recognized')
export const LINE_TOO_LONG: Reply = reply(500, '5.5.2', 'Line too long')
/** A line goes on far behind its limit: the session ends. */
export const ENDLESS_LINE: Reply = reply(421, '4.7.0', 'The line has no end')
/** A command has a bare CR or LF, and lines end with CRLF alone: the session ends. [RFC 5321 §2.3.8] */
export const BARE_NEWLINE: Reply = reply(
  500,
  '5.5.2',
  'Lines must end with CRLF, as nc -C sends them; a bare CR or LF is not allowed',
)
/** An LF ends a command, but a CR is elsewhere. */
export const BARE_CR: Reply = reply(500, '5.5.2', 'A command must not have a CR but at its end')
export const NUL_IN_COMMAND: Reply = reply(500, '5.5.2', 'NUL is not allowed in a command')
export const NOT_UTF8: Reply = reply(500, '5.5.2', 'A command must be ASCII or well-formed UTF-8')
/** A program error. The client is not told which. */
export const LOCAL_ERROR: Reply = reply(451, '4.3.0', 'Local error, please try again later')
/** Mail data came in, but there is no delivery. */
export const NO_DELIVERY: Reply = reply(554, '5.3.0', 'No mail is accepted here')

/** The reply to a message that is refused with an error of this package. */
export const REFUSALS: Readonly<Partial<Record<ErrorCode, Reply>>> = {
  ERR_SIZE_LIMIT: reply(552, '5.3.4', 'Message too large'),
  ERR_HEADER_LIMIT: reply(552, '5.3.4', 'Message header too large'),
  // [RFC 5321 §2.3.8]
  ERR_BARE_NEWLINE: reply(550, '5.5.2', 'The message has a bare CR or LF; lines must end with CRLF'),
}
