// [lists] → policies. A file of a list is watched; what becomes of a change is told on a channel, for the log.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { DnsResolver } from '../dns/resolver.ts'
import type { ListSource } from '../policies/lists/list-source.ts'
import {
  allowClients,
  allowSenders,
  allowTriples,
  denyClients,
  denyRecipients,
  denySenders,
  type ListPolicy,
} from '../policies/lists/lists.ts'
import type { Attempt } from './certificates.ts'
import { snakeCase } from './config/leaves.ts'
import { LIST_NAMES, type ListName, type ListsConfig } from './config/lists.ts'

/** A file of a list was read again. */
export interface ListEvent {
  readonly file: string
  /** What is wrong with it, and then the list stays as it was; null if the list is that of the file now. */
  readonly problem: Error | null
}

/** Where each {@link ListEvent} is published. */
export const listChannel: Channel<unknown, ListEvent> = channel('mailhandler:cli:list') as Channel<unknown, ListEvent>

type Maker = (source: ListSource, resolver: DnsResolver) => ListPolicy

const MAKERS: Readonly<Record<ListName, Maker>> = {
  allowClients: (source, resolver) => allowClients(source, { resolver }),
  denyClients: (source, resolver) => denyClients(source, { resolver }),
  allowSenders,
  denySenders,
  denyRecipients,
  triples: source => allowTriples({ triples: source }),
  nonstandardTriples: source => allowTriples({ nonstandard: source }),
}

/** Makes the policies, in their order: those that trust come before those that refuse the same. */
export function listPolicies(lists: ListsConfig, attempt: Attempt, resolver: DnsResolver): ListPolicy[] {
  return LIST_NAMES.flatMap(name => {
    const file = lists[`${name}File`]
    const source = lists[name] ?? (file === undefined ? null : watched(file))
    if (source === null) return []
    const key = snakeCase(file === undefined ? name : `${name}File`)
    return attempt(['lists', key], () => MAKERS[name](source, resolver)) ?? []
  })
}

/** A file of a list that is watched, and told of on the channel. */
export function watched(file: string): ListSource {
  return { file, onChange: problem => listChannel.publish({ file, problem }) }
}
