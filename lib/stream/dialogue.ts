// Commands and their replies: calls the method for what the client has done, and sends its answer, now or when it is
// there; one reply a command, in order.

import { BASIC_METHODS } from '../protocol/commands/command-table.ts'
import type { Command } from '../protocol/commands/command.ts'
import { MailHandlerError } from '../words/errors.ts'
import * as replies from '../words/replies.ts'
import { reply, Reply } from '../words/reply.ts'
import { notAReply, replyToError } from './answers.ts'
import type { Observer } from './observer.ts'
import { isPromise, type Answer } from './handlers.ts'
import type { CutLine, InvalidLine } from './line-cutter.ts'
import { noteReply, PROBLEMS, type Methods } from './methods.ts'
import { Prompt, promptMisused } from './prompt.ts'
import { ReplyQueue } from './reply-queue.ts'

/** `new`: nobody has read or written yet. `busy`: an answer is pending. `closed`: the last reply has been given. */
type State = 'new' | 'ready' | 'busy' | 'closed'

/** What is to be answered: the client has connected, or sent a command or an invalid line. */
type Cause = 'connect' | Command | InvalidLine

/** What a dialogue asks of its handler; one object for all handlers. */
export interface DialogueHost<Handler> {
  /** Goes on with the input. */
  advance(handler: Handler): void
  /** A command has been answered: ends the session, begins mail data, or changes to TLS, as the reply says. */
  afterReply(handler: Handler, reply: Reply): void
}

/** The dialogue of one session. */
export class Dialogue<Handler extends Methods> {
  state: State = 'new'
  /** The question that waits for its line. */
  prompt: Prompt | null = null
  observer: Observer | null = null
  readonly replies: ReplyQueue
  readonly #handler: Handler
  readonly #host: DialogueHost<Handler>
  readonly #name: string
  readonly #notesReplies: boolean

  /** `name` is of the greeting; `notesReplies`: in the debug log. */
  constructor(handler: Handler, host: DialogueHost<Handler>, name: string, notesReplies: boolean) {
    this.#handler = handler
    this.#host = host
    this.#name = name
    this.#notesReplies = notesReplies
    this.replies = new ReplyQueue(handler)
  }

  get isClosed(): boolean {
    return this.state === 'closed'
  }

  /** The greeting of a handler that has none of its own. [RFC 5321 §4.3.1] */
  get greeting(): Reply {
    return reply(220, `${this.#name} Service ready`)
  }

  /** Calls the method for what the client has done, and answers, now or when the answer is there. */
  call(cause: Cause): void {
    const handler = this.#handler
    let answer: Answer
    try {
      if (cause === 'connect') answer = handler.handleConnect()
      else if (isCommand(cause)) answer = handler.handleCommand(cause)
      else answer = handler.handleProblem(cause.problem, cause.verb, cause.octets)
      if (isPromise(answer)) return this.#awaitAnswer(answer, cause)
    } catch (error) {
      answer = replyToError(handler, error)
    }
    this.answer(answer instanceof Reply ? answer : this.#defaultReply(answer, cause))
  }

  #awaitAnswer(answer: PromiseLike<Reply | void>, cause: Cause): void {
    if (!this.isClosed) this.state = 'busy'
    // Some thenables call back twice, or at once; a promise does neither.
    Promise.resolve(answer).then(
      late => this.answerLate(late instanceof Reply ? late : this.#defaultReply(late, cause)),
      (error: unknown) => this.answerLate(replyToError(this.#handler, error)),
    )
  }

  /** The reply if a method returned none. */
  #defaultReply(answer: unknown, cause: Cause): Reply {
    if (answer !== undefined && answer !== null) {
      return replyToError(this.#handler, notAReply('a handleXxx method', answer))
    }
    if (cause === 'connect') return this.greeting
    if (!isCommand(cause)) return PROBLEMS[cause.problem]
    return BASIC_METHODS.has(cause.verb) ? replies.NOT_IMPLEMENTED : replies.UNKNOWN_COMMAND
  }

  /** Answers a command that was pending, and goes on. */
  answerLate(reply: Reply): void {
    if (this.state !== 'busy' || this.#handler.destroyed) return
    this.answer(reply)
    this.#host.advance(this.#handler)
  }

  answer(reply: Reply): void {
    if (this.isClosed) return
    this.state = 'ready'
    if (this.prompt !== null) this.#dropPrompt(promptMisused) // the command was answered while its prompt waited: the next line is a command
    this.say(reply)
    if (!this.isClosed) this.#host.afterReply(this.#handler, reply)
  }

  say(reply: Reply): void {
    if (this.isClosed) return
    this.replies.add(reply) // before the observer, which may hang up with a reply of its own
    this.observer?.onReply(reply)
    if (this.#notesReplies) noteReply(this.#handler, reply)
  }

  /** Sends all replies but the last to one command, and returns that one. [RFC 2033 §4.2] */
  sayAhead(several: readonly Reply[]): Reply {
    for (const each of several.slice(0, -1)) this.say(each)
    return several.at(-1) ?? replies.LOCAL_ERROR
  }

  /** Takes no command until `pending` has settled. */
  hold(pending: Promise<unknown>): void {
    if (this.isClosed) return
    this.state = 'busy'
    const goOn = () => {
      if (this.state === 'busy') this.state = 'ready'
      this.#host.advance(this.#handler)
    }
    pending.then(goOn, goOn)
  }

  /** Sends a question of the command at hand; resolves with the client's line. `limit` is its length with CRLF. */
  ask(question: Reply, limit: number): Promise<string> {
    this.say(question)
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(sessionEnded())
      this.prompt = new Prompt(limit, resolve, reject)
      this.#host.advance(this.#handler)
    })
  }

  /** Takes the line that the prompt waits for. */
  fulfilPrompt(line: CutLine): void {
    const prompt = this.prompt
    this.prompt = null
    prompt?.fulfil(line)
  }

  #dropPrompt(why: () => Error): void {
    this.prompt?.abandon(why())
    this.prompt = null
  }

  /** No further reply. */
  close(): void {
    this.abandon()
    this.replies.end()
  }

  /** No further reply, and those that have not left stay. */
  abandon(): void {
    this.state = 'closed'
    this.#dropPrompt(sessionEnded)
  }
}

function isCommand(line: Command | InvalidLine): line is Command {
  return line.line !== null
}

export function sessionEnded(): MailHandlerError {
  return new MailHandlerError('ERR_SESSION_ENDED', 'the session has ended')
}
