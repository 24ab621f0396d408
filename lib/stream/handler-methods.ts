// The methods that the options of a MailHandler may have, in the place of a subclass that overrides them.

import type { Command } from '../protocol/commands/command.ts'
import type { Body } from './body.ts'
import type { Answer, Verdict } from './handlers.ts'
import type { LineProblem } from './line-cutter.ts'

/**
 * The methods that may be given as options instead of in a subclass; `this` is the handler. A command whose method is
 * missing or returns nothing gets 502 5.5.1.
 */
export interface HandlerMethods<Handler> {
  /** Returns the greeting, once a client has connected; nothing returned: 220 and the name. [RFC 5321 §4.3.1] */
  handleConnect?: (this: Handler) => Answer
  /** Answers HELO; the client's name is the argument, unchecked. [RFC 5321 §4.1.1.1] */
  handleHelo?: (this: Handler, command: Command) => Answer
  /** Answers EHLO: the first line of the reply greets, each further one offers an extension. [RFC 5321 §4.1.1.1] */
  handleEhlo?: (this: Handler, command: Command) => Answer
  /** Answers MAIL, which begins a mail transaction; no order of commands is checked. [RFC 5321 §4.1.1.2] */
  handleMail?: (this: Handler, command: Command) => Answer
  /** Answers RCPT, which names one recipient. [RFC 5321 §4.1.1.3] */
  handleRcpt?: (this: Handler, command: Command) => Answer
  /** Answers DATA: a 354 reply asks for the mail data, which `handleBody` gets. [RFC 5321 §4.1.1.4] */
  handleData?: (this: Handler, command: Command) => Answer
  /** Answers RSET, which drops the mail transaction. [RFC 5321 §4.1.1.5] */
  handleRset?: (this: Handler, command: Command) => Answer
  /** Answers NOOP, which does nothing. [RFC 5321 §4.1.1.9] */
  handleNoop?: (this: Handler, command: Command) => Answer
  /** Answers VRFY, which asks whether a mailbox exists. [RFC 5321 §4.1.1.6] */
  handleVrfy?: (this: Handler, command: Command) => Answer
  /** Answers HELP with text for people. [RFC 5321 §4.1.1.8] */
  handleHelp?: (this: Handler, command: Command) => Answer
  /** Answers QUIT: a 221 reply ends the session. [RFC 5321 §4.1.1.10] */
  handleQuit?: (this: Handler, command: Command) => Answer
  /**
   * Takes the mail data as a stream, right after the 354 reply; returns the verdict, which is sent after the end of data.
   * Nothing returned: 250. Without this method: 554 5.3.0. [RFC 5321 §4.1.1.4]
   */
  handleBody?: (this: Handler, body: Body) => Verdict
  /** Answers a verb that has no method; nothing returned: 500 5.5.1. [RFC 5321 §4.2.4] */
  handleUnknown?: (this: Handler, command: Command) => Answer
  /** Gets every command first; without this method, the one for the verb is called. */
  handleCommand?: (this: Handler, command: Command) => Answer
  /**
   * Answers an invalid line: too long, with a bare CR or LF, with NUL, or malformed UTF-8. `verb` is its first word in
   * upper case, `octets` the line as Latin-1, cut at the limit; it may hold a secret.
   */
  handleProblem?: (this: Handler, problem: LineProblem, verb: string, octets?: string) => Answer
  /** Called once when the session has ended, in whatever way. */
  handleDisconnect?: (this: Handler) => void | Promise<void>
  /** Gets what a method threw, except for an `SmtpError`; without this method it becomes a warning of the process. */
  handleError?: (this: Handler, error: Error) => void
  /** Called once after `handleDisconnect`: the place for a line in the log. */
  logResult?: (this: Handler) => void
}
