// A store in Redis or Valkey, which many machines share.

import { checkKeys, wrong } from '../../words/option-checks.ts'
import { checkSalt, type Salt } from '../keys.ts'
import { emitStoreWarning, safeListener } from '../listener.ts'
import { ADMIN_TIMEOUT, bounded, callClock } from '../call-deadline.ts'
import { KeyedStore, STORE_OPTIONS, type StoreDriver, type StoreOptions } from '../keyed-store.ts'
import type { AttemptOperation, AttemptResult, Operation, Results } from '../operations.ts'
import type { GreylistRules } from '../rules.ts'
import type { GreylistDecision, GreylistVerdict, Store, StoreEntry, StoreStats, WallClock } from '../store.ts'
import { Connection, type RedisClient, type RedisPlace } from './connection.ts'
import { ACCEPT, GREYLIST, HIT, KNOW, KNOWN, PUT, REMOVE } from './scripts.ts'
import { encode, keyOf, pattern, putArguments, readEntry, type ReadEntry } from './values.ts'

/** Keys that one SCAN looks at. */
const PAGE = 1000

/** Options of {@link redisStore}: `url` or `client`, and a salt, the same on every machine. */
export interface RedisStoreOptions extends StoreOptions, RedisPlace {
  /** The secret for the digests of keys, the same on every machine that shares the store; see `saltFile`. */
  readonly salt: Salt
  /** What every key begins with. @defaultValue `mh:` */
  readonly prefix?: string | undefined
  /** Calls that may wait; one more rejects with `busy`. @defaultValue 10,000 */
  readonly maxWaiting?: number | undefined
  /** Called once if the server would not drop the right entries when its memory is full. @defaultValue `process.emitWarning` */
  readonly onWarning?: ((message: string) => void) | undefined
  /** For tests: the time, in the place of the server's. */
  readonly clock?: WallClock | undefined
}

const OPTIONS = [...STORE_OPTIONS, 'url', 'client', 'prefix', 'maxWaiting', 'onWarning', 'clock']

/**
 * A store in Redis 6 or later, or Valkey, by `ioredis@6` (which is loaded at the first call) or a client of one's own. One
 * script a call, by the server's clock. What was acknowledged survives as the server's `appendfsync` says. Its bound is
 * the server's `maxmemory`, with `maxmemory-policy volatile-ttl`: what expires soonest goes first. Redis Cluster is not
 * supported.
 */
export function redisStore(options: RedisStoreOptions): Store {
  checkKeys('', options, OPTIONS)
  if (options.salt === undefined) throw wrong('redisStore: salt is needed, the same on every machine')
  checkSalt(options.salt)
  return new KeyedStore('redis', new RedisDriver(options), options)
}

class RedisDriver implements StoreDriver {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #clock: WallClock | null
  readonly #warn: (message: string) => void
  #isChecked = false

  constructor(options: RedisStoreOptions) {
    const { prefix = 'mh:', timeout = 300, maxWaiting = 10_000, clock = null } = options
    if (!(maxWaiting > 0)) throw wrong('maxWaiting is a number above 0')
    this.#connection = new Connection(options, timeout, maxWaiting)
    this.#prefix = prefix
    this.#clock = clock
    this.#warn = safeListener(options.onWarning ?? emitStoreWarning)
  }

  run(operation: Operation): Promise<Results[Operation['type']]> {
    if (!this.#isChecked) void this.#checkMemory()
    return this.#run(operation)
  }

  async *scan(client: string | null): AsyncGenerator<StoreEntry, void, undefined> {
    for await (const { read } of this.#entries(client)) if (read !== null && !read.isOver) yield read.entry
  }

  /** Redis removes what has expired by itself; this finds what has by a clock of one's own. */
  async sweep(): Promise<number> {
    let removed = 0
    for await (const { key, value, read } of this.#entries(null)) {
      if (read?.isOver === true) removed += (await this.#connection.run(REMOVE, [key], [this.#now(), value])) as number
    }
    return removed
  }

  async stats(): Promise<StoreStats> {
    const counts = { unconfirmed: 0, passed: 0, clients: 0, rates: 0, known: 0 }
    for await (const { read } of this.#entries(null)) {
      if (read === null) continue
      const { entry } = read
      if (entry.kind === 'triplet') counts[entry.waited === null ? 'unconfirmed' : 'passed']++
      else counts[entry.kind === 'client' ? 'clients' : entry.kind === 'rate' ? 'rates' : 'known']++
    }
    const memory = await this.#memory((...command) => this.#send(...command))
    return { ...counts, octets: Number(memory.get('used_memory') ?? Number.NaN) || null }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #now(): string {
    return this.#clock === null ? '' : String(Math.floor(this.#clock.now()))
  }

  async #run(operation: Operation): Promise<Results[Operation['type']]> {
    switch (operation.type) {
      case 'greylist':
        return greylistResult((await this.#attempt(operation)) as Answer, operation.pairs.length)
      case 'accept':
        return (await this.#attempt(operation)) === 1
      case 'hit': {
        const { limit, per, cost = 1 } = operation.rate
        const keys = [keyOf(this.#prefix, operation.key, 'r')]
        const answer = await this.#connection.run(HIT, keys, [this.#now(), limit, per, cost])
        const [allowed, remaining = 0, wait = 0] = answer as readonly number[]
        return { allowed: allowed === 1, remaining, wait }
      }
      case 'know':
        await this.#connection.run(KNOW, [keyOf(this.#prefix, operation.key, 'k')], [this.#now(), operation.life])
        return null
      case 'known': {
        const keys = operation.keys.map(key => keyOf(this.#prefix, key, 'k'))
        const answer = (await this.#connection.run(KNOWN, keys, [this.#now()])) as readonly number[]
        return answer.map(each => each === 1)
      }
      case 'forget':
        return this.#forget(operation.key)
      case 'put': {
        const { key, kind, last, expires, value, weight } = putArguments(operation, this.#prefix)
        return (await this.#connection.run(PUT, [key], [this.#now(), kind, last, expires, value, weight])) === 1
      }
    }
  }

  #attempt({ type, clients, pairs, rules, senderDomain, reason }: AttemptOperation): Promise<unknown> {
    const encoded = pairs.map(encode)
    const keys: string[] = []
    const about: string[] = []
    for (const { key, shown, autoAllow } of clients) {
      const start = `${this.#prefix}{${encode(key)}}:`
      keys.push(`${start}a`)
      for (const pair of encoded) keys.push(start + pair)
      about.push(autoAllow ? '1' : '0', shown)
    }
    const script = type === 'greylist' ? GREYLIST : ACCEPT
    const numbers = `${pairs.length} ${clients.length} ${ruleNumbers(rules)}`
    return this.#connection.run(script, keys, [this.#now(), numbers, senderDomain, reason, ...about])
  }

  async #forget(digest: string): Promise<number> {
    let removed = 0
    for await (const keys of this.#keys(digest)) removed += (await this.#send('UNLINK', ...keys)) as number
    return removed
  }

  /** A command of an administrator's call: a client of one's own may have no time limits. */
  #send(command: string, ...args: (string | number)[]): Promise<unknown> {
    return bounded(callClock, { timeout: ADMIN_TIMEOUT }, () => this.#connection.send(command, ...args))
  }

  /** Every key with its value, those of one digest or all; each once. */
  async *#entries(
    digest: string | null,
  ): AsyncGenerator<{ readonly key: string; readonly value: string; readonly read: ReadEntry | null }> {
    const now = this.#clock === null ? await this.#serverTime() : this.#clock.now()
    const seen = new Set<string>() // SCAN may give a key twice while the server's table grows.
    for await (const keys of this.#keys(digest)) {
      const fresh = keys.filter(key => !seen.has(key))
      if (fresh.length === 0) continue
      const values = (await this.#send('MGET', ...fresh)) as readonly (string | null)[]
      for (const [i, key] of fresh.entries()) {
        seen.add(key)
        const value = values[i] ?? null
        if (value !== null) yield { key, value, read: readEntry(key, value, this.#prefix.length, now) }
      }
    }
  }

  async *#keys(digest: string | null): AsyncGenerator<readonly string[]> {
    let cursor = '0'
    do {
      const answer = await this.#send('SCAN', cursor, 'MATCH', pattern(this.#prefix, digest), 'COUNT', PAGE)
      const [next, keys] = answer as readonly [string, readonly string[]]
      if (keys.length > 0) yield keys
      cursor = next
    } while (cursor !== '0')
  }

  async #serverTime(): Promise<number> {
    const [seconds, microseconds] = (await this.#send('TIME')) as readonly [string, string]
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
  }

  async #memory(send: RedisClient['call']): Promise<ReadonlyMap<string, string>> {
    const info = (await send('INFO', 'memory')) as string
    return new Map(info.split('\r\n').map(line => line.split(':') as [string, string]))
  }

  /** Warns of a server that refuses writes or drops passed entries when its memory is full. */
  async #checkMemory(): Promise<void> {
    this.#isChecked = true
    try {
      const memory = await this.#memory((...command) => this.#connection.send(...command))
      const policy = memory.get('maxmemory_policy')
      const limit = memory.get('maxmemory')
      if (policy === 'volatile-ttl' && limit !== '0') return
      this.#warn(
        `Redis has maxmemory ${limit} and maxmemory-policy ${policy}: set a limit and volatile-ttl, so that entries which ` +
          'wait go before those which have passed',
      )
    } catch {
      this.#isChecked = false // With the next call, which meets the same trouble.
    }
  }
}

function ruleNumbers({ delay, window, life, autoAllow, restartWithin }: GreylistRules): string {
  return `${delay} ${window} ${life} ${autoAllow?.passes ?? 0} ${autoAllow?.apart ?? 0} ${restartWithin}`
}

type Answer = readonly (string | number)[]

function greylistResult(answer: Answer, count: number): AttemptResult {
  const client = answer[0] as number
  if (client > 0) {
    const allowed: GreylistDecision = { verdict: 'allowed', wait: 0, first: answer[1] as number, attempts: 1 }
    return { decisions: Array.from({ length: count }, () => allowed), allowedBy: client - 1 }
  }
  const decisions = Array.from({ length: count }, (_, i) => {
    const [verdict, wait, first, attempts] = answer.slice(1 + 4 * i, 5 + 4 * i)
    return {
      verdict: verdict as GreylistVerdict,
      wait: wait as number,
      first: first as number,
      attempts: attempts as number,
    }
  })
  return { decisions, allowedBy: null }
}
