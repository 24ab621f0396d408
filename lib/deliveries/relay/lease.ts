// A connection to an upstream, as a transaction has it, and what opens one.

import type { SmtpClient } from '../../client/smtp-client.ts'
import type { Session } from '../../smtp/session.ts'
import type { Opened } from './open.ts'

/** A connection that belongs to one transaction until it is given back. */
export interface Lease {
  readonly client: SmtpClient
  /** The server, for logs. */
  readonly label: string
  /** True if it was used before: it may have been closed meanwhile. */
  readonly isUsed: boolean
  /**
   * A message is on its way. If it comes too slowly while others wait, the connection is closed, and `noteCut` is called
   * before. Returns what is called once the end of the message has been seen: from then on the upstream decides.
   */
  readonly watch: (noteCut: () => void) => () => void
  /** The transaction is over: the connection may be kept. */
  release(): void
  /** The same, but what was said on it cannot be taken back: it is closed. */
  discard(): void
}

/** Opens connections for a pool. */
export interface Opener {
  open(session: Session | null, signal: AbortSignal): Promise<Opened>
  /**
   * Tells the upstream whom the connection is for, if it has not heard so in the same words: `before`. Resolves with the
   * words. Rejects if the upstream does not accept them; the connection is of no use then.
   */
  introduce(client: SmtpClient, session: Session | null, before: string | null): Promise<string | null>
}
