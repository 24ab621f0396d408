// A message that is accepted before it was read: 250 promises what the program has not got yet.

import { MailHandlerError } from '../words/errors.ts'
import type { Message } from './message.ts'

/** Takers that have been reported, by their source: a program may make a new function for each connection. */
const reported = new Set<string>()
const REPORTED = 100

/**
 * The error to report if `onMessage` accepts a message that it has neither read to its end nor left; null if it did, and
 * if it was told before. A consumer leaves a message when it destroys it, or discards it by `resume()`.
 */
export function unreadError(message: Message, onMessage: unknown): MailHandlerError | null {
  if (message.readableEnded || message.destroyed || isDiscarded(message)) return null
  const source = String(onMessage)
  if (reported.has(source) || reported.size >= REPORTED) return null
  reported.add(source)
  return new MailHandlerError(
    'ERR_UNREAD',
    'onMessage accepted a message that it had not read to its end: wait for the end, as in await pipeline(message, …), ' +
      'or call message.resume() to discard it',
  )
}

function isDiscarded(message: Message): boolean {
  return message.readableFlowing === true && message.listenerCount('data') + message.listenerCount('readable') === 0
}
