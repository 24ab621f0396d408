// One verdict for a client of SMTP out of those that an upstream of LMTP gives for each recipient [RFC 2033 §4.2], so
// that the retry, for which the client sends the message to all of them again, brings nobody a second copy.
//
// What a store does not answer counts as not known: the message is delivered. What it does not take is remembered by this
// process alone.

import type { Transform } from 'node:stream'
import { publishFailure } from '../../policies/diagnostics.ts'
import { SessionCalls } from '../../policies/session-calls.ts'
import { networkOf } from '../../protocol/networks/network.ts'
import type { Session } from '../../smtp/session.ts'
import type { CallOptions } from '../../stores/store.ts'
import type { Clock } from '../../time/clock.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { recognize, type Recognizer } from './recognize.ts'
import type { DeliveryRecords, RefusedRecipient } from './records.ts'
import { LOST } from './relayed-replies.ts'
import type { SharedRecords } from './shared-records.ts'

const DELIVERED_BEFORE: Reply = reply(250, '2.0.0', 'OK')
const DIFFERS: Reply = reply(451, '4.2.0', 'Not all recipients could be served, please send again')
/** The words of the upstream are known to another process only. */
const REFUSED_BEFORE: Reply = reply(450, '4.2.0', 'The recipient was refused a moment ago, please try again later')

/** What a guard is made with. */
export interface RetryGuardParts {
  readonly records: DeliveryRecords
  /** Null: there is no store. */
  readonly shared: SharedRecords | null
  readonly session: Session
  readonly sender: string
  readonly clock: Clock
}

/** Guards one transaction. */
export class RetryGuard {
  readonly #parts: RetryGuardParts
  readonly #calls: SessionCalls
  /** Whether the store may know something; null before it was asked. */
  #concerns: boolean | null = null
  /** The recipients that come now come beside others, though the upstream has accepted none yet. */
  #hasTold = false
  /** Who sends: a sender's name can be forged, so one network is never told what another's message got. */
  readonly #from: string
  #recipients: readonly string[] = []
  #recognizer: Recognizer | null = null

  constructor(parts: RetryGuardParts) {
    this.#parts = parts
    this.#from = `${networkOf(parts.session.client.address ?? '', { v4: 24 })} ${parts.sender}`
    this.#calls = new SessionCalls(parts.clock)
  }

  /** What a recipient is told without being asked; null if it is asked. `isFirst`: the upstream has accepted no other. */
  async takeRefusal(recipient: string, isFirst: boolean): Promise<Reply | null> {
    const isAlone = isFirst && !this.#hasTold
    const known = await this.#takeRefusal(recipient, isAlone)
    this.#hasTold ||= known !== null
    return known
  }

  async #takeRefusal(recipient: string, isAlone: boolean): Promise<Reply | null> {
    const { records, sender } = this.#parts
    this.#concerns ??= (await this.#ask((shared, call) => shared.concern(sender, call))) ?? false
    const own = records.takeRefusal(this.#from, recipient, isAlone)
    if (!this.#concerns) return own
    const isRefused = await this.#ask((shared, call) => shared.takeRefusal(this.#from, recipient, isAlone, call))
    return own ?? (isRefused === true ? REFUSED_BEFORE : null)
  }

  /**
   * The message will be sent to these recipients. Returns what it passes through: it fails if some of them have the
   * message already. Null if it need not.
   */
  begin(recipients: readonly string[]): Transform | null {
    const { records, sender } = this.#parts
    this.#recipients = recipients
    const isNeeded = recipients.length > 1 || !records.isEmpty || this.#concerns === true
    this.#recognizer = isNeeded ? recognize(sender, digest => this.#judge(digest)) : null
    return this.#recognizer?.stream ?? null
  }

  /** The verdict that all have, or 451: then notes who was refused, and who has the message. */
  async join(replies: readonly Reply[]): Promise<Reply> {
    const first = replies[0]!
    if (replies.every(each => each.positive)) return first
    if (replies.every(each => each.code === first.code && each.status === first.status)) return first
    await this.#note(replies)
    return DIFFERS
  }

  /** The upstream was lost behind these verdicts: the others are asked again once it is known who has the message. */
  async lost(replies: readonly Reply[]): Promise<void> {
    if (replies.length === 0) return
    const isDelivered = replies.some(({ positive }) => positive)
    const left = isDelivered ? this.#recipients.slice(replies.length).map(() => LOST) : []
    await this.#note([...replies, ...left])
  }

  async #note(replies: readonly Reply[]): Promise<void> {
    const delivered: string[] = []
    const refused: RefusedRecipient[] = []
    for (const [i, reply] of replies.entries()) {
      const recipient = this.#recipients[i]!
      if (reply.positive) delivered.push(recipient)
      else refused.push({ recipient, reply, isFirst: i === 0 })
    }
    await this.#noteAll(delivered, refused)
  }

  async #noteAll(delivered: readonly string[], refused: readonly RefusedRecipient[]): Promise<void> {
    const { records, sender } = this.#parts
    const digest = this.#recognizer?.digest ?? null
    for (const each of refused) records.noteRefusal(this.#from, each)
    this.#calls.renew() // the client waits for its verdict, which a store that was slow before must not make a second copy
    const isShared = await this.#ask(async (shared, call) => {
      await shared.note({ sender, from: this.#from, refused, digest, delivered }, call)
      return true
    })
    // What the store has is not remembered here: another process may tell the client, and then it is over.
    if (isShared === null && digest !== null && delivered.length > 0) records.noteDelivery(digest, delivered)
  }

  /**
   * What the client is told of a message that some recipients have; null if none has it. If others have not, they are told
   * to wait at the retry, like those that were refused: a sender may have put them beside each other only then.
   */
  async #judge(digest: string): Promise<Reply | null> {
    const recipients = this.#recipients
    let left = this.#parts.records.without(digest, recipients)
    if (left.length > 0 && this.#concerns === true) {
      left = (await this.#ask((shared, call) => shared.without(digest, left, call))) ?? left
    }
    if (left.length === recipients.length) return null
    if (left.length === 0) {
      await this.#told(digest, recipients)
      return DELIVERED_BEFORE
    }
    const refused = left.map(recipient => ({ recipient, reply: DIFFERS, isFirst: recipient === recipients[0] }))
    await this.#noteAll([], refused)
    return DIFFERS
  }

  /** The client knows now: the same octets are another message from here on. */
  async #told(digest: string, recipients: readonly string[]): Promise<void> {
    this.#parts.records.forgetDelivery(digest, recipients)
    if (this.#concerns === true) await this.#ask((shared, call) => shared.forgetDelivery(digest, recipients, call))
  }

  /** What the store says; null if there is none, or it has failed. */
  async #ask<T>(call: (shared: SharedRecords, options: CallOptions) => Promise<T>): Promise<T | null> {
    const { shared, session } = this.#parts
    if (shared === null) return null
    const outcome = await this.#calls.ask(options => call(shared, options))
    if (outcome.ok) return outcome.value
    const error = outcome.error ?? (outcome.isBusy ? outcome.reason : null) // the failure itself was told before
    if (error !== null) publishFailure('relay', session, error)
    return null
  }
}
