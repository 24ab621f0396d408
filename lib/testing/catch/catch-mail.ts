// catchMail(): a mail server for a test, which takes every message and sends none.

import { writeFile } from 'node:fs/promises'
import { LONGEST_TIMER } from '../../time/clock.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { checkKeys, show, wrong } from '../../words/option-checks.ts'
import { misbehave } from '../misbehave.ts'
import type { MisbehaviourRule } from '../misbehaviour-rules.ts'
import { Waiters } from '../waiters.ts'
import type { CaughtMail } from './caught-mail.ts'
import type { CaughtSession } from './caught-session.ts'
import { resolveCatch, type CatchMailOptions, type ResolvedCatch } from './catch-mail-options.ts'
import { CatchingServer, type Catch } from './catching-server.ts'
import { Kept } from './kept.ts'
import { checkFilter, describeFilter, misfits, type MailFilter } from './mail-filter.ts'
import { loadParser } from './parse-mail.ts'
import type { ParseMail } from './parsed-mail.ts'
import { octetsOf, receivedMail } from './received-mail.ts'
import { recordOf, type RecordOptions } from './record.ts'
import { reportOf } from './report.ts'
import { SessionOctets } from './session-octets.ts'
import type { SessionRecord } from './session-record.ts'

const DEFAULT_WAIT = 2000
const SESSIONS = 100
/** So much of a session is recorded. */
const LOG_LIMITS = { turn: 2 ** 20, turns: 10_000, octets: 4 * 2 ** 20 }
/** Milliseconds that record() waits for QUIT. */
const QUIT_WAIT = 1000

let openBox: (options: ResolvedCatch, parse: ParseMail) => Promise<MailBox>

/** A mail server for a test, made by {@link catchMail}. */
export class MailBox {
  readonly #server: CatchingServer
  readonly #parse: ParseMail
  readonly #mails: Kept<CaughtMail>
  readonly #dialogues = new SessionOctets<CaughtMail>((mail, octets) => this.#mails.grow(mail, octets))
  /** What no waitFor() has returned yet. */
  readonly #fresh = new Set<CaughtMail>()
  readonly #waiters = new Waiters()
  #port = 0
  #closed: Promise<void> | null = null

  static {
    openBox = async (options, parse) => {
      const box = new MailBox(options, parse)
      box.#port = await box.#server.listen(options.port, options.host, false)
      return box
    }
  }

  private constructor(options: ResolvedCatch, parse: ParseMail) {
    const { auth, limits, rules, session } = options
    this.#parse = parse
    this.#mails = new Kept(limits.messages, limits.octets, mail => this.#forget(mail))
    this.#server = new CatchingServer(
      {
        auth,
        session,
        logLimits: LOG_LIMITS,
        sessions: SESSIONS,
        take: caught => this.#take(caught),
        note: () => this.#waiters.recheck(),
        grown: session => this.#dialogues.update(session),
      },
      rules.length === 0 ? null : misbehave(rules),
    )
  }

  /** The port to send mail to. */
  get port(): number {
    return this.#port
  }

  /** The messages that have arrived, the oldest first. A message is here before its sender is told 250. */
  get messages(): readonly CaughtMail[] {
    return this.#mails.all
  }

  /** The last 100 sessions, the oldest first: those that brought no message too. */
  get sessions(): readonly CaughtSession[] {
    return [...this.#server.sessions]
  }

  /**
   * Resolves with the first message that fits and that no `waitFor()` has returned before. It may have arrived already.
   *
   * @param filter What the message must have; every message fits `{}`.
   * @param milliseconds How long to wait. Default: 2,000.
   * @throws {MailHandlerError} `ERR_EXPECTATION` if none has come by then, or at once if the box is closed. The text lists
   * what did arrive, and shows the dialogue of the last sessions.
   */
  async waitFor(filter: MailFilter = {}, milliseconds: number = DEFAULT_WAIT): Promise<CaughtMail> {
    checkFilter(filter)
    checkTime(milliseconds)
    const wanted = describeFilter(filter)
    return this.#waiters.wait(
      () => {
        const found = this.#find(filter)
        if (found === null && this.#closed !== null) throw this.#failure(`closed, without ${wanted}`, filter)
        return found
      },
      milliseconds,
      () => this.#failure(`waited ${milliseconds} ms for ${wanted}`, filter),
    )
  }

  /**
   * Resolves after a time if no message has come but those that `waitFor()` has returned; at once if the box is closed.
   *
   * @param milliseconds How long to wait. Default: 500.
   * @throws {MailHandlerError} `ERR_EXPECTATION` as soon as there is another message. The text shows it.
   */
  async none(milliseconds: number = 500): Promise<void> {
    checkTime(milliseconds)
    const nothing = new Error('nothing has come')
    const poll = (): boolean | null => {
      if (this.#fresh.size > 0) return true
      return this.#closed === null ? null : false
    }
    const wait = this.#waiters.wait(poll, milliseconds, () => nothing)
    const hasCome = await wait.catch((error: unknown) => error !== nothing)
    if (hasCome) throw this.#failure(`expected no message within ${milliseconds} ms`, null)
  }

  /** Forgets the messages that have arrived. */
  clear(): void {
    for (const mail of this.#mails.remove(() => true)) this.#forget(mail)
  }

  /** Sessions that begin from now on misbehave by these rules, and no others; without rules, not at all. */
  misbehave(rules: readonly MisbehaviourRule[]): void {
    const misbehaviour = misbehave(rules) // checks them
    this.#server.misbehave(rules.length === 0 ? null : misbehaviour)
  }

  /**
   * Returns a session of the program as a transcript, which `playTranscript` plays to a handler; it is the last session
   * unless told otherwise. Waits up to a second for its end. Secrets of AUTH are replaced by others; a session over
   * STARTTLS is recorded from its second EHLO on.
   *
   * @throws {MailHandlerError} `ERR_TRANSCRIPT` if there was no session, or more than 1 MiB came at once.
   */
  async record(options: RecordOptions = {}): Promise<string> {
    checkKeys('', options, ['file', 'replies', 'session'])
    const { file, replies = 'codes' } = options
    const { sessions } = this.#server
    const session = options.session === undefined ? sessions.at(-1) : sessions.find(each => each === options.session)
    if (file !== undefined && typeof file !== 'string' && !(file instanceof URL)) {
      throw wrong(`file is a path, not ${show(file)}`)
    }
    if (replies !== 'codes' && replies !== 'lines') throw wrong(`replies is 'codes' or 'lines', not ${show(replies)}`)
    if (session === undefined)
      throw new MailHandlerError(
        'ERR_TRANSCRIPT',
        options.session === undefined ? 'no client has connected' : 'the session is not one of the last 100',
      )
    const timeout = new Error('the session goes on')
    const ended = this.#waiters.wait(
      () => session.ending,
      QUIT_WAIT,
      () => timeout,
    )
    await ended.catch(() => {})
    const transcript = recordOf(session, replies)
    if (file !== undefined) await writeFile(file, transcript)
    return transcript
  }

  /** Ends every session and stops listening. A `waitFor()` that still waits fails; `messages` and `sessions` stay. */
  async close(): Promise<void> {
    this.#closed ??= this.#server.close()
    await this.#closed
    this.#waiters.recheck()
  }

  /** Closes at the end of a block: `await using box = await catchMail()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #find(filter: MailFilter): CaughtMail | null {
    for (const mail of this.#fresh) {
      if (misfits(mail, filter).length > 0) continue
      this.#fresh.delete(mail)
      return mail
    }
    return null
  }

  async #take(caught: Catch): Promise<void> {
    const mail = receivedMail(caught, await this.#parse(caught.raw))
    this.#fresh.add(mail)
    this.#mails.add(mail, octetsOf(mail))
    this.#dialogues.hold(caught.session, mail)
    this.#waiters.recheck()
  }

  #forget(mail: CaughtMail): void {
    this.#fresh.delete(mail)
    this.#dialogues.release(mail.session as SessionRecord, mail)
  }

  #failure(what: string, filter: MailFilter | null): MailHandlerError {
    const report = reportOf(this.messages, this.#server.sessions, filter)
    return new MailHandlerError('ERR_EXPECTATION', `${what}\n\n${report}`)
  }
}

/**
 * Starts a mail server for a test: it takes every message, parses it, and sends none. It needs the package postal-mime.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong or postal-mime is not installed. An error of the socket
 * (`EADDRINUSE`) comes as it is.
 *
 * @example
 * ```ts
 * const box = await catchMail()
 * await signUp('anna@example.org', { smtpPort: box.port })
 * const mail = await box.waitFor({ to: 'anna@example.org', subject: /welcome/i })
 * assert.match(mail.text ?? '', /Hello Anna/)
 * await box.close()
 * ```
 */
export async function catchMail(options: CatchMailOptions = {}): Promise<MailBox> {
  return openBox(resolveCatch(options), await loadParser('catchMail()'))
}

function checkTime(milliseconds: number): void {
  if (milliseconds > 0 && milliseconds <= LONGEST_TIMER) return
  throw wrong(`a time to wait is in milliseconds, above 0, at most ${LONGEST_TIMER}, not ${show(milliseconds)}`)
}
