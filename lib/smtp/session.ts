// What the hooks get to know of a session.

import { randomUUID } from 'node:crypto'
import type { Mailbox } from '../protocol/addresses/mailbox.ts'
import type { MailParameters } from '../protocol/parameters/mail-parameters.ts'
import { protocolName, type Phase } from '../protocol/commands/phase.ts'
import type { RcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import type { XforwardAttributes } from '../protocol/proxy/xclient.ts'
import type { Endpoint } from '../stream/peer.ts'
import type { TlsState } from '../tls/tls-state.ts'

/** The two ends of a connection. */
export interface Connection {
  readonly client: Endpoint
  readonly local: Endpoint
}

/** The client of a session. */
export interface Client extends Endpoint {
  /** The host name that a policy or a trusted proxy found for the address; null where nobody looked. */
  readonly name: string | null
}

/** The reverse-path of a transaction. `address` is `''` for the null reverse-path. */
export interface Sender extends Mailbox {
  readonly parameters: MailParameters
}

/** One forward-path of a transaction. */
export interface Recipient extends Mailbox {
  readonly parameters: RcptParameters
  /** Why the policies behind leave this recipient alone; null where nobody said so. A policy may set it. */
  trusted: string | null
}

/** One mail transaction's envelope. [RFC 5321 §2.3.1] */
export interface Envelope {
  readonly sender: Sender
  /** Those that were accepted, in their order. */
  readonly recipients: readonly Recipient[]
  /** The parameters of MAIL. */
  readonly parameters: MailParameters
}

/** A session, from the connection to its end. Hooks read it; they may set {@link Session.trusted} and `client.name`. */
export class Session {
  client: Client
  /** The name that HELO, EHLO or LHLO gave; null before. Anything a client likes: escape it where it is shown. */
  helo: string | null = null
  /** True after EHLO or LHLO. */
  extended = false
  tls: TlsState | null = null
  /** Who has authenticated; null: nobody. */
  user: string | null = null
  /** Whom the user asked to act as; null where he did not. */
  authzid: string | null = null
  /** Why the policies behind leave this client alone; null where nobody said so. A policy may set it. */
  trusted: string | null = null
  /** What a trusted proxy said of the client behind it, for one transaction; null where none did. */
  forwarded: XforwardAttributes | null = null
  /** The transaction under way; null between two. */
  envelope: Envelope | null = null
  /** Where the session stands in the order of commands. */
  phase: Phase = 'connected'
  /** True for LMTP. [RFC 2033] */
  readonly lmtp: boolean
  readonly #connection: Connection
  #local: Endpoint | null = null
  #id: string | null = null
  #abort: AbortController | null = null
  #ended = false
  #trustedFirst: string | null = null

  constructor(connection: Connection, lmtp: boolean) {
    this.#connection = connection
    const { address, port } = connection.client // spread costs ten times as much
    this.client = { address, port, name: null }
    this.lmtp = lmtp
  }

  /** This end of the connection, or what a trusted proxy says it is; ask while there is one. */
  get local(): Endpoint {
    return this.#local ?? this.#connection.local
  }

  set local(end: Endpoint) {
    this.#local = end
  }

  /** Unique; for logs. */
  get id(): string {
    return (this.#id ??= randomUUID())
  }

  /** Aborted when the client is gone. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#ended) this.#abort.abort()
    return this.#abort.signal
  }

  /** `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `LMTP` … [RFC 3848] */
  get protocol(): string {
    return protocolName({
      lmtp: this.lmtp,
      extended: this.extended,
      tls: this.tls !== null,
      authenticated: this.user !== null,
      utf8: this.envelope?.parameters.smtputf8 === true,
    })
  }

  /** True once the client is gone. */
  get ended(): boolean {
    return this.#ended
  }

  /** The client is greeted: what it is trusted for now, before it has spoken, it is trusted for in each new start. */
  welcome(): void {
    this.#trustedFirst = this.trusted
  }

  /** Back to between two transactions. */
  endTransaction(): void {
    this.envelope = null
    this.forwarded = null // A proxy uses one connection for several clients. [Postfix XFORWARD_README]
    if (this.phase !== 'connected' && this.phase !== 'refused') this.phase = 'greeted'
  }

  /** Forgets all that the client said, and what was made of it, as after STARTTLS. [RFC 3207 §4.2] */
  startAnew(): void {
    this.endTransaction()
    this.phase = 'connected'
    this.helo = null
    this.extended = false
    this.user = null
    this.authzid = null
    this.trusted = this.#trustedFirst
  }

  /** The client is gone. */
  end(): void {
    this.#ended = true
    this.#abort?.abort()
  }
}
