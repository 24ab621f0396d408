// What suspicion() finds, for logs and metrics. Costs nothing without subscribers.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { Envelope } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import type { Suspicion } from './verdict.ts'

/** `mailhandler:suspicion`: a client was judged, once for each transaction. */
export interface SuspicionEvent {
  /** The session of the client. */
  readonly session: Session
  /** The transaction; its first recipient is being decided. */
  readonly envelope: Envelope
  /** What was found. */
  readonly suspicion: Suspicion
  /** True if the recipients are refused with 550, since the score reaches `reject`. */
  readonly refused: boolean
}

/** The channel `mailhandler:suspicion`. */
export const suspicionChannel: Channel<unknown, SuspicionEvent> = channel('mailhandler:suspicion') as Channel<
  unknown,
  SuspicionEvent
>
