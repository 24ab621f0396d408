// What a store knows of the mail that was held.

import type { Store, TripletEntry } from '../../stores/store.ts'
import { outcomeOf, type Case, type Outcome } from './outcome.ts'

/** Hexadecimal digits of the digest of a client, with which the id of a triplet begins. */
const CLIENT_DIGITS = 20

/** Reads the store. What never came again is there as `open` until its window ends, and then it is forgotten. */
export async function storeReport(store: Store): Promise<Outcome> {
  const cases = new Map<string, Case>()
  for await (const entry of store.scan()) {
    if (entry.kind !== 'triplet') continue
    // An attempt is kept under each key of its client; it is one case.
    const id = `${entry.id.slice(CLIENT_DIGITS)} ${entry.first}`
    const known = cases.get(id)
    if (known === undefined || known.end === 'open') cases.set(id, caseOf(entry))
  }
  return outcomeOf(cases.values())
}

function caseOf({ waited, reason }: TripletEntry): Case {
  const signs = reason === null || reason === '' ? [] : reason.split(', ')
  return { signs, end: waited === null ? 'open' : 'delayed', delay: waited }
}
