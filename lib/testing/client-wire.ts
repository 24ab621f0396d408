// The client's end of the connection: parses the handler's output into replies, and wakes the waiters on each event.

import type { Duplex } from 'node:stream'

import { MailHandlerError } from '../words/errors.ts'
import { asBuffer } from './mail-data.ts'
import { ReplyReader } from '../client/reply-reader.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { TranscriptLog } from './transcript-log.ts'
import { Waiters } from './waiters.ts'

/** When octets are read from the handler: always, only while a caller waits for a reply, or never. */
export type Reading = 'always' | 'on-demand' | 'paused'

/** A handler, as its client sees it. */
export class ClientWire {
  readonly handler: Duplex
  readonly reader: ReplyReader = new ReplyReader()
  readonly log: TranscriptLog = new TranscriptLog()
  ended: boolean
  closed: boolean
  error: Error | null = null
  readonly #timeout: number
  readonly #replyWaiters = new Waiters()
  readonly #stateWaiters = new Waiters()
  #reading: Reading

  constructor(handler: Duplex, timeout: number, reading: Reading) {
    this.handler = handler
    this.#timeout = timeout
    this.#reading = reading
    this.ended = handler.readableEnded
    this.closed = handler.closed
    this.#listen()
  }

  /** Changes when octets are read from the handler. */
  setReading(reading: Reading): void {
    this.#reading = reading
    this.#pauseOrResume()
  }

  /** Resolves with the next reply. Rejects if the replies end, the octets are not a reply, or the timeout expires. */
  nextReply(expected: string): Promise<ReceivedReply> {
    const timeoutError = (): Error => this.#timeoutError(`has not replied; expected ${expected}`)
    const reply = this.#replyWaiters.wait(() => this.#takeReply(expected), this.#timeout, timeoutError)
    this.#pauseOrResume()
    return reply
  }

  /** Resolves once `isDone` returns true; it is called at each event. Rejects with `problem` after the timeout. */
  async until(isDone: () => boolean, problem: string): Promise<void> {
    await this.#stateWaiters.wait(
      () => isDone() || null,
      this.#timeout,
      () => this.#timeoutError(problem),
    )
  }

  /** Creates an error that shows the transcript. */
  failure(message: string): MailHandlerError {
    const cause = this.error === null ? {} : { cause: this.error }
    const reason = this.error === null ? '' : ` (${this.error.message})`
    return new MailHandlerError('ERR_TRANSCRIPT', `${message}${reason}\n\n${this.log.toString()}`, cause)
  }

  #listen(): void {
    const handler = this.handler
    handler.pause()
    handler.on('data', (chunk: Buffer | string) => this.#receive(asBuffer(chunk)))
    handler.on('drain', () => this.#recheck())
    handler.on('error', error => {
      this.error = error
      this.#recheck()
    })
    handler.on('end', () => {
      this.ended = true
      this.#recheck()
    })
    handler.on('close', () => {
      this.closed = true
      this.#recheck()
    })
    this.#pauseOrResume()
  }

  #receive(octets: Buffer): void {
    this.log.add('S', octets)
    this.reader.push(octets)
    this.#recheck()
  }

  #pauseOrResume(): void {
    const flowing = this.#reading === 'always' || (this.#reading === 'on-demand' && this.#replyWaiters.size > 0)
    if (flowing !== this.handler.isPaused()) return
    if (flowing) this.handler.resume()
    else this.handler.pause()
  }

  #recheck(): void {
    this.#replyWaiters.recheck()
    this.#stateWaiters.recheck()
    this.#pauseOrResume()
  }

  #takeReply(expected: string): ReceivedReply | null {
    const reply = this.#readReply()
    if (reply !== null || !(this.ended || this.closed)) return reply
    const event = this.ended ? 'ended its replies' : 'closed'
    const place = this.reader.unfinished ? ' in the middle of a reply' : ''
    throw this.failure(`expected ${expected}, but the handler ${event}${place}`)
  }

  #readReply(): ReceivedReply | null {
    try {
      return this.reader.next()
    } catch (error) {
      throw this.failure((error as Error).message)
    }
  }

  #timeoutError(problem: string): Error {
    return this.failure(`after ${this.#timeout} ms the handler ${problem}`)
  }
}
