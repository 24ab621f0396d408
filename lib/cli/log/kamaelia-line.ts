// A line as Kamaelia's greylister wrote it: `20261122080000.123 | helo | peer | <sender> | <r1>, <r2> | STATUS | `, in
// UTC, one for each transaction, and one for a session without a transaction. Behind the last bar, where Kamaelia wrote
// nothing, is the id of the message.

import type { Envelope } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import { printable } from '../../words/printable.ts'
import type { Verdict } from './session-tally.ts'

/** What separates fields or escapes: it is escaped in a field. */
const SEPARATORS = /[|,<>\\]/g
const RECIPIENTS = 100

const STATUS: Readonly<Record<Verdict, string>> = {
  accepted: 'ACCEPTED',
  deferred: 'DEFERRED',
  refused: 'REFUSED',
  lost: '',
}

/** Formats the line. `verdict` is null if there was no mail data. */
export function kamaeliaLine(
  session: Session,
  envelope: Envelope | null,
  verdict: Verdict | null,
  now: Date = new Date(),
): string {
  const time = now.toISOString().replace(/[-:TZ]/g, '')
  const recipients = (envelope?.recipients ?? []).slice(0, RECIPIENTS).map(({ address }) => `<${field(address)}>`)
  const fields = [
    time,
    session.helo === null ? '' : field(session.helo),
    session.client.address ?? '',
    envelope === null ? 'None' : `<${field(envelope.sender.address)}>`,
    recipients.join(', '),
    verdict === null ? '' : STATUS[verdict],
    verdict === null ? '' : (envelope?.id ?? ''),
  ]
  return fields.join(' | ')
}

function field(text: string): string {
  const escaped = text.replaceAll(SEPARATORS, character => `\\x${character.charCodeAt(0).toString(16)}`)
  return printable(escaped)
}
