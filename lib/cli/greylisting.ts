// [greylist] and [suspicion] → policies, over one store for the process.

import { greylist } from '../policies/greylist/greylist.ts'
import { knownCorrespondents } from '../policies/known-correspondents.ts'
import { allowClients, allowTriples } from '../policies/lists/lists.ts'
import { suspicion } from '../policies/suspicion/suspicion.ts'
import type { Policy } from '../smtp/hooks.ts'
import { circuitBreaker } from '../stores/circuit-breaker.ts'
import { saltFile } from '../stores/keys.ts'
import { redisStore } from '../stores/redis/redis-store.ts'
import { sqliteStore } from '../stores/sqlite/sqlite-store.ts'
import type { Store } from '../stores/store.ts'
import type { Config } from './config/config.ts'
import type { GreylistConfig } from './config/greylisting.ts'

/** Milliseconds for the start of SQLite, or a connection to Redis. */
const OPEN_TIMEOUT = 5000

/** The store of this process, by what it was made of: a reload goes on with the same one. */
const stores = new Map<string, LazyStore>()

/** The policies of a listener, in their order; none without [greylist]. Throws `ERR_OPTION`. */
export function greylistPolicies({ greylist: config, suspicion: signs, auth, name }: Config): Policy[] {
  if (config === undefined) return []
  const { preset, mode, hold, decideAt, onStoreError, text, delay, window, life, triples, nonstandardTriples } = config
  const store = storeOf(config)
  const ownNames = [...(name === undefined ? [] : [name]), ...signs.ownNames]
  const given = Object.entries({ delay, window, life }).filter(([, value]) => value !== undefined)
  return [
    allowClients(config.allowClients),
    ...(triples.length + nonstandardTriples.length === 0
      ? []
      : [allowTriples({ triples, nonstandard: nonstandardTriples })]),
    suspicion({ ...signs, ownNames, reject: signs.reject ?? null }),
    ...(auth === undefined ? [] : [knownCorrespondents({ store })]),
    greylist({
      store,
      preset,
      mode,
      hold,
      decideAt,
      onStoreError,
      text,
      rules: Object.fromEntries(given),
      recipients: { only: config.onlyRecipients, except: config.exceptRecipients },
      senders: { except: config.exceptSenders },
    }),
  ]
}

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

function storeOf(config: GreylistConfig): Store {
  const { file, redis, salt, privacy } = config
  const key = JSON.stringify([file, redis, salt, privacy])
  let store = stores.get(key)
  if (store === undefined) stores.set(key, (store = new LazyStore(() => circuitBreaker(openStore(config)))))
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
  readonly scan: Store['scan'] = (...call) => this.#opened.scan(...call)
  readonly sweep: Store['sweep'] = async () => this.#opened.sweep()
  readonly stats: Store['stats'] = async () => this.#opened.stats()

  async close(): Promise<void> {
    await this.#store?.close()
  }
}
