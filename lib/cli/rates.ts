// [rates] → a policy over the store of [greylist]; without that each worker counts its share in its memory.

import { rateLimit } from '../policies/rate-limit.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Config } from './config/config.ts'
import { given } from './config/given.ts'
import type { RateConfig } from './config/rates.ts'
import { storeOf } from './stores.ts'

/** Makes the policy; none if no rate is set. `share` gives one worker's share of a limit. */
export function ratePolicies({ rates, greylist }: Config, share: (count: number) => number): Policy[] {
  const { connections, messages, except } = rates
  if (connections === undefined && messages === undefined) return []
  const own = (rate: RateConfig | undefined): RateConfig | undefined => {
    return rate === undefined || greylist !== undefined ? rate : { ...rate, limit: share(rate.limit) }
  }
  const limits = given({ connections: own(connections), messages: own(messages), except })
  return [rateLimit({ store: storeOf(greylist), ...limits, ...given({ onStoreError: greylist?.onStoreError }) })]
}
