// Replies on their way out: gathered during a turn of the event loop, handed on together at its end [RFC 2920 §3.2].

import type { Readable } from 'node:stream'
import type { Reply } from '../words/reply.ts'
import { callAtTurnEnd } from './turn.ts'

/** Octets of replies that are gathered before they are handed on, while there are commands to go on with. */
export const REPLIES_AT_ONCE = 16_384

/** The replies that a stream has not handed on yet. */
export class ReplyQueue {
  /** True while the client has enough replies to read; false again once it asks for more. */
  isFull = false
  /** Replies that have not been handed on. */
  gathered = ''
  readonly #out: Readable
  #isLeaving = false
  #isEnding = false

  /** `out` is the stream that they leave by. */
  constructor(out: Readable) {
    this.#out = out
  }

  add(reply: Reply): void {
    this.gathered += reply.toString()
  }

  /** Hands them on at the end of the turn. */
  leaveAtTurnEnd(): void {
    if ((this.gathered === '' && !this.#isEnding) || this.#isLeaving) return
    this.#isLeaving = true
    callAtTurnEnd(this)
  }

  /** Ends the stream behind them. */
  end(): void {
    this.#isEnding = true
    this.leaveAtTurnEnd()
  }

  turnEnds(): void {
    this.#isLeaving = false
    this.flush()
  }

  /** Hands them on now. */
  flush(): void {
    if (this.#out.destroyed) return
    const { gathered } = this
    this.gathered = ''
    if (gathered !== '' && !this.#out.push(gathered, 'utf8')) this.isFull = true
    // A client in memory may answer within the push: its reply leaves before the end.
    if (!this.#isEnding || this.gathered !== '') return
    this.#isEnding = false
    this.#out.push(null)
  }
}
