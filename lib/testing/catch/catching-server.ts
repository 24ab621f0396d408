// A server that takes every message and keeps the dialogue of its sessions.
//
//   connection → SmtpHandler with the rules of the moment → message, whole → take()

import type { AddressInfo, Socket } from 'node:net'
import { createServer, type MailServer } from '../../server/index.ts'
import type { Credentials, PasswordCredentials } from '../../smtp/auth/mechanism.ts'
import type { Message } from '../../smtp/message.ts'
import { resolveOptions, type SessionOptions, type SmtpHandlerOptions } from '../../smtp/options.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import { SmtpHandler } from '../../smtp/smtp-handler.ts'
import { reply, type Reply } from '../../words/reply.ts'
import type { Misbehaviour } from '../misbehave.ts'
import type { LogLimits } from '../transcript-log.ts'
import type { CaughtEnvelope } from './caught-mail.ts'
import { SessionRecord } from './session-record.ts'

/** A message as it came. */
export interface Catch {
  readonly id: string
  readonly receivedAt: Date
  readonly envelope: CaughtEnvelope
  readonly raw: Buffer
  readonly session: SessionRecord
  /** Aborts when the client is told of trouble instead, or is gone: it will send the message again. */
  readonly signal: AbortSignal
}

/** A user who may log in. */
export interface CatchUser {
  /** The name. */
  readonly user: string
  /** The password. */
  readonly password: string
}

/** Who may log in: everybody, or one user with one password. */
export type CatchAuth = boolean | CatchUser

/** What the server needs. */
export interface CatchingOptions {
  /** AUTH. */
  readonly auth: CatchAuth
  /** Further options of each session. */
  readonly session: SessionOptions
  readonly logLimits: LogLimits
  /** The number of sessions that are remembered. */
  readonly sessions: number
  /** Takes a message; the client is answered when it is done. */
  take(caught: Catch): void | Promise<void>
  /** A session has begun, or ended. */
  note(session: SessionRecord): void
  /** The dialogue of a session takes more memory, or less. */
  grown?(session: SessionRecord): void
}

/** The greeting, and the name in it, of a server that catches mail. */
const NAME = 'catch.mailhandler.test'

/** The server behind `catchMail()` and `mailhandler catch`. */
export class CatchingServer {
  /** The sessions that are remembered, in their order. */
  readonly sessions: SessionRecord[] = []
  readonly #options: CatchingOptions
  readonly server: MailServer
  readonly #sockets = new Set<Socket>()
  readonly #bySession = new WeakMap<Session, SessionRecord>()
  /** A test may try as many wrong passwords as it likes; they count for no other server. */
  readonly #guesses = { credentials: Infinity }
  #handlerOptions: SmtpHandlerOptions

  /** Throws `ERR_OPTION` if an option of the session is wrong. */
  constructor(options: CatchingOptions, misbehaviour: Misbehaviour | null) {
    this.#options = options
    this.#handlerOptions = this.#optionsWith(misbehaviour)
    resolveOptions(this.#handlerOptions) // throws at once if one is wrong
    const perClient = { connections: Infinity, perMinute: Infinity }
    this.server = createServer({ perClient }, ({ client }) => {
      const handler = new SmtpHandler(this.#handlerOptions)
      const record: SessionRecord = new SessionRecord(handler, client, options.logLimits, () => options.grown?.(record))
      this.#remember(handler, record)
      return handler
    })
    this.server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Listens; resolves with the port. A server alone does not keep the process alive if `holds` is false. */
  async listen(port: number, host: string, holds: boolean): Promise<number> {
    if (!holds) this.server.unref()
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject).listen(port, host, () => {
        this.server.off('error', reject)
        resolve()
      })
    })
    return (this.server.address() as AddressInfo).port
  }

  /** Sessions from now on misbehave by other rules; null: not at all. */
  misbehave(misbehaviour: Misbehaviour | null): void {
    this.#handlerOptions = this.#optionsWith(misbehaviour)
  }

  /** Ends every session and stops listening. */
  async close(): Promise<void> {
    const closed = this.server.close({ within: 0 })
    setImmediate(() => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
  }

  #optionsWith(misbehaviour: Misbehaviour | null): SmtpHandlerOptions {
    const { auth, session } = this.#options
    const policies = [...(misbehaviour === null ? [] : [misbehaviour]), ...(session.policies ?? [])]
    return {
      name: NAME,
      banner: 'ESMTP, nothing leaves',
      bareNewline: 'allow', // the octets are shown as they came
      ...(auth === false ? {} : { auth: { insecure: true, guesses: this.#guesses }, onAuth: checkUser(auth) }),
      ...session,
      policies,
      onMessage: (message, view) => this.#take(message, view),
    }
  }

  #remember(handler: SmtpHandler, session: SessionRecord): void {
    this.#bySession.set(handler.session, session)
    this.sessions.push(session)
    if (this.sessions.length > this.#options.sessions) this.sessions.shift()
    this.#options.note(session)
    handler.once('close', () => this.#options.note(session))
  }

  async #take(message: Message, view: SessionInTransaction): Promise<void> {
    const session = this.#bySession.get(view)!
    const { id, sender, recipients, signal } = view.envelope
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const addresses = { from: sender.address, to: recipients.map(({ address }) => address) }
    const raw = Buffer.concat(chunks)
    await this.#options.take({ id, receivedAt: new Date(), envelope: addresses, raw, session, signal })
  }
}

function checkUser(auth: Exclude<CatchAuth, false>): (credentials: Credentials) => Reply {
  return credentials => {
    const { user, password } = credentials as PasswordCredentials // PLAIN and LOGIN alone are offered
    const isRight = auth === true || (user === auth.user && password === auth.password)
    return isRight ? reply(235, '2.7.0', 'Welcome') : reply(535, '5.7.8', 'Wrong user or password')
  }
}
