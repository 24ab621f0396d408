// The fields that final delivery puts in front of a message. [RFC 5321 §4.4]

import { receivedField } from '../protocol/header/received.ts'
import type { Session } from '../smtp/session.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'

const RECEIVED = 'Received: '

/** Return-Path, a Delivered-To for each recipient, and Received, for messages that the server of this name delivers. */
export function traceFields(by: string): (session: Session) => HeaderFields {
  return session => {
    const { sender, recipients } = session.envelope!
    const addresses = recipients.map(({ address }) => address)
    const delivered = addresses.map(address => ['Delivered-To', address] as const)
    return [['Return-Path', `<${sender.address}>`], ...delivered, ['Received', received(session, by, addresses)]]
  }
}

function received({ id, helo, client, tls, protocol }: Session, by: string, recipients: readonly string[]): string {
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
