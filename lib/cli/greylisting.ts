// [greylist] and [suspicion] → policies, over one store for the process.

import { greylist } from '../policies/greylist/greylist.ts'
import { knownCorrespondents } from '../policies/known-correspondents.ts'
import { allowClients, allowTriples } from '../policies/lists/lists.ts'
import type { SpfCheck } from '../policies/suspicion/spf.ts'
import { suspicion } from '../policies/suspicion/suspicion.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Config } from './config/config.ts'
import { nameResolver } from './names.ts'
import { storeOf } from './stores.ts'
import { zoneChannel } from './zones.ts'

/** The policies of a listener, in their order; none without [greylist]. Throws `ERR_OPTION`. */
export function greylistPolicies(
  { greylist: config, suspicion: configured, auth, name }: Config,
  spf: SpfCheck | null = null,
): Policy[] {
  if (config === undefined) return []
  const { spf: _, ...signs } = configured
  const { preset, mode, hold, decideAt, onStoreError, text, delay, window, life, triples, nonstandardTriples } = config
  const store = storeOf(config)
  const resolver = nameResolver()
  const ownNames = [...(name === undefined ? [] : [name]), ...signs.ownNames]
  const given = Object.entries({ delay, window, life }).filter(([, value]) => value !== undefined)
  return [
    allowClients(config.allowClients, { resolver }),
    ...(triples.length + nonstandardTriples.length === 0
      ? []
      : [allowTriples({ triples, nonstandard: nonstandardTriples })]),
    suspicion({
      ...signs,
      onZone: (zone, leftOut) => zoneChannel.publish({ zone, leftOut }),
      ownNames,
      reject: signs.reject ?? null,
      resolver,
      ...(spf === null ? {} : { spf }),
    }),
    ...(auth === undefined ? [] : [knownCorrespondents({ store })]),
    greylist({
      store,
      preset,
      mode,
      hold,
      decideAt,
      onStoreError,
      text,
      rules: Object.fromEntries(given),
      recipients: { only: config.onlyRecipients, except: config.exceptRecipients },
      senders: { only: config.onlySenders, except: config.exceptSenders },
    }),
  ]
}
