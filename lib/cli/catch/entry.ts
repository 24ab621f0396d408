// What the list of caught mail knows of a message without opening it.

import type { SessionRecord } from '../../testing/catch/session-record.ts'
import type { MailAddress, ParsedMail } from '../../testing/catch/parsed-mail.ts'
import type { Catch } from '../../testing/catch/catching-server.ts'
import type { Turn } from '../../testing/transcript-log.ts'

/** A message of the list. */
export interface MailEntry {
  readonly id: string
  /** ISO 8601. */
  readonly receivedAt: string
  readonly envelope: { readonly from: string; readonly to: readonly string[] }
  readonly from: MailAddress | null
  readonly to: readonly MailAddress[]
  readonly cc: readonly MailAddress[]
  readonly subject: string
  readonly messageId: string | null
  /** Octets of the message. */
  readonly size: number
  /** How many there are. */
  readonly attachments: number
  /** The beginning of the text, in one line. */
  readonly snippet: string
  /** The session that it came by. */
  readonly sessionId: string
}

/** A session as the page shows it. */
export interface SessionView {
  readonly id: string
  readonly startedAt: string
  readonly address: string | null
  readonly port: number | null
  readonly helo: string | null
  readonly protocol: string
  readonly user: string | null
  readonly ending: string | null
}

/** A turn of a dialogue. */
export interface TurnView {
  readonly side: 'C' | 'S'
  /** Milliseconds from the begin of the session. */
  readonly at: number
  readonly text: string
  /** Octets that were not kept. */
  readonly more: number
}

/** A session with what both sides said. */
export interface DialogueView extends SessionView {
  readonly turns: readonly TurnView[]
  /** Turns before these that were not kept. */
  readonly dropped: number
}

const SNIPPET = 200
/** Addresses of a field that the list has; the message has all of them. */
const ADDRESSES = 100

/** Makes the entry of a message. */
export function entryOf({ id, receivedAt, envelope, raw, session }: Catch, mail: ParsedMail): MailEntry {
  const { from, to, cc, subject, messageId, attachments } = mail
  return {
    id,
    receivedAt: receivedAt.toISOString(),
    envelope,
    from: from === null ? null : shortAddress(from),
    to: to.slice(0, ADDRESSES).map(shortAddress),
    cc: cc.slice(0, ADDRESSES).map(shortAddress),
    subject: short(subject),
    messageId: messageId === null ? null : short(messageId),
    size: raw.length,
    attachments: attachments.length,
    snippet: short(mail.text ?? ''),
    sessionId: session.id,
  }
}

/** A message of a list: of very many recipients it has the first, and their number. */
export interface ListedMail extends MailEntry {
  /** How many recipients the envelope has. */
  readonly recipients: number
}

/** An entry as lists and events have it. */
export function listed(entry: MailEntry): ListedMail {
  const { from, to } = entry.envelope
  return { ...entry, envelope: { from, to: to.slice(0, ADDRESSES) }, recipients: to.length }
}

function shortAddress({ name, address }: MailAddress): MailAddress {
  return { name: short(name), address: short(address) }
}

/** The beginning of a text, in one line; a copy, so that the text itself can go. */
function short(text: string): string {
  const line = text
    .slice(0, SNIPPET * 2)
    .replaceAll(/\s+/g, ' ')
    .trim()
  return Buffer.from(line.slice(0, SNIPPET)).toString()
}

/** Describes a session. */
export function sessionView(session: SessionRecord): SessionView {
  const { id, startedAt, address, port, helo, protocol, user, ending } = session
  return { id, startedAt: startedAt.toISOString(), address, port, helo, protocol, user, ending }
}

/** Describes a session with its dialogue. */
export function dialogueView(session: SessionRecord): DialogueView {
  return { ...sessionView(session), turns: session.turns('stars').map(turnView), dropped: session.dropped }
}

function turnView({ side, at, octets, more }: Turn): TurnView {
  return { side, at, text: octets.toString(), more }
}
