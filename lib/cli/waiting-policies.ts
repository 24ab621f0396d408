// Greylisting is loaded only where it is configured: it needs tldts, an optional peer of the package, which
// `npm install mailhandler` does not bring.

import type { SpfCheck } from '../policies/suspicion/spf.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Config } from './config/config.ts'
import type { Loaded } from './config/load.ts'
import { ConfigError } from './config/problems.ts'

let makePolicies: ((config: Config, spf: SpfCheck | null) => Policy[]) | null = null

/** Loads what `[greylist]` needs, for makeSettings. Rejects with a ConfigError that says what to install. */
export async function loadGreylisting({ config, problem }: Loaded): Promise<void> {
  if (config.greylist === undefined || makePolicies !== null) return
  try {
    makePolicies = (await import('./greylisting.ts')).greylistPolicies
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new ConfigError([problem(['greylist'], 'greylisting needs another package: npm install tldts@7')])
  }
}

/** Returns the policies of `[greylist]` and `[suspicion]`; call {@link loadGreylisting} before. Throws `ERR_OPTION`. */
export function waitingPolicies(config: Config, spf: SpfCheck | null): Policy[] {
  return config.greylist === undefined ? [] : makePolicies!(config, spf)
}
