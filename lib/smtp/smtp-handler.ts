// SmtpHandler: the complete ESMTP session.
//
//   MailHandler's loop → handleRcpt → order (phase.ts) → grammar (envelope.ts) → hooks (hooks.ts) → Reply
//                      → handleBody → Delivery → message.ts → onMessage → verdict
//
// The session's state is in Session, what it was configured with in ResolvedOptions, what it has used up in Tally, its
// time in SessionTime.

import type { TLSSocket } from 'node:tls'
import type { Command } from '../protocol/commands/command.ts'
import { parseHelo } from '../protocol/addresses/domain.ts'
import { GO_AWAY, outOfOrder, type OrderedVerb } from '../protocol/commands/phase.ts'
import { MailHandlerError } from '../words/errors.ts'
import { longerThan } from '../words/octets.ts'
import * as replies from '../words/replies.ts'
import { Reply } from '../words/reply.ts'
import type { Body } from '../stream/body.ts'
import {
  after,
  isPromise,
  METHODS as BASIC_METHODS,
  type Answer,
  type Verdict,
  type Waiting,
} from '../stream/handlers.ts'
import type { LineProblem } from '../stream/line-cutter.ts'
import { MailHandler } from '../stream/mail-handler.ts'
import { authenticate } from './auth-command.ts'
import type { Credentials } from './auth/mechanism.ts'
import { Chunks, readChunk, type Chunk } from './chunks.ts'
import { delay, Timers } from '../time/clock.ts'
import type { TimeLimit } from '../time/deadline.ts'
import { Delivery, toEach } from './delivery.ts'
import { channels, commandEvent } from './diagnostics.ts'
import { readRecipient, readSender } from './envelope.ts'
import { NO_OFFER, offerTo, type Offer } from './extensions.ts'
import {
  askAll,
  HOOKS,
  tellAll,
  type Ask,
  type HookAnswer,
  type HookName,
  type MessageAnswer,
  type Terms,
} from './hooks.ts'
import { isHttp } from './http.ts'
import * as known from './known-replies.ts'
import type { Message } from './message.ts'
import { TWO_TAKERS } from './option-checks.ts'
import { resolveOptions, type ResolvedOptions, type SmtpHandlerOptions } from './options.ts'
import { Session, type Recipient, type Sender } from './session.ts'
import { SessionTime } from './session-time.ts'
import { Tally } from './tally.ts'
import { readTls } from '../tls/tls-state.ts'
import { wrapInTls } from '../tls/wrap-in-tls.ts'
import { applyXclient, readXforward } from './xclient-command.ts'

/** The methods for all verbs: those of MailHandler and more. */
const METHODS = new Map([
  ...BASIC_METHODS,
  ['LHLO', 'handleLhlo'],
  ['BDAT', 'handleBdat'],
  ['EXPN', 'handleExpn'],
  ['AUTH', 'handleAuth'],
  ['STARTTLS', 'handleStartTls'],
  ['XCLIENT', 'handleXclient'],
  ['XFORWARD', 'handleXforward'],
] as const)

/** Milliseconds that a client with many errors waits for each reply. */
const SOFT_ERROR_DELAY = 1000
const CRLF_OCTETS = 2

/**
 * A complete, strict ESMTP session: order, grammar, extensions, limits and time. What it is for is said by hooks, in
 * options, in a subclass, or in policies: see {@link Hooks}.
 *
 * ```ts
 * createServer(socket => {
 *   const handler = new SmtpHandler({ async onMessage(message, session) { await store(message, session.envelope) } })
 *   socket.pipe(handler).pipe(socket)
 * })
 * ```
 */
export class SmtpHandler extends MailHandler {
  readonly #options: ResolvedOptions
  readonly #tally: Tally
  readonly #time: SessionTime
  /** Of hooks that are asked, and of replies that are held back. */
  readonly #timers: Timers
  readonly #session: Session
  #offer: Offer = NO_OFFER
  #delivery: Delivery | null = null
  #chunks: Chunks | null = null
  #begun = false

  /** Throws a MailHandlerError with code `ERR_OPTION` where an option is wrong. */
  constructor(options: SmtpHandlerOptions = {}) {
    const resolved = resolveOptions(options)
    super(resolved.base)
    this.#options = resolved
    for (const hook of HOOKS) {
      if (options[hook] !== undefined) Object.defineProperty(this, hook, { value: options[hook], writable: true })
    }
    if (this.onMessage !== undefined && resolved.hooks.onMessage.length > 0) {
      throw new MailHandlerError('ERR_OPTION', TWO_TAKERS)
    }
    this.#session = new Session(this, resolved.lmtp)
    this.#timers = new Timers(resolved.clock)
    this.#tally = new Tally(resolved.limits)
    this.#time = new SessionTime(resolved, this, limit => this.#expire(limit))
    for (const policy of resolved.policies) policy.attach?.(this)
  }

  // The hooks; see Hooks for when each is called. Options, or a subclass, have them.
  onConnect?(session: Session): HookAnswer
  onHelo?(session: Session): HookAnswer
  onAuth?(credentials: Credentials, session: Session): HookAnswer
  onMailFrom?(sender: Sender, session: Session): HookAnswer
  onRcptTo?(recipient: Recipient, session: Session): HookAnswer
  onData?(session: Session): HookAnswer
  onMessage?(message: Message, session: Session): MessageAnswer
  onReset?(session: Session): void | Promise<void>
  onClose?(session: Session): void | Promise<void>

  /** What the hooks get to know of this session. */
  get session(): Session {
    return this.#session
  }

  /** The options with every default filled in. */
  get options(): ResolvedOptions {
    return this.#options
  }

  /** True from MAIL on, until the verdict or RSET. [RFC 5321 §3.3] */
  override get inTransaction(): boolean {
    return this.#session.envelope !== null
  }

  // ── Turns of the session ──

  override handleConnect(): Answer {
    const { address, port } = this.client
    this.#session.client = { address, port, name: null }
    this.#session.tls = readTls(this.source)
    this.#begun = true
    if (channels.session.hasSubscribers) channels.session.publish({ event: 'start', session: this.#session })
    return after(this.#admit(), greeting => {
      const early = greeting.positive && this.#options.earlyTalkers === 'refuse' && this.inputWaiting
      return early ? this.#refuseAndEnd(known.EARLY_TALKER) : greeting
    })
  }

  /** The greeting, at the beginning and after XCLIENT. The time to the first HELO begins with it. */
  #admit(): Reply | Promise<Reply> {
    return after(this.#ask('onConnect', this.#session), greeting => {
      this.#time.meet()
      if (greeting?.positive === false) {
        this.#session.phase = 'refused'
        return greeting
      }
      this.#session.welcome()
      return greeting?.code === 220 ? greeting : this.#options.greeting
    })
  }

  override handleHelo(command: Command): Answer {
    return this.#options.lmtp ? this.handleUnknown(command) : this.#greet(command, 'HELO')
  }

  override handleEhlo(command: Command): Answer {
    return this.#options.lmtp ? this.handleUnknown(command) : this.#greet(command, 'EHLO')
  }

  /** LHLO. [RFC 2033 §4.1] */
  handleLhlo(command: Command): Answer {
    return this.#options.lmtp ? this.#greet(command, 'LHLO') : this.handleUnknown(command)
  }

  #greet(command: Command, verb: 'HELO' | 'EHLO' | 'LHLO'): Answer {
    const refusal = this.#outOfOrder(verb) ?? this.#unlawful()
    if (refusal !== null) return refusal
    const helo = parseHelo(command.argument.trim(), { utf8: true, lenient: true })
    if (!helo.ok) return known.badArgument(`${verb} takes a domain name or an address literal`)
    const session = this.#session
    return after(this.#reset(), () => {
      session.helo = helo.name
      return after(this.#ask('onHelo', session), answer => {
        if (answer?.positive === false) {
          this.#time.meet()
          session.helo = null
          session.phase = 'connected'
          return answer
        }
        session.phase = 'greeted'
        session.extended = verb !== 'HELO'
        this.#stand()
        return session.extended ? this.#offer.reply : (answer ?? this.#options.heloReply)
      })
    })
  }

  override handleMail(command: Command): Answer {
    const { tls, auth } = this.#options
    const session = this.#session
    const refusal = this.#outOfOrder('MAIL')
    if (refusal !== null) return refusal
    if (tls?.required === true && session.tls === null) return known.TLS_FIRST
    if (auth?.required === true && session.user === null) return known.AUTH_FIRST
    if (this.#tally.spent) return this.#hit('transactions', known.TOO_MANY_TRANSACTIONS)
    const sender = readSender(command.argument, this.#options, this.#offer.extensions)
    if (sender instanceof Reply) return sender
    return after(this.#ask('onMailFrom', sender), answer => {
      if (answer?.positive === false) return answer
      session.envelope = { sender, recipients: [], parameters: sender.parameters }
      session.phase = 'sender'
      return answer ?? known.SENDER_OK
    })
  }

  override handleRcpt(command: Command): Answer {
    const session = this.#session
    const refusal = this.#outOfOrder('RCPT')
    if (refusal !== null) return refusal
    const recipients = session.envelope!.recipients as Recipient[]
    if (recipients.length >= this.#options.limits.recipients) return this.#hit('recipients', known.TOO_MANY_RECIPIENTS)
    const recipient = readRecipient(command.argument, this.#options, this.#offer.extensions, session.envelope!)
    if (recipient instanceof Reply) return recipient
    return after(this.#ask('onRcptTo', recipient), answer => {
      if (answer?.positive === false) return answer
      recipients.push(recipient)
      session.phase = 'recipients'
      return answer ?? known.RECIPIENT_OK
    })
  }

  override handleData(command: Command): Answer {
    // First of all: what comes behind a DATA that is refused may be mail data.
    const refusal = this.#unlawful() ?? this.#outOfOrder('DATA') ?? this.#noArgument(command)
    if (refusal !== null) return refusal
    if (this.#session.envelope!.parameters.body === 'BINARYMIME') return known.BINARY_NEEDS_BDAT // [RFC 3030 §3]
    return after(this.#beforeMessage(), answer => {
      const begin = answer?.positive === false || answer?.code === 354 ? answer : known.START_MAIL
      return this.#unlawful() ?? begin
    })
  }

  override handleBody(body: Body): Verdict {
    return this.#deliver(body)
  }

  override handleEndOfMessage(verdict: readonly Reply[]): void | Promise<void> {
    return this.#endTransaction(verdict)
  }

  /** BDAT: counted mail data. Its octets are always taken, whatever becomes of the message. [RFC 3030 §2] */
  handleBdat(command: Command): Answer {
    if (!this.#options.extensions.has('CHUNKING')) return this.#refuseAndEnd(known.BDAT_NOT_OFFERED)
    const chunk = readChunk(command.argument)
    return chunk === null ? this.#refuseAndEnd(known.BDAT_SIZE) : this.#takeChunk(chunk)
  }

  async #takeChunk(chunk: Chunk): Promise<Reply> {
    const refusal = this.#outOfOrder('BDAT') ?? (await this.#beforeChunk(chunk.count))
    if (refusal === known.TOO_LARGE && this.#options.oversize === 'close') return this.#refuseAndEnd(refusal)
    if (refusal !== null) await this.takeOctets(chunk.count, null)
    const verdict = refusal === null ? await this.#chunks!.take(chunk, this) : [refusal]
    return verdict === null ? known.chunkTaken(chunk.count) : this.#endChunks(verdict, chunk.last)
  }

  /** Before the octets of a BDAT: looks at the size, and opens the message with the first. */
  async #beforeChunk(count: number): Promise<Reply | null> {
    const { size } = this.#options
    if (size > 0 && (this.#chunks?.octets ?? 0) + count > size) return this.#hit('size', known.TOO_LARGE)
    if (this.#chunks !== null) return null
    const answer = await this.#beforeMessage()
    if (answer?.positive === false) return answer
    const feed = this.openBody()
    this.#chunks = new Chunks(feed, this.#deliver(feed.body))
    this.#session.phase = 'chunks'
    this.handleWait(this.waiting) // for the verdict from now on: BDAT 0 LAST has no octets to wait for
    return null
  }

  /** The message has its verdict; where that came early, the sequence goes on without it until LAST or RSET. */
  #endChunks(verdict: readonly Reply[], last: boolean): Reply | Promise<Reply> {
    const session = this.#session
    const { phase } = session
    if (phase !== 'recipients' && phase !== 'chunks' && phase !== 'failed') return verdict[0]!
    if (last) {
      const final = toEach(verdict, session, session.envelope) // [RFC 2033 §4.3]
      return after(this.#endTransaction(final), () => this.sayAhead(final))
    }
    this.#dropChunks()
    session.phase = 'failed'
    return verdict[0]!
  }

  #dropChunks(): void {
    this.#chunks?.drop()
    this.#chunks = null
  }

  override handleRset(command: Command): Answer {
    const refusal = this.#outOfOrder('RSET') ?? this.#noArgument(command)
    return refusal ?? after(this.#reset(), () => replies.OK)
  }

  override handleNoop(_command: Command): Answer {
    return replies.OK
  }

  override handleVrfy(command: Command): Answer {
    return command.argument === '' ? known.badArgument('VRFY takes a user or a mailbox') : known.CANNOT_VRFY
  }

  /** EXPN. [RFC 5321 §4.1.1.7] */
  handleExpn(_command: Command): Answer {
    return known.NO_EXPN
  }

  override handleHelp(_command: Command): Answer {
    return known.help(this.#options)
  }

  override handleQuit(command: Command): Answer {
    return this.#noArgument(command) ?? this.#options.goodbye
  }

  override handleUnknown(command: Command): Answer {
    return isHttp(command) ? this.#refuseAndEnd(known.NOT_HTTP) : replies.UNKNOWN_COMMAND
  }

  /** AUTH. [RFC 4954 §4] */
  handleAuth(command: Command): Answer {
    const { auth, limits } = this.#options
    const session = this.#session
    const unlawful = this.#unlawful() // First of all: what comes behind may be a secret, and no command.
    if (unlawful !== null) return unlawful
    if (auth === null || !this.#options.extensions.has('AUTH')) return known.AUTH_NOT_OFFERED
    const refusal = this.#outOfOrder('AUTH')
    if (refusal !== null) return refusal
    if (session.user !== null) return known.AUTH_DONE
    if (session.tls === null && !auth.insecure) return known.AUTH_NEEDS_TLS
    return authenticate(command.argument, auth.mechanisms, {
      prompt: challenge => this.prompt(challenge, limits.authLine),
      verify: async credentials => this.#askAll('onAuth', credentials),
    }).then(({ answer, identity }) => {
      if (identity === null) return this.#countAuthFailure(answer)
      session.user = identity.user
      session.authzid = identity.authzid === '' ? null : identity.authzid
      this.#stand()
      return answer
    })
  }

  #countAuthFailure(answer: Reply): Reply {
    return this.#tally.authFailure() ? this.#hit('authFailures', known.TOO_MANY_AUTH_FAILURES) : answer
  }

  /** STARTTLS. [RFC 3207 §4] */
  handleStartTls(command: Command): Answer {
    const { tls } = this.#options
    if (this.#session.tls !== null) return known.TLS_ACTIVE
    if (tls === null || !this.upgradable || !this.#options.extensions.has('STARTTLS')) return known.TLS_NOT_OFFERED
    const refusal = this.#outOfOrder('STARTTLS') ?? this.#noArgument(command)
    if (refusal !== null) return refusal
    if (this.inputWaiting) return this.#refuseAndEnd(known.NOT_SYNCHRONIZED) // [RFC 3207 §4.2, CVE-2011-0411]
    this.#time.beginHandshake()
    this.upgradeAfterReply(source => {
      this.#session.startAnew()
      return wrapInTls(source, tls, socket => this.#secured(socket))
    })
    return known.TLS_READY
  }

  #secured(socket: TLSSocket): void {
    this.#session.tls = readTls(socket)
    this.#time.endHandshake()
  }

  /** XCLIENT, from the networks of the option `xclient`. */
  handleXclient(command: Command): Answer {
    if (!this.#options.extensions.has('XCLIENT') || !this.#believes()) return this.handleUnknown(command)
    const session = this.#session
    const refusal = this.#outOfOrder('XCLIENT') ?? applyXclient(command.argument, session)
    if (refusal !== null) return refusal
    return this.#admit()
  }

  /** XFORWARD, from the networks of the option `xclient`. */
  handleXforward(command: Command): Answer {
    if (!this.#options.extensions.has('XFORWARD') || !this.#believes()) return this.handleUnknown(command)
    return this.#outOfOrder('XFORWARD') ?? readXforward(command.argument, this.#session)
  }

  #believes(): boolean {
    const { proxies } = this.#options
    return proxies !== null && this.client.address !== null && proxies.has(this.client.address)
  }

  // ── Mail transactions ──

  /** Before 354, or the first BDAT: is there anybody who takes the message? */
  #beforeMessage(): HookAnswer {
    if (this.onMessage === undefined && this.#options.hooks.onMessage.length === 0) return replies.NO_DELIVERY
    return this.#ask('onData', this.#session)
  }

  /** Resolves with what the client is to be told of a message, and never rejects. */
  #deliver(body: Body): Promise<readonly Reply[]> {
    this.#delivery = new Delivery(this, body)
    return this.#delivery.run(() => this.#oversize())
  }

  /** The message grows over the size, whether or not anybody still reads it. */
  #oversize(): void {
    this.#hit('size', known.TOO_LARGE)
    if (this.#options.oversize === 'close') this.hangUp(known.TOO_LARGE)
  }

  #endTransaction(verdict: readonly Reply[]): void | Promise<void> {
    this.#tally.transaction()
    this.#delivery?.publish(verdict)
    return this.#reset()
  }

  /** Back to between two transactions; tells the hooks, whose trouble is reported and stops nothing. */
  #reset(): void | Promise<void> {
    this.#dropChunks()
    this.#delivery = null
    if (this.#session.phase === 'connected') return
    this.#session.endTransaction()
    return this.#tell('onReset')
  }

  // ── Hooks ──

  /** What the hooks say; what one of them throws is its answer. */
  #ask(hook: Exclude<HookName, 'onMessage' | 'onAuth'>, subject: unknown): HookAnswer {
    try {
      const answer = this.#askAll(hook, subject)
      return isPromise(answer) ? answer.catch(error => this.replyTo(error)) : answer
    } catch (error) {
      return this.replyTo(error)
    }
  }

  #askAll(hook: Exclude<HookName, 'onMessage'>, subject: unknown): HookAnswer {
    const asks = this.#asks(hook)
    return asks.length === 0 ? undefined : askAll(asks, subject, this.#terms(hook))
  }

  /** For hooks that have no say. */
  #tell(hook: 'onReset' | 'onClose'): void | Promise<void> {
    const asks = this.#asks(hook)
    return asks.length === 0 ? undefined : tellAll(asks, this.#terms(hook), error => void this.replyTo(error))
  }

  #asks(hook: HookName): readonly Ask<unknown>[] {
    const own = this[hook] as Ask<unknown> | undefined
    const policies = this.#options.hooks[hook] as readonly Ask<unknown>[]
    return own === undefined ? policies : [...policies, own.bind(this)]
  }

  #terms(hook: HookName): Terms {
    return { hook, session: this.#session, clock: this.#timers, milliseconds: this.#options.timeouts.hook }
  }

  override handleError(error: Error): void {
    if (channels.error.hasSubscribers) channels.error.publish({ session: this.#session, error })
    else super.handleError(error)
  }

  // ── Order, limits ──

  override handleCommand(command: Command): Answer {
    if (channels.command.hasSubscribers) channels.command.publish(commandEvent(this.#session, command))
    if (this.#tally.hopeless) return this.#hit('errors', known.TOO_MANY_ERRORS)
    this.#tally.line()
    this.#tally.command(command.verb)
    return this.#tally.slow ? this.#late(() => this.#dispatch(command)) : this.#dispatch(command)
  }

  override handleProblem(problem: LineProblem, verb: string): Answer {
    if (this.#tally.hopeless) return this.#hit('errors', known.TOO_MANY_ERRORS)
    this.#tally.line()
    return this.#tally.slow ? this.#late(() => this.#noCommand(problem, verb)) : this.#noCommand(problem, verb)
  }

  #noCommand(problem: LineProblem, verb: string): Answer {
    if (verb === 'BDAT') return this.#refuseAndEnd(known.BDAT_SIZE) // octets follow, and nobody knows how many
    if (verb === 'AUTH' && problem === 'too-long' && this.#options.auth !== null) return known.AUTH_LINE_TOO_LONG
    return super.handleProblem(problem, verb)
  }

  /** Who makes many errors is answered slowly. */
  #late(answer: () => Answer): Answer {
    return delay(this.#timers, SOFT_ERROR_DELAY).then(answer)
  }

  #dispatch(command: Command): Answer {
    if (this.#session.phase === 'refused' && command.verb !== 'QUIT') return GO_AWAY
    if (command.verb !== 'AUTH' && longerThan(command.line, this.#options.limits.commandLine - CRLF_OCTETS)) {
      return this.#noCommand('too-long', command.verb)
    }
    const method = METHODS.get(command.verb)
    return method === undefined ? this.handleUnknown(command) : this[method](command)
  }

  override handleReply(reply: Reply): void {
    this.#tally.reply(reply)
    if (channels.reply.hasSubscribers) channels.reply.publish({ session: this.#session, reply })
  }

  #outOfOrder(verb: OrderedVerb): Reply | null {
    return outOfOrder(this.#session.phase, verb)
  }

  #noArgument(command: Command): Reply | null {
    return command.argument.trim() === '' ? null : known.badArgument(`${command.verb} takes no argument`)
  }

  /** What must end a group of commands is followed by more. [RFC 2920 §3.1] */
  #unlawful(): Reply | null {
    const refuse = this.#options.unlawfulPipelining === 'refuse' && this.#session.user === null
    return refuse && this.inputWaiting ? this.#refuseAndEnd(known.NOT_SYNCHRONIZED) : null
  }

  #refuseAndEnd(refusal: Reply): Reply {
    this.breakConnection = true
    return refusal
  }

  #hit(limit: string, refusal: Reply): Reply {
    if (channels.limit.hasSubscribers) channels.limit.publish({ session: this.#session, limit })
    return refusal
  }

  /** What this session is offered follows from where it stands now; strictly, HELO is offered nothing. */
  #stand(): void {
    const session = this.#session
    if (!session.extended && !this.#options.lenient) {
      this.#offer = NO_OFFER
      return
    }
    this.#offer = offerTo(this.#options, {
      tls: session.tls !== null,
      authenticated: session.user !== null,
      upgradable: this.upgradable,
      proxy: this.#believes(),
    })
  }

  // ── Time ──

  override handleWait(waiting: Waiting): void {
    this.#time.wait(waiting, this.#delivery?.pending === true)
  }

  #expire(limit: TimeLimit): void {
    this.#hit(limit, known.TIMED_OUT)
    if (limit === 'verdict') this.#delivery?.stop()
    else if (limit === 'linger' || limit === 'tls') this.destroy()
    else this.hangUp(known.TIMED_OUT)
  }

  // ── The end ──

  override handleDisconnect(): void | Promise<void> {
    this.#delivery?.publish([])
    return after(this.#tell('onClose'), () => {
      if (!this.#begun || !channels.session.hasSubscribers) return
      channels.session.publish({ event: 'end', session: this.#session })
    })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#time.stop()
    this.#timers.clearAll()
    this.#session.end()
    super._destroy(error, callback)
  }
}
