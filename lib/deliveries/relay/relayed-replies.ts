// Which replies of an upstream come through to the client, and what the client is told of everything else.

import { SmtpClientError } from '../../client/client-error.ts'
import type { ClientStep } from '../../client/steps.ts'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import { toReply } from '../../protocol/replies/to-reply.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { SmtpError } from '../../words/smtp-error.ts'

/** What the client is told. */
export interface Told {
  readonly reply: Reply
  /** Trouble of this side, which somebody has to look at: it is reported. Null if there is none. */
  readonly trouble: Error | null
}

// Our own texts: they tell nothing of what is behind this server.
export const TROUBLE: Reply = reply(451, '4.3.5', 'Local configuration trouble, please try again later')
export const UNREACHABLE: Reply = reply(451, '4.4.1', 'The next mail server does not answer, please try again later')
export const LOST: Reply = reply(451, '4.4.2', 'The next mail server did not finish this, please try again later')
export const UNAVAILABLE: Reply = reply(451, '4.3.2', 'The next mail server is not available, please try again later')
export const TOO_SLOW: Reply = reply(
  451,
  '4.3.2',
  'The message came too slowly while others waited, please try again later',
)
export const BUSY: Reply = reply(451, '4.3.2', 'Too many messages at once, please try again later')
/** What a session lets through, but no upstream may get: only a filter, or a line of NULs, can have it. [R8] */
const NO_LINES: Reply = reply(550, '5.6.0', 'The message has a line that other servers may take for its end')
/** The upstream answers otherwise than it did for the same envelope, or this side does not know what it answered. */
export const CHANGED: Reply = reply(451, '4.4.0', 'The envelope is no longer valid, please try again later')

/** Refusals that are about this side, not about the sender, its recipients or its message. [R2] */
const ABOUT_US: ReadonlySet<number> = new Set([500, 502, 503, 530, 535, 538])
/** The server closes the connection. */
export const CLOSING = 421

/** A step whose replies are for the client: a command of its own, or `end`, its message. */
export type RelayedStep = 'MAIL' | 'RCPT' | 'DATA' | 'end'

/** Steps before the first MAIL. */
const OPENING: ReadonlySet<ClientStep> = new Set([
  'greeting',
  'EHLO',
  'LHLO',
  'HELO',
  'STARTTLS',
  'TLS',
  'XCLIENT',
  'AUTH',
] as const)

/** What the client is told for a reply to MAIL, RCPT, DATA, BDAT or the mail data. */
export function relayed(received: ReceivedReply, step: RelayedStep): Told {
  if (received.code === CLOSING) return untroubled(UNAVAILABLE)
  if (!ABOUT_US.has(received.code)) return untroubled(toReply(received))
  const message = `the upstream refuses this relay with ${received.code}`
  return { reply: TROUBLE, trouble: new SmtpClientError('ERR_REFUSED', message, { step, reply: received }) }
}

/** What the client is told for what went wrong with an upstream; null if the error is about something else. */
export function toldOf(error: unknown): Told | null {
  if (!(error instanceof SmtpClientError)) return null
  const { code, step } = error
  switch (code) {
    case 'ERR_REFUSED':
      return isPermanent(error) ? { reply: TROUBLE, trouble: error } : untroubled(UNAVAILABLE)
    case 'ERR_TLS':
    case 'ERR_NOT_OFFERED':
      return { reply: TROUBLE, trouble: error }
    case 'ERR_REPLY_SYNTAX':
    case 'ERR_REPLY_UNEXPECTED':
      return { reply: LOST, trouble: error }
    case 'ERR_BARE_NEWLINE':
      return untroubled(NO_LINES)
    case 'ERR_TIMEOUT':
    case 'ERR_CONNECTION_LOST':
    case 'ERR_SESSION_ENDED':
      if (error.reply?.code === CLOSING) return untroubled(UNAVAILABLE)
      return untroubled(OPENING.has(step) ? UNREACHABLE : LOST)
    default:
      return null
  }
}

/** True if the error says that the connection was lost, so that what was said before the mail data may be said again. */
export function isLoss(error: unknown): boolean {
  return (
    error instanceof MailHandlerError && (error.code === 'ERR_CONNECTION_LOST' || error.code === 'ERR_SESSION_ENDED')
  )
}

/** Why nothing more can be said in a transaction. */
export function transactionOver(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the transaction is over')
}

/** A refusal that is trouble of this side is thrown with its cause, so that it is reported. */
export function replyOf({ reply, trouble }: Told): Reply {
  if (trouble !== null) throw new SmtpError(reply, { cause: trouble })
  return reply
}

function untroubled(reply: Reply): Told {
  return { reply, trouble: null }
}

function isPermanent({ reply: refusal }: SmtpClientError): boolean {
  return refusal === null || refusal.code >= 500
}
