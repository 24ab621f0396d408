// The envelope of a message as JSON.

import type { Recipient } from '../../smtp/envelope.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'

/** The envelope that a {@link webhook} sends, as JSON. */
export interface WebhookEnvelope {
  /** The id of the transaction; a retry of the sender has another one. */
  readonly id: string
  /** When the message came, ISO 8601 in UTC: a service may refuse what is old, so that nobody can send it again. */
  readonly time: string
  /** The reverse-path; empty for the null reverse-path. */
  readonly sender: string
  /** The recipients that were accepted, in their order. */
  readonly recipients: readonly string[]
  /** The address of the client; null if it has none. */
  readonly client: string | null
  /** The verified name of the client; null if it is not known. */
  readonly name: string | null
  /** What the client called itself. */
  readonly helo: string | null
  /** The user who has logged in; null if nobody has. */
  readonly user: string | null
  /** `ESMTP`, `ESMTPS` … [RFC 3848] */
  readonly protocol: string
}

/** Returns the envelope of a transaction as JSON in ASCII; `next` is a recipient that is about to be accepted. */
export function envelopeJson(session: SessionInTransaction, time: number, next?: Recipient): string {
  const { envelope, client, helo, user, protocol } = session
  const recipients = next === undefined ? envelope.recipients : [...envelope.recipients, next]
  const value: WebhookEnvelope = {
    id: envelope.id,
    time: new Date(time).toISOString(),
    sender: envelope.sender.address,
    recipients: recipients.map(({ address }) => address),
    client: client.address,
    name: client.name,
    helo,
    user,
    protocol,
  }
  // A header of HTTP has ASCII alone; a lone surrogate is escaped by JSON itself.
  return JSON.stringify(value).replaceAll(/[^ -~]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
