// Mail data from any Readable, with backpressure: read chunk by chunk, scanned, and handed on.

import { Readable } from 'node:stream'
import type { LineScanner } from '../protocol/mail-data/line-scanner.ts'
import { NulDots } from '../protocol/mail-data/nul-dots.ts'
import { LF } from '../words/octets.ts'
import { SmtpClientError } from './client-error.ts'
import type { ClientStep } from './steps.ts'

/** Mail data: a stream, or all of its octets; a string is UTF-8. */
export type MailData = Readable | Uint8Array | string

/** Takes mail data. */
export interface MailTaker {
  /** False while it should have no more; {@link MailSource.resume} is called then. */
  readonly isReady: boolean
  /** Takes the next octets, as the scanner emits them. */
  take(octets: Buffer): void
  /** There are no more octets: null if the mail data is whole, else why it is not. Called once. */
  done(error: SmtpClientError | null): void
}

/** How a {@link MailSource} reads. */
export interface MailSourceOptions {
  /** Checks and edits the octets: what it refuses, and everything behind it, is never handed on. */
  readonly scanner: LineScanner
  /** True: the octets are lines. A last one that has no CRLF is ended, and one that may be taken for the end is refused. */
  readonly endsLines: boolean
  readonly step: ClientStep
}

const END_OF_LINE = Buffer.from('\r\n')

/** Reads mail data and hands it on. A stream that is not read to its end is destroyed. */
export class MailSource {
  readonly #source: Readable
  readonly #taker: MailTaker
  readonly #options: MailSourceOptions
  readonly #emit = (piece: Buffer): void => this.#taker.take(piece)
  readonly #nulDots = new NulDots()
  #endsLine = true
  #stopped = false
  readonly #listeners = {
    data: (chunk: Buffer | string) => this.#scan(chunk),
    end: () => this.#end(),
    error: (error: Error) => this.#fail('ERR_ABORTED', `the mail data failed: ${error.message}`, error),
    close: () => this.#fail('ERR_ABORTED', 'the mail data was cut short'),
  }

  constructor(data: MailData, taker: MailTaker, options: MailSourceOptions) {
    this.#source = typeof data === 'string' || data instanceof Uint8Array ? Readable.from([Buffer.from(data)]) : data
    this.#taker = taker
    this.#options = options
  }

  /** Begins to read. */
  start(): void {
    const source = this.#source
    const { errored } = source
    if (errored) return this.#listeners.error(errored)
    if (source.destroyed || source.readableEnded) return this.#fail('ERR_ABORTED', 'the mail data was read before')
    for (const [event, listener] of Object.entries(this.#listeners)) source.on(event, listener)
    source.resume()
  }

  /** Reads on once the taker is ready again. */
  resume(): void {
    if (!this.#stopped) this.#source.resume()
  }

  /** Stops for good, destroys the stream, and calls nothing any more. */
  stop(): void {
    if (this.#stopped) return
    this.#detach()
    this.#source.on('error', () => {}) // an error that comes late would be thrown without a listener
    this.#source.destroy()
  }

  #scan(chunk: Buffer | string): void {
    const octets = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (octets.length === 0) return
    this.#endsLine = octets.at(-1) === LF
    if (this.#options.endsLines && this.#nulDots.find(octets)) {
      return this.#fail('ERR_BARE_NEWLINE', 'the mail data has a line that is a dot but for NULs')
    }
    this.#options.scanner.scan(octets, 0, this.#emit)
    if (this.#isWrong()) return
    if (!this.#taker.isReady) this.#source.pause()
  }

  #end(): void {
    if (this.#stopped) return
    const { scanner, endsLines } = this.#options
    scanner.end(this.#emit)
    if (endsLines && !this.#endsLine) scanner.scan(END_OF_LINE, 0, this.#emit)
    if (this.#isWrong()) return
    this.#detach()
    this.#taker.done(null)
  }

  /** Fails if the scanner has refused octets. */
  #isWrong(): boolean {
    const { bare, ended } = this.#options.scanner
    if (bare) this.#fail('ERR_BARE_NEWLINE', 'the mail data has a bare CR or LF')
    else if (ended) this.#fail('ERR_ABORTED', 'the stuffed mail data holds an end of mail data')
    return bare || ended
  }

  #fail(code: 'ERR_ABORTED' | 'ERR_BARE_NEWLINE', message: string, cause?: Error): void {
    if (this.#stopped) return
    this.stop()
    this.#taker.done(new SmtpClientError(code, message, { step: this.#options.step, ...(cause && { cause }) }))
  }

  #detach(): void {
    this.#stopped = true
    for (const [event, listener] of Object.entries(this.#listeners)) this.#source.off(event, listener)
  }
}
