// Mail data on its way to a consumer.
//
//   MailHandler's loop ─ BodyFeed: scanner ─push→ Body ─read→ consumer
//                          └ wanted(): the consumer reads, the loop may go on

import { captureRejectionSymbol } from 'node:events'
import { Readable, type ReadableOptions } from 'node:stream'
import { MailHandlerError, type ErrorCode } from '../words/errors.ts'
import { SmtpError } from '../words/smtp-error.ts'
import type { Reply } from '../words/reply.ts'
import { DataScanner, type DataScannerOptions, type Emit } from '../protocol/mail-data/data-scanner.ts'
import { HeaderMeter } from '../protocol/mail-data/header-meter.ts'
import { LineDots } from '../protocol/mail-data/line-dots.ts'
import { NewlineChecker } from '../protocol/mail-data/newline-checker.ts'

/** The octets of mail data that wait for their consumer before the client is slowed down; and see `emit`. */
const OPTIONS = { highWaterMark: 65_536, captureRejections: true } as ReadableOptions

function nothing(): void {}

/**
 * How mail data came to its end: `'ended'`, whole, at the end of data; `'truncated'`, the client went away before it;
 * `'aborted'`, its consumer wanted no more of it, or it was refused.
 */
export type Ending = 'ended' | 'truncated' | 'aborted'

/**
 * The mail data of one message: what stands between the 354 reply and the lone dot, its last CRLF included. It comes
 * as it was sent, dots stuffed, unless {@link Body.unstuffed} is called before it is read.
 *
 * It ends (`'end'`) only where the end of data was seen. In every other case it is destroyed: with the code
 * `ERR_TRUNCATED` where the client was gone before, `ERR_BARE_NEWLINE` or `ERR_SIZE_LIMIT` where it was refused. A
 * consumer that stops early stops nothing: the rest is read and dropped. An error nobody listens for is not thrown.
 */
export class Body extends Readable {
  readonly #feed: BodyFeed

  /** Made by MailHandler alone. */
  constructor(feed: BodyFeed) {
    super(OPTIONS)
    this.#feed = feed
    this.on('error', nothing) // for want of a listener it would be thrown
  }

  static {
    // Node calls it with what an async listener rejects with.
    Object.defineProperty(Body.prototype, captureRejectionSymbol, {
      value(this: Body, error: unknown) {
        this.fail(error)
      },
    })
  }

  // What a listener throws, now or later, fails this message; it would end the process.
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    try {
      return super.emit(event as 'data', ...(values as [unknown]))
    } catch (error) {
      this.fail(error)
      return true
    }
  }

  override unpipe(destination?: NodeJS.WritableStream): this {
    super.unpipe(destination)
    this.#feed.dropUnread()
    return this
  }

  /** How the mail data came to its end; null while it has not. */
  get ending(): Ending | null {
    return this.#feed.ending
  }

  /** Octets of mail data that have come in so far. */
  get octets(): number {
    return this.#feed.octets
  }

  /**
   * Asks for the mail data with transparency removed. [RFC 5321 §4.5.2]
   * Throws `ERR_BODY_STARTED` once reading has begun. Returns the Body itself.
   */
  unstuffed(): this {
    this.#feed.choose({ unstuff: true })
    return this
  }

  /**
   * Asks for the mail data with transparency, as DATA sends it; what a Body does by itself. What came by BDAT has none
   * and gets it. See {@link Body.unstuffed}.
   */
  raw(): this {
    this.#feed.choose({ unstuff: false })
    return this
  }

  /**
   * Refuses a CR or LF that stands alone: the Body is destroyed with the code `ERR_BARE_NEWLINE` when one comes in, and
   * the rest is dropped. Throws `ERR_BODY_STARTED` once reading has begun. [RFC 5321 §2.3.8]
   */
  refuseBareNewlines(): this {
    this.#feed.choose({ strict: true })
    return this
  }

  /**
   * Refuses more than `octets` octets: the Body is destroyed with the code `ERR_SIZE_LIMIT`, the rest is dropped. `over` is
   * called then, once, also where the Body was left before.
   */
  limit(octets: number, over: () => void = () => {}): this {
    this.#feed.limit = octets
    this.#feed.over = over
    return this
  }

  /** Calls `reached` once, when so many octets have come in, whoever reads them; for 0 at once. One mark a Body. */
  mark(octets: number, reached: () => void): this {
    this.#feed.setMark(octets, reached)
    return this
  }

  /** Refuses the message, whatever its consumer thinks of it: the Body is destroyed, the rest is dropped. */
  refuse(error: MailHandlerError): void {
    this.#feed.refuse(error)
  }

  /**
   * What is done with the message has thrown `error`: it is refused, with the reply to that error, which is reported
   * where it is nobody's fault but ours. Returns why the message is refused, which may have been known before.
   */
  fail(error: unknown): Error {
    return this.#feed.fail(error)
  }

  /** Refuses a header of more than `octets` octets, in the same way; the header ends with the first empty line. */
  limitHeader(octets: number): this {
    this.#feed.headerLimit = octets
    return this
  }

  override _read(): void {
    this.#feed.want()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#feed.leave()
    callback(error)
  }
}

/** The handler's end of a {@link Body}: takes chunks, cuts the mail data out of them, and knows when to wait. */
export class BodyFeed {
  readonly body: Body
  ending: Ending | null = null
  octets = 0
  limit: number = Infinity
  over: (() => void) | null = null
  #mark = Infinity
  #reached: () => void = nothing
  headerLimit: number = Infinity
  readonly #header = new HeaderMeter()
  /** False while the consumer has enough to read: the handler holds its chunk until `wanted` is called. */
  ready = false
  /** Why the mail data is refused, whatever its consumer thinks of it. */
  refusal: MailHandlerError | SmtpError | null = null
  /** What the consumer answered; null while it has not. */
  verdict: readonly Reply[] | null = null
  readonly #wanted: () => void
  readonly #thrown: (error: unknown) => Reply
  readonly #push: Emit = piece => {
    if (this.ending === null && !this.body.push(piece)) this.ready = false
  }
  readonly #emit: Emit = piece => {
    this.#measure(piece)
    this.#push(piece)
  }
  #choice: DataScannerOptions = { unstuff: false, strict: false }
  #scanner: DataScanner | null = null
  #newlines: NewlineChecker | null = null
  #dots: LineDots | null = null
  #started = false
  #settled = false

  /** `wanted` is called whenever {@link ready} becomes true, `thrown` makes the reply to what a listener threw. */
  constructor(wanted: () => void, thrown: (error: unknown) => Reply) {
    this.#wanted = wanted
    this.#thrown = thrown
    this.body = new Body(this)
  }

  /** True once the end of data has been seen, whatever became of the Body. */
  get done(): boolean {
    return this.#scanner?.ended ?? false
  }

  /** Takes octets of mail data from `offset` on; returns the offset behind them. Call it only when {@link ready}. */
  take(chunk: Buffer, offset: number): number {
    this.#started = true
    const scanner = (this.#scanner ??= new DataScanner(this.#choice))
    const next = scanner.scan(chunk, offset, this.#emit)
    this.#refuseIfBare(scanner)
    if (scanner.ended && this.ending === null) {
      this.ending = 'ended'
      this.body.push(null)
    }
    return next
  }

  /** Takes mail data that was counted, not cut: BDAT's, which has no transparency. [RFC 3030 §2] */
  takeWhole(piece: Buffer): void {
    this.#started = true
    if (this.#choice.strict) this.#newlines ??= new NewlineChecker()
    this.#newlines?.check(piece)
    this.#measure(piece)
    if (this.#choice.unstuff) this.#push(piece)
    else (this.#dots ??= new LineDots('double')).edit(piece, this.#push)
    this.#refuseIfBare(this.#newlines)
  }

  /** The end of mail data that was counted. */
  end(): void {
    this.#newlines?.end()
    this.#refuseIfBare(this.#newlines)
    if (this.ending !== null) return
    this.ending = 'ended'
    this.body.push(null)
  }

  /** The client is gone before the end of data. */
  truncate(): void {
    if (this.ending !== null) return
    this.ending = 'truncated'
    this.body.destroy(new MailHandlerError('ERR_TRUNCATED', 'the client went away before the end of the mail data'))
  }

  /** The verdict is known: a Body that nobody reads is dropped, so that it holds nobody up. */
  settle(): void {
    this.#settled = true
    this.dropUnread()
  }

  /** A reader may leave after the verdict too, as where the stream that the Body is piped into fails. */
  dropUnread(): void {
    if (!this.#settled || this.ending !== null) return
    if (this.body.listenerCount('data') + this.body.listenerCount('readable') === 0) this.body.destroy()
  }

  /** A listener of the consumer has thrown: the message is refused. */
  fail(error: unknown): Error {
    if (this.refusal instanceof SmtpError) return this.refusal // it was told before
    const refusal = new SmtpError(this.#thrown(error), { cause: error })
    this.refuse(refusal)
    return this.refusal ?? refusal
  }

  refuse(refusal: MailHandlerError | SmtpError): void {
    this.refusal ??= refusal
    if (this.ending !== null) return
    this.ending = 'aborted'
    this.body.destroy(refusal)
  }

  choose(choice: Partial<DataScannerOptions>): void {
    if (this.#started) {
      throw new MailHandlerError('ERR_BODY_STARTED', 'how mail data is read is chosen before reading begins')
    }
    const { unstuff, strict } = this.#choice
    this.#choice = { unstuff: choice.unstuff ?? unstuff, strict: choice.strict ?? strict }
  }

  want(): void {
    if (this.ready) return
    this.ready = true
    this.#wanted()
  }

  leave(): void {
    this.ending ??= 'aborted'
    this.want()
  }

  setMark(octets: number, reached: () => void): void {
    this.#mark = octets
    this.#reached = reached
    this.#lookAtMark()
  }

  #lookAtMark(): void {
    if (this.octets < this.#mark) return
    this.#mark = Infinity
    this.#reached()
  }

  #measure(piece: Buffer): void {
    this.octets += piece.length
    this.#lookAtMark()
    if (this.octets > this.limit) this.#refuseSize()
    if (this.headerLimit < Infinity && this.#header.measure(piece) > this.headerLimit) {
      this.#refuse('ERR_SIZE_LIMIT', `more than ${this.headerLimit} octets of header`)
    }
  }

  #refuseSize(): void {
    this.#refuse('ERR_SIZE_LIMIT', `more than ${this.limit} octets of mail data`)
    const { over } = this
    this.over = null
    over?.()
  }

  #refuseIfBare(looked: { readonly bare: boolean } | null): void {
    if (looked?.bare) this.#refuse('ERR_BARE_NEWLINE', 'a CR or LF stands alone in the mail data')
  }

  #refuse(code: ErrorCode, message: string): void {
    if (this.refusal === null) this.refuse(new MailHandlerError(code, message))
  }
}
