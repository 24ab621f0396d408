// What the policies over a store fail with, for logs and metrics.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { Session } from '../smtp/session.ts'

/** `mailhandler:store-failure`: the store of a policy has failed. */
export interface StoreFailureEvent {
  /** The `name` of the policy. */
  readonly policy: string
  /** The session. */
  readonly session: Session
  /** What it failed with; a `StoreError` if the store keeps the contract. */
  readonly error: Error
}

/** The channel `mailhandler:store-failure`. */
export const storeFailureChannel: Channel<unknown, StoreFailureEvent> = channel('mailhandler:store-failure') as Channel<
  unknown,
  StoreFailureEvent
>

/** Tells the channel. */
export function publishFailure(policy: string, session: Session, cause: unknown): void {
  if (!storeFailureChannel.hasSubscribers) return
  const error = cause instanceof Error ? cause : new Error(String(cause))
  storeFailureChannel.publish({ policy, session, error })
}
