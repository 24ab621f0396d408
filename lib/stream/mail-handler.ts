// MailHandler: the skeleton of an SMTP receiver, as a Duplex.
//
//   client octets ─write→ #advance ─┬ a line: LineCutter → parseCommand → Dialogue → handleCommand → handleXxx → Reply
//                                   └ mail data: MailData → Body → its consumer
//   At 354 Incoming makes the MailData and calls handleBody with its Body; what that returns is the verdict, a Reply.
//
// One loop owns the cursor. It stops if it has to wait (an answer is pending, the body's consumer has enough, the client
// does not read its replies, the turn's budget is spent) and goes on from the same octet. The write callback is withheld
// until the chunk is eaten and its last command answered: what stops the loop stops the client, its end included.

import { hostname } from 'node:os'
import { parseCommand } from '../protocol/commands/command.ts'
import { BARE_NEWLINE } from '../words/replies.ts'
import type { Reply } from '../words/reply.ts'
import { report } from './answers.ts'
import type { Controls } from './controls.ts'
import { Dialogue, sessionEnded, type DialogueHost } from './dialogue.ts'
import { disconnect } from './disconnect.ts'
import type { HandlerMethods } from './handler-methods.ts'
import type { Answer, Waiting } from './handlers.ts'
import { Incoming } from './incoming.ts'
import { Input } from './input.ts'
import { LineCutter } from './line-cutter.ts'
import { COMMAND_LINE_OCTETS, type HandlerOptions } from './mail-handler-options.ts'
import { Methods } from './methods.ts'
import { Peer, type Endpoint, type Source } from './peer.ts'
import { promptMisused } from './prompt.ts'
import { REPLIES_AT_ONCE } from './reply-queue.ts'
import { mayStep, Share, waitForTurn } from './turn.ts'
import { replaceSource } from './upgrade.ts'
import { waitingFor } from './waiting.ts'

/** Options of a {@link MailHandler}: those of every handler, and any of its handleXxx methods. */
export interface MailHandlerOptions extends HandlerOptions, HandlerMethods<MailHandler> {}

export let controls: Controls<MailHandler> // what the floors above may do with a handler; no entry exports it
let host: DialogueHost<MailHandler> // what the parts of a handler call back

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
  readonly #lineLimit: number
  readonly #input = new Input()
  readonly #cutter: LineCutter
  readonly #dialogue: Dialogue<MailHandler>
  readonly #incoming: Incoming<MailHandler>
  readonly #peer: Peer
  #isAdvancing = false
  #share: Share | null = null // it has had to wait for one
  #breakConnection = false
  #wrapAfterReply: ((source: Source) => Source) | null = null // makes TLS of the source
  #shutDownReply: Reply | null = null

  constructor(options: MailHandlerOptions = {}) {
    super(options)
    const { limits = {}, bareNewline = 'reject' } = options
    this.#lineLimit = limits.commandLine ?? COMMAND_LINE_OCTETS
    this.#cutter = new LineCutter({ acceptsBareLF: bareNewline !== 'reject', authLimit: limits.authLine ?? 0 })
    this.#dialogue = new Dialogue(this, host, options.name ?? hostname(), options.debugLogFile !== undefined)
    this.#incoming = new Incoming(this, host, this.#dialogue)
    this.#peer = new Peer(this, options.client)
  }

  // ── The loop ──

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    const input = this.#input
    input.chunk = chunk
    input.offset = 0
    input.whenWritten = written
    this.#advance()
  }

  #advance(): void {
    if (this.#isAdvancing || this.destroyed) return
    this.#isAdvancing = true
    const dialogue = this.#dialogue
    if (dialogue.state === 'new') dialogue.call('connect')
    const input = this.#input
    while (input.offset < input.chunk.length && this.#mayConsume()) {
      this.#consume(input)
    }
    this.#isAdvancing = false
    if (this.#shutDownReply !== null && this.#mayShutDown()) return this.hangUp(this.#shutDownReply)
    dialogue.replies.leaveAtTurnEnd()
    // While an answer is pending the chunk is kept, even if eaten: the client's end, which is behind it, waits for the reply.
    if (dialogue.state !== 'busy' || dialogue.prompt !== null || this.#incoming.arriving !== null) input.release()
    if (!this.destroyed) dialogue.observer?.onWait(this.#waiting)
  }

  /** True if the loop may take a step; asks for a share of the next turn if this turn's budget is spent. */
  #mayConsume(): boolean {
    const { state, prompt, replies } = this.#dialogue
    if (state === 'closed') return true
    if (this.#share?.isWaiting || (this.#shutDownReply !== null && this.#mayShutDown())) return false
    const { arriving } = this.#incoming
    if (arriving !== null) {
      if (!arriving.isReady) return false
    } else if (prompt === null) {
      if (replies.gathered.length >= REPLIES_AT_ONCE) replies.flush()
      if (state !== 'ready' || replies.isFull) return false
    }
    if (mayStep()) return true
    waitForTurn((this.#share ??= new Share(() => this.#advance()))) // the budget of a turn is for all sessions of the process
    return false
  }

  /** Takes the next line, or mail data as far as the chunk has some; moves the offset of the input behind it. */
  #consume(input: Input): void {
    const { chunk, offset } = input
    const dialogue = this.#dialogue
    const { arriving } = this.#incoming
    if (dialogue.state === 'closed') input.offset = chunk.length
    else if (arriving !== null) {
      input.offset = arriving.receive(chunk, offset)
      if (arriving.hasEnded) this.#incoming.end(arriving)
    } else {
      const cutter = this.#cutter
      input.offset = cutter.cut(chunk, offset, dialogue.prompt?.limit ?? this.#lineLimit)
      const { result } = cutter
      if (result === null) return // the line goes on in the next chunk
      input.lines += 1
      if (dialogue.prompt !== null) dialogue.fulfilPrompt(result)
      else dialogue.call(result.line === null ? result : parseCommand(result.line))
    }
  }

  // Begins the session, or goes on if the loop waited for the client to read; what else stops it starts it again itself.
  override _read(): void {
    const { replies, state } = this.#dialogue
    if (state !== 'new' && !replies.isFull) return
    replies.isFull = false
    this.#advance()
  }

  #afterReply(reply: Reply): void {
    if (reply.code === 221 || reply.code === 421 || reply === BARE_NEWLINE) this.#breakConnection = true
    if (reply.code === 221 && !this.inputWaiting) this.#peer.closeBehindReplies()
    if (this.#breakConnection) this.#close()
    else if (reply.code === 354) this.#incoming.beginData()
    else if (this.#wrapAfterReply !== null) this.#upgrade(this.#wrapAfterReply)
  }

  // ── For methods, and for programs that run the session ──

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
   * Set to true, it ends the session after the reply to the command or message at hand, or at once if there is none.
   * A 221 or 421 reply sets it, and the one to a bare newline in a command.
   */
  get breakConnection(): boolean {
    return this.#breakConnection
  }

  /** True ends the session as the getter says. False takes back a true that was set while a command is at hand. */
  set breakConnection(value: boolean) {
    this.#breakConnection = value
    if (!value || this.#isAdvancing || this.#incoming.arriving !== null) return
    if (this.#dialogue.state === 'ready') this.hangUp()
  }

  /** True while a mail transaction is under way, which {@link MailHandler.shutDown} lets finish: here, a message. */
  get inTransaction(): boolean {
    return this.#incoming.data !== null
  }

  /**
   * Sends a reply and resolves with the next line of the client, without its CRLF: for AUTH and its like. Call it only
   * in a method that answers a command, and await it there. `limit` is the greatest length of the line in octets, CRLF
   * included. Rejects with an `SmtpError` for an invalid line, with `ERR_SESSION_ENDED` if the session ends instead, with
   * `ERR_PROMPT` if no command is at hand or another prompt waits.
   */
  prompt(reply: Reply, limit: number = this.#lineLimit): Promise<string> {
    const { state, prompt } = this.#dialogue
    const isAtHand = this.#isAdvancing || state === 'busy' || state === 'closed' // then ask() says that it is
    if (prompt !== null || this.#incoming.data !== null || !isAtHand) return Promise.reject(promptMisused())
    const line = this.#dialogue.ask(reply, limit)
    line.catch(() => {}) // nobody has to wait for it
    return line
  }

  /**
   * Ends the session at once, with a last reply if one is given. What was under way is cut short: a body is truncated, a
   * prompt rejected, an answer still pending dropped.
   */
  hangUp(reply?: Reply): void {
    if (this.#dialogue.isClosed || this.destroyed) return
    if (reply !== undefined) this.#dialogue.say(reply)
    this.#close()
    this.#advance()
  }

  /**
   * Ends the session with a last reply as soon as no mail transaction is under way: at once, or right behind the reply
   * that ends the transaction. A command at hand is still answered. [RFC 5321 §3.8]
   */
  shutDown(reply: Reply): void {
    this.#shutDownReply ??= reply
    this.#advance()
  }

  /** A client has connected: the greeting. [RFC 5321 §4.2.4.2, §4.3.1] */
  override handleConnect(): Answer {
    return this.#dialogue.greeting
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    return this.#peer.pair(destination, options?.end !== false) ? super.pipe(destination, options) : destination
  }

  get #waiting(): Waiting {
    return waitingFor(this.#dialogue, this.#incoming, this.#cutter, this.#share?.isWaiting === true)
  }

  #mayShutDown(): boolean {
    if (this.inTransaction) return false
    const { state, prompt } = this.#dialogue
    return state === 'ready' || (state === 'busy' && prompt !== null)
  }

  // ── The end ──

  override _final(finished: (error?: Error | null) => void): void {
    this.#close()
    finished()
  }

  /** No further reply. What is under way is cut short, what still comes in is dropped. */
  #close(): void {
    if (this.#dialogue.isClosed) return
    this.#dialogue.close()
    this.#incoming.abandon()
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    const graceful = this.readableEnded && this.writableFinished
    this.#dialogue.abandon()
    this.#incoming.abandon()
    this.#input.abandon(sessionEnded)
    this.#peer.letGo(graceful, error)
    disconnect(this, () => {
      if (error === null || this.listenerCount('error') > 0) return destroyed(error)
      report(this, error)
      destroyed()
    })
  }

  #upgrade(wrap: (source: Source) => Source): void {
    const dialogue = this.#dialogue
    this.#wrapAfterReply = null
    dialogue.state = 'busy'
    this.#peer.isReplaced = true
    replaceSource(this, this.#peer.source, dialogue.replies, wrap, () => {
      dialogue.state = 'ready'
      this.#advance()
    })
  }

  static {
    host = {
      advance: handler => handler.#advance(),
      afterReply: (handler, reply) => handler.#afterReply(reply),
    }
    controls = {
      dialogue: handler => handler.#dialogue,
      incoming: handler => handler.#incoming,
      input: handler => handler.#input,
      waiting: handler => handler.#waiting,
      source: handler => handler.#peer.source,
      isUpgradable: handler => handler.#peer.paired,
      upgradeAfterReply: (handler, wrap) => void (handler.#wrapAfterReply = wrap),
    }
  }
}
