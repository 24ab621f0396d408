// Runs a case of any kind.

import { runSession } from './run-session.js'

/** Resolves with null, or what is wrong. */
export function runCase({ lib, tls, oracle }, given) {
  return runSession(lib, given, { how: given.how ?? 'memory', tls, oracle })
}
