// The client's end of the wire: what a handler says becomes replies, what happens to it wakes whoever waits.

import type { Duplex } from 'node:stream'

import { MailHandlerError } from '../words/errors.ts'
import { asBuffer } from './mail-data.ts'
import { ReplyReader } from '../protocol/replies/reply-reader.ts'
import type { ReceivedReply } from '../protocol/replies/reply-reader.ts'
import { TranscriptLog } from './transcript-log.ts'
import { Waiters } from './waiters.ts'

/** When octets are taken from the handler: always, while someone waits for a reply, never. */
export type Reading = 'ahead' | 'wanted' | 'paused'

/** A handler as its client sees it. */
export class ClientWire {
  readonly handler: Duplex
  readonly reader: ReplyReader = new ReplyReader()
  readonly log: TranscriptLog = new TranscriptLog()
  ended: boolean
  closed: boolean
  error: Error | null = null
  readonly #timeout: number
  readonly #readers = new Waiters()
  readonly #others = new Waiters()
  #reading: Reading

  constructor(handler: Duplex, timeout: number, reading: Reading) {
    this.handler = handler
    this.#timeout = timeout
    this.#reading = reading
    this.ended = handler.readableEnded
    this.closed = handler.closed
    this.#listen()
  }

  /** Changes when octets are taken. */
  read(reading: Reading): void {
    this.#reading = reading
    this.#flow()
  }

  /** The next whole reply. Fails where the replies end before it, are none, or nothing comes in time. */
  next(what: string): Promise<ReceivedReply> {
    const late = (): Error => this.#late(`has not replied; expected ${what}`)
    const reply = this.#readers.wait(() => this.#take(what), this.#timeout, late)
    this.#flow()
    return reply
  }

  /** Resolves once `done` says so, asked at each event; fails with `otherwise` when time is up. */
  async until(done: () => boolean, otherwise: string): Promise<void> {
    await this.#others.wait(
      () => done() || null,
      this.#timeout,
      () => this.#late(otherwise),
    )
  }

  /** An error that shows the transcript. */
  failure(message: string): MailHandlerError {
    const cause = this.error === null ? {} : { cause: this.error }
    const because = this.error === null ? '' : ` (${this.error.message})`
    return new MailHandlerError('ERR_TRANSCRIPT', `${message}${because}\n\n${this.log.toString()}`, cause)
  }

  #listen(): void {
    const handler = this.handler
    handler.pause()
    handler.on('data', (chunk: Buffer | string) => this.#receive(asBuffer(chunk)))
    handler.on('drain', () => this.#ask())
    handler.on('error', error => {
      this.error = error
      this.#ask()
    })
    handler.on('end', () => {
      this.ended = true
      this.#ask()
    })
    handler.on('close', () => {
      this.closed = true
      this.#ask()
    })
    this.#flow()
  }

  #receive(octets: Buffer): void {
    this.log.add('S', octets)
    this.reader.push(octets)
    this.#ask()
  }

  #flow(): void {
    const flowing = this.#reading === 'ahead' || (this.#reading === 'wanted' && this.#readers.size > 0)
    if (flowing !== this.handler.isPaused()) return
    if (flowing) this.handler.resume()
    else this.handler.pause()
  }

  #ask(): void {
    this.#readers.ask()
    this.#others.ask()
    this.#flow()
  }

  #take(what: string): ReceivedReply | null {
    const reply = this.#read()
    if (reply !== null || !(this.ended || this.closed)) return reply
    const how = this.ended ? 'ended its replies' : 'closed'
    const where = this.reader.unfinished ? ' in the middle of one' : ''
    throw this.failure(`expected ${what}, but the handler ${how}${where}`)
  }

  #read(): ReceivedReply | null {
    try {
      return this.reader.next()
    } catch (error) {
      throw this.failure((error as Error).message)
    }
  }

  #late(what: string): Error {
    return this.failure(`after ${this.#timeout} ms the handler ${what}`)
  }
}
