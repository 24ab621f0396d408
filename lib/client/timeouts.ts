// How long a client waits for a server.

import { numbers } from '../words/option-checks.ts'

/** Time limits of an `SmtpClient`, in milliseconds. Past one of them the connection is destroyed: `ERR_TIMEOUT`. */
export interface ClientTimeouts {
  /** From the start to the end of the opening: connection, greeting, EHLO, TLS, AUTH. @defaultValue 300,000 */
  readonly open: number
  /** For the greeting, also that after XCLIENT. @defaultValue 300,000 [RFC 5321 §4.5.3.2.1] */
  readonly greeting: number
  /** For the TLS handshake. @defaultValue 30,000 */
  readonly tls: number
  /** For the reply to MAIL, RCPT and most other commands. @defaultValue 300,000 [RFC 5321 §4.5.3.2.2, §4.5.3.2.3] */
  readonly command: number
  /** For the reply to DATA. @defaultValue 120,000 [RFC 5321 §4.5.3.2.4] */
  readonly data: number
  /** For the server to read on while mail data is sent. @defaultValue 180,000 [RFC 5321 §4.5.3.2.5] */
  readonly block: number
  /** For the reply to the end of mail data, in LMTP for each, and to BDAT. @defaultValue 600,000 [RFC 5321 §4.5.3.2.6] */
  readonly end: number
  /** For the reply to QUIT. @defaultValue 10,000 */
  readonly quit: number
}

/** The defaults of {@link ClientTimeouts}. */
export const CLIENT_TIMEOUTS: ClientTimeouts = Object.freeze({
  open: 300_000,
  greeting: 300_000,
  tls: 30_000,
  command: 300_000,
  data: 120_000,
  block: 180_000,
  end: 600_000,
  quit: 10_000,
})

/** Checks the option and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveTimeouts(given: Partial<ClientTimeouts> = {}): ClientTimeouts {
  return numbers('timeouts', CLIENT_TIMEOUTS, given)
}
