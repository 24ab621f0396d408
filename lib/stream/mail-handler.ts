// MailHandler: the skeleton of an SMTP receiver, as a Duplex.
//
//   client octets ─write→ #advance ─┬ #consumeLine:  LineCutter → parseCommand → handleXxx → Reply ─read→ client
//                                   ├ #consumeData:  MailData → Body → handleBody → verdict
//                                   └ #consumeChunk: the same, for octets that BDAT has counted
//
// One loop owns the cursor. It stops if it has to wait (an answer is pending, the body's consumer has enough, the client
// does not read its replies, the turn's budget is spent) and goes on from the same octet. The write callback is withheld
// until the chunk is eaten, so whatever stops the loop stops the client.

import { hostname } from 'node:os'
import { parseCommand, type Command } from '../protocol/commands/command.ts'
import { BASIC_METHODS } from '../protocol/commands/command-table.ts'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { reply, Reply } from '../words/reply.ts'
import { notAReply, replyToError, report } from './answers.ts'
import type { Controls, Observer } from './controls.ts'
import { disconnect } from './disconnect.ts'
import { isPromise, type Answer, type Waiting } from './handlers.ts'
import { Input, type WriteCallback } from './input.ts'
import { LineCutter, type InvalidLine } from './line-cutter.ts'
import { COMMAND_LINE_OCTETS, type HandlerOptions } from './mail-handler-options.ts'
import { MailData, type Receiver } from './mail-data.ts'
import { Methods, noteReply, PROBLEMS, type HandlerMethods } from './methods.ts'
import { Peer, type Endpoint, type Source } from './peer.ts'
import { Prompt, promptMisused } from './prompt.ts'
import { ReplyQueue } from './reply-queue.ts'
import { mayStep, waitForShare } from './turn.ts'
import { replaceSource } from './upgrade.ts'

/** Options of a {@link MailHandler}: those of every handler, and any of its handleXxx methods. */
export interface MailHandlerOptions extends HandlerOptions, HandlerMethods<MailHandler> {}

/** `new`: nobody has read or written yet. `busy`: an answer is pending. `closed`: the last reply has been given. */
type State = 'new' | 'ready' | 'busy' | 'closed'

/** What is to be answered: the client has connected, or sent a command or an invalid line. */
type Cause = 'connect' | Command | InvalidLine

/** Counted octets that are still to come. */
interface Counted {
  left: number
  readonly data: MailData | null
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What the floors above may do with a handler; see {@link Controls}. */
export let controls: Controls<MailHandler>

/**
 * The abstract core of an SMTP receiver: what a client sends is written in, the replies are read out, so a server is
 * `net.createServer(socket => { socket.pipe(new MyHandler()).pipe(socket) }).listen(1025)`.
 *
 * It cuts command lines and mail data and calls a method for each; what a method returns is the reply. By default it
 * knows no order of commands, keeps no envelope and delivers nothing: a subclass, or methods given as options, do.
 * Every command gets exactly one reply, in order. What a method throws becomes the reply too: that of an `SmtpError`, and
 * 451 for any other error, which {@link MailHandler.handleError} is told of.
 */
export class MailHandler extends Methods {
  readonly #name: string
  readonly #lineLimit: number
  readonly #notesReplies: boolean
  readonly #cutter = new LineCutter()
  readonly #peer: Peer
  readonly #replies: ReplyQueue = new ReplyQueue(this)
  #observer: Observer | null = null

  #state: State = 'new'
  #isAdvancing = false
  #isWaitingForShare = false
  #breakConnection = false
  readonly #input = new Input()
  #lines = 0
  #prompt: Prompt | null = null
  /** The message under way, from 354 or the first BDAT to the verdict. */
  #data: MailData | null = null
  /** True while octets are mail data that ends with CRLF.CRLF. */
  #isInData = false
  #counted: Counted | null = null
  #receiver: Receiver | null = null
  /** Called with the last reply to a message, instead of giving it: BDAT's command is still at hand. */
  #whenConcluded: ((last: Reply) => void) | null = null
  #wrap: ((source: Source) => Source) | null = null
  /** What the client is told when the session is shut down. */
  #lastReply: Reply | null = null

  constructor(options: MailHandlerOptions = {}) {
    super(options)
    this.#name = options.name ?? hostname()
    this.#lineLimit = options.limits?.commandLine ?? COMMAND_LINE_OCTETS
    this.#notesReplies = options.debugLogFile !== undefined
    this.#peer = new Peer(this, options.client)
  }

  // ── The loop ──

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: WriteCallback): void {
    this.#input.begin(chunk, written)
    this.#advance()
  }

  #advance(): void {
    if (this.#isAdvancing || this.destroyed) return
    this.#isAdvancing = true
    if (this.#state === 'new') this.#call('connect')
    const input = this.#input
    while (input.offset < input.chunk.length && !this.#mayShutDown() && this.#mayConsume()) {
      input.offset = this.#consume(input.chunk, input.offset)
    }
    this.#isAdvancing = false
    if (this.#mayShutDown()) {
      this.hangUp(this.#lastReply!)
      return
    }
    this.#replies.leave()
    if (this.#state !== 'busy' || this.#prompt !== null || this.#counted !== null) input.release()
    if (!this.destroyed) this.#noteWait()
  }

  #mayConsume(): boolean {
    if (this.#isWaitingForShare) return false
    if (this.#closed) return true
    if (this.#counted !== null) return this.#counted.data?.isReady !== false && this.#mayStep()
    if (this.#isInData) return this.#data!.isReady && this.#mayStep()
    if (this.#prompt === null) {
      this.#replies.flushIfMany()
      if (this.#state !== 'ready' || this.#replies.isFull) return false
    }
    return this.#mayStep()
  }

  /** The turn's budget is shared with the other sessions of the process. */
  #mayStep(): boolean {
    if (mayStep()) return true
    this.#isWaitingForShare = true
    waitForShare(() => {
      this.#isWaitingForShare = false
      this.#advance()
    })
    return false
  }

  #consume(chunk: Buffer, offset: number): number {
    if (this.#closed) return chunk.length
    if (this.#counted !== null) return this.#consumeChunk(this.#counted, chunk, offset)
    return this.#isInData ? this.#consumeData(this.#data!, chunk, offset) : this.#consumeLine(chunk, offset)
  }

  #consumeLine(chunk: Buffer, offset: number): number {
    const cutter = this.#cutter
    const next = cutter.cut(chunk, offset, this.#prompt?.limit ?? this.#lineLimit)
    this.#input.offset = next // for inputWaiting
    const { result } = cutter
    if (result === null) return next
    this.#lines += 1
    const prompt = this.#prompt
    this.#prompt = null
    if (prompt !== null) prompt.fulfil(result)
    else this.#call(result.line === null ? result : parseCommand(result.line))
    return next
  }

  #consumeData(data: MailData, chunk: Buffer, offset: number): number {
    const next = data.receiveLines(chunk, offset)
    if (!data.hasEnded || this.#data !== data) return next
    this.#isInData = false
    this.#state = 'busy'
    this.#input.offset = next // for inputWaiting
    data.conclude()
    return next
  }

  #consumeChunk(counted: Counted, chunk: Buffer, offset: number): number {
    const next = Math.min(chunk.length, offset + counted.left)
    counted.left -= next - offset
    counted.data?.receiveCounted(chunk.subarray(offset, next))
    if (counted.left === 0 && this.#counted === counted) {
      this.#counted = null
      counted.resolve()
    }
    return next
  }

  // Only if the loop waited for the client to read; whatever else stops it starts it again itself.
  override _read(): void {
    const waited = this.#replies.isFull || this.#state === 'new'
    this.#replies.isFull = false
    if (waited) this.#advance()
  }

  override _final(finished: WriteCallback): void {
    this.#close()
    finished()
  }

  // ── Answers ──

  /** Calls the method for what the client has done, and gives its answer, now or when it is there. */
  #call(cause: Cause): void {
    const answer = this.#handle(cause)
    if (!(answer instanceof Promise)) {
      this.#answer(this.#replyFrom(answer, cause))
      return
    }
    if (!this.#closed) this.#state = 'busy'
    answer.then(
      late => this.#answerLate(this.#replyFrom(late, cause)),
      (error: unknown) => this.#answerLate(replyToError(this, error)),
    )
  }

  #handle(cause: Cause): Answer {
    try {
      const answer = cause === 'connect' ? this.handleConnect() : this.#handleLine(cause)
      // Some thenables call back twice, or at once; a promise does neither.
      return isPromise(answer) ? Promise.resolve(answer) : answer
    } catch (error) {
      return replyToError(this, error)
    }
  }

  #handleLine(line: Command | InvalidLine): Answer {
    return line.line === null ? this.handleProblem(line.problem, line.verb) : this.handleCommand(line as Command)
  }

  /** What the method returned, or its default answer. */
  #replyFrom(answer: Reply | void, cause: Cause): Reply {
    if (answer instanceof Reply) return answer
    if (answer !== undefined && answer !== null) return replyToError(this, notAReply('a handleXxx method', answer))
    if (cause === 'connect') return this.#greeting
    if (cause.line === null) return PROBLEMS[cause.problem]
    return BASIC_METHODS.has(cause.verb) ? replies.NOT_IMPLEMENTED : replies.UNKNOWN_COMMAND
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
    if (reply.code === 221 || reply.code === 421) this.#breakConnection = true
    if (reply.code === 221 && !this.inputWaiting) this.#peer.leave()
    if (this.#breakConnection) this.#close()
    else if (reply.code === 354) this.#beginData()
    else if (this.#wrap !== null) this.#upgrade(this.#wrap)
  }

  #beginData(): void {
    this.#isInData = true
    this.#openMailData()
  }

  /** The command was answered while its prompt waited: the next line is a command. */
  #dropPrompt(): void {
    this.#prompt?.abandon(promptMisused())
    this.#prompt = null
  }

  #say(reply: Reply): void {
    if (this.#closed) return
    this.#replies.add(reply) // before the observer, which may hang up with a reply of its own
    this.#observer?.replies(reply)
    if (this.#notesReplies) noteReply(this, reply)
  }

  // ── Messages ──

  #openMailData(): MailData {
    this.#receiver ??= {
      resume: () => this.#advance(),
      replyTo: error => replyToError(this, error),
      conclude: (done, verdict) => this.#conclude(done, verdict),
    }
    const data = new MailData(this.#receiver)
    this.#data = data
    data.start(body => this.handleBody(body))
    return data
  }

  #conclude(data: MailData, verdict: readonly Reply[]): void {
    if (data !== this.#data) return
    const fail = (error: unknown) => {
      report(this, error)
      this.#sayVerdict(verdict)
    }
    try {
      const concluded = this.#observer?.concludes(verdict) ?? verdict
      if (!isPromise(concluded)) return this.#sayVerdict(concluded)
      concluded.then(
        final => this.#sayVerdict(final),
        (error: unknown) => fail(error),
      )
    } catch (error) {
      fail(error)
    }
  }

  #sayVerdict(verdict: readonly Reply[]): void {
    if (this.#state !== 'busy' || this.destroyed) return
    this.#data = null
    const last = this.#sayAhead(verdict)
    const concluded = this.#whenConcluded
    this.#whenConcluded = null
    if (concluded !== null) concluded(last)
    else this.#answerLate(last)
  }

  #sayAhead(several: readonly Reply[]): Reply {
    for (const each of several.slice(0, -1)) this.#say(each)
    return several.at(-1) ?? replies.LOCAL_ERROR
  }

  // ── For methods, and for who runs the session ──

  /** The client's address and port: those of the socket that was piped in, or the option `client`. */
  get client(): Endpoint {
    return this.#peer.client
  }

  /** This end of the connection; ask while there is one: it is not looked up before. */
  get local(): Endpoint {
    return this.#peer.local
  }

  /** True if the client sent more behind the command at hand, without waiting for its reply. [RFC 2920] */
  get inputWaiting(): boolean {
    const { chunk, offset } = this.#input
    return offset < chunk.length || this.writableLength > chunk.length
  }

  /**
   * Set to true, it ends the session after the reply to the command at hand, or at once if there is none. A 221 or 421
   * reply sets it.
   */
  get breakConnection(): boolean {
    return this.#breakConnection
  }

  set breakConnection(value: boolean) {
    this.#breakConnection = value
    if (value && !this.#isAdvancing && this.#state === 'ready' && !this.#isInData) this.hangUp()
  }

  /** True while a mail transaction is under way, which {@link MailHandler.shutDown} lets finish: here, a message. */
  get inTransaction(): boolean {
    return this.#data !== null
  }

  /**
   * Sends a reply and resolves with the next line of the client, without its CRLF: for AUTH and its like. Call it only
   * in a method that answers a command, and await it there. `limit` is the greatest length of the line in octets, CRLF
   * included. Rejects with an `SmtpError` for an invalid line, with the code `ERR_SESSION_ENDED` if the session ends
   * instead; with `ERR_PROMPT` if no command is at hand, or another prompt waits.
   */
  prompt(reply: Reply, limit: number = this.#lineLimit): Promise<string> {
    if (this.#prompt !== null || this.#data !== null || !(this.#isAdvancing || this.#state === 'busy')) {
      return this.#closed ? neverUnhandled(Promise.reject(sessionEnded())) : Promise.reject(promptMisused())
    }
    this.#say(reply)
    return this.#untilInput((resolve, reject) => {
      this.#prompt = new Prompt(limit, resolve, reject)
    })
  }

  /**
   * Ends the session at once, with a last reply if one is given. What was under way is cut short: a body is truncated, a
   * prompt rejected, an answer still pending dropped.
   */
  hangUp(reply?: Reply): void {
    if (this.#closed || this.destroyed) return
    if (reply !== undefined) this.#say(reply)
    this.#close()
    this.#advance()
  }

  /**
   * Ends the session with a last reply as soon as no mail transaction is under way: at once, or right behind the reply
   * that ends the transaction. A command at hand is still answered. [RFC 5321 §3.8]
   */
  shutDown(reply: Reply): void {
    this.#lastReply ??= reply
    this.#advance()
  }

  /** A client has connected: the greeting. [RFC 5321 §4.2.4.2, §4.3.1] */
  override handleConnect(): Answer {
    return this.#greeting
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.#peer.pair(destination, options?.end !== false)
    return super.pipe(destination, options)
  }

  get #greeting(): Reply {
    return reply(220, `${this.#name} Service ready`)
  }

  get #closed(): boolean {
    return this.#state === 'closed'
  }

  get #waiting(): Waiting {
    if (this.#closed) return 'end'
    if (this.#isWaitingForShare) return 'answer'
    if (this.#counted !== null) return this.#counted.data?.isReady === false ? 'consumer' : 'data'
    if (this.#isInData) return this.#data!.isReady ? 'data' : 'consumer'
    if (this.#prompt !== null || (this.#state !== 'busy' && this.#cutter.unfinished)) return 'line'
    return this.#state === 'busy' ? 'answer' : 'command'
  }

  #noteWait(): void {
    this.#observer?.waits(this.#waiting)
  }

  #mayShutDown(): boolean {
    if (this.#lastReply === null || this.inTransaction) return false
    return this.#state === 'ready' || (this.#state === 'busy' && this.#prompt !== null)
  }

  /** What a method waits for while its command is at hand; rejects if the session ends instead. */
  #untilInput<T>(wait: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    if (this.#closed || this.destroyed) return neverUnhandled(Promise.reject(sessionEnded()))
    return neverUnhandled(
      new Promise((resolve, reject) => {
        wait(resolve, reject)
        this.#advance()
      }),
    )
  }

  // ── The end ──

  /** No further reply. What is under way is cut short, what still comes in is dropped. */
  #close(): void {
    if (this.#closed) return
    this.#state = 'closed'
    this.#cutShort()
    this.#replies.end()
  }

  #cutShort(): void {
    this.#dropMailData()
    this.#prompt?.abandon(sessionEnded())
    this.#prompt = null
    this.#counted?.reject(sessionEnded())
    this.#counted = null
  }

  #dropMailData(): void {
    this.#isInData = false
    this.#data?.truncate()
    this.#data = null
  }

  override _destroy(error: Error | null, destroyed: WriteCallback): void {
    const graceful = this.readableEnded && this.writableFinished
    this.#state = 'closed'
    this.#cutShort()
    this.#input.abandon(sessionEnded())
    this.#peer.letGo(graceful, error)
    disconnect(this, () => {
      if (error === null || this.listenerCount('error') > 0) return destroyed(error)
      report(this, error)
      destroyed()
    })
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

  static {
    controls = {
      observe: (handler, observer) => void (handler.#observer = observer),
      observerOf: handler => handler.#observer,
      waiting: handler => handler.#waiting,
      linesReceived: handler => handler.#lines,
      octetsReceived: handler => handler.#input.octets,
      source: handler => handler.#peer.source,
      replyTo: (handler, error) => replyToError(handler, error),
      noteWait: handler => handler.#noteWait(),
      mailData: handler => handler.#data,
      openMailData: handler => handler.#openMailData(),
      takeOctets: (handler, left, data) =>
        left === 0
          ? Promise.resolve()
          : handler.#untilInput((resolve, reject) => void (handler.#counted = { left, data, resolve, reject })),
      endMailData: (handler, data) =>
        new Promise(resolve => {
          handler.#whenConcluded = resolve
          data.endCounted()
          data.conclude()
        }),
      dropMailData: handler => handler.#dropMailData(),
      say: (handler, each) => handler.#say(each),
      sayAhead: (handler, several) => handler.#sayAhead(several),
      isUpgradable: handler => handler.#peer.paired,
      upgradeAfterReply: (handler, wrap) => void (handler.#wrap = wrap),
    }
  }
}

/** Nobody has to wait for it. */
function neverUnhandled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

function sessionEnded(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the session has ended')
}
