// The addresses of a host, as the system finds them.

import { lookup } from 'node:dns/promises'

/** Look-ups under way, by host. */
const lookUps = new Map<string, Promise<readonly string[]>>()

/**
 * Looks a host up, once for all who ask at the same time: each look-up takes a thread of the few that Node has for files
 * and passwords too, and a name server that does not answer keeps it for many seconds.
 */
export function addressesOf(host: string): Promise<readonly string[]> {
  let asked = lookUps.get(host)
  if (asked === undefined) {
    asked = lookup(host, { all: true, verbatim: true })
      .then(found => found.map(({ address }) => address))
      .finally(() => lookUps.delete(host))
    lookUps.set(host, asked)
  }
  return asked
}
