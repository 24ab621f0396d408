// The client's side of a session, in memory.
//
//     send, write, data ─▶ handler.write        handler 'data' ─▶ ReplyReader ─▶ expect

import type { Duplex } from 'node:stream'

import { LONGEST_TIMER } from '../time/clock.ts'
import { MailHandlerError } from '../words/errors.ts'
import { ClientWire } from './client-wire.ts'
import { matchesReply } from './expected-reply.ts'
import type { ExpectedReply } from './expected-reply.ts'
import { asBuffer, stuff } from './mail-data.ts'
import type { ReceivedReply } from '../protocol/replies/reply-reader.ts'

/** Options of {@link converse}. */
export interface ConverseOptions {
  /** Milliseconds to wait for a reply, for room to write, for the end. 5,000 unless told. */
  readonly timeout?: number
  /** False: a slow reader, which takes octets from the handler only while someone waits for a reply. True unless told. */
  readonly readAhead?: boolean
}

const TIMEOUT = 5000

/** A dialogue with a handler; made by {@link converse}. */
export class Conversation {
  readonly #wire: ClientWire
  readonly #replies: ReceivedReply[] = []

  constructor(handler: Duplex, options: ConverseOptions = {}) {
    const { timeout = TIMEOUT, readAhead = true } = options
    if (!(timeout > 0 && timeout <= LONGEST_TIMER)) {
      throw new MailHandlerError('ERR_OPTION', `timeout is in milliseconds, above 0, at most ${LONGEST_TIMER}`)
    }
    this.#wire = new ClientWire(handler, timeout, readAhead ? 'ahead' : 'wanted')
  }

  /** The replies that were read by {@link expect} so far. */
  get replies(): readonly ReceivedReply[] {
    return this.#replies
  }

  /** Whole replies that came and were not read yet. */
  get unread(): number {
    return this.#wire.reader.size
  }

  /** True when octets came after the last whole reply that make none, or none yet. */
  get unfinished(): boolean {
    return this.#wire.reader.unfinished
  }

  /** What went over the wire so far, as `C:` and `S:` lines; very long turns and sessions are abridged. */
  get transcript(): string {
    return this.#wire.log.toString()
  }

  /** True once the handler has ended its replies and all of them have arrived here. */
  get ended(): boolean {
    return this.#wire.ended
  }

  /** The error that the handler failed with, or null. It is thrown nowhere, but is the `cause` of failures here. */
  get error(): Error | null {
    return this.#wire.error
  }

  /**
   * Reads one reply, of however many lines, and checks it; without an argument any reply will do. Fails with a
   * {@link MailHandlerError} with code `ERR_TRANSCRIPT`, which shows the transcript, where the reply differs, the
   * replies end before it, or none comes in time.
   */
  async expect(expected?: ExpectedReply): Promise<ReceivedReply> {
    const what = expected === undefined ? 'a reply' : show(expected)
    const reply = await this.#wire.next(what)
    this.#replies.push(reply)
    if (expected === undefined || matchesReply(reply, expected)) return reply
    throw this.#wire.failure(`expected ${what}, got ${show(reply.text)}`)
  }

  /** Sends a line, adding CRLF, and waits until the handler has room for more. */
  async send(line: string): Promise<void> {
    await this.#sendOctets(Buffer.from(`${line}\r\n`))
  }

  /** Sends a line and reads the reply to it: {@link send}, then {@link expect}. */
  async command(line: string, expected?: ExpectedReply): Promise<ReceivedReply> {
    await this.send(line)
    return this.expect(expected)
  }

  /**
   * Sends mail data with transparency applied, then the end of mail data. [RFC 5321 §4.5.2] Its octets are sent as they are: lines
   * should end in CRLF, and get one at the end where it is missing.
   */
  async data(message: string | Uint8Array): Promise<void> {
    await this.#sendOctets(stuff(message))
  }

  /** Writes octets as they are, at once; false when the handler would rather have no more for now. */
  write(octets: string | Uint8Array): boolean {
    const chunk = asBuffer(octets)
    if (!this.#wire.handler.writable) throw this.#wire.failure('the handler takes no more octets')
    this.#wire.log.add('C', chunk)
    return this.#wire.handler.write(chunk)
  }

  /** Resolves once the handler has room for more, at once where it has; also when it has closed. */
  async drained(): Promise<void> {
    const { handler } = this.#wire
    await this.#wire.until(() => !handler.writableNeedDrain || this.#wire.closed, 'has no room')
  }

  /** Stops reading, whoever waits; replies pile up in the handler until it feels it. */
  pause(): void {
    this.#wire.read('paused')
  }

  /** Reads on, and ahead. */
  resume(): void {
    this.#wire.read('ahead')
  }

  /** Ends the client's direction; replies can still be read. */
  end(): void {
    this.#wire.handler.end()
  }

  /** Cuts the session off, as a reset of the connection does: `destroy()`. */
  reset(error?: Error): void {
    this.#wire.handler.destroy(error)
  }

  /** Reads to the end of the replies, ends the client's direction then, and resolves when the handler has closed. */
  async closed(): Promise<void> {
    this.resume()
    const { handler } = this.#wire
    const hungUp = (): boolean => {
      if (this.#wire.ended && handler.writable) handler.end()
      return this.#wire.closed
    }
    await this.#wire.until(hungUp, 'has not closed')
  }

  /** Cuts off what is left of the session: `await using c = converse(handler)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.reset()
    await this.closed()
  }

  async #sendOctets(octets: Buffer): Promise<void> {
    if (!this.write(octets)) await this.drained()
  }
}

function show(expected: ExpectedReply): string {
  return typeof expected === 'string' ? JSON.stringify(expected) : String(expected)
}

/**
 * Begins a conversation with a handler, any Duplex that takes a client's octets and gives replies: in memory, without a
 * port. Throws a {@link MailHandlerError} with code `ERR_OPTION` for a wrong timeout.
 *
 * ```ts
 * const c = converse(new SmtpHandler({ name: 'mx.example.org' }))
 * await c.expect(220)
 * await c.command('EHLO client.example', 250)
 * await c.command('MAIL FROM:<a@example.org>', '250 2.1.0 …')
 * await c.command('RCPT TO:<b@example.org>', /^250 /)
 * await c.command('DATA', 354)
 * await c.data('Subject: hello\r\n\r\nHello.\r\n')
 * await c.expect(250)
 * await c.command('QUIT', 221)
 * await c.closed()
 * ```
 */
export function converse(handler: Duplex, options?: ConverseOptions): Conversation {
  return new Conversation(handler, options)
}
