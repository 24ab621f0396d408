// Replies on their way out: gathered during a turn of the event loop, handed on together at its end [RFC 2920 §3.2].

import type { Readable } from 'node:stream'
import type { Reply } from '../words/reply.ts'
import { callAtTurnEnd } from './turn-end.ts'

/** Octets of replies that are gathered before they are handed on, while there are commands to go on with. */
export const REPLIES_AT_ONCE = 16_384

/** The replies that a stream has not handed on yet. */
export class ReplyQueue {
  /** The client has replies enough to read; false again once it asks for more. */
  full = false
  readonly #out: Readable
  #gathered = ''
  /** They leave at the end of this turn. */
  #leaving = false
  /** Behind them the stream ends. */
  #ends = false

  /** `out` is the stream that they leave by. */
  constructor(out: Readable) {
    this.#out = out
  }

  add(reply: Reply): void {
    this.#gathered += reply.toString()
  }

  /** Has them handed on at the end of the turn. */
  leave(): void {
    if ((this.#gathered === '' && !this.#ends) || this.#leaving) return
    this.#leaving = true
    callAtTurnEnd(this)
  }

  /** There will be no more: has the stream end behind them. */
  end(): void {
    this.#ends = true
    this.leave()
  }

  /** The turn of the event loop is over. */
  turnEnds(): void {
    this.#leaving = false
    this.flush()
  }

  flushIfMany(): void {
    if (this.#gathered.length >= REPLIES_AT_ONCE) this.flush()
  }

  /** Hands them on now. */
  flush(): void {
    if (this.#out.destroyed) return
    const gathered = this.#gathered
    this.#gathered = ''
    if (gathered !== '' && !this.#out.push(gathered, 'utf8')) this.full = true
    if (this.#ends) this.#out.push(null)
    this.#ends = false
  }
}
