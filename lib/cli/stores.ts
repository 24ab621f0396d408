// The stores of this process. They are opened at the first use: a check of a configuration opens none.

import { circuitBreaker } from '../stores/circuit-breaker.ts'
import { saltFile } from '../stores/keys.ts'
import { memoryStore } from '../stores/memory-store.ts'
import { redisStore } from '../stores/redis/redis-store.ts'
import { sqliteStore } from '../stores/sqlite/sqlite-store.ts'
import type { Store } from '../stores/store.ts'
import type { Config } from './config/config.ts'
import type { GreylistConfig } from './config/greylisting.ts'

/** Milliseconds for the start of SQLite, or a connection to Redis. */
const OPEN_TIMEOUT = 5000

/** By what they were made of: a reload goes on with the same ones. */
const stores = new Map<string, LazyStore>()

/** Opens the stores of this process, so that the first decision need not wait for that; what fails shows at the first call. */
export async function openStores(): Promise<void> {
  await Promise.all([...stores.values()].map(store => store.known(['open'], { timeout: OPEN_TIMEOUT }).catch(() => {})))
}

/** Ends the stores of this process. */
export async function closeStores(): Promise<void> {
  await Promise.all([...stores.values()].map(store => store.close()))
  stores.clear()
}

/** Opens the store of a configuration. Its calls reject with a StoreError if it cannot be opened. */
export function openStore({ file, redis, salt, privacy }: GreylistConfig): Store {
  if (redis === undefined)
    return sqliteStore({ file, privacy, ...(salt === undefined ? {} : { salt: saltFile(salt) }) })
  return redisStore({ url: redis, privacy, salt: saltFile(salt!) })
}

/** Returns the store of `[greylist]`; without that table one in the memory of this process, which no worker shares. */
export function storeOf(config: GreylistConfig | undefined): Store {
  if (config === undefined) return kept('memory', memoryStore)
  const { file, redis, salt, privacy } = config
  return kept(JSON.stringify([file, redis, salt, privacy]), () => circuitBreaker(openStore(config)))
}

/** Returns where a relay remembers the verdicts of LMTP, also across a reload; undefined without LMTP. */
export function verdictStoreOf(config: Config): Store | undefined {
  const file = verdictFileOf(config)
  if (file !== null) return kept(file, () => circuitBreaker(sqliteStore({ file })))
  return hasLmtp(config) ? storeOf(config.greylist) : undefined
}

/** The SQLite file of that store; null if it is the one of `[greylist]`, or memory. */
export function verdictFileOf(config: Config): string | null {
  return config.workers > 1 && config.greylist === undefined && hasLmtp(config) ? config.verdicts : null
}

function hasLmtp({ upstream, routes = [] }: Config): boolean {
  return [upstream, ...routes].some(each => each?.protocol === 'lmtp')
}

function kept(key: string, open: () => Store): Store {
  let store = stores.get(key)
  if (store === undefined) stores.set(key, (store = new LazyStore(open)))
  return store
}

/** Opens a store at its first call: not where a configuration is only checked, nor before the process is the user it stays. */
class LazyStore implements Store {
  readonly name = 'lazy'
  readonly #open: () => Store
  #store: Store | null = null

  constructor(open: () => Store) {
    this.#open = open
  }

  get #opened(): Store {
    return (this.#store ??= this.#open())
  }

  readonly greylist: Store['greylist'] = async (...call) => this.#opened.greylist(...call)
  readonly accept: Store['accept'] = async (...call) => this.#opened.accept(...call)
  readonly hit: Store['hit'] = async (...call) => this.#opened.hit(...call)
  readonly know: Store['know'] = async (...call) => this.#opened.know(...call)
  readonly known: Store['known'] = async (...call) => this.#opened.known(...call)
  readonly forget: Store['forget'] = async (...call) => this.#opened.forget(...call)
  readonly put: Store['put'] = async (...call) => this.#opened.put(...call)
  readonly scan: Store['scan'] = (...call) => this.#opened.scan(...call)
  readonly sweep: Store['sweep'] = async () => this.#opened.sweep()
  readonly stats: Store['stats'] = async () => this.#opened.stats()

  readonly derive = (purpose: string): string => this.#opened.derive!(purpose)

  async close(): Promise<void> {
    await this.#store?.close()
  }
}
