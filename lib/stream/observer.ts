// Who is told what happens in a session.

import type { Reply } from '../words/reply.ts'
import type { Waiting } from './handlers.ts'

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
