// The mail data of one message, as its consumer reads it.
//
//   MailHandler's loop ─ MailData: scanner ─push→ Body ─read→ consumer

import { captureRejectionSymbol } from 'node:events'
import { Readable, type ReadableOptions } from 'node:stream'
import type { BareNewline } from '../protocol/mail-data/scanners.ts'

/** Octets of mail data that wait for their consumer before the client is slowed down; and see `emit`. */
const OPTIONS = { highWaterMark: 65_536, captureRejections: true } as ReadableOptions

function ignore(): void {}

/**
 * How mail data came to its end: `'ended'`, whole, at the end of data; `'truncated'`, the client went away before it;
 * `'aborted'`, its consumer wanted no more of it, or it was refused.
 */
export type Ending = 'ended' | 'truncated' | 'aborted'

/** How mail data is handed out. */
export interface BodyForm {
  readonly unstuff: boolean
  readonly bareNewline: BareNewline
}

/** The handler's end of a {@link Body}. */
export interface BodySource {
  readonly ending: Ending | null
  readonly octets: number
  /** Chooses how the mail data is handed out. Throws `ERR_BODY_STARTED` once reading has begun. */
  choose(form: Partial<BodyForm>): void
  limitSize(octets: number): void
  limitHeader(octets: number): void
  /** The consumer reads: the handler goes on. */
  want(): void
  /** The consumer has left. */
  consumerLeft(): void
  /** The consumer may have left without destroying the Body. */
  dropUnread(): void
  /** A listener of the consumer has thrown. */
  fail(error: unknown): void
}

/** Makes the Body of a message; only this package does. */
export let makeBody: (source: BodySource) => Body

/**
 * The mail data of one message: what comes between the 354 reply and the lone dot, its last CRLF included. It comes as
 * it was sent, dots stuffed, unless {@link Body.unstuffed} is called before it is read.
 *
 * It ends (`'end'`) only if the end of data was seen. In every other case it is destroyed: with the code
 * `ERR_TRUNCATED` if the client went away before, `ERR_BARE_NEWLINE`, `ERR_SIZE_LIMIT` or `ERR_HEADER_LIMIT` if it was
 * refused; no octet from the offending one on is handed out. A consumer that stops early stops nothing: the rest is read
 * and dropped. An error that nobody listens for is not thrown.
 */
export class Body extends Readable {
  readonly #source: BodySource

  private constructor(source: BodySource) {
    super(OPTIONS)
    this.#source = source
    this.on('error', ignore) // without a listener it would be thrown
  }

  static {
    makeBody = source => new Body(source)
    // Node calls it with what an async listener rejects with.
    Object.defineProperty(Body.prototype, captureRejectionSymbol, {
      value(this: Body, error: unknown) {
        this.#source.fail(error)
      },
    })
  }

  // An error that a listener throws fails this message; it would end the process.
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    try {
      return super.emit(event as 'data', ...(values as [unknown]))
    } catch (error) {
      this.#source.fail(error)
      return true
    }
  }

  /** Stops piping to `destination`. If nobody reads the rest, it is discarded after the verdict. */
  override unpipe(destination?: NodeJS.WritableStream): this {
    super.unpipe(destination)
    this.#source.dropUnread()
    return this
  }

  /** How the mail data came to its end; null while it has not. */
  get ending(): Ending | null {
    return this.#source.ending
  }

  /** Octets of mail data that have come in so far, without transparency. */
  get octets(): number {
    return this.#source.octets
  }

  /**
   * Asks for the mail data with transparency removed. [RFC 5321 §4.5.2]
   * Throws `ERR_BODY_STARTED` once reading has begun. Returns the Body itself.
   */
  unstuffed(): this {
    this.#source.choose({ unstuff: true })
    return this
  }

  /**
   * Asks for the mail data with transparency, as DATA sends it: a Body's default. What came by BDAT has none and gets it.
   * Throws `ERR_BODY_STARTED` once reading has begun. Returns the Body itself.
   */
  raw(): this {
    this.#source.choose({ unstuff: false })
    return this
  }

  /**
   * Refuses a bare CR or LF: the Body is destroyed with the code `ERR_BARE_NEWLINE` in its place, and the
   * rest is dropped. Throws `ERR_BODY_STARTED` once reading has begun. Returns the Body itself. [RFC 5321 §2.3.8]
   */
  refuseBareNewlines(): this {
    this.#source.choose({ bareNewline: 'reject' })
    return this
  }

  /**
   * Makes every line end with CRLF: a bare LF becomes CRLF, CRs before an LF belong to that line end, any other CR
   * becomes a space. Throws `ERR_BODY_STARTED` once reading has begun. Returns the Body itself. [RFC 5321 §2.3.8]
   */
  normalizeNewlines(): this {
    this.#source.choose({ bareNewline: 'normalize' })
    return this
  }

  /**
   * Refuses more than `octets` octets: the Body is destroyed with the code `ERR_SIZE_LIMIT`, the rest is dropped.
   * Returns the Body itself.
   */
  limit(octets: number): this {
    this.#source.limitSize(octets)
    return this
  }

  /**
   * Refuses a header of more than `octets` octets with the code `ERR_HEADER_LIMIT`, in the same way; the header ends with
   * the first empty line. Returns the Body itself.
   */
  limitHeader(octets: number): this {
    this.#source.limitHeader(octets)
    return this
  }

  override _read(): void {
    this.#source.want()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.consumerLeft()
    callback(error)
  }
}
