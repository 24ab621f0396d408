// Subscriptions to diagnostics channels, and their end.

import { subscribe as listenTo, unsubscribe, type Channel } from 'node:diagnostics_channel'

/** Ends a subscription. */
export type Unsubscribe = () => void

/** Has `listener` called with each message of a channel. */
export function subscribe<T extends object>(channel: Channel<unknown, T>, listener: (message: T) => void): Unsubscribe {
  const listen = (message: unknown): void => listener(message as T)
  listenTo(channel.name, listen)
  return () => unsubscribe(channel.name, listen)
}

/** Several subscriptions as one. */
export function together(subscriptions: readonly Unsubscribe[]): Unsubscribe {
  return () => {
    for (const end of subscriptions) end()
  }
}
