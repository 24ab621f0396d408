// The policies of a configuration, in the order in which they are asked: who has logged in, lists, rates, the domains that
// mail is accepted for, policies of one's own, suspicion and greylisting, and last what the upstream is asked.

import { allowRecipients } from '../policies/allow-recipients.ts'
import { sharedGuesses } from '../policies/shared-guesses.ts'
import { verifyRecipients } from '../policies/verify-recipients/verify-recipients.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Config } from './config/config.ts'
import { given } from './config/given.ts'
import type { VerifyConfig } from './config/upstream.ts'
import type { Destination } from './destination.ts'
import { storeOf } from './stores.ts'

/** Different unknown recipients of a client network, unless the configuration says otherwise. */
const UNKNOWN = 50

/** What is made elsewhere. */
export interface PolicyParts {
  readonly users: Policy | undefined
  /** Lists and rates. */
  readonly first: readonly Policy[]
  /** Policies of one's own, from modules and from the program. */
  readonly own?: readonly Policy[]
  /** Suspicion and greylisting. */
  readonly waiting: readonly Policy[]
  /** Gives one worker's share of a limit. */
  readonly share: (count: number) => number
}

/** Makes the policies, which all listeners share. */
export function makePolicies(
  config: Config,
  { relay }: Destination,
  { users, first, own = [], waiting, share }: PolicyParts,
): readonly Policy[] {
  const { recipients, verifyRecipients: verify } = config
  const domains = recipients.domains ?? ['*']
  const policies: Policy[] = []
  if (users !== undefined) policies.push(users)
  policies.push(...first)
  if (!domains.includes('*')) policies.push(allowRecipients(domains))
  policies.push(...own, ...waiting)
  if (relay !== null && verify?.enabled === true) {
    policies.push(verifyRecipients({ upstream: relay, ...verifyOptions(verify, config, share) }))
  }
  return policies
}

/** Over the store of `[greylist]` all workers and machines count together; else each counts its share. */
function verifyOptions(verify: VerifyConfig, { greylist }: Config, share: (count: number) => number) {
  const { positive, negative, size, timeout, onFailure, unknown = UNKNOWN, window, except } = verify
  const limits = { credentials: unknown, ...given({ window }) }
  const count =
    greylist === undefined
      ? { most: share(unknown), ...given({ window }) }
      : { counter: sharedGuesses(storeOf(greylist), limits, 'unknown recipient') }
  return {
    cache: given({ positive, negative, size }),
    ...given({ timeout, onFailure }),
    unknown: { ...count, ...given({ except }) },
  }
}
