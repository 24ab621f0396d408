// How a policy of the testing kit comes between a handler and its client; no entry exports it.

import type { MailHandler } from '../stream/mail-handler.ts'

/** Comes between a handler and its client, before anything happens. */
export type Interpose = (handler: MailHandler) => void

const interposers = new WeakMap<object, Interpose>()

/** Has `interpose` called with each handler that is made with the policy. */
export function interposeWith(policy: object, interpose: Interpose): void {
  interposers.set(policy, interpose)
}

/** The function of a policy that comes between; undefined for all but those of the testing kit. */
export function interposerOf(policy: object): Interpose | undefined {
  return interposers.get(policy)
}
