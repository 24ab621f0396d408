// The types of a MailHandler's methods, which a subclass or the options override.

import { BASIC_METHODS, type BasicMethod } from '../protocol/commands/command-table.ts'
import type { Reply } from '../words/reply.ts'

/** What a handler's method returns: its reply, or nothing for the default one; at once or later. */
export type Answer = Reply | void | Promise<Reply | void>

/** What `handleBody` returns: as an {@link Answer}, or a reply for each recipient. [RFC 2033 §4.2] */
export type Verdict = Reply | readonly Reply[] | void | Promise<Reply | readonly Reply[] | void>

/**
 * What a session waits for: the client's next command, the rest of a line, mail data, the client to close; or, on this
 * side, the answer of a method or a share of the process's time, or the consumer of a body.
 */
export type Waiting = 'command' | 'line' | 'data' | 'end' | 'answer' | 'consumer'

/** The name of a method that the options of a MailHandler may have. */
export type Overridable =
  | BasicMethod
  | 'handleConnect'
  | 'handleBody'
  | 'handleUnknown'
  | 'handleCommand'
  | 'handleProblem'
  | 'handleDisconnect'
  | 'handleError'
  | 'logResult'

/** Every method that the options of a MailHandler may have. */
export const OVERRIDABLE: readonly Overridable[] = [
  'handleConnect',
  ...BASIC_METHODS.values(),
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

/** Applies `then` now if `value` is not a promise, else when it is there. */
export function after<T, U>(value: T | Promise<T>, then: (value: T) => U | Promise<U>): U | Promise<U> {
  return isPromise(value) ? value.then(then) : then(value)
}
