// MailHandler: the skeleton of an SMTP receiver, as a Duplex.
//
//   client bytes ─write→ #advance ─┬ #consumeLine: LineCutter → parseCommand → handleXxx → Reply ─read→ client
//                                  └ #consumeData: BodyFeed → Body → handleBody → Reply
//
// One loop owns the cursor. It stops where it has to wait (an answer is pending, the body's consumer has enough, the
// client does not read its replies) and goes on from the same octet. The write callback is withheld until the chunk is
// eaten, so whatever stops the loop stops the client.

import { hostname } from 'node:os'
import { Duplex } from 'node:stream'
import { MailHandlerError, SmtpError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { reply, Reply } from '../words/reply.ts'
import { parseCommand, type Command } from '../protocol/command.ts'
import { BodyFeed, type Body } from './body.ts'
import { isPromise, METHODS, OVERRIDABLE, type Answer, type Verdict, type Waiting } from './handlers.ts'
import { LineCutter, type CutLine, type LineProblem } from './line-cutter.ts'
import { lineLog } from './line-log.ts'
import type { MailHandlerOptions } from './mail-handler-options.ts'
import { callAtTurnEnd } from './turn-end.ts'
import { attend, localEnd, NOWHERE, remoteEnd, type Endpoint, type Source } from './peer.ts'

/** Octets of replies that are gathered before they are handed on, while there are commands to go on with. */
const REPLIES_AT_ONCE = 16_384
/** Octets of input before the writer is told to wait: more than a socket reads at once, so that it rarely is. */
const INPUT_AT_ONCE = 131_072

const PROBLEMS: Readonly<Record<LineProblem, Reply>> = {
  'too-long': replies.LINE_TOO_LONG,
  'bare-newline': replies.BARE_NEWLINE,
  nul: replies.NUL_IN_COMMAND,
  'not-utf8': replies.NOT_UTF8,
}

/** Octets that are counted instead of cut. */
interface OctetRun {
  left: number
  readonly feed: BodyFeed | null
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** How a pending {@link MailHandler.prompt} ends. */
interface Prompt {
  readonly limit: number
  readonly resolve: (line: string) => void
  readonly reject: (error: Error) => void
}

/** `new`: nobody has read or written yet. `busy`: an answer is pending. `closed`: the last reply has been given. */
type State = 'new' | 'ready' | 'busy' | 'closed'

type WriteCallback = (error?: Error | null) => void

const NOTHING = Buffer.alloc(0)

/**
 * The abstract core of an SMTP receiver: what a client sends is written in, the replies are read out, so a server is
 * `net.createServer(socket => { socket.pipe(new MyHandler()).pipe(socket) }).listen(1025)`.
 *
 * It cuts command lines and mail data and calls a method for each; what a method returns is the reply. As it stands it
 * knows no order of commands, keeps no envelope and delivers nothing: a subclass, or methods given as options, do.
 * Every command gets exactly one reply, in order. What a method throws becomes the reply too: that of an
 * {@link SmtpError}, and 451 for all else, which {@link MailHandler.handleError} is told of.
 */
export class MailHandler extends Duplex {
  readonly #name: string
  readonly #logFile: string | undefined
  readonly #debugLogFile: string | undefined
  readonly #lineLimit: number
  readonly #cutter = new LineCutter()
  #client: Endpoint
  #local: Endpoint = NOWHERE
  #source: Source | null = null

  #state: State = 'new'
  #break = false
  #advancing = false
  #chunk: Buffer = NOTHING
  #offset = 0
  #received = 0
  #lines = 0
  #written: WriteCallback | null = null
  /** Replies not handed on yet. */
  #replies = ''
  /** The replies leave at the end of this turn. */
  #leaving = false
  readonly #leave = (): void => {
    this.#leaving = false
    this.#flush()
  }
  /** The client has replies enough to read. */
  #full = false
  #prompt: Prompt | null = null
  #feed: BodyFeed | null = null
  /** A body that comes in several commands. */
  #openFeed: BodyFeed | null = null
  #octets: OctetRun | null = null
  #wrap: ((source: Source) => Source) | null = null
  #paired = false
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
    this.#client = { ...NOWHERE, ...options.client }
    for (const name of OVERRIDABLE) {
      if (options[name] !== undefined) Object.defineProperty(this, name, { value: options[name], writable: true })
    }
    this.on('pipe', (source: Source) => this.#attend(source))
  }

  // ── The session, for who overrides the methods below ──

  /** The client's address and port: those of the socket that was piped in, or the option `client`. */
  get client(): Endpoint {
    return this.#client
  }

  /** This end of the connection. */
  get local(): Endpoint {
    return this.#local
  }

  /** The stream that was piped in: the socket, or null before that and without one. */
  get source(): Source | null {
    return this.#source
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
    if (this.#state === 'closed') return 'end'
    const feed = this.#octets === null ? this.#feed : this.#octets.feed
    if (this.#octets !== null || feed !== null) return feed === null || feed.ready ? 'data' : 'consumer'
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
   * included. Rejects with an {@link SmtpError} for a line that is none, with the code `ERR_SESSION_ENDED` where the
   * session ends instead; with `ERR_PROMPT` where no command is at hand, or another prompt waits.
   */
  prompt(reply: Reply, limit: number = this.#lineLimit): Promise<string> {
    if (this.#state === 'closed' || this.destroyed) return handled(Promise.reject(sessionEnded()))
    if (this.#prompt !== null || this.#feed !== null || !(this.#advancing || this.#state === 'busy')) {
      return Promise.reject(promptMisused())
    }
    this.#say(reply)
    return handled(
      new Promise((resolve, reject) => {
        this.#prompt = { limit, resolve, reject }
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
    if (this.#state === 'closed' || this.destroyed) return handled(Promise.reject(sessionEnded()))
    if (count === 0) return Promise.resolve()
    return handled(
      new Promise((resolve, reject) => {
        this.#octets = { left: count, feed, resolve, reject }
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
    return this.#paired
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
    if (this.#state === 'closed' || this.destroyed) return
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

  // ── Methods to override ──

  /** A client has connected: the greeting. [RFC 5321 §4.2.4.2, §4.3.1] */
  handleConnect(): Answer {
    return reply(220, `${this.#name} Service ready`)
  }

  /** HELO. [RFC 5321 §4.1.1.1] */
  handleHelo(_command: Command): Answer {}

  /** EHLO. [RFC 5321 §4.1.1.1] */
  handleEhlo(_command: Command): Answer {}

  /** MAIL: a mail transaction begins. [RFC 5321 §4.1.1.2] */
  handleMail(_command: Command): Answer {}

  /** RCPT: one recipient. [RFC 5321 §4.1.1.3] */
  handleRcpt(_command: Command): Answer {}

  /** DATA: a 354 reply asks for the mail data, and {@link MailHandler.handleBody} gets it. [RFC 5321 §4.1.1.4] */
  handleData(_command: Command): Answer {}

  /**
   * The mail data, as a stream, right after the 354 reply. What it returns is the verdict: sent after the end of data,
   * and never before it is known. Nothing returned means 250; an array is a reply for each recipient, as LMTP has it.
   * [RFC 5321 §4.1.1.4, RFC 2033 §4.2]
   */
  handleBody(_body: Body): Verdict {
    return replies.NO_DELIVERY
  }

  /** RSET. [RFC 5321 §4.1.1.5] */
  handleRset(_command: Command): Answer {}

  /** NOOP. [RFC 5321 §4.1.1.9] */
  handleNoop(_command: Command): Answer {}

  /** VRFY. [RFC 5321 §4.1.1.6] */
  handleVrfy(_command: Command): Answer {}

  /** HELP. [RFC 5321 §4.1.1.8] */
  handleHelp(_command: Command): Answer {}

  /** QUIT: a 221 reply ends the session. [RFC 5321 §4.1.1.10] */
  handleQuit(_command: Command): Answer {}

  /** A verb that has no method. [RFC 5321 §4.2.4] */
  handleUnknown(_command: Command): Answer {}

  /**
   * The mail data has come to its end and the verdict is known: `verdict` is what the client will be told when this is
   * done.
   */
  handleEndOfMessage(_verdict: readonly Reply[]): void | Promise<void> {}

  /** A reply is about to be sent. */
  handleReply(_reply: Reply): void {}

  /** Every command comes here first: looks its verb up, whatever its case, and calls the method for it. */
  handleCommand(command: Command): Answer {
    const method = METHODS.get(command.verb)
    return method === undefined ? this.handleUnknown(command) : this[method](command)
  }

  /** A line that is no command line: too long, with a bare CR or LF, with NUL, or malformed UTF-8. */
  handleProblem(problem: LineProblem): Answer {
    return PROBLEMS[problem]
  }

  /** What the session waits for now; called whenever it has gone as far as it can. */
  handleWait(_waiting: Waiting): void {}

  /** Once, when the session has ended, however it did. */
  handleDisconnect(): void | Promise<void> {}

  /** Once, after {@link MailHandler.handleDisconnect}: the place for a line in the log. */
  logResult(): void {}

  /** What a method threw, apart from an {@link SmtpError}. By default it becomes a warning of the process. */
  handleError(error: Error): void {
    process.emitWarning(error)
  }

  // ── The loop ──

  override _read(): void {
    this.#full = false
    this.#advance()
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
    if (this.#state === 'new') this.#begin()
    while (this.#offset < this.#chunk.length && !this.#mayShutDown() && this.#mayConsume()) {
      this.#offset = this.#consume(this.#chunk, this.#offset)
    }
    this.#advancing = false
    if (this.#mayShutDown()) {
      this.hangUp(this.#last!)
      return
    }
    this.#handOn()
    this.#release()
    if (!this.destroyed) this.#attempt(() => this.handleWait(this.waiting))
  }

  #mayShutDown(): boolean {
    if (this.#last === null || this.inTransaction) return false
    return this.#state === 'ready' || (this.#state === 'busy' && this.#prompt !== null)
  }

  #mayConsume(): boolean {
    if (this.#state === 'closed' || this.#prompt !== null) return true
    if (this.#octets !== null) return this.#octets.feed === null || this.#octets.feed.ready
    if (this.#feed !== null) return this.#feed.ready
    if (this.#replies.length >= REPLIES_AT_ONCE) this.#flush()
    return this.#state === 'ready' && !this.#full
  }

  #consume(chunk: Buffer, offset: number): number {
    if (this.#state === 'closed') return chunk.length
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
    else if (result.line !== null) this.#dispatch(parseCommand(result.line))
    else this.#call(() => this.handleProblem(result.problem), PROBLEMS[result.problem])
    return next
  }

  #dispatch(command: Command): void {
    const fallback = METHODS.has(command.verb) ? replies.NOT_IMPLEMENTED : replies.UNKNOWN_COMMAND
    this.#call(() => this.handleCommand(command), fallback)
  }

  #consumeData(feed: BodyFeed, chunk: Buffer, offset: number): number {
    const next = feed.take(chunk, offset)
    if (feed.done && this.#feed === feed) {
      this.#feed = null
      this.#state = 'busy'
      this.#judge(feed)
    }
    return next
  }

  #consumeOctets(octets: OctetRun, chunk: Buffer, offset: number): number {
    const next = Math.min(chunk.length, offset + octets.left)
    octets.left -= next - offset
    octets.feed?.takeWhole(chunk.subarray(offset, next))
    if (octets.left === 0) {
      this.#octets = null
      octets.resolve()
    }
    return next
  }

  // ── Answers ──

  #begin(): void {
    this.#call(() => this.handleConnect(), reply(220, `${this.#name} Service ready`))
  }

  /** Calls a method and gives its answer, now or when it is there. */
  #call(method: () => Answer, fallback: Reply): void {
    const answer = this.#try(method)
    if (!isPromise(answer)) {
      this.#answer(this.#checked(answer) ?? fallback)
      return
    }
    if (this.#state !== 'closed') this.#state = 'busy'
    // Some thenables call back twice, or at once; a promise does neither.
    Promise.resolve(answer).then(
      late => this.#answerLate(this.#checked(late) ?? fallback),
      (error: unknown) => this.#answerLate(this.replyTo(error)),
    )
  }

  #answerLate(reply: Reply): void {
    if (this.#state !== 'busy' || this.destroyed) return
    this.#answer(reply)
    this.#advance()
  }

  #answer(reply: Reply): void {
    if (this.#state === 'closed') return
    this.#state = 'ready'
    this.#abandon(this.#prompt)
    this.#say(reply)
    if (reply.code === 221 || reply.code === 421) this.#break = true
    if (this.#break) this.#close()
    else if (reply.code === 354) this.#beginData()
    else if (this.#wrap !== null) this.#upgrade(this.#wrap)
  }

  #beginData(): void {
    const settle = (verdict: Reply | readonly Reply[] | void) => {
      if (feed.verdict !== null) return
      feed.verdict = this.#checkedVerdict(verdict)
      feed.settle()
      if (this.#feed === null) this.#judge(feed)
    }
    const fail = (error: unknown) => settle(this.replyTo(error))
    // Who threw in a listener may never settle what handleBody returned; who notices has the time to.
    const feed = this.#newFeed(refusal => setImmediate(settle, refusal))
    this.#feed = feed
    try {
      const verdict = this.handleBody(feed.body)
      if (isPromise(verdict)) Promise.resolve(verdict).then(settle, fail)
      else settle(verdict)
    } catch (error) {
      fail(error)
    }
  }

  #newFeed(refused: (refusal: Reply) => void = () => {}): BodyFeed {
    const thrown = (error: unknown) => {
      const refusal = this.replyTo(error)
      refused(refusal)
      return refusal
    }
    return new BodyFeed(() => this.#advance(), thrown)
  }

  /** After the end of data: gives the verdict once it is there. */
  #judge(feed: BodyFeed): void {
    const { verdict } = feed
    if (verdict === null || this.#state !== 'busy') return
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

  /** What a method gave back, or, where that is no answer at all, the reply to a fault. */
  #checked(answer: Reply | void): Reply | void {
    if (answer === undefined || answer === null || answer instanceof Reply) return answer
    return this.replyTo(new MailHandlerError('ERR_REPLY', 'a handleXxx method returns a Reply, or nothing'))
  }

  #checkedVerdict(verdict: Reply | readonly Reply[] | void): readonly Reply[] {
    if (!Array.isArray(verdict)) return [this.#checked(verdict as Reply | void) ?? replies.OK]
    if (verdict.length > 0 && verdict.every(each => each instanceof Reply)) return verdict
    return [this.replyTo(new MailHandlerError('ERR_REPLY', 'a list of verdicts holds replies, at least one'))]
  }

  #try(method: () => Answer): Answer {
    try {
      return method()
    } catch (error) {
      return this.replyTo(error)
    }
  }

  /** The one place where what was thrown becomes a reply; what is nobody's fault but ours is reported. */
  replyTo(error: unknown): Reply {
    if (error instanceof SmtpError) return error.reply
    const code = error instanceof MailHandlerError ? error.code : null
    const refusal = code === null ? undefined : replies.REFUSALS[code]
    if (refusal !== undefined) return refusal
    if (code !== 'ERR_TRUNCATED' && code !== 'ERR_SESSION_ENDED') this.#report(error)
    return replies.LOCAL_ERROR
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

  #fulfil(prompt: Prompt, { line, problem }: CutLine): void {
    this.#prompt = null
    if (line === null) prompt.reject(new SmtpError(PROBLEMS[problem]))
    else prompt.resolve(line)
  }

  /** The command was answered while its prompt waited: the next line is a command. */
  #abandon(prompt: Prompt | null): void {
    this.#prompt = null
    prompt?.reject(promptMisused())
  }

  // ── Replies on their way out ──

  #say(reply: Reply): void {
    if (this.#state === 'closed') return
    try {
      this.handleReply(reply)
    } catch (error) {
      this.#report(error)
    }
    this.#replies += reply.toString()
    if (this.#debugLogFile === undefined) return
    this.#attempt(() => {
      for (const line of reply.toString().trimEnd().split('\r\n')) this.noteToDebugLog(line)
    })
  }

  /** Has the replies handed on at the end of the turn. */
  #handOn(): void {
    if (this.#replies === '' || this.#leaving) return
    this.#leaving = true
    callAtTurnEnd(this.#leave)
  }

  #flush(): void {
    if (this.#replies === '' || this.readableEnded || this.destroyed) return
    const replies = this.#replies
    this.#replies = ''
    if (!this.push(replies, 'utf8')) this.#full = true
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
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#cutShort()
    this.#flush()
    this.push(null)
  }

  /** What is under way will not be finished. */
  #cutShort(): void {
    this.#feed?.truncate()
    this.#feed = null
    this.#openFeed?.truncate()
    this.#openFeed = null
    this.#prompt?.reject(sessionEnded())
    this.#prompt = null
    this.#octets?.reject(sessionEnded())
    this.#octets = null
  }

  override _destroy(error: Error | null, destroyed: WriteCallback): void {
    const graceful = this.readableEnded && this.writableFinished
    this.#state = 'closed'
    this.#cutShort()
    this.#written?.(sessionEnded())
    this.#written = null
    this.#source?.unpipe(this) // or pipe's own listener throws the error on
    if (!graceful) this.#source?.destroy()
    void this.#disconnect().then(() => {
      if (error !== null && this.listenerCount('error') === 0) {
        this.#report(error)
        destroyed()
      } else {
        destroyed(error)
      }
    })
  }

  async #disconnect(): Promise<void> {
    try {
      await this.handleDisconnect()
    } catch (error) {
      this.#report(error)
    }
    this.#attempt(() => this.logResult())
  }

  #attend(source: Source): void {
    const first = this.#source === null // what wraps it later is the same connection
    this.#source = source
    this.#paired = false
    if (first && source.remoteAddress !== undefined) this.#client = remoteEnd(source)
    if (first && source.localAddress !== undefined) this.#local = localEnd(source)
    attend(source, {
      gone: () => {
        if (this.#source !== source) return
        // What is no socket closes once it has been read to its end, while replies are still under way.
        if (this.#paired || !source.readableEnded) this.destroy()
      },
      pipedFrom: stream => {
        if (this.#source === source && stream === this) this.#paired = true
      },
    })
  }

  #upgrade(wrap: (source: Source) => Source): void {
    const source = this.#source
    this.#wrap = null
    this.#state = 'busy'
    if (source === null || this.inputWaiting || source.readableLength > 0) {
      this.destroy()
      return
    }
    const clear = source as Source & Duplex
    source.unpipe(this)
    this.#flush()
    const whenFlushed = () => {
      if (this.destroyed) return
      if (this.readableLength > 0) {
        if (clear.writableNeedDrain) clear.once('drain', whenFlushed)
        else setImmediate(whenFlushed)
        return
      }
      this.unpipe(clear)
      const secure = wrap(source) as Source & NodeJS.WritableStream
      secure.pipe(this).pipe(secure)
      this.#state = 'ready'
      this.#advance()
    }
    whenFlushed()
  }
}

/** Whoever does not wait for it is not told by the process either. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

function promptMisused(): MailHandlerError {
  return new MailHandlerError('ERR_PROMPT', 'prompt() is for a command at hand, one at a time, and awaited there')
}

function sessionEnded(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the session has ended')
}
