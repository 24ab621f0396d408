// Subscriptions to diagnostics channels.

import { subscribe as listenTo, unsubscribe, type Channel } from 'node:diagnostics_channel'
import { warn } from '../log/warn.ts'

/** Ends a subscription. */
export type Unsubscribe = () => void

/**
 * Calls `listener` with each message of a channel. What it throws is a process warning, once a subscription: Node would
 * end the process.
 */
export function subscribe<T extends object>(channel: Channel<unknown, T>, listener: (message: T) => void): Unsubscribe {
  let warned = false
  const listen = (message: unknown): void => {
    try {
      listener(message as T)
    } catch (error) {
      if (!warned) warn(error)
      warned = true
    }
  }
  listenTo(channel.name, listen)
  return () => unsubscribe(channel.name, listen)
}

/** Returns a function that ends several subscriptions. */
export function together(subscriptions: readonly Unsubscribe[]): Unsubscribe {
  return () => {
    for (const end of subscriptions) end()
  }
}
