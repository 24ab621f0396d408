// Which command is legal when. What octets mean (command or mail data) is decided in stream/.

import { reply, type Reply } from '../../words/reply.ts'

/**
 * How far a session is in the order of commands: `connected`, before HELO; `greeted`, between mail transactions;
 * `sender`, MAIL was accepted; `recipients`, a RCPT was accepted; `chunks`, in the middle of a BDAT sequence; `failed`, a
 * BDAT was refused and the sequence goes on; `refused`, the greeting was 554 and only QUIT is legal.
 * [RFC 5321 §4.1.4, RFC 3030 §2]
 */
export type Phase = 'connected' | 'greeted' | 'sender' | 'recipients' | 'chunks' | 'failed' | 'refused'

/** What a command gets in each phase: null if it is legal there, else its refusal. */
export type Order = Readonly<Record<Phase, Reply | null>>

export const GREET_FIRST: Reply = reply(503, '5.5.1', 'Send HELO or EHLO first')
export const LHLO_FIRST: Reply = reply(503, '5.5.1', 'Send LHLO first')
/** What every command but QUIT gets after a greeting that refused the client. [RFC 5321 §3.1] */
export const GO_AWAY: Reply = reply(503, '5.5.1', 'Only QUIT is possible now')
const NOT_IN_TRANSACTION = reply(503, '5.5.1', 'Not during a mail transaction')
const SENDER_GIVEN = reply(503, '5.5.1', 'The sender is given already: send RSET to begin again')
const MAIL_FIRST = reply(503, '5.5.1', 'Send MAIL first')
const RCPT_FIRST = reply(503, '5.5.1', 'Send RCPT first: there is no valid recipient')
const BDAT_ONLY = reply(503, '5.5.1', 'After BDAT only BDAT, RSET or QUIT is possible')
const BDAT_FAILED = reply(503, '5.5.1', 'A BDAT was refused: send RSET to begin again')

const CHUNKS = { chunks: BDAT_ONLY, failed: BDAT_FAILED }
const IN_TRANSACTION = { sender: NOT_IN_TRANSACTION, recipients: NOT_IN_TRANSACTION, ...CHUNKS, refused: GO_AWAY }

export const ANY_TIME: Order = {
  connected: null,
  greeted: null,
  sender: null,
  recipients: null,
  chunks: null,
  failed: null,
  refused: GO_AWAY,
}
export const BETWEEN: Order = { connected: GREET_FIRST, greeted: null, ...IN_TRANSACTION }
export const BEFORE_OR_BETWEEN: Order = { ...BETWEEN, connected: null }
export const MAIL_ORDER: Order = { ...BETWEEN, sender: SENDER_GIVEN, recipients: SENDER_GIVEN }
export const RCPT_ORDER: Order = {
  connected: GREET_FIRST,
  greeted: MAIL_FIRST,
  sender: null,
  recipients: null,
  ...CHUNKS,
  refused: GO_AWAY,
}
export const DATA_ORDER: Order = { ...RCPT_ORDER, sender: RCPT_FIRST }
export const CHUNK_ORDER: Order = { ...DATA_ORDER, chunks: null }

/** What the protocol name is made of. */
export interface ProtocolTraits {
  readonly lmtp: boolean
  /** The client said EHLO or LHLO. */
  readonly extended: boolean
  readonly tls: boolean
  readonly authenticated: boolean
  readonly utf8: boolean
}

/** The name for the `with` clause of Received: `SMTP`, `ESMTPSA`, `UTF8LMTPS` … [RFC 3848, RFC 6531 §4.3] */
export function protocolName({ lmtp, extended, tls, authenticated, utf8 }: ProtocolTraits): string {
  if (!extended) return 'SMTP'
  const base = utf8 ? (lmtp ? 'UTF8LMTP' : 'UTF8SMTP') : lmtp ? 'LMTP' : 'ESMTP'
  return `${base}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`
}
