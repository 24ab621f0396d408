// The client's side of a session, in memory.
//
//     send, write, data ─▶ handler.write        handler 'data' ─▶ ReplyReader ─▶ expect

import type { Duplex } from 'node:stream'

import { LONGEST_TIMER } from '../time/clock.ts'
import { MailHandlerError } from '../words/errors.ts'
import { checkKeys } from '../words/option-checks.ts'
import { ClientWire } from './client-wire.ts'
import { matchesReply } from './expected-reply.ts'
import type { ExpectedReply } from './expected-reply.ts'
import { asBuffer, stuff } from './mail-data.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'

/** Options of {@link converse}. */
export interface ConverseOptions {
  /**
   * Milliseconds to wait for a reply, for the handler to drain, and for it to close.
   *
   * @defaultValue 5000
   */
  readonly timeout?: number
  /**
   * If false, the client reads slowly: it reads octets from the handler only while a caller waits for a reply.
   *
   * @defaultValue true
   */
  readonly readAhead?: boolean
}

const TIMEOUT = 5000

/** A conversation with a handler, created by {@link converse}. */
export class Conversation {
  readonly #wire: ClientWire
  readonly #replies: ReceivedReply[] = []

  constructor(handler: Duplex, options: ConverseOptions = {}) {
    checkKeys('', options, ['timeout', 'readAhead'])
    const { timeout = TIMEOUT, readAhead = true } = options
    if (!(timeout > 0 && timeout <= LONGEST_TIMER)) {
      throw new MailHandlerError(
        'ERR_OPTION',
        `timeout is a number of milliseconds above 0 and at most ${LONGEST_TIMER}`,
      )
    }
    this.#wire = new ClientWire(handler, timeout, readAhead ? 'always' : 'on-demand')
  }

  /** The replies that {@link Conversation.expect} has read. */
  get replies(): readonly ReceivedReply[] {
    return this.#replies
  }

  /** The number of complete replies that have arrived and were not read. */
  get unread(): number {
    return this.#wire.reader.size
  }

  /** True if octets follow the last complete reply: the beginning of a reply, or an invalid one. */
  get unfinished(): boolean {
    return this.#wire.reader.unfinished
  }

  /** The dialogue so far as `C:` and `S:` lines. Very long turns and sessions are abridged. */
  get transcript(): string {
    return this.#wire.log.toString()
  }

  /** True once the handler has ended its replies and all of them have arrived. */
  get ended(): boolean {
    return this.#wire.ended
  }

  /** The error that the handler failed with, or null. It is not thrown, but is the `cause` of later errors. */
  get error(): Error | null {
    return this.#wire.error
  }

  /**
   * Reads one reply, with all its lines, and compares it with `expected`; without an argument it accepts any reply.
   *
   * @throws {MailHandlerError} `ERR_TRANSCRIPT` if the reply differs, the replies end, or the timeout
   * expires. Its message shows the transcript.
   */
  async expect(expected?: ExpectedReply): Promise<ReceivedReply> {
    const description = expected === undefined ? 'a reply' : show(expected)
    const reply = await this.#wire.nextReply(description)
    this.#replies.push(reply)
    if (expected === undefined || matchesReply(reply, expected)) return reply
    throw this.#wire.failure(`expected ${description}, got ${show(reply.text)}`)
  }

  /** Sends a line with CRLF, and waits until the handler accepts more octets. */
  async send(line: string): Promise<void> {
    await this.#sendOctets(Buffer.from(`${line}\r\n`))
  }

  /** Sends a line and reads the reply: {@link Conversation.send}, then {@link Conversation.expect}. */
  async command(line: string, expected?: ExpectedReply): Promise<ReceivedReply> {
    await this.send(line)
    return this.expect(expected)
  }

  /**
   * Sends mail data with transparency applied, then the end of mail data. Lines should end with CRLF: other line ends
   * are sent as they are, but a missing CRLF at the end is added. [RFC 5321 §4.5.2]
   */
  async data(message: string | Uint8Array): Promise<void> {
    await this.#sendOctets(stuff(message))
  }

  /** Writes octets unchanged. Returns false if the handler asks the client to wait; see {@link Conversation.drained}. */
  write(octets: string | Uint8Array): boolean {
    const chunk = asBuffer(octets)
    if (!this.#wire.handler.writable) throw this.#wire.failure('the handler accepts no more octets')
    this.#wire.log.add('C', chunk)
    return this.#wire.handler.write(chunk)
  }

  /** Resolves once the handler accepts more octets, or has closed. */
  async drained(): Promise<void> {
    const { handler } = this.#wire
    await this.#wire.until(() => !handler.writableNeedDrain || this.#wire.closed, 'has not drained')
  }

  /** Stops reading, even while a caller waits for a reply, so that the handler gets backpressure. */
  pause(): void {
    this.#wire.setReading('paused')
  }

  /** Reads again, without waiting for {@link Conversation.expect}. */
  resume(): void {
    this.#wire.setReading('always')
  }

  /** Ends the client's side of the connection; replies can still be read. */
  end(): void {
    this.#wire.handler.end()
  }

  /** Destroys the handler, as a connection reset does. */
  reset(error?: Error): void {
    this.#wire.handler.destroy(error)
  }

  /** Reads the replies to their end, then ends the client's side, and resolves when the handler has closed. */
  async closed(): Promise<void> {
    this.resume()
    const { handler } = this.#wire
    const hasClosed = (): boolean => {
      if (this.#wire.ended && handler.writable) handler.end()
      return this.#wire.closed
    }
    await this.#wire.until(hasClosed, 'has not closed')
  }

  /** Destroys the handler at the end of a block: `await using c = converse(handler)`. */
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
 * Starts a conversation with a handler in memory, without a port. The handler is any Duplex that reads a client's octets
 * and writes replies.
 *
 * @throws {MailHandlerError} `ERR_OPTION` for an invalid timeout.
 *
 * @example
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
