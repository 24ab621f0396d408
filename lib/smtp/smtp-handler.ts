// SmtpHandler: the complete ESMTP session.
//
//   MailHandler's loop → handleRcpt → order (phase.ts) → grammar (envelope.ts) → hooks (hooks.ts) → Reply
//                      → handleBody → message.ts → onMessage → verdict
//
// The session's state is in Session, what it was configured with in ResolvedOptions, time in Deadline.

import { setImmediate as turn } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { parseHelo } from '../protocol/domain.ts'
import { GO_AWAY, outOfOrder, type OrderedVerb } from '../protocol/phase.ts'
import type { Command } from '../protocol/command.ts'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { reply, Reply } from '../words/reply.ts'
import type { Body, BodyFeed } from '../stream/body.ts'
import { isPromise, type Answer, type Verdict, type Waiting } from '../stream/handlers.ts'
import type { LineProblem } from '../stream/line-cutter.ts'
import { MailHandler } from '../stream/mail-handler.ts'
import { authenticate } from './auth-command.ts'
import type { Credentials } from './auth/mechanism.ts'
import { delay, Timers } from './clock.ts'
import { Deadline, type TimeLimit } from './deadline.ts'
import { channels } from './diagnostics.ts'
import { readRecipient, readSender } from './envelope.ts'
import { NO_OFFER, offerTo, type Offer } from './extensions.ts'
import { askAll, asVerdict, HOOKS, tellAll, tooLate } from './hooks.ts'
import type { Ask, HookAnswer, HookName, MessageAnswer, Terms } from './hooks.ts'
import * as known from './known-replies.ts'
import { prepareMessage, type Message, type PreparedMessage } from './message.ts'
import { TWO_TAKERS } from './option-checks.ts'
import { resolveOptions, type ResolvedOptions, type SmtpHandlerOptions } from './options.ts'
import { Session, type Envelope, type Recipient, type Sender } from './session.ts'
import { readTls, wrapInTls } from './tls.ts'
import { applyXclient, readXforward } from './xclient-command.ts'

/** Verbs beyond those of MailHandler. */
const METHODS: ReadonlyMap<
  string,
  'handleLhlo' | 'handleBdat' | 'handleExpn' | 'handleAuth' | 'handleStartTls' | 'handleXclient' | 'handleXforward'
> = new Map([
  ['LHLO', 'handleLhlo'],
  ['BDAT', 'handleBdat'],
  ['EXPN', 'handleExpn'],
  ['AUTH', 'handleAuth'],
  ['STARTTLS', 'handleStartTls'],
  ['XCLIENT', 'handleXclient'],
  ['XFORWARD', 'handleXforward'],
] as const)

/** Verbs that bring no mail any further. */
const JUNK: ReadonlySet<string> = new Set(['NOOP', 'RSET', 'VRFY', 'EXPN', 'HELP', 'HELO', 'EHLO', 'LHLO'])
/** What a browser says, made by somebody to speak SMTP. */
const HTTP: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'CONNECT',
  'OPTIONS',
  'DELETE',
  'PATCH',
  'TRACE',
])
/** `BDAT 1000`, `BDAT 0 LAST`; a count of more digits could not be counted. [RFC 3030 §2] */
const BDAT = /^(\d{1,15})( LAST)?[ \t]*$/i

/** AUTH, however badly written: a secret may follow. */
const LIKE_AUTH = /^\s*AUTH(?![a-z])/i

/** Milliseconds that a client with many errors waits for each reply. */
const SOFT_ERROR_DELAY = 1000
const CRLF_OCTETS = 2

type MessageTaker = (message: Message, session: Session) => MessageAnswer

/** The chunks of one message. */
interface Chunks {
  readonly feed: BodyFeed
  /** Resolves with what the client is to be told, never rejects. */
  readonly verdict: Promise<readonly Reply[]>
}

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
  readonly #deadline: Deadline
  /** Of hooks that are asked, and of replies that are held back. */
  readonly #timers: Timers
  #session: Session
  #offer: Offer = NO_OFFER
  #errors = 0
  #junk = 0
  #authFailures = 0
  #transactions = 0
  #chunks: Chunks | null = null
  #body: Body | null = null
  #messageAt = 0
  /** Gives a verdict up that `onMessage` does not come to. */
  #giveUp: ((error: Error) => void) | null = null
  #waiting: Waiting | 'handshake' = 'answer'
  /** Lines that had come when the wait began. */
  #lines = 0
  /** Octets that had come when it was last looked at. */
  #octets = 0
  #connectedAt = 0
  #begun = false
  #dataBegan = { at: 0, octets: 0 }

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
    this.#session = new Session(this.client, this.local, resolved.lmtp)
    this.#timers = new Timers(resolved.clock)
    this.#deadline = new Deadline(resolved.clock, limit => this.#expire(limit))
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
    this.#session.client = { ...this.client, name: null }
    this.#session.local = this.local
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
    const { clock, greeting: usual } = this.#options
    return after(this.#ask('onConnect', this.#session), greeting => {
      this.#connectedAt = clock.now()
      if (greeting?.positive === false) {
        this.#session.phase = 'refused'
        return greeting
      }
      this.#session.welcome()
      return greeting?.code === 220 ? greeting : usual
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
          this.#connectedAt = this.#options.clock.now()
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
    const { tls, auth, limits } = this.#options
    const session = this.#session
    const refusal = this.#outOfOrder('MAIL')
    if (refusal !== null) return refusal
    if (tls?.required === true && session.tls === null) return known.TLS_FIRST
    if (auth?.required === true && session.user === null) return known.AUTH_FIRST
    if (this.#transactions >= limits.transactions) return this.#hit('transactions', known.TOO_MANY_TRANSACTIONS)
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
    return this.#takeMessage(body)
  }

  override handleEndOfMessage(verdict: readonly Reply[]): void | Promise<void> {
    return this.#endTransaction(verdict)
  }

  /** BDAT: counted mail data. Its octets are always taken, whatever becomes of the message. [RFC 3030 §2] */
  handleBdat(command: Command): Answer {
    if (!this.#options.extensions.has('CHUNKING')) return this.#refuseAndEnd(known.BDAT_NOT_OFFERED)
    const match = BDAT.exec(command.argument)
    if (match === null) return this.#refuseAndEnd(known.BDAT_SIZE)
    return this.#bdat(Number(match[1]), match[2] !== undefined)
  }

  async #bdat(count: number, last: boolean): Promise<Reply | void> {
    const refusal = this.#outOfOrder('BDAT') ?? (await this.#refuseChunk(count))
    if (refusal === known.TOO_LARGE && this.#options.oversize === 'close') return this.#refuseAndEnd(refusal)
    if (refusal !== null) {
      await this.takeOctets(count, null)
      return this.#failChunks([refusal], last)
    }
    const { feed, verdict } = this.#chunks!
    await this.takeOctets(count, feed)
    if (last) feed.end()
    if (feed.refusal !== null) return this.#failChunks(this.judge(feed, await verdict), last)
    if (last) return this.#endChunks(this.judge(feed, await verdict))
    const early = await settled(verdict)
    if (early?.[0]?.positive === false) return this.#failChunks(early, last)
    return reply(250, '2.0.0', `${count} octets received`)
  }

  /** Before the octets of a BDAT: looks at the size, and opens the message with the first. */
  async #refuseChunk(count: number): Promise<Reply | null> {
    const { size } = this.#options
    if (size > 0 && (this.#chunks?.feed.octets ?? 0) + count > size) return this.#hit('size', known.TOO_LARGE)
    if (this.#chunks !== null) return null
    const answer = await this.#beforeMessage()
    if (answer?.positive === false) return answer
    const feed = this.openBody()
    const verdict = this.#takeMessage(feed.body)
    void verdict.then(() => feed.settle())
    this.#chunks = { feed, verdict }
    this.#session.phase = 'chunks'
    return null
  }

  /** The message is refused, and the sequence goes on without it until LAST or RSET. */
  #failChunks(verdict: readonly Reply[], last: boolean): Reply | Promise<Reply> {
    const { phase } = this.#session
    if (phase !== 'recipients' && phase !== 'chunks' && phase !== 'failed') return verdict[0]!
    if (last) return this.#endChunks(verdict)
    this.#dropChunks()
    this.#session.phase = 'failed'
    return verdict[0]!
  }

  /** The sequence is over; in LMTP each recipient hears what became of the message. [RFC 2033 §4.3] */
  #endChunks(verdict: readonly Reply[]): Reply | Promise<Reply> {
    const final = this.#toEach(verdict)
    return after(this.#endTransaction(final), () => this.sayAhead(final))
  }

  #dropChunks(): void {
    this.#chunks?.feed.truncate()
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
    return known.HELP
  }

  override handleQuit(command: Command): Answer {
    return this.#noArgument(command) ?? this.#options.goodbye
  }

  override handleUnknown(command: Command): Answer {
    const http = HTTP.has(command.verb) || command.verb.endsWith(':')
    return http ? this.#refuseAndEnd(known.NOT_HTTP) : replies.UNKNOWN_COMMAND
  }

  /** AUTH. [RFC 4954 §4] */
  handleAuth(command: Command): Answer {
    const { auth, limits } = this.#options
    const session = this.#session
    const unlawful = this.#unlawful() // First of all: what comes behind may be a secret, and no command.
    if (unlawful !== null) return unlawful
    if (auth === null) return known.AUTH_NOT_OFFERED
    const refusal = this.#outOfOrder('AUTH')
    if (refusal !== null) return refusal
    if (session.user !== null) return known.AUTH_DONE
    if (session.tls === null && !auth.insecure) return known.AUTH_NEEDS_TLS
    if (!this.#offer.extensions.has('AUTH')) return known.AUTH_NOT_OFFERED
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
    this.#authFailures += 1
    const { authFailures } = this.#options.limits
    return this.#authFailures < authFailures ? answer : this.#hit('authFailures', known.TOO_MANY_AUTH_FAILURES)
  }

  /** STARTTLS. [RFC 3207 §4] */
  handleStartTls(command: Command): Answer {
    const { tls } = this.#options
    if (this.#session.tls !== null) return known.TLS_ACTIVE
    if (tls === null || !this.upgradable || !this.#options.extensions.has('STARTTLS')) return known.TLS_NOT_OFFERED
    const refusal = this.#outOfOrder('STARTTLS') ?? this.#noArgument(command)
    if (refusal !== null) return refusal
    if (this.inputWaiting) return this.#refuseAndEnd(known.NOT_SYNCHRONIZED) // [RFC 3207 §4.2, CVE-2011-0411]
    this.#waiting = 'handshake'
    this.#deadline.set('tls', this.#options.clock.now() + this.#options.timeouts.tls)
    this.upgradeAfterReply(source => {
      this.#session.startAnew()
      return wrapInTls(source, tls, socket => this.#secured(socket))
    })
    return known.TLS_READY
  }

  #secured(socket: TLSSocket): void {
    this.#session.tls = readTls(socket)
    this.#connectedAt = this.#options.clock.now()
    this.#waiting = 'command'
    this.#expect('command')
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

  /** Has the message delivered; resolves with what the client is to be told, and never rejects. */
  async #takeMessage(body: Body): Promise<readonly Reply[]> {
    const session = this.#session
    const envelope = session.envelope!
    this.#messageAt = this.#options.clock.now()
    this.#body = body
    if (channels.message.hasSubscribers) channels.message.publish({ session, envelope })
    let giveUp: ((error: Error) => void) | null = null
    const patience = new Promise<never>((_, reject) => {
      this.#giveUp = giveUp = reject
    })
    let prepared: PreparedMessage | null = null
    let verdict: readonly Reply[]
    try {
      prepared = prepareMessage(body, session, this.#options, () => this.#oversize())
      verdict = await Promise.race([this.#deliver(prepared, envelope), patience])
    } catch (error) {
      verdict = [this.replyTo(error)]
      prepared?.drop()
    }
    if (this.#giveUp === giveUp) this.#giveUp = null // else the next message is under way, after a RSET
    return this.#toEach(verdict, envelope)
  }

  /** One verdict is every recipient's, where each is to have a reply. [RFC 2033 §4.2] */
  #toEach(verdict: readonly Reply[], envelope = this.#session.envelope): readonly Reply[] {
    if (!this.#session.lmtp || verdict.length !== 1 || envelope === null) return verdict
    return envelope.recipients.map(() => verdict[0]!)
  }

  /** What the taker says; but a filter that fails is believed before him who did not get the message whole. */
  async #deliver(prepared: PreparedMessage, envelope: Envelope): Promise<readonly Reply[]> {
    const taker = this.onMessage?.bind(this) ?? (this.#options.hooks.onMessage[0] as MessageTaker)
    const verdict = asVerdict(
      await taker(prepared.message, this.#session),
      this.#session.lmtp ? envelope.recipients.length : 1,
    )
    if (!verdict.some(each => each.positive)) {
      prepared.drop()
      return verdict
    }
    const failure = await prepared.finish()
    if (failure === null) return verdict
    if (verdict.every(each => each.positive)) throw failure
    const refusal = this.replyTo(failure)
    return verdict.map(each => (each.positive ? refusal : each))
  }

  /** The message grows over the size, whether or not anybody still reads it. */
  #oversize(): void {
    this.#hit('size', known.TOO_LARGE)
    if (this.#options.oversize === 'close') this.hangUp(known.TOO_LARGE)
  }

  #endTransaction(verdict: readonly Reply[]): void | Promise<void> {
    this.#transactions += 1
    this.#junk = 0
    this.#publishTransaction(verdict)
    return this.#reset()
  }

  #publishTransaction(verdict: readonly Reply[]): void {
    const session = this.#session
    const { envelope } = session
    const body = this.#body
    this.#body = null
    if (body === null || envelope === null || !channels.transaction.hasSubscribers) return
    const milliseconds = this.#options.clock.now() - this.#messageAt
    channels.transaction.publish({ session, envelope, octets: body.octets, milliseconds, verdict })
  }

  /** Back to between two transactions; tells the hooks, whose trouble is reported and stops nothing. */
  #reset(): void | Promise<void> {
    this.#dropChunks()
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
    if (channels.command.hasSubscribers) this.#publish(command)
    const enough = this.#errors >= this.#options.limits.errors
    if (!enough && JUNK.has(command.verb) && ++this.#junk > this.#options.limits.junkCommands) this.#errors += 1
    return enough ? this.#hit('errors', known.TOO_MANY_ERRORS) : this.#inDueTime(() => this.#dispatch(command))
  }

  /** Who makes many errors is answered slowly. */
  #inDueTime(answer: () => Answer): Answer {
    if (this.#errors < this.#options.limits.softErrors) return answer()
    return delay(this.#timers, SOFT_ERROR_DELAY).then(answer)
  }

  #dispatch(command: Command): Answer {
    if (this.#session.phase === 'refused' && command.verb !== 'QUIT') return GO_AWAY
    if (command.verb !== 'AUTH' && longerThan(command.line, this.#options.limits.commandLine - CRLF_OCTETS)) {
      return replies.LINE_TOO_LONG
    }
    const method = METHODS.get(command.verb)
    return method === undefined ? super.handleCommand(command) : this[method](command)
  }

  override handleProblem(problem: LineProblem): Answer {
    const enough = this.#errors >= this.#options.limits.errors
    if (enough) return this.#hit('errors', known.TOO_MANY_ERRORS)
    return this.#inDueTime(() => super.handleProblem(problem))
  }

  override handleReply(reply: Reply): void {
    if (!reply.positive) this.#errors += 1
    if (channels.reply.hasSubscribers) channels.reply.publish({ session: this.#session, reply })
  }

  #publish({ verb, argument, line }: Command): void {
    const event = LIKE_AUTH.test(line) ? { verb: 'AUTH', argument: null } : { verb, argument }
    channels.command.publish({ session: this.#session, ...event })
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

  /** What this session is offered follows from where it stands now. */
  #stand(): void {
    const session = this.#session
    this.#offer = offerTo(this.#options, {
      tls: session.tls !== null,
      authenticated: session.user !== null,
      upgradable: this.upgradable,
      proxy: this.#believes(),
    })
  }

  // ── Time ──

  override handleWait(waiting: Waiting): void {
    if (this.#waiting === 'handshake') return
    const slow = waiting === 'consumer' && this.octetsReceived !== this.#octets // but it goes on
    const begins = slow || waiting !== this.#waiting || this.linesReceived !== this.#lines
    this.#waiting = waiting
    this.#lines = this.linesReceived
    this.#octets = this.octetsReceived
    if (waiting === 'data') this.#expectData(begins)
    else if (begins) this.#expect(waiting)
  }

  #expect(waiting: Exclude<Waiting, 'data'>): void {
    const { clock, timeouts } = this.#options
    const limit = LIMIT_OF[waiting]
    if (waiting === 'answer' && this.#giveUp === null) return this.#deadline.clear() // a hook has its own limit
    const at = clock.now() + timeouts[limit]
    const greeting = this.#connectedAt + timeouts.greeting
    const early = this.#session.phase === 'connected' && (waiting === 'command' || waiting === 'line')
    if (early && greeting < at) this.#deadline.set('greeting', greeting)
    else this.#deadline.set(limit, at)
  }

  #expectData(begins: boolean): void {
    const { clock, timeouts, minDataRate } = this.#options
    const now = clock.now()
    if (begins) this.#dataBegan = { at: now, octets: this.octetsReceived }
    const { at, octets } = this.#dataBegan
    const allowed = minDataRate === 0 ? Infinity : ((this.octetsReceived - octets) / minDataRate) * 1000
    const slowest = at + timeouts.data + allowed
    this.#deadline.set('data', Math.min(now + timeouts.data, slowest))
  }

  #expire(limit: TimeLimit): void {
    this.#hit(limit, known.TIMED_OUT)
    if (limit === 'verdict') this.#stopReading()
    else if (limit === 'linger' || limit === 'tls') this.destroy()
    else this.hangUp(known.TIMED_OUT)
  }

  /** Who was to read the message, or to judge it, does not. */
  #stopReading(): void {
    const late = tooLate('the verdict')
    this.#giveUp?.(late)
    this.#body?.refuse(late)
  }

  // ── The end ──

  override async handleDisconnect(): Promise<void> {
    this.#publishTransaction([])
    await this.#tell('onClose')
    if (this.#begun && channels.session.hasSubscribers)
      channels.session.publish({ event: 'end', session: this.#session })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#deadline.stop()
    this.#timers.clearAll()
    this.#session.end()
    super._destroy(error, callback)
  }
}

/** The time limit for each turn that a session waits for. */
const LIMIT_OF = {
  command: 'idle',
  line: 'command',
  end: 'linger',
  answer: 'verdict',
  consumer: 'verdict',
} as const satisfies Record<Exclude<Waiting, 'data'>, TimeLimit>

/** Octets, where they matter: a character is at most three in UTF-8 for each UTF-16 unit. */
function longerThan(line: string, octets: number): boolean {
  return line.length * 3 > octets && Buffer.byteLength(line) > octets
}

/** What a promise has come to, or null where it waits for more than a turn of the event loop. */
function settled<T>(promise: Promise<T>): Promise<T | null> {
  return Promise.race([promise, turn(null)])
}

/** Goes on with a value, at once where it is there. */
function after<T, U>(value: T | Promise<T>, then: (value: T) => U | Promise<U>): U | Promise<U> {
  return isPromise(value) ? value.then(then) : then(value)
}
