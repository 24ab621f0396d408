// What is remembered of messages whose recipients got different verdicts after the end of mail data, so that the retry
// brings nobody a second copy. Both records are bounded, and of this process; shared-records.ts has them for several.
//
//   refused: a recipient is told its verdict at the next RCPT, once; then it is asked again
//   delivered: a message that all recipients of the retry have is not delivered again, once: then they are forgotten

import type { Clock } from '../../time/clock.ts'
import type { Reply } from '../../words/reply.ts'

interface Refused {
  readonly reply: Reply
  /** It was the first recipient of its transaction: it will come before the others again. */
  readonly isFirst: boolean
  readonly until: number
}

interface Delivered {
  readonly recipients: ReadonlySet<string>
  readonly until: number
}

/** A recipient that was refused after the mail data, when others were not. */
export interface RefusedRecipient {
  readonly recipient: string
  /** What it will be told. */
  readonly reply: Reply
  /** It was the first recipient of its transaction: it will come before the others again. */
  readonly isFirst: boolean
}

/** Milliseconds for which both are kept: senders that wait for longer between two tries are rare. */
export const RECORD_LIFE: number = 24 * 3_600_000
/** Recipients in each of the two records. */
const MOST = 20_000

/** The records of one upstream. */
export class DeliveryRecords {
  readonly #clock: Clock
  readonly #refused = new Map<string, Refused>()
  readonly #delivered = new Map<string, Delivered>()
  #deliveredTo = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True if no message has to be recognized. */
  get isEmpty(): boolean {
    return this.#delivered.size === 0
  }

  /** A recipient was refused after the mail data, others were not. */
  noteRefusal(sender: string, { recipient, reply, isFirst }: RefusedRecipient): void {
    const key = keyOf(sender, recipient)
    this.#refused.delete(key)
    this.#refused.set(key, { reply, isFirst, until: this.#clock.now() + RECORD_LIFE })
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= MOST) break
      this.#refused.delete(oldest)
    }
  }

  /**
   * What a recipient is told without being asked, once; null if it is asked. `isAlone`: no recipient came before it in
   * this transaction.
   */
  takeRefusal(sender: string, recipient: string, isAlone: boolean): Reply | null {
    const key = keyOf(sender, recipient)
    const known = this.#refused.get(key)
    if (known === undefined || (isAlone && !known.isFirst)) return null
    this.#refused.delete(key)
    return this.#clock.now() < known.until ? known.reply : null
  }

  /** These recipients have the message. */
  noteDelivery(digest: string, recipients: readonly string[]): void {
    const before = this.#delivered.get(digest)?.recipients ?? new Set()
    this.#forget(digest)
    const all = new Set([...before, ...recipients])
    this.#delivered.set(digest, { recipients: all, until: this.#clock.now() + RECORD_LIFE })
    this.#deliveredTo += all.size
    for (const oldest of this.#delivered.keys()) {
      if (this.#deliveredTo <= MOST || oldest === digest) break
      this.#forget(oldest)
    }
  }

  /** The recipients among these that are not known to have the message. */
  without(digest: string, recipients: readonly string[]): readonly string[] {
    const known = this.#delivered.get(digest)
    if (known === undefined) return recipients
    if (this.#clock.now() < known.until) return recipients.filter(each => !known.recipients.has(each))
    this.#forget(digest)
    return recipients
  }

  /** The client was told that these recipients have the message: it does not send it to them again. */
  forgetDelivery(digest: string, recipients: readonly string[]): void {
    const known = this.#delivered.get(digest)
    if (known === undefined) return
    const told = new Set(recipients)
    const left = [...known.recipients].filter(each => !told.has(each))
    this.#forget(digest)
    if (left.length === 0) return
    this.#delivered.set(digest, { recipients: new Set(left), until: known.until })
    this.#deliveredTo += left.length
  }

  #forget(digest: string): void {
    this.#deliveredTo -= this.#delivered.get(digest)?.recipients.size ?? 0
    this.#delivered.delete(digest)
  }
}

function keyOf(sender: string, recipient: string): string {
  return `${sender}\0${recipient}`
}
