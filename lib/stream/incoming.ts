// The message that a session receives: how its octets arrive, by DATA or BDAT, and the way of its verdict to the client.

import type { Reply } from '../words/reply.ts'
import { replyToError, report } from './answers.ts'
import { sessionEnded, type Dialogue, type DialogueHost } from './dialogue.ts'
import { isPromise } from './handlers.ts'
import { MailData, type Receiver } from './mail-data.ts'
import type { Methods } from './methods.ts'

/** Counted octets that are still to come. */
interface Counted {
  left: number
  readonly data: MailData | null
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The messages of one session, one at a time. */
export class Incoming<Handler extends Methods> implements Receiver {
  /** The message under way, from 354 or the first BDAT to the verdict. */
  data: MailData | null = null
  readonly #handler: Handler
  readonly #host: DialogueHost<Handler>
  readonly #dialogue: Dialogue<Handler>
  /** True while octets are mail data that ends with CRLF.CRLF. */
  #isInData = false
  #counted: Counted | null = null
  /** Called with the last reply to a message, instead of giving it: BDAT's command is still at hand. */
  #whenConcluded: ((last: Reply) => void) | null = null

  constructor(handler: Handler, host: DialogueHost<Handler>, dialogue: Dialogue<Handler>) {
    this.#handler = handler
    this.#host = host
    this.#dialogue = dialogue
  }

  /** True while octets of the client are mail data, and no commands. */
  get isReceiving(): boolean {
    return this.#isInData || this.#counted !== null
  }

  /** False while the consumer of the body has enough. */
  get isReady(): boolean {
    const data = this.#counted === null ? this.data : this.#counted.data
    return data?.isReady !== false
  }

  /** True while octets that a command has counted are to come. */
  get isCounting(): boolean {
    return this.#counted !== null
  }

  /** After a 354 reply: what comes next is mail data. */
  beginData(): void {
    this.#isInData = true
    this.open()
  }

  /** Begins a message, and gives it to `handleBody`; for BDAT it arrives in several commands. [RFC 3030] */
  open(): MailData {
    const data = new MailData(this)
    this.data = data
    data.start(body => this.#handler.handleBody(body))
    return data
  }

  /** Takes octets from `offset` on; returns the offset behind them. Call it only if {@link isReceiving} and {@link isReady}. */
  receive(chunk: Buffer, offset: number): number {
    const counted = this.#counted
    if (counted === null) return this.data!.receiveLines(chunk, offset)
    const next = Math.min(chunk.length, offset + counted.left)
    counted.left -= next - offset
    counted.data?.receiveCounted(chunk.subarray(offset, next))
    if (counted.left === 0 && this.#counted === counted) {
      this.#counted = null
      counted.resolve()
    }
    return next
  }

  /** Call it after {@link receive}: if the end of DATA's mail data was seen, its verdict is awaited, or given. */
  checkEnd(): void {
    const { data } = this
    if (!this.#isInData || data?.hasEnded !== true) return
    this.#isInData = false
    this.#dialogue.state = 'busy'
    data.conclude()
  }

  /**
   * Takes the next `count` octets as they are, into `data` or to nowhere; resolves when they have come. Call it only in
   * a method that answers a command, and await it there. Rejects with `ERR_SESSION_ENDED` if the session ends before.
   * [RFC 3030 §2]
   */
  takeOctets(count: number, data: MailData | null): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#dialogue.isClosed) return reject(sessionEnded())
      if (count === 0) return resolve()
      this.#counted = { left: count, data, resolve, reject }
      this.#host.advance(this.#handler)
    })
  }

  /** The last octet of a counted message has come: resolves with the last reply to say, when the verdict is known. */
  endCounted(data: MailData): Promise<Reply> {
    return new Promise(resolve => {
      this.#whenConcluded = resolve
      data.endCounted()
      data.conclude()
    })
  }

  /** No further octet of the message comes: it is truncated. */
  drop(): void {
    this.#isInData = false
    this.data?.truncate()
    this.data = null
  }

  /** The session has ended. */
  abandon(): void {
    this.drop()
    this.#counted?.reject(sessionEnded())
    this.#counted = null
  }

  // ── The Receiver of a message ──

  resume(): void {
    this.#host.advance(this.#handler)
  }

  replyTo(error: unknown): Reply {
    return replyToError(this.#handler, error)
  }

  conclude(data: MailData, verdict: readonly Reply[]): void {
    if (data !== this.data) return
    const fail = (error: unknown) => {
      report(this.#handler, error)
      this.#sayVerdict(verdict)
    }
    try {
      const concluded = this.#dialogue.observer?.concludes(verdict) ?? verdict
      if (isPromise(concluded)) concluded.then(final => this.#sayVerdict(final), fail)
      else this.#sayVerdict(concluded)
    } catch (error) {
      fail(error)
    }
  }

  #sayVerdict(verdict: readonly Reply[]): void {
    const dialogue = this.#dialogue
    if (dialogue.state !== 'busy' || this.#handler.destroyed) return
    this.data = null
    const last = dialogue.sayAhead(verdict)
    const concluded = this.#whenConcluded
    this.#whenConcluded = null
    if (concluded === null) dialogue.answerLate(last)
    else concluded(last)
  }
}
