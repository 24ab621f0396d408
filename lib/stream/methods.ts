// The methods that a subclass of MailHandler overrides, and what they do by default: next to nothing.

import { Duplex } from 'node:stream'
import { lineLog } from '../log/line-log.ts'
import { warn } from '../log/warn.ts'
import { BASIC_METHODS } from '../protocol/commands/command-table.ts'
import type { Command } from '../protocol/commands/command.ts'
import * as replies from '../words/replies.ts'
import { methodsOf, wrong } from '../words/option-checks.ts'
import type { Reply } from '../words/reply.ts'
import { report } from './answers.ts'
import type { Body } from './body.ts'
import type { HandlerMethods } from './handler-methods.ts'
import { OVERRIDABLE, type Answer, type Verdict } from './handlers.ts'
import type { LineProblem } from './line-cutter.ts'
import { checkHandlerOptions, type HandlerOptions } from './mail-handler-options.ts'
import { REPLIES_AT_ONCE } from './reply-queue.ts'

/** Replies to invalid lines. */
export const PROBLEMS: Readonly<Record<LineProblem, Reply>> = {
  'too-long': replies.LINE_TOO_LONG,
  endless: replies.ENDLESS_LINE,
  'bare-newline': replies.BARE_NEWLINE,
  'bare-cr': replies.BARE_CR,
  nul: replies.NUL_IN_COMMAND,
  'not-utf8': replies.NOT_UTF8,
}

/** Octets of input before the writer is told to wait: more than a socket reads at once, so that it rarely is. */
const INPUT_AT_ONCE = 131_072

/** Classes that have been checked. */
const checkedClasses = new WeakSet<object>()

/** Refuses methods whose names differ from those that are called in their capitals alone: `handleEHLO`. */
function checkClass(prototype: Methods): void {
  if (checkedClasses.has(prototype)) return
  for (const name of methodsOf(prototype, Methods.prototype)) {
    const meant = OVERRIDABLE.find(each => each.toLowerCase() === name.toLowerCase())
    if (meant === undefined || meant === name) continue
    throw wrong(`${prototype.constructor.name}.${name}: there is no such method; did you mean ${meant}?`)
  }
  checkedClasses.add(prototype)
}

/** A stream with a method for each command and each event of a session; MailHandler calls them. */
export abstract class Methods extends Duplex {
  readonly #logFile: string | undefined
  readonly #debugLogFile: string | undefined

  /** Throws a MailHandlerError with code `ERR_OPTION` if an option is wrong. */
  constructor(options: HandlerOptions & HandlerMethods<never>) {
    checkHandlerOptions(options, Object.getPrototypeOf(new.target) !== Methods)
    const { highWaterMark, readableHighWaterMark, writableHighWaterMark, signal } = options
    super({
      readableHighWaterMark: readableHighWaterMark ?? highWaterMark ?? REPLIES_AT_ONCE,
      writableHighWaterMark: writableHighWaterMark ?? highWaterMark ?? INPUT_AT_ONCE,
      ...(signal && { signal }),
    })
    this.#logFile = options.logFile
    this.#debugLogFile = options.debugLogFile
    checkClass(new.target.prototype)
    for (const name of OVERRIDABLE) {
      if (options[name] !== undefined) Object.defineProperty(this, name, { value: options[name], writable: true })
    }
  }

  /** A client has connected: the greeting. [RFC 5321 §4.2.4.2, §4.3.1] */
  abstract handleConnect(): Answer

  /** HELO. [RFC 5321 §4.1.1.1] */
  handleHelo(_command: Command): Answer {}

  /** EHLO. [RFC 5321 §4.1.1.1] */
  handleEhlo(_command: Command): Answer {}

  /** MAIL: a mail transaction begins. [RFC 5321 §4.1.1.2] */
  handleMail(_command: Command): Answer {}

  /** RCPT: one recipient. [RFC 5321 §4.1.1.3] */
  handleRcpt(_command: Command): Answer {}

  /** DATA: a 354 reply asks for the mail data, and {@link Methods.handleBody} gets it. [RFC 5321 §4.1.1.4] */
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

  /** A verb without a method. [RFC 5321 §4.2.4] */
  handleUnknown(_command: Command): Answer {}

  /** Every command comes here first: looks up its verb and calls the method for it. */
  handleCommand(command: Command): Answer {
    const method = BASIC_METHODS.get(command.verb)
    return method === undefined ? this.handleUnknown(command) : this[method](command)
  }

  /**
   * An invalid line: too long, with a bare CR or LF, with NUL, or malformed UTF-8. `verb` is the word that it begins
   * with, in upper case: what follows may not be a command. `octets` is the line as Latin-1, cut at the limit; it may
   * hold a secret.
   */
  handleProblem(problem: LineProblem, _verb: string, _octets?: string): Answer {
    return PROBLEMS[problem]
  }

  /** Once, when the session has ended, however it did. */
  handleDisconnect(): void | Promise<void> {}

  /** Once, after `handleDisconnect`: the place for a line in the log. */
  logResult(): void {}

  /**
   * An error that a method threw; an `SmtpError` only if its `cause` is one. By default it becomes a warning of the process,
   * with its stack.
   */
  handleError(error: Error): void {
    warn(error)
  }

  /** Appends a line to the file of the option `logFile`; does nothing without it. */
  noteToLog(line: string): void {
    if (this.#logFile !== undefined) lineLog(this.#logFile).write(line)
  }

  /** Appends a line to the file of the option `debugLogFile`; does nothing without it. */
  noteToDebugLog(line: string): void {
    if (this.#debugLogFile !== undefined) lineLog(this.#debugLogFile).write(line)
  }
}

/** Notes a reply in the debug log, line by line; reports what a subclass's method throws. */
export function noteReply(handler: Methods, reply: Reply): void {
  try {
    for (const line of reply.toString().trimEnd().split('\r\n')) handler.noteToDebugLog(line)
  } catch (error) {
    report(handler, error)
  }
}
