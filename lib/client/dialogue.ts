// The dialogue with a server: octets in, octets out, replies matched to commands, time limits, and one way to end.

import type { Duplex } from 'node:stream'
import { hasControls } from '../protocol/addresses/characters.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import type { ServerOffer } from '../protocol/replies/server-offer.ts'
import { Deadline } from '../time/deadline.ts'
import { wrong } from '../words/option-checks.ts'
import { SmtpClientError, clientError } from './client-error.ts'
import { CommandQueue, unexpectedReply, type QueueEvents } from './command-queue.ts'
import { Connection } from './connection.ts'
import type { ResolvedClientOptions } from './options.ts'
import { Output } from './output.ts'
import { ReplyReader } from './reply-reader.ts'
import { STEPS, type ClientStep, type ReplyStep } from './steps.ts'
import type { ClientTimeouts } from './timeouts.ts'

/** What sends mail data, and hears of a reply before its end. */
export interface MailSender {
  cameEarly(reply: ReceivedReply): void
  /** The connection is lost: nothing can be sent any more. */
  stop(error: SmtpClientError): void
}

/** The dialogue of one client. */
export class Dialogue implements QueueEvents {
  readonly options: ResolvedClientOptions
  readonly connection: Connection
  readonly queue: CommandQueue
  readonly output: Output
  /** What sends mail data now. */
  sender: MailSender | null = null
  /** What the server offers. */
  offer: ServerOffer | null = null
  /** The keywords of the extensions that the server offers. */
  keywords: ReadonlySet<string> = new Set()
  /** Why it has ended; null before, and after QUIT. */
  failure: SmtpClientError | null = null
  /** Rejects the opening while there is one, whatever it waits for. */
  abandon: ((error: SmtpClientError) => void) | null = null
  /** QUIT was answered. */
  finished = false
  readonly #client: Duplex
  #reader: ReplyReader
  readonly #replyLimit: Deadline<keyof ClientTimeouts>
  /** For the opening as a whole, for the server to read on, for the end after QUIT. */
  readonly #otherLimit: Deadline<keyof ClientTimeouts>
  #isUpgrading = false

  constructor(client: Duplex, options: ResolvedClientOptions) {
    this.options = options
    this.#client = client
    this.#reader = new ReplyReader(options.limits)
    const expire = (limit: keyof ClientTimeouts): void => this.#expire(limit)
    this.#replyLimit = new Deadline(options.clock, expire)
    this.#otherLimit = new Deadline(options.clock, expire)
    this.connection = new Connection(client, cause => this.#lost('the connection was lost', cause))
    this.output = new Output(
      octets => client.push(octets),
      isStalled => (isStalled ? this.limit('block') : this.noLimit()),
    )
    this.queue = new CommandQueue(this.output, this)
  }

  /** What is being done. */
  get step(): ClientStep {
    if (this.#isUpgrading) return 'TLS'
    return this.queue.step ?? (this.sender === null ? 'idle' : 'data')
  }

  /** Sends a command line; resolves with the reply. Throws `ERR_OPTION` for a control character in it. */
  command(step: ReplyStep, line: string, note?: (reply: ReceivedReply) => void): Promise<ReceivedReply> {
    if (hasControls(line)) throw wrong('a command holds no control characters')
    return this.queue.add(step, [Buffer.from(`${line}\r\n`)], note)
  }

  /** The server offers this from now on. */
  offers(offer: ServerOffer): void {
    this.offer = offer
    this.keywords = new Set(offer.extensions.keys())
    this.queue.pipelining = this.options.pipelining && offer.extensions.has('PIPELINING')
  }

  /** Takes octets of the server. */
  receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk)
      for (let reply = this.#next(); reply !== null; reply = this.#next()) {
        const { step } = this.queue
        this.queue.take(reply)
        if (step === 'QUIT') this.#finish() // at once: the server may close the connection in the same turn
      }
    } catch (error) {
      this.fail(clientError(error, this.step))
    }
  }

  /** The server has ended its side. */
  ended(): void {
    if (this.finished) return
    const where = this.#reader.unfinished ? ' in the middle of a reply' : ''
    this.#lost(`the server ended the connection${where}`, null)
  }

  /** Puts TLS in the place of the stream. */
  async upgrade(): Promise<void> {
    if (this.failure !== null) throw this.failure
    // What came in clear behind the reply to STARTTLS may be anybody's. [RFC 3207 §4.2]
    if (this.#reader.unfinished || this.#reader.size > 0) {
      throw new SmtpClientError('ERR_REPLY_UNEXPECTED', 'the server sent more than its reply', { step: 'STARTTLS' })
    }
    this.offer = null
    this.keywords = new Set()
    this.queue.pipelining = false
    this.#isUpgrading = true
    this.#replyLimit.set('tls', this.options.clock.now() + this.options.timeouts.tls)
    await this.connection.upgrade(this.options.tls)
    this.#isUpgrading = false
    this.#replyLimit.clear()
  }

  /** Sets the limit for something other than the next reply. */
  limit(name: keyof ClientTimeouts): void {
    this.#otherLimit.set(name, this.options.clock.now() + this.options.timeouts[name])
  }

  /** Clears what {@link limit} has set. */
  noLimit(): void {
    this.#otherLimit.clear()
  }

  /** Ends the session at once. */
  fail(error: SmtpClientError): void {
    if (this.failure !== null || this.finished) return
    this.failure = error
    this.abandon?.(error)
    this.queue.fail(error)
    this.sender?.stop(error)
    this.#client.destroy(error)
  }

  /** Ends the session after a refusal, with QUIT if that still leaves: its reply is not waited for. [RFC 5321 §3.8] */
  leave(error: SmtpClientError): void {
    if (this.failure === null && this.queue.isIdle && !this.#isUpgrading) this.output.push(Buffer.from('QUIT\r\n'))
    this.fail(error)
  }

  /** The client is destroyed. */
  release(error: Error | null): void {
    const cause = error === null ? {} : { cause: error }
    this.fail(new SmtpClientError('ERR_CONNECTION_LOST', 'the client was destroyed', { step: this.step, ...cause }))
    this.#replyLimit.stop()
    this.#otherLimit.stop()
    this.connection.release(this.finished)
  }

  waitsFor(step: ReplyStep | null): void {
    if (step === null) return this.#replyLimit.clear()
    const { timeout } = STEPS[step]
    this.#replyLimit.set(timeout, this.options.clock.now() + this.options.timeouts[timeout])
  }

  cameEarly(reply: ReceivedReply): void {
    if (this.sender === null) throw unexpectedReply('data', reply)
    this.sender.cameEarly(reply)
  }

  /** Ends the session after QUIT. The connection is closed once all that was said has been read. */
  #finish(): void {
    this.finished = true
    this.queue.fail(sessionEnded(null))
    this.#replyLimit.stop()
    this.limit('quit')
    this.#client.once('end', () => this.connection.release(true))
    this.#client.push(null)
  }

  #next(): ReceivedReply | null {
    return this.failure === null && !this.finished ? this.#reader.next() : null
  }

  #lost(message: string, cause: Error | null): void {
    if (this.finished) this.#client.destroy()
    const because = cause === null ? {} : { cause }
    const text = cause === null ? message : `${message}: ${cause.message}`
    this.fail(new SmtpClientError('ERR_CONNECTION_LOST', text, { step: this.step, ...because }))
  }

  #expire(limit: keyof ClientTimeouts): void {
    if (this.finished) return void this.#client.destroy()
    const what = limit === 'block' ? 'the server read nothing' : limit === 'open' ? 'not open' : 'no reply'
    const message = `${what} within ${this.options.timeouts[limit]} ms`
    this.fail(new SmtpClientError('ERR_TIMEOUT', message, { step: this.step }))
  }
}

/** The error for a command after the end. */
export function sessionEnded(cause: Error | null): SmtpClientError {
  return new SmtpClientError('ERR_SESSION_ENDED', 'the session has ended', { step: 'idle', ...(cause && { cause }) })
}
