// How much of everything a session has, and how much time for it.

import { COMMAND_LINE_OCTETS } from '../stream/mail-handler-options.ts'

/** Limits of a session. Each names its source. */
export interface Limits {
  /**
   * Octets of a command line with CRLF. RFC 5321 §4.5.3.1.4 says 512, each extension adds; Postfix has 2,048.
   * @defaultValue 2,048
   */
  readonly commandLine: number
  /** Octets of a line of AUTH with CRLF. [RFC 4954 §4] @defaultValue 12,288 */
  readonly authLine: number
  /**
   * Recipients of a transaction; RFC 5321 §4.5.3.1.8 wants at least 100. Postfix smtpd_recipient_limit.
   * @defaultValue 1,000
   */
  readonly recipients: number
  /** Octets of a message before its first empty line. Postfix header_size_limit has 102,400. @defaultValue 1,048,576 */
  readonly header: number
  /**
   * Errors between two accepted mails, then 421: commands that got 5yz, and what passes {@link Limits.junkCommands},
   * {@link Limits.overshoot} or {@link Limits.deferrals}. Postfix smtpd_hard_error_limit.
   * @defaultValue 20
   */
  readonly errors: number
  /** Errors after which each further command waits a second. Postfix smtpd_soft_error_limit. @defaultValue 10 */
  readonly softErrors: number
  /**
   * NOOP, RSET, VRFY, EXPN, HELP, HELO, EHLO between two mails; each further one counts as an error. Postfix.
   * @defaultValue 100
   */
  readonly junkCommands: number
  /**
   * Recipients past {@link Limits.recipients} between two mails, each answered 452; each further one counts as an error.
   * Postfix smtpd_recipient_overshoot_limit has 1,000.
   * @defaultValue 100
   */
  readonly overshoot: number
  /**
   * Other commands that got 4yz between two mails, and `recipients` of them in a transaction: each further one counts as
   * an error. A list server with 500 greylisted recipients stays below.
   * @defaultValue 1,000
   */
  readonly deferrals: number
  /** Wrong credentials; each is told so, and the next command gets 421. @defaultValue 3 */
  readonly authFailures: number
  /** Mail transactions of a session, then 421. @defaultValue Infinity, no limit */
  readonly transactions: number
}

/** The limits of a session unless the option `limits` says otherwise. */
export const LIMITS: Limits = Object.freeze({
  commandLine: COMMAND_LINE_OCTETS,
  authLine: 12_288,
  recipients: 1000,
  header: 2 ** 20,
  errors: 20,
  softErrors: 10,
  junkCommands: 100,
  overshoot: 100,
  deferrals: 1000,
  authFailures: 3,
  transactions: Infinity,
})

/** Time limits, in milliseconds. None of them counts the time that this side takes. */
export interface Timeouts {
  /** From the connection to the first HELO or EHLO. @defaultValue 60,000 */
  readonly greeting: number
  /** From a reply to the next command. RFC 5321 §4.5.3.2.7 wants at least 5 minutes. @defaultValue 300,000 */
  readonly idle: number
  /** From the first octet of a command line to its last. Postfix smtpd_per_request_deadline. @defaultValue 300,000 */
  readonly command: number
  /**
   * Without progress in mail data [RFC 5321 §4.5.3.2.5]; in all, this and what the option `minDataRate` allows.
   * @defaultValue 180,000
   */
  readonly data: number
  /** For the TLS handshake. @defaultValue 30,000 */
  readonly tls: number
  /** For one hook. @defaultValue 240,000 */
  readonly hook: number
  /**
   * For the verdict after the end of data, while the client waits ten minutes [RFC 5321 §4.5.3.2.6].
   * @defaultValue 540,000
   */
  readonly verdict: number
  /** From the last reply until the client has closed; then the connection is cut. @defaultValue 10,000 */
  readonly linger: number
}

/** The time limits of a session unless the option `timeouts` says otherwise. */
export const TIMEOUTS: Timeouts = Object.freeze({
  greeting: 60_000,
  idle: 300_000,
  command: 300_000,
  data: 180_000,
  tls: 30_000,
  hook: 240_000,
  verdict: 540_000,
  linger: 10_000,
})
