// What greylisting decides, for logs and metrics. Costs nothing without subscribers.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { Envelope } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import type { RecipientDecision } from './decisions.ts'

/** `mailhandler:greylist`: greylisting has decided. */
export interface GreylistDecidedEvent {
  /** The kind of event. */
  readonly event: 'decided'
  /** The session. */
  readonly session: Session
  /** The transaction. */
  readonly envelope: Envelope
  /** After which command. */
  readonly at: 'rcpt' | 'data'
  /** True if nothing was held: `waits` of a decision is what would have been. */
  readonly observed: boolean
  /** The keys of the client; empty if the store was not asked. */
  readonly clients: readonly string[]
  /** The key that is past greylisting, or null. */
  readonly allowedBy: string | null
  /** The recipients that this was about. */
  readonly decisions: readonly RecipientDecision[]
}

/** `mailhandler:greylist`: the store has failed. */
export interface GreylistFailedEvent {
  /** The kind of event. */
  readonly event: 'failed'
  /** The session. */
  readonly session: Session
  /** The transaction. */
  readonly envelope: Envelope
  /** What the store was asked: to decide, or to count an accepted message. */
  readonly call: 'greylist' | 'accept'
  /** What it failed with; a `StoreError` if it keeps the contract. */
  readonly error: Error
}

/** What comes on `greylistChannel`. */
export type GreylistEvent = GreylistDecidedEvent | GreylistFailedEvent

/** The channel `mailhandler:greylist`. */
export const greylistChannel: Channel<unknown, GreylistEvent> = channel('mailhandler:greylist') as Channel<
  unknown,
  GreylistEvent
>
