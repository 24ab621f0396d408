// Runs a case of any kind.

import { runClient } from './run-client.js'
import { runRelay } from './run-relay.js'
import { runSession } from './run-session.js'

/** Resolves with null, or what is wrong. */
export function runCase({ lib, tls, oracle }, given) {
  if (given.kind === 'client') return runClient(lib, given)
  if (given.kind === 'relay') return runRelay(lib, given)
  return runSession(lib, given, { how: given.how ?? 'memory', tls, oracle })
}
