// What runs an SmtpHandler's session besides its commands: the state, the checks before each command, the hooks, the
// message under way, limits and time.

import { COMMANDS, type CommandRow } from '../protocol/commands/command-table.ts'
import type { Command } from '../protocol/commands/command.ts'
import { GREET_FIRST, LHLO_FIRST } from '../protocol/commands/phase.ts'
import type { Observer } from '../stream/controls.ts'
import { after, isPromise, type Answer, type Verdict, type Waiting } from '../stream/handlers.ts'
import { controls, type MailHandler } from '../stream/mail-handler.ts'
import { delay, Timers } from '../time/clock.ts'
import type { TimeLimit } from '../time/deadline.ts'
import type { TlsState } from '../tls/tls-state.ts'
import * as replies from '../words/replies.ts'
import { Reply } from '../words/reply.ts'
import { DeliveryRun } from './delivery-run.ts'
import { channels } from './diagnostics.ts'
import { greetingFor, type Greeting } from './ehlo.ts'
import { HookRunner } from './hook-runner.ts'
import type { HookAnswer, JudgingHook, JudgingHooks, TakingHook, TellingHook } from './hooks.ts'
import * as known from './known-replies.ts'
import { NO_OFFER, type Offer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
import { SessionClient, SessionState, type SessionEnding } from './session.ts'
import { SessionTime, type Progress } from './session-time.ts'
import { SessionUsage } from './session-usage.ts'

/** Milliseconds that a client with many errors waits for each reply. */
const SOFT_ERROR_DELAY = 1000
/** Limits that each transaction may pass anew; the others are logged once a session. */
const TRANSACTION_LIMITS: ReadonlySet<string> = new Set(['recipients', 'size'])

/** The handler of a session, with its own hooks. */
export type SessionHandler = MailHandler & JudgingHooks & TakingHook

/** The session of one SmtpHandler. */
export class SmtpSession implements Observer, Progress {
  readonly options: ResolvedOptions
  readonly state: SessionState
  readonly hooks: HookRunner
  readonly usage: SessionUsage
  readonly time: SessionTime
  /** Of hooks that are asked, and of replies that are held back. */
  readonly timers: Timers
  offer: Offer = NO_OFFER
  isBegun = false
  readonly #handler: SessionHandler
  #run: DeliveryRun | null = null
  #passedLimits: Set<string> | null = null
  #isShuttingDown = false

  constructor(handler: SessionHandler, options: ResolvedOptions) {
    const { lmtp, hooks, limits, timeouts } = options
    this.options = options
    this.#handler = handler
    this.state = new SessionState(handler, lmtp)
    this.timers = new Timers(options.clock)
    this.hooks = new HookRunner(handler, this.state, hooks, this.timers, timeouts.hook)
    this.usage = new SessionUsage(limits)
    this.time = new SessionTime(options, this)
  }

  // ── The beginning ──

  connect(tls: TlsState | null): void {
    const { address, port } = this.#handler.client
    this.state.client = new SessionClient(address, port)
    this.state.tls = tls
    this.isBegun = true
    if (channels.session.hasSubscribers) channels.session.publish({ event: 'start', session: this.state.view })
  }

  /** The greeting, at the beginning and after XCLIENT; the time to the first HELO begins with it. */
  greetClient(): Reply | Promise<Reply> {
    const { state } = this
    return after(this.ask('onConnect', state.view), greeting => {
      this.time.startGreetingTimer()
      if (greeting?.positive === false) {
        state.phase = 'refused'
        return greeting
      }
      state.noteGreeting()
      return greeting?.code === 220 ? greeting : this.options.greeting
    })
  }

  /** The handshake of STARTTLS is done. */
  secure(tls: TlsState | null): void {
    this.state.tls = tls
    this.time.endHandshake()
    void after(this.ask('onSecure', this.state.view), answer => {
      if (answer?.positive !== false) return
      this.state.ending ??= 'closed'
      this.#handler.hangUp(new Reply(554, status554(answer.status), answer.lines)) // [RFC 5321 §3.1]
    })
  }

  // ── Commands ──

  /** Counts the command, and refuses it if the session has gone too far; `run` answers it. */
  admit(command: Command | null, run: () => Answer): Answer {
    const { usage } = this
    if (usage.hasTooManyErrors) return this.passLimit('errors', known.TOO_MANY_ERRORS)
    if (usage.hasTooManyAuthFailures) return this.passLimit('authFailures', known.TOO_MANY_AUTH_FAILURES)
    usage.countLine()
    if (command !== null) usage.countCommand(command.verb)
    return usage.hasManyErrors ? delay(this.timers, SOFT_ERROR_DELAY).then(run) : run()
  }

  /** Why a command of the table is refused before its method is called; null if it is not. */
  check(row: CommandRow, { verb, argument }: Command): Reply | null {
    const { state, options } = this
    const { tls, auth, lmtp } = options
    if (row.endsGroup && state.phase !== 'refused') {
      const unlawful = this.refuseUnlawful()
      if (unlawful !== null) return unlawful
    }
    const unavailable = state.phase === 'refused' ? null : this.#unavailable(row)
    if (unavailable !== null) return unavailable
    if (tls?.required === true && state.tls === null && !row.isLegalInClear && state.phase !== 'refused') {
      return known.TLS_FIRST // [RFC 3207 §4]
    }
    const refusal = row.order[state.phase]
    if (refusal !== null) return lmtp && refusal === GREET_FIRST ? LHLO_FIRST : refusal
    if (row.argument === 'none' && argument.trim() !== '') return known.badArgument(`${verb} takes no argument`)
    if (row.needsUser && auth?.required === true && state.user === null) return known.AUTH_FIRST
    return null
  }

  #unavailable(row: CommandRow): Reply | null {
    const { tls, auth, extensions } = this.options
    if (row.extension === 'AUTH') return auth === null || !extensions.has('AUTH') ? known.AUTH_NOT_OFFERED : null
    if (row.extension !== 'STARTTLS') return null
    if (this.state.tls !== null) return known.TLS_ACTIVE
    const isOffered = tls !== null && extensions.has('STARTTLS') && controls.isUpgradable(this.#handler)
    return isOffered ? null : known.TLS_NOT_OFFERED
  }

  /** True if this session has the command at all: its protocol, its extension. */
  has(row: CommandRow): boolean {
    const { extensions, lmtp } = this.options
    if (row.protocol !== 'both' && (row.protocol === 'lmtp') !== lmtp) return false
    if (row.extension !== 'XCLIENT' && row.extension !== 'XFORWARD') return true // the others say why not
    return extensions.has(row.extension) && this.isTrustedProxy
  }

  /** The verbs that this session has now, for HELP. */
  get verbs(): readonly string[] {
    const { extensions, tls, auth } = this.options
    const hasExtension = (name: NonNullable<CommandRow['extension']>): boolean => {
      if (name === 'STARTTLS') return tls !== null && extensions.has(name) && this.state.tls === null
      return name === 'AUTH' ? auth !== null && extensions.has(name) : extensions.has(name)
    }
    return [...COMMANDS].flatMap(([verb, row]) => {
      if (verb === 'EXPN') return [] // known, and never available
      return this.has(row) && (row.extension === null || hasExtension(row.extension)) ? [verb] : []
    })
  }

  get isTrustedProxy(): boolean {
    const { proxies } = this.options
    const { address } = this.#handler.client
    return proxies !== null && address !== null && proxies.has(address)
  }

  /** Refuses input behind a command that must end a group. [RFC 2920 §3.1] */
  refuseUnlawful(): Reply | null {
    const refuses = this.options.unlawfulPipelining === 'refuse' && this.state.user === null
    return refuses && this.#handler.inputWaiting ? this.refuseAndEnd(known.NOT_SYNCHRONIZED) : null
  }

  refuseAndEnd(refusal: Reply): Reply {
    this.state.ending ??= 'closed'
    this.#handler.breakConnection = true
    return refusal
  }

  /** The offer of this session follows from its state; strictly, HELO is offered nothing. */
  greet(): Greeting {
    const { state, options } = this
    const standing = {
      isSecure: state.tls !== null,
      isAuthenticated: state.user !== null,
      isUpgradable: controls.isUpgradable(this.#handler),
      isTrustedProxy: this.isTrustedProxy,
    }
    const greeting = greetingFor(options, standing, state)
    this.offer = state.isExtended || options.lenient ? greeting.offer : NO_OFFER
    return greeting
  }

  // ── Hooks ──

  /** The answer of a hook; an error that it throws is its answer. */
  ask(hook: Exclude<JudgingHook, 'onAuth'>, subject: unknown): HookAnswer {
    try {
      const answer = this.hooks.ask(hook, subject)
      return isPromise(answer) ? answer.catch((error: unknown) => this.replyTo(error)) : answer
    } catch (error) {
      return this.replyTo(error)
    }
  }

  tell(hook: TellingHook): void | Promise<void> {
    return this.hooks.tell(hook, error => void this.replyTo(error))
  }

  replyTo(error: unknown): Reply {
    return controls.replyTo(this.#handler, error)
  }

  // ── Messages ──

  /** Before 354, or the first BDAT. */
  beforeMessage(): HookAnswer {
    if (this.#takes === null) return replies.NO_DELIVERY
    return this.ask('onData', this.state.view)
  }

  /** Hands the message that has begun to the delivery. */
  deliver(): Verdict {
    const take = this.#takes
    const data = controls.mailData(this.#handler)
    if (take === null || data === null) return replies.NO_DELIVERY
    data.onOversize = () => this.#refuseOversize()
    const run = new DeliveryRun(
      {
        state: this.state,
        options: this.options,
        hooks: this.hooks,
        take,
        replyTo: error => this.replyTo(error),
        say: reply => controls.say(this.#handler, reply),
      },
      data,
    )
    this.#run = run
    return run.start()
  }

  get #takes(): NonNullable<TakingHook['onMessage']> | null {
    const handler = this.#handler
    const { delivery } = this.options
    if (delivery !== null) return (message, session) => delivery.onMessage(message, session)
    return handler.onMessage === undefined ? null : (message, session) => handler.onMessage!(message, session)
  }

  /** Octets of the message under way. */
  get octetsOfMessage(): number {
    return controls.mailData(this.#handler)?.octets ?? 0
  }

  #refuseOversize(): void {
    this.passLimit('size', known.TOO_LARGE)
    if (this.options.oversize === 'close') this.#end('limit', known.TOO_LARGE)
  }

  /** Back to between two transactions; tells the hooks, whose errors are reported and stop nothing. */
  reset(): void | Promise<void> {
    controls.dropMailData(this.#handler)
    this.#run = null
    if (this.state.phase === 'connected') return
    this.state.endTransaction()
    for (const limit of TRANSACTION_LIMITS) this.#passedLimits?.delete(limit)
    return this.tell('onReset')
  }

  concludes(verdict: readonly Reply[]): readonly Reply[] | Promise<readonly Reply[]> {
    this.usage.countTransaction()
    this.#run?.publish(verdict)
    return after(this.reset(), () => verdict)
  }

  // ── Limits and time ──

  replies(reply: Reply): void {
    this.usage.countReply(reply)
    if (reply.code === 221) this.state.ending ??= 'quit'
    else if (reply.code === 421) this.state.ending ??= this.endingNow
    if (channels.reply.hasSubscribers) channels.reply.publish({ session: this.state.view, reply })
  }

  waits(waiting: Waiting): void {
    this.time.wait(waiting, this.#run?.isPending === true)
  }

  /** A limit is passed: tells the diagnostics channel, once a session or transaction. */
  passLimit(limit: string, refusal: Reply): Reply {
    if (refusal.code === 421) this.state.ending ??= 'limit'
    this.#passedLimits ??= new Set()
    if (!this.#passedLimits.has(limit)) {
      this.#passedLimits.add(limit)
      if (channels.limit.hasSubscribers) channels.limit.publish({ session: this.state.view, limit })
    }
    return refusal
  }

  get linesReceived(): number {
    return controls.linesReceived(this.#handler)
  }

  get octetsReceived(): number {
    return controls.octetsReceived(this.#handler)
  }

  expire(limit: TimeLimit): void {
    this.passLimit(limit, known.TIMED_OUT)
    if (limit === 'verdict') this.#run?.stop()
    else if (limit === 'linger' || limit === 'tls') this.#handler.destroy()
    else this.#end('limit', known.TIMED_OUT)
  }

  #end(ending: 'limit', reply: Reply): void {
    this.state.ending ??= ending
    this.#handler.hangUp(reply)
  }

  // ── The end ──

  shutDown(): void {
    this.#isShuttingDown = true
  }

  /** How the session ends if this side ends it now. */
  get endingNow(): SessionEnding {
    return this.#isShuttingDown ? 'shutdown' : 'closed'
  }

  disconnect(): void | Promise<void> {
    this.#run?.publish([])
    return after(this.tell('onClose'), () => {
      if (!this.isBegun || !channels.session.hasSubscribers) return
      channels.session.publish({ event: 'end', session: this.state.view })
    })
  }

  /** Nothing waits any more. */
  stop(): void {
    this.time.stop()
    this.timers.clearAll()
    this.state.end()
  }
}

/** The enhanced status code of a refusal that is sent as 554; a 4yz one says nothing of 554. [RFC 3463 §2] */
function status554(status: string | null): string {
  return status?.startsWith('5') === true ? status : '5.7.0'
}
