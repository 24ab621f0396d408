// What the floors above share with MailHandler. No entry exports it, and it hangs on no prototype: a program that has a
// handler cannot reach it.

import type { Reply } from '../words/reply.ts'
import type { Waiting } from './handlers.ts'
import type { MailData } from './mail-data.ts'
import type { Source } from './peer.ts'

/** Is told what happens in a session, synchronously: an SmtpHandler's own bookkeeping. */
export interface Observer {
  /** The session has gone as far as it can, and waits. */
  waits(waiting: Waiting): void
  /** A reply is about to be sent. */
  replies(reply: Reply): void
  /**
   * A message has come to its end and `verdict` is known. What this returns is sent, when it is there: `verdict`, unless
   * somebody misbehaves on purpose.
   */
  concludes(verdict: readonly Reply[]): readonly Reply[] | Promise<readonly Reply[]>
}

/** What only this package may do with a handler. */
export interface Controls<Handler> {
  observe(handler: Handler, observer: Observer): void
  observerOf(handler: Handler): Observer | null

  /** What the session waits for now. */
  waiting(handler: Handler): Waiting
  /** Lines that the client has sent, commands and answers to prompts. */
  linesReceived(handler: Handler): number
  /** Octets that the client has sent. */
  octetsReceived(handler: Handler): number
  /** The stream that was piped in: the socket; null before that and without one. */
  source(handler: Handler): Source | null

  /** The reply to what was thrown; a program error is reported. */
  replyTo(handler: Handler, error: unknown): Reply
  /** Calls the observer with what the session waits for, after it has changed without input. */
  noteWait(handler: Handler): void

  /** The message under way, or null. */
  mailData(handler: Handler): MailData | null
  /** Begins a message that arrives in several commands, and gives it to `handleBody`. [RFC 3030] */
  openMailData(handler: Handler): MailData
  /**
   * Takes the next `count` octets as they are, into `data` or to nowhere; resolves when they have come. Call it only in
   * a method that answers a command, and await it there. Rejects with `ERR_SESSION_ENDED` if the session ends before.
   * [RFC 3030 §2]
   */
  takeOctets(handler: Handler, count: number, data: MailData | null): Promise<void>
  /** The last octet of a counted message has come: resolves with the last reply to say, when the verdict is known. */
  endMailData(handler: Handler, data: MailData): Promise<Reply>
  /** No further octet of the message comes: it is truncated. */
  dropMailData(handler: Handler): void
  /** Sends a reply before the last one to the command at hand. [RFC 2033 §4.2] */
  say(handler: Handler, reply: Reply): void
  /** Sends all replies but the last to one command, and returns that one: for LMTP. [RFC 2033 §4.2] */
  sayAhead(handler: Handler, replies: readonly Reply[]): Reply

  /** True if the stream that is piped in is the one piped out to, so that it can be wrapped. */
  isUpgradable(handler: Handler): boolean
  /**
   * After the reply to the command at hand, which is the last in clear, puts what `wrap` makes of the socket in its
   * place: for STARTTLS. Any further octet in clear ends the connection. [RFC 3207 §4]
   */
  upgradeAfterReply(handler: Handler, wrap: (source: Source) => Source): void
}
