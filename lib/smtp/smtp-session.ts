// What runs an SmtpHandler's session besides its commands: the state, the hooks, the message under way, limits and time.

import { replyToError } from '../stream/answers.ts'
import type { Observer } from '../stream/observer.ts'
import { after, type Answer, type Verdict, type Waiting } from '../stream/handlers.ts'
import { controls, type MailHandler } from '../stream/mail-handler.ts'
import { delay, Timers } from '../time/clock.ts'
import type { TimeLimit } from '../time/deadline.ts'
import { handshakeTimeout } from '../tls/tls-failure.ts'
import type { TlsState } from '../tls/tls-state.ts'
import * as replies from '../words/replies.ts'
import type { Reply } from '../words/reply.ts'
import { DeliveryRun, type DeliveryContext } from './delivery-run.ts'
import { channels } from './diagnostics.ts'
import { greetingFor, type Greeting } from './ehlo.ts'
import type { ExtensionName } from './extensions.ts'
import { HookRunner } from './hook-runner.ts'
import type { HookAnswer, JudgingHooks, TakingHook, TellingHook } from './hooks.ts'
import * as known from './known-replies.ts'
import { NO_OFFER, withoutExtensions, type SessionOffer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
import { SessionClient } from './session-client.ts'
import { SessionState, type SessionEnding } from './session.ts'
import { SessionTime, type Progress } from './session-time.ts'
import { SessionUsage, type Pace } from './session-usage.ts'

/** Milliseconds that a client with many errors waits for each reply. */
const SOFT_ERROR_DELAY = 1000
/** Limits that are logged once a transaction; the others once a session. */
const TRANSACTION_LIMITS: ReadonlySet<string> = new Set(['recipients', 'size'])

/** The handler of a session, with its own hooks. */
export type SessionHandler = MailHandler & JudgingHooks & TakingHook

/** The session of one SmtpHandler. */
export class SmtpSession implements Observer, Progress, DeliveryContext {
  readonly options: ResolvedOptions
  readonly state: SessionState
  readonly hooks: HookRunner
  readonly usage: SessionUsage
  readonly time: SessionTime
  /** Of hooks that are asked, and of replies that are held back. */
  readonly timers: Timers
  offer: SessionOffer = NO_OFFER
  /** What HELO takes back. */
  fullOffer: SessionOffer = NO_OFFER
  isBegun = false
  isLeniencyNoted = false
  readonly #handler: SessionHandler
  #run: DeliveryRun | null = null
  #passedLimits: Set<string> | null = null
  #isShuttingDown = false

  constructor(handler: SessionHandler, options: ResolvedOptions) {
    const { lmtp, hooks, limits, timeouts } = options
    this.options = options
    this.#handler = handler
    this.state = new SessionState(handler, lmtp, options.name)
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
    return after(this.hooks.ask('onConnect', state.view), greeting => {
      this.time.startGreetingTimer()
      if (greeting?.positive === false) {
        state.phase = 'refused'
        return greeting
      }
      state.noteGreeting()
      return greeting?.code === 220 ? greeting : this.options.greeting
    })
  }

  // ── Commands ──

  /** Answers a line of a session that has made many errors: later, or not at all. */
  slowDown(pace: Exclude<Pace, 'usual'>, answer: () => Answer): Answer {
    if (pace === 'slow') return delay(this.timers, SOFT_ERROR_DELAY).then(answer)
    return this.passLimit(pace, pace === 'errors' ? known.TOO_MANY_ERRORS : known.TOO_MANY_AUTH_FAILURES)
  }

  get isTrustedProxy(): boolean {
    const { proxies } = this.options
    const { address } = this.#handler.client
    return proxies !== null && address !== null && proxies.has(address)
  }

  get isUpgradable(): boolean {
    return controls.isUpgradable(this.#handler)
  }

  /** Refuses what a client sends before the reply to a command that must end a group. [RFC 2920 §3.1] */
  refuseTalkingAhead(): Reply | null {
    const refuses = this.options.unlawfulPipelining === 'refuse' && this.state.user === null
    return refuses && this.#handler.inputWaiting ? this.refuseAndEnd(known.NOT_SYNCHRONIZED) : null
  }

  refuseAndEnd(refusal: Reply, ending: SessionEnding = 'closed'): Reply {
    this.state.ending ??= ending
    this.#handler.breakConnection = true
    return refusal
  }

  /** True if the extension is configured, and the delivery has not taken it out of the last offer. */
  hasExtension(name: ExtensionName): boolean {
    return this.options.extensions.has(name) && !this.offer.withdrawn.has(name)
  }

  /** The program is wrong in a way that would let mail in which it means to refuse. */
  refuseService(error: Error): Reply {
    this.replyTo(error) // reports it
    return this.refuseAndEnd(known.NO_SERVICE)
  }

  /** The offer of this session follows from its state; strictly, HELO is offered nothing. A Reply if offer() fails. */
  greet(): Greeting | Reply {
    const { state, options } = this
    const standing = {
      isSecure: state.tls !== null,
      isAuthenticated: state.user !== null,
      isUpgradable: this.isUpgradable,
      isTrustedProxy: this.isTrustedProxy,
    }
    try {
      const greeting = greetingFor(options, standing, state)
      this.fullOffer = greeting.offer
      this.offer =
        state.isExtended || options.strictness === 'lenient' ? greeting.offer : withoutExtensions(greeting.offer)
      state.offered = state.isExtended ? greeting.offer.extensions : NO_OFFER.extensions
      return greeting
    } catch (error) {
      return this.replyTo(error)
    }
  }

  // ── Hooks ──

  tell(hook: TellingHook): void | Promise<void> {
    return this.hooks.tell(hook, error => void this.replyTo(error))
  }

  replyTo(error: unknown): Reply {
    return replyToError(this.#handler, error)
  }

  // ── Messages ──

  /** Asks the hooks before 354, or at the first BDAT; refuses if nobody takes messages. */
  askOnData(): HookAnswer {
    if (!this.takesMessages) return replies.NO_DELIVERY
    return this.hooks.ask('onData', this.state.view)
  }

  /** Hands the message that has begun to the delivery. */
  deliver(): Verdict {
    const { data } = controls.incoming(this.#handler)
    if (!this.takesMessages || data === null) return replies.NO_DELIVERY
    data.onOversize = () => this.#refuseOversize()
    this.#run = new DeliveryRun(this, data)
    return this.#run.start()
  }

  get takesMessages(): boolean {
    return this.taker.onMessage !== undefined
  }

  get taker(): TakingHook {
    return this.options.delivery ?? this.#handler
  }

  /** Sends a reply before the last one to the command at hand. */
  say(reply: Reply): void {
    const dialogue = controls.dialogue(this.#handler)
    dialogue.say(reply)
    dialogue.replies.leaveAtTurnEnd()
  }

  /** Octets of the message under way. */
  get octetsOfMessage(): number {
    return controls.incoming(this.#handler).data?.octets ?? 0
  }

  #refuseOversize(): void {
    this.passLimit('size', known.TOO_LARGE)
    if (this.options.oversize === 'close') this.#end('limit', known.TOO_LARGE)
  }

  /** Back to between two transactions; tells the hooks, whose errors are reported and stop nothing. */
  reset(): void | Promise<void> {
    controls.incoming(this.#handler).drop()
    this.#run = null
    if (this.state.phase === 'connected') return
    this.state.endTransaction()
    this.usage.endTransaction()
    if (this.#passedLimits !== null) for (const limit of TRANSACTION_LIMITS) this.#passedLimits.delete(limit)
    return this.tell('onReset')
  }

  onVerdict(verdict: readonly Reply[]): readonly Reply[] | Promise<readonly Reply[]> {
    const whole = this.#run?.conclude(verdict) ?? verdict
    this.usage.countTransaction(whole.some(each => each.positive))
    return after(this.reset(), () => verdict)
  }

  // ── Limits and time ──

  onReply(reply: Reply): void {
    this.usage.countReply(reply)
    if (reply.code === 221) this.state.ending ??= 'quit'
    else if (reply.code === 421 || reply === replies.BARE_NEWLINE) this.state.ending ??= this.endingNow
    if (channels.reply.hasSubscribers) channels.reply.publish({ session: this.state.view, reply })
  }

  onWait(waiting: Waiting): void {
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
    return controls.input(this.#handler).lines
  }

  get octetsReceived(): number {
    return controls.input(this.#handler).octets
  }

  expire(limit: TimeLimit): void {
    this.passLimit(limit, limit === 'verdict' ? replies.LOCAL_ERROR : known.TIMED_OUT)
    if (limit === 'verdict') this.#run?.stop()
    else if (limit === 'linger' || limit === 'tls') this.#cut(limit === 'tls' ? handshakeTimeout() : undefined)
    else this.#end('limit', known.TIMED_OUT)
  }

  #end(ending: 'limit', reply: Reply): void {
    this.state.ending ??= ending
    this.#handler.hangUp(reply)
  }

  /** The handler may have closed before its connection. */
  #cut(error?: Error): void {
    controls.source(this.#handler)?.destroy(error)
    this.#handler.destroy()
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
    this.#run?.conclude([])
    return after(this.tell('onClose'), () => {
      if (!this.isBegun || !channels.session.hasSubscribers) return
      channels.session.publish({ event: 'end', session: this.state.view })
    })
  }

  /** Nothing waits any more. */
  stop(): void {
    this.time.stop(controls.source(this.#handler))
    this.timers.clearAll()
    if (this.#handler.breakConnection) this.state.ending ??= this.endingNow
    this.state.end()
  }
}
