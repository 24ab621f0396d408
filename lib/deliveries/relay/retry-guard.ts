// One verdict for a client of SMTP out of those that an upstream of LMTP gives for each recipient [RFC 2033 §4.2], so
// that the retry, for which the client sends the message to all of them again, brings nobody a second copy.

import type { Transform } from 'node:stream'
import { reply, type Reply } from '../../words/reply.ts'
import { recognize, type Recognizer } from './recognize.ts'
import type { DeliveryRecords } from './records.ts'

const DIFFERS: Reply = reply(451, '4.2.0', 'Not all recipients could be served, please send again')

/** Guards one message. */
export class RetryGuard {
  readonly #records: DeliveryRecords
  readonly #sender: string
  readonly #recipients: readonly string[]
  readonly #recognizer: Recognizer | null

  constructor(records: DeliveryRecords, sender: string, recipients: readonly string[]) {
    this.#records = records
    this.#sender = sender
    this.#recipients = recipients
    const needed = recipients.length > 1 || !records.isEmpty
    this.#recognizer = needed ? recognize(sender, digest => records.haveAll(digest, recipients)) : null
  }

  /** What the message passes through: it fails if all recipients have the message already. Null if it need not. */
  get through(): Transform | null {
    return this.#recognizer?.stream ?? null
  }

  /** The verdict that all have, or 451: then notes who was refused, and who has the message. */
  join(replies: readonly Reply[]): Reply {
    const first = replies[0]!
    if (replies.every(each => each.positive)) return first
    if (replies.every(each => each.code === first.code && each.status === first.status)) return first
    const delivered: string[] = []
    for (const [i, recipient] of this.#recipients.entries()) {
      const own = replies[i]!
      if (own.positive) delivered.push(recipient)
      else this.#records.noteRefusal(this.#sender, recipient, own, i === 0)
    }
    const digest = this.#recognizer?.digest ?? null
    if (digest !== null && delivered.length > 0) this.#records.noteDelivery(digest, delivered)
    return DIFFERS
  }
}
