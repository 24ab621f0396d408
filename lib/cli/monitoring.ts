// Metrics of this process, the status page, and what it is told. Their code is loaded only where they are configured.

import type { UpstreamStats } from '../deliveries/relay/upstream.ts'
import type { StoreStats } from '../stores/store.ts'
import type { Config } from './config/config.ts'
import type { MorePages } from './metrics/http.ts'
import type { Metrics } from './metrics/registry.ts'
import type { StatusBook } from './status/book.ts'
import type { StatusBatch } from './status/facts.ts'
import { PRESETS } from '../policies/greylist/presets.ts'
import type { Settings } from './settings.ts'
import { storeOf } from './stores.ts'
import type { Unsubscribe } from './subscriptions.ts'

/**
 * Counts what happens in this process, if metrics are configured. `upstreams` gives the counts of upstreams at that time,
 * `current` the configuration, once there is a service. */
export async function countFor(
  config: Config,
  upstreams: () => readonly UpstreamStats[],
  current: () => Config | null,
): Promise<Metrics | null> {
  if (config.metrics.listen === undefined) return null
  return (await import('./metrics/registry.ts')).countEvents(upstreams, () => current() ?? config)
}

/** The status page of a server. */
export interface Status {
  /** Gets what processes tell. */
  readonly book: StatusBook
  /** The routes of the page, and who may ask for them. */
  readonly pages: MorePages
}

/** Makes the status page of a configuration; null without [status]. */
export async function makeStatus({ config, name, statusToken }: Settings): Promise<Status | null> {
  const { status, greylist, metrics } = config
  if (status === undefined) return null
  const [{ StatusBook }, { StatusPage }] = await Promise.all([import('./status/book.ts'), import('./status/status.ts')])
  const book = new StatusBook({ window: greylist?.window ?? PRESETS[greylist?.preset ?? 'default'].rules.window })
  const page = new StatusPage({ book, name, store: kindOfStore(config), mask: status.mask })
  // Nobody else can let these two names lead here.
  const own = metrics.listen !== undefined && 'host' in metrics.listen ? [name, metrics.listen.host] : [name]
  return {
    book,
    pages: {
      routes: page.routes,
      hosts: [...status.hosts, ...own],
      token: statusToken,
      sendTo: streams => page.sendTo(streams),
    },
  }
}

/**
 * Tells what happens in this process, if [status] is configured. `current` gives the configuration at that time, or null
 * until the process is the user it stays.
 */
export async function collectFor(
  { status }: Config,
  current: () => Config | null,
  tell: (batch: StatusBatch) => void,
): Promise<Unsubscribe> {
  if (status === undefined) return () => {}
  const { collectStatus } = await import('./status/collect.ts')
  return collectStatus({ mask: status.mask, stats: () => statsOf(current()), tell })
}

/** Counts the entries of the store; null if there is none, or if it is Redis, which would have to read all keys. */
function statsOf(config: Config | null): Promise<StoreStats> | null {
  const greylist = config?.greylist
  return greylist === undefined || greylist.redis !== undefined ? null : storeOf(greylist).stats()
}

function kindOfStore({ greylist }: Config): string | null {
  if (greylist === undefined) return null
  return greylist.redis === undefined ? 'SQLite' : 'Redis'
}
