// The mail data of DATA on its way out: from its source to the end of mail data.
//
//   source ─ MailSource ─ scanner: CRLF alone; transparency, unless it is there already ─ Output ─→ the server

import { LineScanner } from '../protocol/mail-data/line-scanner.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import type { SmtpClientError } from './client-error.ts'
import { MailSource, type MailData, type MailTaker } from './mail-source.ts'
import { ONE_WRITE, type Output } from './output.ts'

const END_OF_DATA = Buffer.from('.\r\n')

/** How mail data is to be written. */
export interface DataOptions {
  /** True: transparency has been applied already, and the octets are sent as they are. @defaultValue false */
  readonly stuffed?: boolean
  /**
   * Is called with each reply to the whole mail data as it comes. In LMTP the promise rejects if the connection is lost
   * between two of them; this tells the recipients that have the message by then.
   */
  readonly onReply?: (reply: ReceivedReply) => void
}

/** Writes mail data and the end of it. */
export class DataWriter implements MailTaker {
  readonly #output: Output
  readonly #source: MailSource
  readonly #done: (error: SmtpClientError | null) => void
  /** Small pieces, which leave in one write; a small message leaves together with its end. */
  #held: Buffer[] = []
  #heldOctets = 0

  /** `done` is called once: with null when the end of mail data has been pushed, else with the reason that it was not. */
  constructor(output: Output, data: MailData, options: DataOptions, done: (error: SmtpClientError | null) => void) {
    const { stuffed = false } = options
    this.#output = output
    // What is stuffed already is scanned for an end of mail data, which must not leave. [RFC 5321 §4.5.2]
    const scanner = new LineScanner({
      endOfData: stuffed,
      dots: stuffed ? 'keep' : 'double',
      bareNewline: 'reject',
    })
    this.#source = new MailSource(data, this, { scanner, endsLines: true, step: 'data' })
    this.#done = done
  }

  /** Begins to write. */
  start(): void {
    this.#source.start()
  }

  /** Writes nothing any more; `done` is not called. */
  stop(): void {
    this.#source.stop()
    this.#output.forget()
  }

  get isReady(): boolean {
    if (this.#output.hasRoom) return true
    this.#output.whenRoom(() => this.#source.resume())
    return false
  }

  take(piece: Buffer): void {
    if (this.#heldOctets + piece.length > ONE_WRITE) this.#flush()
    if (piece.length > ONE_WRITE) {
      this.#output.push(piece)
      return
    }
    this.#held.push(piece)
    this.#heldOctets += piece.length
  }

  done(error: SmtpClientError | null): void {
    this.#output.forget()
    if (error === null) {
      this.take(END_OF_DATA)
      this.#flush()
    }
    this.#done(error)
  }

  #flush(): void {
    this.#output.push(this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held, this.#heldOctets))
    this.#held = []
    this.#heldOctets = 0
  }
}
