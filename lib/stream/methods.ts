// The methods that a subclass of MailHandler overrides, and what they do where it does not: next to nothing.

import { Duplex } from 'node:stream'
import type { Command } from '../protocol/commands/command.ts'
import * as replies from '../words/replies.ts'
import type { Reply } from '../words/reply.ts'
import type { Body } from './body.ts'
import { METHODS, type Answer, type Verdict, type Waiting } from './handlers.ts'
import type { LineProblem } from './line-cutter.ts'

/** What a line that is none gets. */
export const PROBLEMS: Readonly<Record<LineProblem, Reply>> = {
  'too-long': replies.LINE_TOO_LONG,
  'bare-newline': replies.BARE_NEWLINE,
  nul: replies.NUL_IN_COMMAND,
  'not-utf8': replies.NOT_UTF8,
}

/** A stream with a method for each command and each turn of a session. What calls them is MailHandler. */
export abstract class Methods extends Duplex {
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

  /**
   * A line that is no command line: too long, with a bare CR or LF, with NUL, or malformed UTF-8. `verb` is the word
   * that it begins with, in upper case: what follows may be no command.
   */
  handleProblem(problem: LineProblem, _verb: string): Answer {
    return PROBLEMS[problem]
  }

  /** What the session waits for now; called whenever it has gone as far as it can. */
  handleWait(_waiting: Waiting): void {}

  /** Once, when the session has ended, however it did. */
  handleDisconnect(): void | Promise<void> {}

  /** Once, after {@link Methods.handleDisconnect}: the place for a line in the log. */
  logResult(): void {}

  /** What a method threw, apart from an {@link SmtpError}. By default it becomes a warning of the process. */
  handleError(error: Error): void {
    process.emitWarning(error)
  }
}
