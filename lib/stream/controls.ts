// What the floors above share with MailHandler. No entry exports it, and it hangs on no prototype: a program that has a
// handler cannot reach it.

import type { Reply } from '../words/reply.ts'
import type { Waiting } from './handlers.ts'
import type { Incoming } from './incoming.ts'
import type { Methods } from './methods.ts'
import type { Observer } from './observer.ts'
import type { Source } from './peer.ts'

/** What only this package may do with a handler. */
export interface Controls<Handler extends Methods> {
  observe(handler: Handler, observer: Observer): void
  observerOf(handler: Handler): Observer | null
  /** Tells the observer what the session waits for, after it has changed without input. */
  noteWait(handler: Handler): void

  /** What the session waits for now. */
  waiting(handler: Handler): Waiting
  /** Lines that the client has sent, commands and answers to prompts. */
  linesReceived(handler: Handler): number
  /** Octets that the client has sent. */
  octetsReceived(handler: Handler): number
  /** The stream that was piped in: the socket; null before that and without one. */
  source(handler: Handler): Source | null

  /** The messages that the session receives. */
  incoming(handler: Handler): Incoming<Handler>
  /** Sends a reply before the last one to the command at hand. [RFC 2033 §4.2] */
  say(handler: Handler, reply: Reply): void
  /** Sends all replies but the last to one command, and returns that one. [RFC 2033 §4.2] */
  sayAhead(handler: Handler, replies: readonly Reply[]): Reply

  /** Takes no command until `pending` has settled. */
  hold(handler: Handler, pending: Promise<unknown>): void

  /** True if the stream that is piped in is the one piped out to, so that it can be wrapped. */
  isUpgradable(handler: Handler): boolean
  /**
   * After the reply to the command at hand, which is the last in clear, puts what `wrap` makes of the socket in its
   * place: for STARTTLS. Any further octet in clear ends the connection. [RFC 3207 §4]
   */
  upgradeAfterReply(handler: Handler, wrap: (source: Source) => Source): void
}
