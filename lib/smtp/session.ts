// What hooks get to know of a session, and the state behind it, which only this floor changes.

import { randomUUID } from 'node:crypto'
import { protocolName, type Phase } from '../protocol/commands/phase.ts'
import type { XforwardAttributes } from '../protocol/proxy/xclient.ts'
import type { Endpoint } from '../stream/peer.ts'
import type { TlsState } from '../tls/tls-state.ts'
import type { Envelope, Transaction } from './envelope.ts'
import type { ExtensionName } from './extensions.ts'
import { Notes } from './notes.ts'
import { SessionClient, type Client } from './session-client.ts'

/** The two ends of a connection. */
export interface Connection {
  readonly client: Endpoint
  readonly local: Endpoint
}

/**
 * How a session ended: by QUIT; the connection was `lost` before; a `limit` of size, number or time was passed; the
 * server was shut down; or this side `closed` it for another reason.
 */
export type SessionEnding = 'quit' | 'lost' | 'limit' | 'shutdown' | 'closed'

const NOTHING_OFFERED: ReadonlySet<ExtensionName> = new Set()
let makeSession: (state: SessionState) => Session

/** What a session has come to: changed by SmtpHandler alone. */
export class SessionState {
  client: Client
  helo: string | null = null
  isExtended = false
  tls: TlsState | null = null
  user: string | null = null
  authzid: string | null = null
  trusted: string | null = null
  forwarded: XforwardAttributes | null = null
  transaction: Transaction | null = null
  phase: Phase = 'connected'
  ending: SessionEnding | null = null
  offered: ReadonlySet<ExtensionName> = NOTHING_OFFERED
  talkedEarly = false
  readonly isLmtp: boolean
  readonly serverName: string
  /** What hooks see of it. */
  readonly view: Session
  readonly #connection: Connection
  #local: Endpoint | null = null
  #id: string | null = null
  #abort: AbortController | null = null
  #notes: Notes | null = null
  #trustedAtGreeting: string | null = null
  #notesAtGreeting: Notes | null = null

  constructor(connection: Connection, isLmtp: boolean, serverName: string) {
    this.#connection = connection
    const { address, port } = connection.client // spread costs ten times as much
    this.client = new SessionClient(address, port)
    this.isLmtp = isLmtp
    this.serverName = serverName
    this.view = makeSession(this)
  }

  get local(): Endpoint {
    return this.#local ?? this.#connection.local
  }

  set local(end: Endpoint) {
    this.#local = end
  }

  get id(): string {
    return (this.#id ??= randomUUID())
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.hasEnded) this.#abort.abort()
    return this.#abort.signal
  }

  get notes(): Notes {
    return (this.#notes ??= new Notes())
  }

  get protocol(): string {
    return protocolName({
      lmtp: this.isLmtp,
      extended: this.isExtended,
      tls: this.tls !== null,
      authenticated: this.user !== null,
      utf8: this.transaction?.parameters.smtputf8 === true,
    })
  }

  /** True once the client is gone. */
  hasEnded = false

  /** The client is greeted: what policies have learned by then is kept when the session starts again, as after STARTTLS. */
  noteGreeting(): void {
    this.#trustedAtGreeting = this.trusted
    this.#notesAtGreeting = this.#notes === null ? null : new Notes(this.#notes)
  }

  /** Back to between two transactions. */
  endTransaction(): void {
    this.transaction?.abort()
    this.transaction = null
    this.forwarded = null // A proxy uses one connection for several clients. [Postfix XFORWARD_README]
    if (this.phase !== 'connected' && this.phase !== 'refused') this.phase = 'greeted'
  }

  /** Forgets all that the client said, and what was made of it, as after STARTTLS. [RFC 3207 §4.2] */
  startAgain(): void {
    this.endTransaction()
    this.phase = 'connected'
    this.helo = null
    this.isExtended = false
    this.offered = NOTHING_OFFERED
    this.user = null
    this.authzid = null
    this.trusted = this.#trustedAtGreeting
    this.#notes = this.#notesAtGreeting === null ? null : new Notes(this.#notesAtGreeting)
  }

  /** A proxy tells of the client behind it: forgets also what policies have learned of the one before. */
  changeClient(client: Client): void {
    this.startAgain()
    this.client = client
    this.talkedEarly = false
    this.trusted = null
    this.#notes = null
  }

  /** The client is gone. */
  end(): void {
    this.hasEnded = true
    this.ending ??= 'lost'
    this.transaction?.abort()
    this.#abort?.abort()
  }
}

/**
 * A session, from the connection to its end. Hooks read it; they may set {@link Session.trusted}, the client's name, and
 * {@link Session.notes}.
 */
export class Session {
  readonly #state: SessionState

  static {
    makeSession = state => new Session(state)
  }

  private constructor(state: SessionState) {
    this.#state = state
  }

  /** Unique; for logs. A message has a name of its own: `envelope.id`. */
  get id(): string {
    return this.#state.id
  }

  /** The client as its socket or a trusted proxy names it; XCLIENT may replace it during the session. */
  get client(): Client {
    return this.#state.client
  }

  /** This end of the connection, or what a trusted proxy says it is; ask while there is one. */
  get local(): Endpoint {
    return this.#state.local
  }

  /** The name of this server, as its greeting has it. */
  get serverName(): string {
    return this.#state.serverName
  }

  /** True if the client sent something before the greeting, which it has to wait for. [RFC 5321 §3.1, §4.3.1] */
  get talkedEarly(): boolean {
    return this.#state.talkedEarly
  }

  /** The name that HELO, EHLO or LHLO gave; null before. Anything that a client likes: escape it before it is shown. */
  get helo(): string | null {
    return this.#state.helo
  }

  /** True after EHLO or LHLO. */
  get extended(): boolean {
    return this.#state.isExtended
  }

  /** The extensions that the last EHLO or LHLO offered, by their keywords; empty before, and after HELO. */
  get offered(): ReadonlySet<ExtensionName> {
    return this.#state.offered
  }

  /** True for LMTP. [RFC 2033] */
  get lmtp(): boolean {
    return this.#state.isLmtp
  }

  /** The TLS layer; null in clear. */
  get tls(): TlsState | null {
    return this.#state.tls
  }

  /** The user who has authenticated, or null. */
  get user(): string | null {
    return this.#state.user
  }

  /** Whom the user asked to act as; null if it is the user itself. */
  get authzid(): string | null {
    return this.#state.authzid
  }

  /** `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `LMTP` … [RFC 3848] */
  get protocol(): string {
    return this.#state.protocol
  }

  /** What a trusted proxy said of the client behind it, for one transaction; null without one. */
  get forwarded(): XforwardAttributes | null {
    return this.#state.forwarded
  }

  /** The transaction under way; null between two. */
  get envelope(): Envelope | null {
    return this.#state.transaction
  }

  /** How far the session is in the order of commands. */
  get phase(): Phase {
    return this.#state.phase
  }

  /** Why the policies behind leave this client alone; null if none did. A policy may set it. */
  get trusted(): string | null {
    return this.#state.trusted
  }

  /** The reason, in a few words for logs; null takes the trust back. */
  set trusted(reason: string | null) {
    this.#state.trusted = reason
  }

  /** What policies have learned of this client. */
  get notes(): Notes {
    return this.#state.notes
  }

  /** Aborted when the client is gone. */
  get signal(): AbortSignal {
    return this.#state.signal
  }

  /** True once the client is gone. */
  get ended(): boolean {
    return this.#state.hasEnded
  }

  /** How the session ended; null while it goes on. */
  get ending(): SessionEnding | null {
    return this.#state.ending
  }
}

/** A session with a transaction under way, as `onRcptTo`, `onData` and `onMessage` get it. */
export type SessionInTransaction = Session & InTransaction

/** What a session has during a transaction. */
export interface InTransaction {
  /** The transaction under way. */
  readonly envelope: Envelope
}
