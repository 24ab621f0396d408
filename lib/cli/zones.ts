// DNS lists that give no answer: told on a channel, for the log.

import { channel, type Channel } from 'node:diagnostics_channel'

/** A DNS list is left out after three failures, or answers again. */
export interface ZoneEvent {
  readonly zone: string
  readonly leftOut: boolean
}

/** Where each {@link ZoneEvent} is published. */
export const zoneChannel: Channel<unknown, ZoneEvent> = channel('mailhandler:cli:zone') as Channel<unknown, ZoneEvent>
