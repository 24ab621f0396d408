// MailHandler: the skeleton of an SMTP receiver, as a Duplex.
//
//   client bytes ─write→ #advance ─┬ #consumeLine: LineCutter → parseCommand → handleXxx → Reply ─read→ client
//                                  └ #consumeData: BodyFeed → Body → handleBody → Reply
//
// One loop owns the cursor. It stops where it has to wait (an answer is pending, the body's consumer has enough, the
// client does not read its replies) and goes on from the same octet. The write callback is withheld until the chunk is
// eaten, so whatever stops the loop stops the client.

import { hostname } from 'node:os'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { reply, type Reply } from '../words/reply.ts'
import { parseCommand, type Command } from '../protocol/commands/command.ts'
import { asAnswer, asVerdict, isFault, replyOf } from './answers.ts'
import { BodyFeed } from './body.ts'
import { isPromise, METHODS, OVERRIDABLE, type Answer, type Verdict, type Waiting } from './handlers.ts'
import { LineCutter, type CutLine, type NoLine } from './line-cutter.ts'
import { lineLog } from '../log/line-log.ts'
import type { MailHandlerOptions } from './mail-handler-options.ts'
import { Methods, PROBLEMS } from './methods.ts'
import { OctetRun } from './octet-run.ts'
import { Peer, type Endpoint, type Source } from './peer.ts'
import { Prompt, promptMisused } from './prompt.ts'
import { REPLIES_AT_ONCE, ReplyQueue } from './reply-queue.ts'
import { replaceSource } from './upgrade.ts'

/** Octets of input before the writer is told to wait: more than a socket reads at once, so that it rarely is. */
const INPUT_AT_ONCE = 131_072

/** `new`: nobody has read or written yet. `busy`: an answer is pending. `closed`: the last reply has been given. */
type State = 'new' | 'ready' | 'busy' | 'closed'

/** What the client has done that is to be answered: it has connected, or sent a command, or what is none. */
type Cause = 'connect' | Command | NoLine

type WriteCallback = (error?: Error | null) => void

const NOTHING = Buffer.alloc(0)

/**
 * The abstract core of an SMTP receiver: what a client sends is written in, the replies are read out, so a server is
 * `net.createServer(socket => { socket.pipe(new MyHandler()).pipe(socket) }).listen(1025)`.
 *
 * It cuts command lines and mail data and calls a method for each; what a method returns is the reply. As it stands it
 * knows no order of commands, keeps no envelope and delivers nothing: a subclass, or methods given as options, do.
 * Every command gets exactly one reply, in order. What a method throws becomes the reply too: that of an
 * `SmtpError`, and 451 for all else, which {@link MailHandler.handleError} is told of.
 */
export class MailHandler extends Methods {
  readonly #name: string
  readonly #logFile: string | undefined
  readonly #debugLogFile: string | undefined
  readonly #lineLimit: number
  readonly #cutter = new LineCutter()
  readonly #peer: Peer

  #state: State = 'new'
  #break = false
  #advancing = false
  #chunk: Buffer = NOTHING
  #offset = 0
  #received = 0
  #lines = 0
  #written: WriteCallback | null = null
  readonly #replies: ReplyQueue = new ReplyQueue(this)
  #prompt: Prompt | null = null
  #feed: BodyFeed | null = null
  /** Has come to its end, and waits for its verdict. */
  #unjudged: BodyFeed | null = null
  /** A body that comes in several commands. */
  #openFeed: BodyFeed | null = null
  #octets: OctetRun | null = null
  #wrap: ((source: Source) => Source) | null = null
  /** What the client is told when the session is shut down. */
  #last: Reply | null = null

  constructor(options: MailHandlerOptions = {}) {
    const { highWaterMark, readableHighWaterMark, writableHighWaterMark, signal } = options
    super({
      readableHighWaterMark: readableHighWaterMark ?? highWaterMark ?? REPLIES_AT_ONCE,
      writableHighWaterMark: writableHighWaterMark ?? highWaterMark ?? INPUT_AT_ONCE,
      ...(signal && { signal }),
    })
    this.#name = options.name ?? hostname()
    this.#logFile = options.logFile
    this.#debugLogFile = options.debugLogFile
    this.#lineLimit = options.limits?.commandLine ?? 2048
    this.#peer = new Peer(this, options.client)
    for (const name of OVERRIDABLE) {
      if (options[name] !== undefined) Object.defineProperty(this, name, { value: options[name], writable: true })
    }
  }

  // ── The session, for who overrides the methods below ──

  /** The client's address and port: those of the socket that was piped in, or the option `client`. */
  get client(): Endpoint {
    return this.#peer.client
  }

  /** This end of the connection; ask while there is one: it is not looked up before. */
  get local(): Endpoint {
    return this.#peer.local
  }

  /** The stream that was piped in: the socket, or null before that and without one. */
  get source(): Source | null {
    return this.#peer.source
  }

  /** Lines that the client has sent, commands and answers to prompts. */
  get linesReceived(): number {
    return this.#lines
  }

  /** Octets that the client has sent. */
  get octetsReceived(): number {
    return this.#received + this.#offset
  }

  /** True where the client sent more behind the command at hand, without waiting for its reply. [RFC 2920] */
  get inputWaiting(): boolean {
    return this.#offset < this.#chunk.length || this.writableLength > this.#chunk.length
  }

  /** What the session waits for now. */
  get waiting(): Waiting {
    if (this.#closed) return 'end'
    const data = this.#octets ?? this.#feed
    if (data !== null) return data.ready ? 'data' : 'consumer'
    if (this.#prompt !== null || (this.#state !== 'busy' && this.#cutter.unfinished)) return 'line'
    return this.#state === 'busy' ? 'answer' : 'command'
  }

  /**
   * Set to true, it ends the session after the reply to the command at hand, or at once where there is none. A 221 or
   * 421 reply sets it.
   */
  get breakConnection(): boolean {
    return this.#break
  }

  set breakConnection(value: boolean) {
    this.#break = value
    if (value && !this.#advancing && this.#state === 'ready' && this.#feed === null) this.hangUp()
  }

  /**
   * Sends a reply and resolves with the next line of the client, without its CRLF: for AUTH and its like. Call it only
   * in a method that answers a command, and await it there. `limit` is the greatest length of the line in octets, CRLF
   * included. Rejects with an `SmtpError` for a line that is none, with the code `ERR_SESSION_ENDED` where the
   * session ends instead; with `ERR_PROMPT` where no command is at hand, or another prompt waits.
   */
  prompt(reply: Reply, limit: number = this.#lineLimit): Promise<string> {
    if (this.#closed || this.destroyed) return handled(Promise.reject(sessionEnded()))
    if (this.#prompt !== null || this.#feed !== null || !(this.#advancing || this.#state === 'busy')) {
      return Promise.reject(promptMisused())
    }
    this.#say(reply)
    if (this.#closed) return handled(Promise.reject(sessionEnded()))
    return handled(
      new Promise((resolve, reject) => {
        this.#prompt = new Prompt(limit, resolve, reject)
        this.#advance()
      }),
    )
  }

  /** Sends all but the last of several replies to one command, and returns that one: for LMTP. [RFC 2033 §4.2] */
  sayAhead(several: readonly Reply[]): Reply {
    for (const each of several.slice(0, -1)) this.#say(each)
    return several.at(-1) ?? replies.LOCAL_ERROR
  }

  /**
   * Takes the next `count` octets as they are, into a body or to nowhere, and resolves when they have come: for BDAT.
   * Call it only in a method that answers a command, and await it there. Rejects with the code `ERR_SESSION_ENDED`
   * where the session ends before. [RFC 3030 §2]
   */
  takeOctets(count: number, feed: BodyFeed | null): Promise<void> {
    if (this.#closed || this.destroyed) return handled(Promise.reject(sessionEnded()))
    if (count === 0) return Promise.resolve()
    return handled(
      new Promise((resolve, reject) => {
        this.#octets = new OctetRun(count, feed, resolve, reject)
        this.#advance()
      }),
    )
  }

  /** A body that comes in several commands; it is truncated where the session ends before it does. [RFC 3030] */
  openBody(): BodyFeed {
    this.#openFeed?.truncate()
    this.#openFeed = this.#newFeed()
    return this.#openFeed
  }

  /** What the client is told of a body: the verdict, but nobody is told that mail data was taken which was refused. */
  judge(feed: BodyFeed, verdict: readonly Reply[]): readonly Reply[] {
    if (feed.refusal === null || !verdict.some(each => each.positive)) return verdict
    const refusal = this.replyTo(feed.refusal)
    return verdict.map(each => (each.positive ? refusal : each))
  }

  /** True where the stream that is piped in is the one piped out to, so that it can be wrapped. */
  get upgradable(): boolean {
    return this.#peer.paired
  }

  /**
   * After the reply to the command at hand, which is the last in clear, puts what `wrap` makes of the socket in its
   * place: for STARTTLS. Whatever else came in clear ends the connection. [RFC 3207 §4]
   */
  upgradeAfterReply(wrap: (source: Source) => Source): void {
    this.#wrap = wrap
  }

  /**
   * Ends the session at once, with a last reply where one is given. What was under way is cut short: a body is
   * truncated, a prompt rejected, an answer still pending dropped.
   */
  hangUp(reply?: Reply): void {
    if (this.#closed || this.destroyed) return
    if (reply !== undefined) this.#say(reply)
    this.#close()
    this.#advance()
  }

  /** True while a mail transaction is under way, which {@link MailHandler.shutDown} lets finish: here, mail data. */
  get inTransaction(): boolean {
    return this.#feed !== null
  }

  /**
   * Ends the session with a last reply as soon as no mail transaction is under way: at once, or right behind the reply
   * that ends the transaction. A command at hand is still answered. [RFC 5321 §3.8]
   */
  shutDown(reply: Reply): void {
    this.#last ??= reply
    this.#advance()
  }

  /** Appends a line to the file of the option `logFile`; does nothing without it. */
  noteToLog(line: string): void {
    if (this.#logFile !== undefined) lineLog(this.#logFile).write(line)
  }

  /** Appends a line to the file of the option `debugLogFile`; does nothing without it. */
  noteToDebugLog(line: string): void {
    if (this.#debugLogFile !== undefined) lineLog(this.#debugLogFile).write(line)
  }

  /** A client has connected: the greeting. [RFC 5321 §4.2.4.2, §4.3.1] */
  override handleConnect(): Answer {
    return this.#greeting()
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.#peer.pair(destination, options?.end !== false)
    return super.pipe(destination, options)
  }

  // ── The loop ──

  // Only where the loop waited for the client to read; whatever else stops it starts it again itself.
  override _read(): void {
    const waited = this.#replies.full || this.#state === 'new'
    this.#replies.full = false
    if (waited) this.#advance()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: WriteCallback): void {
    this.#chunk = chunk
    this.#offset = 0
    this.#written = written
    this.#advance()
  }

  override _final(finished: WriteCallback): void {
    this.#close()
    finished()
  }

  #advance(): void {
    if (this.#advancing || this.destroyed) return
    this.#advancing = true
    if (this.#state === 'new') this.#call('connect')
    while (this.#offset < this.#chunk.length && !this.#mayShutDown() && this.#mayConsume()) {
      this.#offset = this.#consume(this.#chunk, this.#offset)
    }
    this.#advancing = false
    if (this.#mayShutDown()) {
      this.hangUp(this.#last!)
      return
    }
    this.#replies.leave()
    this.#release()
    if (!this.destroyed) this.#wait()
  }

  #wait(): void {
    try {
      this.handleWait(this.waiting)
    } catch (error) {
      this.#report(error)
    }
  }

  get #closed(): boolean {
    return this.#state === 'closed'
  }

  #mayShutDown(): boolean {
    if (this.#last === null || this.inTransaction) return false
    return this.#state === 'ready' || (this.#state === 'busy' && this.#prompt !== null)
  }

  #mayConsume(): boolean {
    if (this.#closed || this.#prompt !== null) return true
    if (this.#octets !== null) return this.#octets.ready
    if (this.#feed !== null) return this.#feed.ready
    this.#replies.flushIfMany()
    return this.#state === 'ready' && !this.#replies.full
  }

  #consume(chunk: Buffer, offset: number): number {
    if (this.#closed) return chunk.length
    if (this.#octets !== null) return this.#consumeOctets(this.#octets, chunk, offset)
    return this.#feed === null ? this.#consumeLine(chunk, offset) : this.#consumeData(this.#feed, chunk, offset)
  }

  #consumeLine(chunk: Buffer, offset: number): number {
    const cutter = this.#cutter
    const next = cutter.cut(chunk, offset, this.#prompt?.limit ?? this.#lineLimit)
    this.#offset = next // for inputWaiting
    const { result } = cutter
    if (result === null) return next
    this.#lines += 1
    if (this.#prompt !== null) this.#fulfil(this.#prompt, result)
    else this.#call(result.line === null ? result : parseCommand(result.line))
    return next
  }

  #fulfil(prompt: Prompt, line: CutLine): void {
    this.#prompt = null
    prompt.fulfil(line)
  }

  #consumeData(feed: BodyFeed, chunk: Buffer, offset: number): number {
    const next = feed.take(chunk, offset)
    if (feed.done && this.#feed === feed) {
      this.#feed = null
      this.#unjudged = feed
      this.#state = 'busy'
      this.#judge(feed)
    }
    return next
  }

  #consumeOctets(octets: OctetRun, chunk: Buffer, offset: number): number {
    const next = octets.take(chunk, offset)
    if (octets.done) {
      this.#octets = null
      octets.finish()
    }
    return next
  }

  // ── Answers ──

  #greeting(): Reply {
    return reply(220, `${this.#name} Service ready`)
  }

  /** Calls the method for what the client has done, and gives its answer, now or when it is there. */
  #call(cause: Cause): void {
    const answer = this.#handle(cause)
    if (!(answer instanceof Promise)) {
      this.#answer(asAnswer(answer, this) ?? this.#defaultAnswer(cause))
      return
    }
    if (!this.#closed) this.#state = 'busy'
    answer.then(
      late => this.#answerLate(asAnswer(late, this) ?? this.#defaultAnswer(cause)),
      (error: unknown) => this.#answerLate(this.replyTo(error)),
    )
  }

  #handle(cause: Cause): Answer {
    try {
      const answer = this.#methodFor(cause)
      // Some thenables call back twice, or at once; a promise does neither.
      return isPromise(answer) ? Promise.resolve(answer) : answer
    } catch (error) {
      return this.replyTo(error)
    }
  }

  #methodFor(cause: Cause): Answer {
    if (cause === 'connect') return this.handleConnect()
    return isCommand(cause) ? this.handleCommand(cause) : this.handleProblem(cause.problem, cause.verb)
  }

  /** Where the method answers nothing. */
  #defaultAnswer(cause: Cause): Reply {
    if (cause === 'connect') return this.#greeting()
    if (!isCommand(cause)) return PROBLEMS[cause.problem]
    return METHODS.has(cause.verb) ? replies.NOT_IMPLEMENTED : replies.UNKNOWN_COMMAND
  }

  #answerLate(reply: Reply): void {
    if (this.#state !== 'busy' || this.destroyed) return
    this.#answer(reply)
    this.#advance()
  }

  #answer(reply: Reply): void {
    if (this.#closed) return
    this.#state = 'ready'
    this.#dropPrompt()
    this.#say(reply)
    if (this.#closed) return
    if (reply.code === 221 || reply.code === 421) this.#break = true
    if (reply.code === 221 && !this.inputWaiting) this.#peer.leave()
    if (this.#break) this.#close()
    else if (reply.code === 354) this.#beginData()
    else if (this.#wrap !== null) this.#upgrade(this.#wrap)
  }

  /** The command was answered while its prompt waited: the next line is a command. */
  #dropPrompt(): void {
    const prompt = this.#prompt
    this.#prompt = null
    prompt?.abandon(promptMisused())
  }

  #beginData(): void {
    const feed = this.#newFeed()
    this.#feed = feed
    try {
      const verdict = this.handleBody(feed.body)
      if (isPromise(verdict)) {
        Promise.resolve(verdict).then(
          late => this.#settle(feed, late),
          (error: unknown) => this.#settle(feed, this.replyTo(error)),
        )
      } else this.#settle(feed, verdict)
    } catch (error) {
      this.#settle(feed, this.replyTo(error))
    }
  }

  /** The first verdict counts. */
  #settle(feed: BodyFeed, verdict: Awaited<Verdict>): void {
    if (feed.verdict !== null) return
    feed.verdict = asVerdict(verdict, this)
    feed.settle()
    this.#judge(feed)
  }

  #newFeed(): BodyFeed {
    const thrown = (error: unknown) => {
      const refusal = this.replyTo(error)
      // Who threw in a listener may never settle what handleBody returned; who notices has the time to.
      setImmediate(() => this.#settle(feed, refusal))
      return refusal
    }
    const feed = new BodyFeed(() => this.#advance(), thrown)
    return feed
  }

  /** After the end of data: gives the verdict once it is there. */
  #judge(feed: BodyFeed): void {
    const { verdict } = feed
    if (verdict === null || this.#unjudged !== feed || this.#state !== 'busy') return
    this.#unjudged = null // once: to settle it may have taken the session on to the next command
    this.#conclude(this.judge(feed, verdict))
  }

  #conclude(verdict: readonly Reply[]): void {
    const sayAll = () => {
      if (this.#state !== 'busy' || this.destroyed) return
      this.#answer(this.sayAhead(verdict))
      this.#advance()
    }
    const fail = (error: unknown) => {
      this.#report(error)
      sayAll()
    }
    try {
      const concluded = this.handleEndOfMessage(verdict)
      if (isPromise(concluded)) concluded.then(sayAll, fail)
      else sayAll()
    } catch (error) {
      fail(error)
    }
  }

  /** The one place where what was thrown becomes a reply; what is nobody's fault but ours is reported. */
  replyTo(error: unknown): Reply {
    if (isFault(error)) this.#report(error)
    return replyOf(error)
  }

  /** For a method that answers nothing. */
  #attempt(method: () => void): void {
    try {
      method()
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    try {
      this.handleError(error instanceof Error ? error : new Error(String(error)))
    } catch (worse) {
      process.emitWarning(worse as Error)
    }
  }

  // ── Replies on their way out ──

  #say(reply: Reply): void {
    if (this.#closed) return
    this.#replies.add(reply) // before the method, which may hang up with a reply of its own
    try {
      this.handleReply(reply)
    } catch (error) {
      this.#report(error)
    }
    if (this.#debugLogFile === undefined) return
    this.#attempt(() => {
      for (const line of reply.toString().trimEnd().split('\r\n')) this.noteToDebugLog(line)
    })
  }

  /** Lets the writer go on once the chunk is eaten and nothing is pending. */
  #release(): void {
    const written = this.#written
    if (written === null || this.#offset < this.#chunk.length) return
    if (this.#state === 'busy' && this.#prompt === null && this.#octets === null) return
    this.#written = null
    this.#received += this.#offset
    this.#chunk = NOTHING
    this.#offset = 0
    written()
  }

  // ── The end ──

  /** No further reply. What is under way is cut short, what still comes in is dropped. */
  #close(): void {
    if (this.#closed) return
    this.#state = 'closed'
    this.#cutShort()
    this.#replies.end()
  }

  /** What is under way will not be finished. */
  #cutShort(): void {
    this.#feed?.truncate()
    this.#feed = null
    this.#openFeed?.truncate()
    this.#openFeed = null
    this.#prompt?.abandon(sessionEnded())
    this.#prompt = null
    this.#octets?.abandon(sessionEnded())
    this.#octets = null
  }

  override _destroy(error: Error | null, destroyed: WriteCallback): void {
    const graceful = this.readableEnded && this.writableFinished
    this.#state = 'closed'
    this.#cutShort()
    this.#written?.(sessionEnded())
    this.#written = null
    this.#peer.letGo(graceful, error)
    this.#disconnect(() => {
      if (error !== null && this.listenerCount('error') === 0) {
        this.#report(error)
        destroyed()
      } else {
        destroyed(error)
      }
    })
  }

  #disconnect(done: () => void): void {
    const conclude = () => {
      this.#attempt(() => this.logResult())
      done()
    }
    const fail = (error: unknown) => {
      this.#report(error)
      conclude()
    }
    try {
      const disconnected = this.handleDisconnect()
      if (isPromise(disconnected)) {
        Promise.resolve(disconnected).then(conclude, fail)
        return
      }
    } catch (error) {
      this.#report(error)
    }
    conclude()
  }

  #upgrade(wrap: (source: Source) => Source): void {
    const { source } = this.#peer
    this.#wrap = null
    this.#state = 'busy'
    if (source === null || this.inputWaiting || source.readableLength > 0) {
      this.destroy()
      return
    }
    source.unpipe(this)
    this.#replies.flush()
    replaceSource(this, source, wrap, () => {
      this.#state = 'ready'
      this.#advance()
    })
  }
}

function isCommand(cause: Command | NoLine): cause is Command {
  return cause.line !== null
}

/** Whoever does not wait for it is not told by the process either. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

function sessionEnded(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the session has ended')
}
