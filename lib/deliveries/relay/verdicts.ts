// What the client is told of the replies to its message: one reply, or in LMTP one for each recipient.

import type { Transform } from 'node:stream'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import type { Reply } from '../../words/reply.ts'
import { CLOSING, relayed, replyOf, toldOf } from './relayed-replies.ts'
import type { RetryGuard } from './retry-guard.ts'

/** The replies to one message. */
export class Verdicts {
  readonly #recipients: readonly string[]
  readonly #retry: RetryGuard | null
  /** What the message passes through first. */
  readonly through: Transform | null
  /** Those that have come. */
  readonly #told: Reply[] = []

  /** `retry`: null if the client gets each of them, or there is only one. */
  constructor(recipients: readonly string[], retry: RetryGuard | null) {
    this.#recipients = recipients
    this.#retry = retry
    this.through = retry?.begin(recipients) ?? null
  }

  /** A reply to the whole message has come. A server that closes the connection with it says nothing of the message. */
  add(reply: ReceivedReply): void {
    if (reply.code !== CLOSING) this.#told.push(relayed(reply, 'end').reply)
  }

  /** All have come, or one for the message as a whole. */
  all(replies: readonly ReceivedReply[]): Reply | readonly Reply[] | Promise<Reply> {
    if (replies.length === 1) return replyOf(relayed(replies[0]!, 'end'))
    const all = replies.map(reply => relayed(reply, 'end').reply)
    return this.#retry === null ? all : this.#retry.join(all)
  }

  /** The upstream was lost. Rejects with the error, unless some recipients of a client of LMTP have their verdicts. */
  async lost(error: unknown): Promise<readonly Reply[]> {
    await this.#retry?.lost(this.#told)
    const told = toldOf(error)
    if (this.#retry !== null || this.#told.length === 0 || told === null) throw error
    return this.#recipients.map((_, i) => this.#told[i] ?? told.reply)
  }
}
