// What a session says in its own words.

import type { ExtensionError } from '../protocol/parameters/parameter-rows.ts'
import type { ParameterError } from '../protocol/parameters/parameters.ts'
import type { PathError } from '../protocol/addresses/characters.ts'
import { reply, type Reply } from '../words/reply.ts'

export const NO_SERVICE: Reply = reply(421, '4.3.0', 'Local error, please try again later')
export const SENDER_OK: Reply = reply(250, '2.1.0', 'OK')
export const RECIPIENT_OK: Reply = reply(250, '2.1.5', 'OK')
export const START_MAIL: Reply = reply(354, 'Start mail input; end with <CRLF>.<CRLF>')
export const CANNOT_VRFY: Reply = reply(252, '2.5.0', 'Cannot VRFY a user, but will take mail and try')
export const NO_EXPN: Reply = reply(502, '5.5.1', 'EXPN is not available here')
export const NOT_HTTP: Reply = reply(521, '5.5.1', 'This is no web server')
export const TLS_READY: Reply = reply(220, '2.0.0', 'Ready to start TLS')
export const TLS_NOT_OFFERED: Reply = reply(502, '5.5.1', 'TLS is not available')
export const TLS_ACTIVE: Reply = reply(503, '5.5.1', 'TLS is active already')
export const TLS_FIRST: Reply = reply(530, '5.7.0', 'Send STARTTLS first')
export const AUTH_FIRST: Reply = reply(530, '5.7.0', 'Authenticate first')
export const AUTH_NOT_OFFERED: Reply = reply(502, '5.5.1', 'AUTH is not available')
export const AUTH_NEEDS_TLS: Reply = reply(538, '5.7.11', 'AUTH needs encryption: send STARTTLS first')
export const AUTH_DONE: Reply = reply(503, '5.5.1', 'You have authenticated already')
export const AUTH_OK: Reply = reply(235, '2.7.0', 'Authentication succeeded')
export const AUTH_FAILED: Reply = reply(535, '5.7.8', 'Authentication failed')
export const AUTH_CANCELLED: Reply = reply(501, '5.5.2', 'Authentication cancelled')
export const AUTH_UNKNOWN: Reply = reply(504, '5.5.4', 'The mechanism is not available: use one that EHLO lists')
export const BAD_BASE64: Reply = reply(501, '5.5.2', 'This is not base64')
export const AUTH_LINE_TOO_LONG: Reply = reply(500, '5.5.6', 'Authentication exchange line is too long')
export const TOO_MANY_AUTH_FAILURES: Reply = reply(421, '4.7.0', 'Too many failed attempts to authenticate')
export const TOO_MANY_GUESSES: Reply = reply(454, '4.7.0', 'Too many wrong credentials from your network, try later')
export const AUTH_BUSY: Reply = reply(454, '4.7.0', 'Too many clients authenticate, please try again later')
export const TOO_MANY_ERRORS: Reply = reply(421, '4.7.0', 'Too many errors')
export const TOO_MANY_TRANSACTIONS: Reply = reply(421, '4.7.0', 'Too many messages in one session')
export const TOO_MANY_RECIPIENTS: Reply = reply(
  452,
  '4.5.3',
  'Too many recipients: send the others in another transaction',
)
export const TOO_LARGE: Reply = reply(552, '5.3.4', 'Message too large')
export const NO_SMTPUTF8: Reply = reply(553, '5.6.7', 'An address like this needs the parameter SMTPUTF8')
export const NOT_SYNCHRONIZED: Reply = reply(503, '5.5.0', 'Wait for the reply: this cannot be pipelined')
export const EARLY_TALKER: Reply = reply(554, '5.5.0', 'You spoke before the greeting')
export const BINARY_NEEDS_BDAT: Reply = reply(503, '5.5.1', 'BINARYMIME needs BDAT: send that instead of DATA')
export const BDAT_NOT_OFFERED: Reply = reply(502, '5.5.1', 'BDAT is not available: send DATA')
export const BDAT_SIZE: Reply = reply(521, '5.5.4', 'BDAT takes a number of octets, then LAST or nothing')
export const TIMED_OUT: Reply = reply(421, '4.4.2', 'Timeout')
export const XFORWARD_OK: Reply = reply(250, '2.0.0', 'OK')

/** The reply to HELP: the commands of this session. [RFC 5321 §4.1.1.8] */
export function help(verbs: readonly string[]): Reply {
  return reply(214, '2.0.0', `Commands: ${verbs.join(' ')}`, 'See RFC 5321')
}

/** A BDAT that is not the last. [RFC 3030 §2] */
export function chunkTaken(count: number): Reply {
  return reply(250, '2.0.0', `${count} octets received`)
}

/** A command that takes no argument, or another one, was given this. */
export function badArgument(problem: string): Reply {
  return reply(501, '5.5.4', problem)
}

/** An invalid path: which part is wrong, and at which position. [RFC 3463 §3.2: X.1.3 a recipient, X.1.7 a sender] */
export function badPath(status: '5.1.3' | '5.1.7', error: PathError): Reply {
  if (error.nonAscii === true) return NO_SMTPUTF8
  return reply(501, status, `Bad ${error.part} at position ${error.at + 1}: ${error.problem}`)
}

/** Parameters that do not follow the grammar. */
export function badParameters({ keyword, problem }: ParameterError): Reply {
  return reply(501, '5.5.4', `Bad parameter${keyword === null ? '' : ` ${shorten(keyword)}`}: ${problem}`)
}

/** A parameter that is not known or not offered, or has a wrong value: then `problem` names it. */
export function badParameter({ kind, keyword, problem }: ExtensionError): Reply {
  if (kind === 'syntax') return reply(501, '5.5.4', `Bad parameter: ${problem}`)
  return reply(555, '5.5.4', `Bad parameter ${shorten(keyword)}: ${problem}`)
}

/** The client chose the keyword: letters, digits and hyphens, and as many as it likes. */
function shorten(keyword: string): string {
  return keyword.length > 64 ? `${keyword.slice(0, 64)}...` : keyword
}
