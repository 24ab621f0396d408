// The methods of a MailHandler that a subclass, or the options, override: one for each verb and each turn of a session.

import type { Reply } from '../words/reply.ts'

/** What a handler gives back: its reply, or nothing for the default one; at once or later. */
export type Answer = Reply | void | Promise<Reply | void>

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

export function isPromise(answer: Answer): answer is Promise<Reply | void> {
  return typeof (answer as Partial<Promise<unknown>> | undefined)?.then === 'function'
}
