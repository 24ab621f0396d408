// One message from the 354 reply, or the first BDAT, to its verdict.
//
//   DATA ─ receive ───────┐
//   BDAT ─ receiveCounted ┴ scanner ─ limits ─push→ Body ─read→ consumer ─ verdict ─ settle ─┐
//   end of data ─────────────────────────────────────────────────────────────────────────────┴─ concluded: replies

import { ChunkScanner, DataScanner, type Emit } from '../protocol/mail-data/scanners.ts'
import { HeaderMeter } from '../protocol/mail-data/header-meter.ts'
import { MailHandlerError, type ErrorCode } from '../words/errors.ts'
import type { Reply } from '../words/reply.ts'
import { SmtpError } from '../words/smtp-error.ts'
import { asVerdict, refusalFor } from './answers.ts'
import { isPromise, type Verdict } from './handlers.ts'
import { makeBody, type Body, type BodyForm, type BodySource, type Ending } from './body.ts'

/** Receives mail data: a MailHandler. */
export interface Receiver {
  /** The reply to what was thrown; a program error is reported. */
  replyTo(error: unknown): Reply
  /** The consumer of the Body reads again. */
  resume(): void
  /** The end of data was seen and the verdict is known: `verdict` is a reply for the client, or one a recipient. */
  conclude(data: MailData, verdict: readonly Reply[]): void
}

/** The mail data of one message, from its first octet to the verdict. */
export class MailData implements BodySource {
  readonly body: Body
  ending: Ending | null = null
  /** Octets of mail data so far, without transparency. [RFC 1870 §3] */
  octets = 0
  /** False while the consumer has enough to read: the handler holds its chunk until `resume` is called. */
  isReady = false
  /** True once the end of data has been seen. */
  hasEnded = false
  /** Why the mail data is refused, whatever its consumer answers. */
  refusal: MailHandlerError | SmtpError | null = null
  /** Is called if the mail data is refused for its size, even if nobody reads it any more. */
  onOversize: (() => void) | null = null

  readonly #receiver: Receiver
  #isConcluded = false
  #form: BodyForm = { unstuff: false, bareNewline: 'allow' }
  #lines: DataScanner | null = null
  #chunks: ChunkScanner | null = null
  #emitted = 0
  #isStarted = false
  #sizeLimit = Infinity
  #headerLimit = Infinity
  #header: HeaderMeter | null = null
  #mark: { readonly octets: number; readonly reached: () => void } | null = null
  #verdict: readonly Reply[] | null = null
  #whenEnded: (() => void) | null = null

  constructor(receiver: Receiver) {
    this.#receiver = receiver
    this.body = makeBody(this)
  }

  // ── Octets on their way to the Body ──

  /**
   * Takes mail data of DATA from `offset` on; returns the offset behind it. Call it only if {@link isReady}, and
   * {@link concludeIfDue} once it {@link hasEnded}.
   */
  receive(chunk: Buffer, offset: number): number {
    if (!this.#isStarted) this.#start()
    const scanner = (this.#lines ??= new DataScanner(this.#form))
    const next = scanner.scan(chunk, offset, this.#emit)
    if (scanner.bare) this.#refuseBareNewline()
    if (scanner.ended) this.#end()
    return next
  }

  /** Takes mail data that was counted, not framed: BDAT's, which has no transparency. [RFC 3030 §2] */
  receiveCounted(piece: Buffer): void {
    if (!this.#isStarted) this.#start()
    const scanner = (this.#chunks ??= new ChunkScanner(this.#form))
    scanner.take(piece, this.#emit)
    if (scanner.bare) this.#refuseBareNewline()
  }

  /** The last counted octet has arrived; call {@link concludeIfDue} then. */
  endCounted(): void {
    if (!this.#isStarted) this.#start()
    const scanner = (this.#chunks ??= new ChunkScanner(this.#form))
    scanner.end(this.#emit)
    if (scanner.bare) this.#refuseBareNewline()
    this.#end()
  }

  /** The client is gone before the end of data. */
  truncate(): void {
    this.#whenEnded?.()
    if (this.ending !== null) return
    this.ending = 'truncated'
    this.body.destroy(new MailHandlerError('ERR_TRUNCATED', 'the client went away before the end of the mail data'))
  }

  #start(): void {
    this.#isStarted = true
    if (this.#headerLimit < Infinity) this.#header = new HeaderMeter(this.#form.bareNewline === 'allow')
  }

  readonly #emit: Emit = piece => {
    this.#emitted += piece.length
    this.octets = this.#emitted - ((this.#lines ?? this.#chunks)?.stuffing ?? 0)
    if (this.#mark !== null) this.#checkMark()
    if (this.refusal === null) {
      if (this.#header?.hasEnded === false) this.#checkHeader(piece)
      if (this.octets > this.#sizeLimit) this.#refuseSize()
    }
    if (this.ending === null && !this.body.push(piece)) this.isReady = false
  }

  #end(): void {
    this.hasEnded = true
    if (this.ending === null) {
      this.ending = 'ended'
      this.body.push(null)
    }
    this.#whenEnded?.()
  }

  /** Resolves once the end of data has been seen, or the client is gone before it. */
  whenEnded(): Promise<void> {
    return this.hasEnded ? Promise.resolve() : new Promise(resolve => (this.#whenEnded = resolve))
  }

  // ── The verdict ──

  /** Gives the Body to its consumer. */
  start(take: (body: Body) => Verdict): void {
    try {
      const verdict = take(this.body)
      if (!isPromise(verdict)) return this.setVerdict(verdict)
      Promise.resolve(verdict).then(
        late => this.setVerdict(late),
        (error: unknown) => this.setVerdict(this.#receiver.replyTo(error)),
      )
    } catch (error) {
      this.setVerdict(this.#receiver.replyTo(error))
    }
  }

  /** Takes what the consumer answered, once; an unread Body is discarded. */
  setVerdict(answer: Reply | readonly Reply[] | void): void {
    if (this.#verdict !== null) return
    this.#verdict = this.#check(answer)
    this.dropUnread()
    this.concludeIfDue()
  }

  #check(answer: unknown): readonly Reply[] {
    try {
      return asVerdict(answer, 'handleBody')
    } catch (error) {
      return [this.#receiver.replyTo(error)]
    }
  }

  /** The reply of a message that is refused before its end, for all of its recipients; null while it may still be taken. */
  get earlyRefusal(): Reply | null {
    if (this.refusal !== null) return this.#receiver.replyTo(this.refusal)
    const verdict = this.#verdict
    return verdict?.every(each => !each.positive) === true ? (verdict[0] ?? null) : null
  }

  /** Tells the receiver once, if the end of data was seen and the verdict is known. */
  concludeIfDue(): void {
    if (!this.hasEnded || this.#isConcluded || this.#verdict === null) return
    this.#isConcluded = true
    this.#receiver.conclude(this, this.judge(this.#verdict))
  }

  /** What the client is told: never that mail data was taken which was refused. */
  judge(verdict: readonly Reply[]): readonly Reply[] {
    if (this.refusal === null || !verdict.some(each => each.positive)) return verdict
    const refusal = this.#receiver.replyTo(this.refusal)
    return verdict.map(each => (each.positive ? refusal : each))
  }

  // ── Refusals ──

  /** Refuses the message, whatever its consumer answers: the Body is destroyed, the rest is dropped. */
  refuse(refusal: MailHandlerError | SmtpError): void {
    this.refusal ??= refusal
    if (this.ending !== null) return
    this.ending = 'aborted'
    this.body.destroy(refusal)
  }

  /** A listener of the consumer has thrown `error`: refuses the message. Returns why the message is refused. */
  fail(error: unknown): Error {
    if (this.refusal instanceof SmtpError) return this.refusal
    const reply = this.#receiver.replyTo(error)
    const refusal = refusalFor(error, reply)
    this.refuse(refusal)
    // A consumer whose listener threw may never settle; one that notices has the time to.
    setImmediate(() => this.setVerdict(reply))
    return this.refusal ?? refusal
  }

  /** Both limits count from the first octet: the smaller one is passed first. */
  #checkHeader(piece: Buffer): void {
    const header = this.#header!.measure(piece)
    if (header <= this.#headerLimit || this.#headerLimit >= this.#sizeLimit) return
    this.#refuseWith('ERR_HEADER_LIMIT', `more than ${this.#headerLimit} octets of header`)
  }

  #refuseSize(): void {
    if (this.refusal !== null) return
    this.#refuseWith('ERR_SIZE_LIMIT', `more than ${this.#sizeLimit} octets of mail data`)
    this.onOversize?.()
  }

  #refuseBareNewline(): void {
    this.#refuseWith('ERR_BARE_NEWLINE', 'the mail data has a bare CR or LF')
  }

  /** The first offence decides. */
  #refuseWith(code: ErrorCode, message: string): void {
    if (this.refusal === null) this.refuse(new MailHandlerError(code, message))
  }

  // ── The Body's side ──

  choose(form: Partial<BodyForm>): void {
    if (this.#isStarted) {
      throw new MailHandlerError('ERR_BODY_STARTED', 'how mail data is read is chosen before reading begins')
    }
    const { unstuff, bareNewline } = this.#form
    this.#form = { unstuff: form.unstuff ?? unstuff, bareNewline: form.bareNewline ?? bareNewline }
  }

  limitSize(octets: number): void {
    this.#sizeLimit = octets
  }

  limitHeader(octets: number): void {
    this.#headerLimit = octets
  }

  /** Calls `reached` once, when `octets` octets have come in, even if nobody reads them; for 0 at once. One mark a message. */
  mark(octets: number, reached: () => void): void {
    this.#mark = { octets, reached }
    this.#checkMark()
  }

  #checkMark(): void {
    const mark = this.#mark
    if (mark === null || this.octets < mark.octets) return
    this.#mark = null
    mark.reached()
  }

  want(): void {
    if (this.isReady) return
    this.isReady = true
    this.#receiver.resume()
  }

  consumerLeft(): void {
    this.ending ??= 'aborted'
    this.want()
  }

  /** Discards a Body that has its verdict and no reader; a reader may also leave after the verdict. */
  dropUnread(): void {
    if (this.#verdict !== null) this.discardUnread()
  }

  /** Discards the Body if nobody reads it. */
  discardUnread(): void {
    if (this.ending !== null) return
    if (this.body.listenerCount('data') + this.body.listenerCount('readable') === 0) this.body.destroy()
  }
}
