// SmtpHandler: the complete ESMTP session, a method a command.
//
//   a command: handleCommand → checkCommand, by the row of the command table → handleRcpt → grammar → hooks → Reply
//   354:       handleBody → DeliveryRun → onMessage, while the mail data comes in → verdict
//
// SmtpSession (`#session`) is the rest: state, hooks, message, limits, time. Hooks get a view of it (`session`).

import { COMMANDS } from '../protocol/commands/command-table.ts'
import type { Command } from '../protocol/commands/command.ts'
import { GO_AWAY } from '../protocol/commands/phase.ts'
import type { Body } from '../stream/body.ts'
import { after, type Answer, type Verdict } from '../stream/handlers.ts'
import type { LineProblem } from '../stream/line-cutter.ts'
import { controls, MailHandler } from '../stream/mail-handler.ts'
import { readTls } from '../tls/tls-state.ts'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { Reply } from '../words/reply.ts'
import { answerAuth } from './auth-command.ts'
import type { Credentials } from './auth/mechanism.ts'
import { readChunk, receiveChunk } from './bdat-command.ts'
import { checkCommand, hasCommand, offeredVerbs } from './command-checks.ts'
import { channels, commandEvent } from './diagnostics.ts'
import { Transaction, type Recipient, type Sender } from './envelope.ts'
import { greet, greetingInLatin1, refuseLatin1 } from './helo-command.ts'
import type { HookAnswer, MessageAnswer } from './hooks.ts'
import { isHttp } from './http.ts'
import { interposerOf } from './internals.ts'
import * as known from './known-replies.ts'
import { refuseRecipient, refuseSender } from './leniency.ts'
import type { Message } from './message.ts'
import { fieldMistake, takeHooks, TWO_TAKERS } from './option-checks.ts'
import { resolveOptions, type SmtpHandlerOptions } from './options.ts'
import { parseRecipient, parseSender } from './path-arguments.ts'
import type { Session, SessionInTransaction } from './session.ts'
import { SmtpSession } from './smtp-session.ts'
import { startTls } from './starttls-command.ts'
import { applyXclient, readXforward } from './xclient-command.ts'

/** The session behind a handler. No entry exports it. */
export let sessionOf: (handler: SmtpHandler) => SmtpSession

/**
 * A complete, strict ESMTP session: order, grammar, extensions, limits and time. A program takes part by hooks, in
 * options, in a subclass, or in policies and a delivery: see {@link Policy} and {@link Delivery}.
 *
 * ```ts
 * createServer(socket => {
 *   const handler = new SmtpHandler({ async onMessage(message, session) { await store(message, session.envelope) } })
 *   socket.pipe(handler).pipe(socket)
 * })
 * ```
 */
export class SmtpHandler extends MailHandler {
  readonly #session: SmtpSession

  /** Throws a MailHandlerError with code `ERR_OPTION` if an option is wrong. */
  constructor(options: SmtpHandlerOptions = {}) {
    const resolved = resolveOptions(options)
    super(resolved.base)
    takeHooks(this, SmtpHandler.prototype, options)
    if (this.onMessage !== undefined && resolved.delivery !== null) throw new MailHandlerError('ERR_OPTION', TWO_TAKERS)
    this.#session = new SmtpSession(this, resolved)
    controls.dialogue(this).observer = this.#session
    for (const policy of resolved.policies) interposerOf(policy)?.(this) // of the testing kit; HookRunner asks the hooks
  }

  // The hooks. Options, or a subclass, have them.

  /** Before the greeting; 554 or 421 refuses the client. [RFC 5321 §3.1] */
  onConnect?(session: Session): HookAnswer
  /** After the handshake of STARTTLS; a refusal is sent as 554 and ends the session. [RFC 3207 §4] */
  onSecure?(session: Session): HookAnswer
  /** HELO, EHLO or LHLO with a valid argument, which is `session.helo`. [RFC 5321 §4.1.1.1] */
  onHelo?(session: Session): HookAnswer
  /** A SASL exchange is complete; only a positive reply accepts a password or a token. [RFC 4954 §4] */
  onAuth?(credentials: Credentials, session: Session): HookAnswer
  /** MAIL, after its order, grammar and parameters were checked; `session.envelope` is null until it is accepted. */
  onMailFrom?(sender: Sender, session: Session): HookAnswer
  /** Each RCPT, after its checks; the recipient is in `session.envelope` once all hooks have accepted it. */
  onRcptTo?(recipient: Recipient, session: SessionInTransaction): HookAnswer
  /** DATA or the first BDAT, before 354; at least one recipient was accepted. */
  onData?(session: SessionInTransaction): HookAnswer
  /**
   * The mail data as a stream; the verdict is sent after its end, once this has settled. Not together with `delivery`.
   */
  onMessage?(message: Message, session: SessionInTransaction): MessageAnswer
  /** After RSET, a new HELO, and each transaction: drop what belongs to the transaction. */
  onReset?(session: Session): void | Promise<void>
  /** Once, after the session ended in any way; `session.ending` says how. */
  onClose?(session: Session): void | Promise<void>

  /** What the hooks get to know of this session. */
  get session(): Session {
    return this.#session.state.view
  }

  /** True from MAIL on, until the verdict or RSET. [RFC 5321 §3.3] */
  override get inTransaction(): boolean {
    return this.#session.state.transaction !== null
  }

  // ── Every command ──

  override handleCommand(command: Command): Answer {
    const session = this.#session
    if (channels.command.hasSubscribers) channels.command.publish(commandEvent(session.state.view, command))
    const pace = session.usage.countLine(command.verb)
    return pace === 'usual' ? this.#dispatch(command) : session.slowDown(pace, () => this.#dispatch(command))
  }

  #dispatch(command: Command): Answer {
    const session = this.#session
    const row = COMMANDS.get(command.verb)
    if (row === undefined || ((row.extension !== null || row.protocol !== 'both') && !hasCommand(session, row))) {
      return session.state.phase === 'refused' ? GO_AWAY : this.handleUnknown(command)
    }
    // The octets that follow a refused BDAT are taken first.
    const refusal = row.extension === 'CHUNKING' ? null : checkCommand(session, row, command)
    return refusal ?? this[row.method](command)
  }

  override handleProblem(problem: LineProblem, verb: string, octets: string = ''): Answer {
    const session = this.#session
    const latin1 = problem === 'not-utf8' ? greetingInLatin1(octets, session) : null
    if (latin1 !== null && session.options.strictness === 'lenient') return this.handleCommand(latin1)
    const pace = session.usage.countLine(null)
    const answer = () => (latin1 === null ? this.#refuseLine(problem, verb) : refuseLatin1(session, latin1))
    return pace === 'usual' ? answer() : session.slowDown(pace, answer)
  }

  #refuseLine(problem: LineProblem, verb: string): Answer {
    const session = this.#session
    if (verb === 'BDAT') return session.refuseAndEnd(known.BDAT_SIZE) // it is unknown how many octets follow
    if (verb === 'AUTH' && problem === 'too-long' && session.options.auth !== null) return known.AUTH_LINE_TOO_LONG
    return super.handleProblem(problem, verb)
  }

  override handleUnknown(command: Command): Answer {
    return isHttp(command) ? this.#session.refuseAndEnd(known.NOT_HTTP) : replies.UNKNOWN_COMMAND
  }

  // ── The greeting ──

  override handleConnect(): Answer {
    const session = this.#session
    session.connect(readTls(controls.source(this)))
    const mistake = fieldMistake(this)
    if (mistake !== null) return session.refuseService(mistake)
    return after(session.greetClient(), greeting => {
      session.state.talkedEarly = this.inputWaiting
      const isRefused = session.state.talkedEarly && greeting.positive && session.options.earlyTalkers === 'refuse'
      return isRefused ? session.refuseAndEnd(known.EARLY_TALKER) : greeting
    })
  }

  override handleHelo(command: Command): Answer {
    return greet(this.#session, command, false)
  }

  override handleEhlo(command: Command): Answer {
    return greet(this.#session, command, true)
  }

  /** LHLO. [RFC 2033 §4.1] */
  handleLhlo(command: Command): Answer {
    return greet(this.#session, command, true)
  }

  // ── Mail transactions ──

  override handleMail(command: Command): Answer {
    const session = this.#session
    if (session.usage.hasNoTransactionsLeft) return session.passLimit('transactions', known.TOO_MANY_TRANSACTIONS)
    const sender = parseSender(command.argument, session.options, session.offer)
    if (sender instanceof Reply) return refuseSender(session, command, sender)
    return after(session.hooks.ask('onMailFrom', sender), answer => {
      if (answer?.positive === false) return answer
      session.state.transaction = new Transaction(sender)
      session.state.phase = 'sender'
      return answer ?? known.SENDER_OK
    })
  }

  override handleRcpt(command: Command): Answer {
    const session = this.#session
    const { state, options } = session
    const transaction = state.transaction!
    if (transaction.recipients.length >= options.limits.recipients)
      return session.passLimit('recipients', known.TOO_MANY_RECIPIENTS)
    const recipient = parseRecipient(command.argument, options, session.offer, transaction)
    if (recipient instanceof Reply) return refuseRecipient(session, command, recipient, transaction)
    return after(session.hooks.ask('onRcptTo', recipient), answer => {
      if (answer?.positive === false) return answer
      transaction.recipients.push(recipient)
      state.phase = 'recipients'
      return answer ?? known.RECIPIENT_OK
    })
  }

  override handleData(_command: Command): Answer {
    const session = this.#session
    if (session.state.transaction!.parameters.body === 'BINARYMIME') return known.BINARY_NEEDS_BDAT // [RFC 3030 §3]
    return after(session.askOnData(), answer => {
      const begin = answer?.positive === false || answer?.code === 354 ? answer : known.START_MAIL
      return session.refuseTalkingAhead() ?? begin // again: there was time to, while onData was asked
    })
  }

  /** BDAT. [RFC 3030 §2] */
  handleBdat(command: Command): Answer {
    const session = this.#session
    if (session.state.phase === 'refused') return GO_AWAY
    if (!session.hasExtension('CHUNKING')) return session.refuseAndEnd(known.BDAT_NOT_OFFERED)
    const chunk = readChunk(command.argument)
    if (chunk === null) return session.refuseAndEnd(known.BDAT_SIZE)
    return receiveChunk(this, session, chunk, checkCommand(session, COMMANDS.get('BDAT')!, command))
  }

  override handleBody(_body: Body): Verdict {
    return this.#session.deliver() // the MailData behind the Body, which can be limited and refused
  }

  override handleRset(_command: Command): Answer {
    return after(this.#session.reset(), () => replies.OK)
  }

  // ── Other commands ──

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
    return known.help(offeredVerbs(this.#session))
  }

  override handleQuit(_command: Command): Answer {
    return this.#session.options.goodbye
  }

  /** AUTH. [RFC 4954 §4] */
  handleAuth(command: Command): Answer {
    return answerAuth(this, this.#session, command)
  }

  /** STARTTLS. [RFC 3207 §4] */
  handleStartTls(_command: Command): Answer {
    return startTls(this, this.#session)
  }

  /** XCLIENT, from the networks of the option `xclient`. */
  handleXclient(command: Command): Answer {
    return applyXclient(command.argument, this.#session.state) ?? this.#session.greetClient()
  }

  /** XFORWARD, from the networks of the option `xclient`. */
  handleXforward(command: Command): Answer {
    return readXforward(command.argument, this.#session.state)
  }

  // ── The end ──

  override shutDown(reply: Reply): void {
    this.#session.shutDown()
    super.shutDown(reply)
  }

  override hangUp(reply?: Reply): void {
    this.#session.state.ending ??= this.#session.endingNow
    super.hangUp(reply)
  }

  override handleError(error: Error): void {
    if (channels.error.hasSubscribers) channels.error.publish({ session: this.session, error })
    else super.handleError(error)
  }

  override handleDisconnect(): void | Promise<void> {
    return this.#session.disconnect()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#session.stop()
    super._destroy(error, callback)
  }

  static {
    sessionOf = handler => handler.#session
  }
}
