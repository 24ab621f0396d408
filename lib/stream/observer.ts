// Who is told what happens in a session, and may act on it.

import type { Reply } from '../words/reply.ts'
import type { Waiting } from './handlers.ts'

/** Is told what happens in a session, synchronously, and may end it: an SmtpHandler's SmtpSession. */
export interface Observer {
  /** The session has gone as far as it can, and waits. */
  onWait(waiting: Waiting): void
  /** A reply is about to be sent. */
  onReply(reply: Reply): void
  /**
   * A message has come to its end and `verdict` is known: the transaction is over. What this returns is sent, when it is
   * there: `verdict`, unless somebody misbehaves on purpose.
   */
  onVerdict(verdict: readonly Reply[]): readonly Reply[] | Promise<readonly Reply[]>
}
