// Greylisting is loaded only where it is configured: it needs tldts, and its store a database's client, which are optional
// peers of the package: `npm install mailhandler` does not bring them.

import type { SpfCheck } from '../policies/suspicion/spf.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Config } from './config/config.ts'
import type { GreylistConfig } from './config/greylisting.ts'
import type { KeyPath } from './config/locate.ts'
import type { Loaded } from './config/load.ts'
import { ConfigError } from './config/problems.ts'
import { isInstalled } from './installed.ts'

let makePolicies: ((config: Config, spf: SpfCheck | null) => Policy[]) | null = null

/**
 * Loads what `[greylist]` needs, for makeSettings. Rejects with a ConfigError that names each package to install, for the
 * policies and for the store; without the latter each call to the store would fail. `has` tells whether a module is there.
 */
export async function loadGreylisting(
  { config: { greylist }, problem }: Loaded,
  has: (name: string) => boolean = isInstalled,
): Promise<void> {
  if (greylist === undefined) return
  const missing = [...missingPolicies(has), ...missingDriver(greylist, has)]
  if (missing.length > 0) throw new ConfigError(missing.map(([path, what]) => problem(path, what)))
  makePolicies ??= (await import('./greylisting.ts')).greylistPolicies
}

/** Returns the policies of `[greylist]` and `[suspicion]`; call {@link loadGreylisting} before. Throws `ERR_OPTION`. */
export function waitingPolicies(config: Config, spf: SpfCheck | null): Policy[] {
  return config.greylist === undefined ? [] : makePolicies!(config, spf)
}

type Missing = readonly [path: KeyPath, what: string]

function missingPolicies(has: (name: string) => boolean): Missing[] {
  return has('tldts') ? [] : [[['greylist'], 'greylisting needs another package: npm install tldts@7']]
}

function missingDriver({ redis }: GreylistConfig, has: (name: string) => boolean): Missing[] {
  if (redis !== undefined) {
    return has('ioredis') ? [] : [[['greylist', 'redis'], 'Redis needs another package: npm install ioredis@6']]
  }
  if (has('node:sqlite') || has('@photostructure/sqlite')) return []
  const what = 'its file needs Node 22.13 or later, or another package: npm install @photostructure/sqlite@1.2.1'
  return [[['greylist'], what]]
}
