// What the floors above share with MailHandler. No entry exports it, and it hangs on no prototype: a program that has a
// handler cannot reach it.

import type { Dialogue } from './dialogue.ts'
import type { Waiting } from './handlers.ts'
import type { Incoming } from './incoming.ts'
import type { Input } from './input.ts'
import type { Methods } from './methods.ts'
import type { Source } from './peer.ts'

/** What only this package may do with a handler. */
export interface Controls<Handler extends Methods> {
  /** Commands and their replies; its observer is told what happens. */
  dialogue(handler: Handler): Dialogue<Handler>
  /** The messages that the session receives. */
  incoming(handler: Handler): Incoming<Handler>
  /** The client's octets and lines. */
  input(handler: Handler): Input
  /** What the session waits for now. */
  waiting(handler: Handler): Waiting
  /** The stream that was piped in: the socket; null before that and without one. */
  source(handler: Handler): Source | null
  /** True if the stream that is piped in is the one piped out to, so that it can be wrapped. */
  isUpgradable(handler: Handler): boolean
  /**
   * After the reply to the command at hand, which is the last in clear, puts what `wrap` makes of the socket in its
   * place: for STARTTLS. Any further octet in clear ends the connection. [RFC 3207 §4]
   */
  upgradeAfterReply(handler: Handler, wrap: (source: Source) => Source): void
}
