// The trace fields that final delivery adds before a message. [RFC 5321 §4.4]

import { receivedField } from '../protocol/header/received.ts'
import type { Session } from '../smtp/session.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'

const RECEIVED = 'Received: '

/**
 * Makes the fields of a message that the server `by` delivers: Return-Path, Delivered-To, Received. A message to several
 * recipients has no Delivered-To: it would show each recipient the blind copies. [RFC 5321 §7.2]
 */
export function traceFields(by: string): (session: Session) => HeaderFields {
  return session => {
    const { id, sender, recipients } = session.envelope!
    const addresses = recipients.map(({ address }) => address)
    const [only, ...others] = addresses
    const deliveredTo = only === undefined || others.length > 0 ? [] : [['Delivered-To', only] as const]
    return [['Return-Path', `<${sender.address}>`], ...deliveredTo, ['Received', received(session, id, by, addresses)]]
  }
}

/** The same for the copy of one mailbox among several: its own Delivered-To, and no other recipient. */
export function copyTraceFields(by: string): (session: Session, mailbox: string) => HeaderFields {
  return (session, mailbox) => {
    const { id, sender, recipients } = session.envelope!
    const shown = recipients.length === 1 ? [recipients[0]!.address] : []
    return [
      ['Return-Path', `<${sender.address}>`],
      ['Delivered-To', mailbox],
      ['Received', received(session, id, by, shown)],
    ]
  }
}

/** Makes the field of a message that the server `by` passes on: Received. */
export function receivedTrace(by: string): (session: Session) => HeaderFields {
  return session => {
    const { id, recipients } = session.envelope!
    return {
      Received: received(
        session,
        id,
        by,
        recipients.map(({ address }) => address),
      ),
    }
  }
}

function received(
  { helo, client, tls, protocol }: Session,
  id: string,
  by: string,
  recipients: readonly string[],
): string {
  const field = receivedField({
    helo: helo ?? '',
    address: client.address ?? undefined,
    name: client.name ?? undefined,
    by,
    protocol,
    id,
    recipients,
    tls: tls?.version ? { version: tls.version, cipher: tls.cipher ?? undefined } : undefined,
    date: new Date(),
  })
  return field.slice(RECEIVED.length).replaceAll('\r\n', '').trim()
}
