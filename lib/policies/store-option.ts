import type { Store } from '../stores/store.ts'
import { show, wrong } from '../words/option-checks.ts'

/** Throws `ERR_OPTION` for what has not the methods of a store. */
export function checkStore(store: Store): Store {
  const { greylist, accept, hit, know, known } = Object(store) as Partial<Store>
  if ([greylist, accept, hit, know, known].every(method => typeof method === 'function')) return store
  throw wrong(`store is a store, as memoryStore(), not ${show(store)}`)
}
