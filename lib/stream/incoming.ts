// The message that a session receives: how its octets arrive, by DATA or BDAT, and the way of its verdict to the client.

import type { Reply } from '../words/reply.ts'
import { replyToError, report } from './answers.ts'
import { sessionEnded, type Dialogue, type DialogueHost } from './dialogue.ts'
import { isPromise } from './handlers.ts'
import { MailData, type Receiver } from './mail-data.ts'
import type { Methods } from './methods.ts'

/** Octets that are no commands, on their way in. */
interface Arrival {
  /** False while the consumer of the message has enough. */
  readonly isReady: boolean
  /** True once the last of them has come. */
  readonly hasEnded: boolean
  /** Takes octets from `offset` on; returns the offset behind them. Call it only if {@link isReady}. */
  receive(chunk: Buffer, offset: number): number
}

/** The octets that a BDAT has counted. */
class CountedOctets implements Arrival {
  readonly #data: MailData | null
  readonly done: (error?: Error) => void
  #left: number

  /** They go into `data`, or to nowhere. */
  constructor(count: number, data: MailData | null, done: (error?: Error) => void) {
    this.#left = count
    this.#data = data
    this.done = done
  }

  get isReady(): boolean {
    return this.#data?.isReady !== false
  }

  get hasEnded(): boolean {
    return this.#left === 0
  }

  receive(chunk: Buffer, offset: number): number {
    const next = Math.min(chunk.length, offset + this.#left)
    this.#left -= next - offset
    this.#data?.receiveCounted(chunk.subarray(offset, next))
    return next
  }
}

/** The messages of one session, one at a time. */
export class Incoming<Handler extends Methods> implements Receiver {
  /** The message under way, from 354 or the first BDAT to the verdict. */
  data: MailData | null = null
  /** What the octets of the client are now; null: commands. */
  arriving: Arrival | null = null
  readonly #handler: Handler
  readonly #host: DialogueHost<Handler>
  readonly #dialogue: Dialogue<Handler>
  /** Called with the last reply to a message, instead of giving it: BDAT's command is still at hand. */
  #whenConcluded: ((last: Reply) => void) | null = null

  constructor(handler: Handler, host: DialogueHost<Handler>, dialogue: Dialogue<Handler>) {
    this.#handler = handler
    this.#host = host
    this.#dialogue = dialogue
  }

  /** After a 354 reply: what comes next is mail data. */
  beginData(): void {
    const data = this.#make()
    this.arriving = data // before its consumer, which may have the handler go on with the input
    this.#start(data)
  }

  /** Begins a message that arrives in several commands. Throws `ERR_SESSION_ENDED`: a hook may have destroyed the handler. [RFC 3030] */
  open(): void {
    if (this.#dialogue.isClosed) throw sessionEnded()
    this.#start(this.#make())
  }

  #make(): MailData {
    return (this.data = new MailData(this))
  }

  #start(data: MailData): void {
    data.start(body => this.#handler.handleBody(body))
  }

  /** The last octet has come: the verdict is awaited or given, or the command that counted the octets goes on. */
  end(arrival: Arrival): void {
    if (this.arriving !== arrival) return // the session has ended
    this.arriving = null
    if (arrival instanceof CountedOctets) return arrival.done()
    this.#dialogue.state = 'busy'
    this.data!.concludeIfDue()
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
      this.arriving = new CountedOctets(count, data, error => (error === undefined ? resolve() : reject(error)))
      this.#host.advance(this.#handler)
    })
  }

  /** The last octet of a counted message has come: resolves with the last reply to say, when the verdict is known. */
  endCounted(data: MailData): Promise<Reply> {
    return new Promise(resolve => {
      this.#whenConcluded = resolve
      data.endCounted()
      data.concludeIfDue()
    })
  }

  /** No further octet of the message comes: it is truncated. */
  drop(): void {
    if (this.arriving === this.data) this.arriving = null
    this.data?.truncate()
    this.data = null
  }

  /** The session has ended. */
  abandon(): void {
    this.drop()
    if (this.arriving instanceof CountedOctets) this.arriving.done(sessionEnded())
    this.arriving = null
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
      const concluded = this.#dialogue.observer?.onVerdict(verdict) ?? verdict
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
