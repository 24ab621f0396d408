// The order of commands: a phase for each session, and a table of what each verb gets in each phase. Whether octets are
// commands or mail data is decided by the stream.

import { reply, type Reply } from '../../words/reply.ts'

/**
 * The phase of a session: `connected`, before HELO; `greeted`, between mail transactions; `sender`, MAIL was accepted;
 * `recipients`, a RCPT was accepted too; `chunks`, in the middle of a BDAT sequence; `failed`, a BDAT was refused and
 * the sequence goes on; `refused`, the greeting was 554, so that only QUIT is accepted. [RFC 5321 §4.1.4, RFC 3030 §2]
 */
export type Phase = 'connected' | 'greeted' | 'sender' | 'recipients' | 'chunks' | 'failed' | 'refused'

/** A verb that depends on the order of commands. */
export type OrderedVerb =
  | 'HELO'
  | 'EHLO'
  | 'LHLO'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'BDAT'
  | 'RSET'
  | 'AUTH'
  | 'STARTTLS'
  | 'XCLIENT'
  | 'XFORWARD'

const GREET_FIRST = reply(503, '5.5.1', 'Send HELO or EHLO first')
const NOT_IN_TRANSACTION = reply(503, '5.5.1', 'Not during a mail transaction')
const SENDER_GIVEN = reply(503, '5.5.1', 'The sender is already given; send RSET to start again')
const MAIL_FIRST = reply(503, '5.5.1', 'Send MAIL first')
const RCPT_FIRST = reply(503, '5.5.1', 'Send RCPT first: there is no valid recipient')
const BDAT_ONLY = reply(503, '5.5.1', 'Only BDAT, RSET or QUIT may follow BDAT')
const BDAT_FAILED = reply(503, '5.5.1', 'A BDAT was refused; send RSET to start again')
/** The reply to every command but QUIT after a greeting of 554. [RFC 5321 §3.1] */
export const GO_AWAY: Reply = reply(503, '5.5.1', 'Only QUIT is accepted')

const ANY_TIME = { connected: null, greeted: null, sender: null, recipients: null, chunks: null, failed: null }
const BETWEEN = { connected: GREET_FIRST, greeted: null, ...transaction(NOT_IN_TRANSACTION) }

/** The reply to each verb in each phase; null if it is in order. */
const ORDER = {
  HELO: ANY_TIME,
  EHLO: ANY_TIME,
  LHLO: ANY_TIME,
  RSET: ANY_TIME,
  MAIL: { connected: GREET_FIRST, greeted: null, ...transaction(SENDER_GIVEN) },
  RCPT: {
    connected: GREET_FIRST,
    greeted: MAIL_FIRST,
    sender: null,
    recipients: null,
    chunks: BDAT_ONLY,
    failed: BDAT_FAILED,
  },
  DATA: {
    connected: GREET_FIRST,
    greeted: MAIL_FIRST,
    sender: RCPT_FIRST,
    recipients: null,
    chunks: BDAT_ONLY,
    failed: BDAT_FAILED,
  },
  BDAT: {
    connected: GREET_FIRST,
    greeted: MAIL_FIRST,
    sender: RCPT_FIRST,
    recipients: null,
    chunks: null,
    failed: BDAT_FAILED,
  },
  AUTH: BETWEEN,
  STARTTLS: BETWEEN,
  XCLIENT: { ...BETWEEN, connected: null },
  XFORWARD: BETWEEN,
} as const satisfies Record<OrderedVerb, Record<Exclude<Phase, 'refused'>, Reply | null>>

function transaction(refusal: Reply): Record<'sender' | 'recipients' | 'chunks' | 'failed', Reply> {
  return { sender: refusal, recipients: refusal, chunks: BDAT_ONLY, failed: BDAT_FAILED }
}

/** The 503 to a verb in a phase, or null if it is in order. */
export function outOfOrder(phase: Phase, verb: OrderedVerb): Reply | null {
  return phase === 'refused' ? GO_AWAY : ORDER[verb][phase]
}

/** What the protocol name depends on. */
export interface ProtocolTraits {
  readonly lmtp: boolean
  /** The client has sent EHLO or LHLO. */
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
