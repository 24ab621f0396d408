// Metrics need prom-client, an optional peer of the package: `npm install mailhandler` does not bring it.

import type { Loaded } from '../config/load.ts'
import { ConfigError } from '../config/problems.ts'

/** Rejects with a ConfigError that says what to install, if the configuration wants metrics and prom-client is missing. */
export async function requirePromClient({ config, problem }: Loaded): Promise<void> {
  if (config.metrics.listen === undefined) return
  try {
    await import('prom-client')
  } catch {
    throw new ConfigError([problem(['metrics', 'listen'], 'metrics need another package: npm install prom-client@15')])
  }
}
