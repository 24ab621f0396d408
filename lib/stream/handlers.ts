// The methods of a MailHandler that a subclass, or the options, override: one for each verb and each turn of a session.

import type { Reply } from '../words/reply.ts'

/** What a handler gives back: its reply, or nothing for the default one; at once or later. */
export type Answer = Reply | void | Promise<Reply | void>

/** What handleBody gives back: as an {@link Answer}, or a reply for each recipient. [RFC 2033 §4.2] */
export type Verdict = Reply | readonly Reply[] | void | Promise<Reply | readonly Reply[] | void>

/**
 * What a session waits for: the client's next command, the rest of a line, mail data, the client to close; or, on this
 * side, the answer of a method, or the consumer of a body.
 */
export type Waiting = 'command' | 'line' | 'data' | 'end' | 'answer' | 'consumer'

/** The verbs that have a method of their own. [RFC 5321 §4.1.1] */
export const METHODS: ReadonlyMap<string, VerbMethod> = new Map([
  ['HELO', 'handleHelo'],
  ['EHLO', 'handleEhlo'],
  ['MAIL', 'handleMail'],
  ['RCPT', 'handleRcpt'],
  ['DATA', 'handleData'],
  ['RSET', 'handleRset'],
  ['NOOP', 'handleNoop'],
  ['VRFY', 'handleVrfy'],
  ['HELP', 'handleHelp'],
  ['QUIT', 'handleQuit'],
] as const)

/** The name of a method that answers one verb. */
export type VerbMethod =
  | 'handleHelo'
  | 'handleEhlo'
  | 'handleMail'
  | 'handleRcpt'
  | 'handleData'
  | 'handleRset'
  | 'handleNoop'
  | 'handleVrfy'
  | 'handleHelp'
  | 'handleQuit'

/** The name of a method that the options may bring along. */
export type Overridable =
  | VerbMethod
  | 'handleConnect'
  | 'handleBody'
  | 'handleUnknown'
  | 'handleCommand'
  | 'handleProblem'
  | 'handleDisconnect'
  | 'handleError'
  | 'logResult'

/** Every method that the options may bring along. */
export const OVERRIDABLE: readonly Overridable[] = [
  'handleConnect',
  ...METHODS.values(),
  'handleBody',
  'handleUnknown',
  'handleCommand',
  'handleProblem',
  'handleDisconnect',
  'handleError',
  'logResult',
]

export function isPromise<T>(answer: T | Promise<T>): answer is Promise<T> {
  return typeof (answer as Partial<Promise<T>> | undefined)?.then === 'function'
}

/** Goes on with a value, at once where it is there. */
export function after<T, U>(value: T | Promise<T>, then: (value: T) => U | Promise<U>): U | Promise<U> {
  return isPromise(value) ? value.then(then) : then(value)
}
