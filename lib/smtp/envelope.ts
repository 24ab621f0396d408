// A mail transaction's envelope. [RFC 5321 §2.3.1]

import { randomUUID } from 'node:crypto'
import type { Mailbox } from '../protocol/addresses/mailbox.ts'
import type { MailParameters } from '../protocol/parameters/mail-parameters.ts'
import type { RcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import type { CustomParameters } from './custom-parameters.ts'
import type { Reply } from '../words/reply.ts'
import { Notes } from './notes.ts'

/** The reverse-path of a transaction. `address` is `''` for the null reverse-path. */
export interface Sender extends Mailbox {
  /** The parameters of MAIL: the known ones by their names here, a program's own in `custom`. */
  readonly parameters: MailParameters & CustomParameters
}

/** One forward-path of a transaction. */
export interface Recipient extends Mailbox {
  /** The parameters of RCPT: the known ones by their names here, a program's own in `custom`. */
  readonly parameters: RcptParameters & CustomParameters
  /** Why the policies behind leave this recipient alone; null if none did. A policy may set it. */
  trusted: string | null
}

/** One mail transaction, from MAIL to its end. */
export interface Envelope {
  /** Unique, for logs and file names: a session has one for each transaction. */
  readonly id: string
  /** The reverse-path that MAIL gave. [RFC 5321 §3.3] */
  readonly sender: Sender
  /** Those that were accepted, in their order. */
  readonly recipients: readonly Recipient[]
  /** The parameters of MAIL. */
  readonly parameters: MailParameters & CustomParameters
  /** Aborted when the transaction ends, its verdict takes too long, or the client is gone. */
  readonly signal: AbortSignal
  /** What policies have learned of this transaction. */
  readonly notes: Notes
  /**
   * What the client is told of the message, in LMTP a reply for each recipient: there in `onReset` after a message. Empty
   * before, and if the client was gone.
   */
  readonly verdict: readonly Reply[]
}

const NO_VERDICT: readonly Reply[] = Object.freeze([])

/** The transaction of a session. */
export class Transaction implements Envelope {
  readonly sender: Sender
  readonly parameters: MailParameters & CustomParameters
  readonly recipients: Recipient[] = []
  #id: string | null = null
  #abort: AbortController | null = null
  #notes: Notes | null = null
  #isOver = false
  #verdict = NO_VERDICT

  constructor(sender: Sender) {
    this.sender = sender
    this.parameters = sender.parameters
    Object.freeze(this) // hooks see it
  }

  get id(): string {
    return (this.#id ??= randomUUID())
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#isOver) this.#abort.abort()
    return this.#abort.signal
  }

  get notes(): Notes {
    return (this.#notes ??= new Notes())
  }

  get verdict(): readonly Reply[] {
    return this.#verdict
  }

  /** The message has its verdict. */
  conclude(verdict: readonly Reply[]): void {
    this.#verdict = Object.freeze(verdict)
  }

  /** Nobody waits for it any more. */
  abort(): void {
    this.#isOver = true
    this.#abort?.abort()
  }
}
