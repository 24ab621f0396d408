// What all stores of this package share: digests in the place of keys, checks, deadlines, the end.

import { randomBytes } from 'node:crypto'
import { wrong } from '../words/option-checks.ts'
import { ADMIN_TIMEOUT, bounded, callClock } from './call-deadline.ts'
import { digester, domainOf, shown, type Digester, type Salt } from './keys.ts'
import type { AttemptOperation, Operation, Results } from './operations.ts'
import { putOperation } from './put-operation.ts'
import { StoreError } from './store-error.ts'
import type {
  CallOptions,
  GreylistRequest,
  GreylistResult,
  PutEntry,
  Rate,
  RateResult,
  Store,
  StoreEntry,
  StoreStats,
} from './store.ts'

/** Milliseconds that the end may take: after that the store is left as it is. */
const CLOSE_TIMEOUT = 5000

/**
 * Where digests are kept. Its methods reject with a {@link StoreError}. `run` and `close` are given a deadline above it; the
 * others keep {@link ADMIN_TIMEOUT} for each step.
 */
export interface StoreDriver {
  /** Carries out an operation. `late` returns true after the caller's deadline: then it need not be begun. */
  run(operation: Operation, late: () => boolean): Promise<Results[Operation['type']]>
  /** `client` is the digest of a client key. */
  scan(client: string | null): AsyncIterable<StoreEntry>
  sweep(): Promise<number>
  stats(): Promise<StoreStats>
  close(): Promise<void>
}

/** Options of every store of this package. */
export interface StoreOptions {
  /** The secret for the digests of keys; see `saltFile`. */
  readonly salt?: Salt | undefined
  /** Keeps no text in clear: neither client nor sender domain nor reason. @defaultValue false */
  readonly privacy?: boolean | undefined
  /** Milliseconds that a call may take if it does not say so itself. @defaultValue 300 */
  readonly timeout?: number | undefined
}

/** The names of {@link StoreOptions}. */
export const STORE_OPTIONS = ['salt', 'privacy', 'timeout'] as const

/** A store over a driver. The salt is asked for at the first call, and again after it could not be read. */
export class KeyedStore implements Store {
  readonly name: string
  readonly #driver: StoreDriver
  readonly #salt: () => Salt
  readonly #privacy: boolean
  readonly #timeout: number
  #digester: Digester | null = null
  #closing: Promise<void> | null = null

  constructor(name: string, driver: StoreDriver, options: StoreOptions, salt?: () => Salt) {
    const { privacy = false, timeout = 300 } = options
    if (!(timeout > 0)) throw wrong('timeout is a number of milliseconds above 0')
    this.name = name
    this.#driver = driver
    this.#privacy = privacy
    this.#timeout = timeout
    const given = options.salt
    if (given !== undefined) this.#digester = digester(given)
    this.#salt = salt ?? (() => randomBytes(32))
  }

  derive(purpose: string): string {
    return this.#keys().derive(purpose)
  }

  async greylist(request: GreylistRequest, options?: CallOptions): Promise<GreylistResult> {
    const { operation, positions } = this.#attempt('greylist', request)
    const { decisions, allowedBy } = (await this.#run(operation, options)) as Results['greylist']
    return {
      recipients: positions.map(position => decisions[position]!),
      allowedBy: allowedBy === null ? null : request.clients[allowedBy]!.key,
    }
  }

  async accept(request: GreylistRequest, options?: CallOptions): Promise<boolean> {
    return (await this.#run(this.#attempt('accept', request).operation, options)) as Results['accept']
  }

  async hit(key: string, rate: Rate, options?: CallOptions): Promise<RateResult> {
    checkRate(rate)
    const operation = { type: 'hit', key: this.#keys().key(key), rate } as const
    return (await this.#run(operation, options)) as Results['hit']
  }

  async know(key: string, life: number, options?: CallOptions): Promise<void> {
    if (!(life > 0)) throw wrong('know: life is a number of milliseconds above 0')
    await this.#run({ type: 'know', key: this.#keys().key(key), life: Math.ceil(life) }, options)
  }

  async known(keys: readonly string[], options?: CallOptions): Promise<readonly boolean[]> {
    const digests = keys.map(key => this.#keys().key(key))
    return (await this.#run({ type: 'known', keys: digests }, options)) as Results['known']
  }

  async forget(key: string, options?: CallOptions): Promise<number> {
    const operation = { type: 'forget', key: this.#keys().key(key) } as const
    return (await this.#run(operation, { timeout: ADMIN_TIMEOUT, ...options })) as Results['forget']
  }

  async put(entry: PutEntry, options?: CallOptions): Promise<boolean> {
    const operation = putOperation(entry, this.#keys(), clear => (this.#privacy ? '' : shown(clear)))
    return operation !== null && ((await this.#run(operation, options)) as Results['put'])
  }

  async *scan({ client }: { readonly client?: string } = {}): AsyncGenerator<StoreEntry, void, undefined> {
    this.#checkOpen()
    yield* this.#driver.scan(client === undefined ? null : this.#keys().key(client))
  }

  async sweep(): Promise<number> {
    this.#checkOpen()
    return this.#driver.sweep()
  }

  async stats(): Promise<StoreStats> {
    this.#checkOpen()
    return this.#driver.stats()
  }

  close(): Promise<void> {
    this.#closing ??= bounded(callClock, { timeout: CLOSE_TIMEOUT }, () => this.#driver.close()).catch(() => {})
    return this.#closing
  }

  #run(operation: Operation, options: CallOptions = {}): Promise<Results[Operation['type']]> {
    this.#checkOpen()
    const { timeout = this.#timeout, signal } = options
    return bounded(callClock, { timeout, signal }, late => this.#driver.run(operation, late))
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new StoreError('down', 'the store is closed')
  }

  #keys(): Digester {
    try {
      this.#digester ??= digester(this.#salt())
      return this.#digester
    } catch (error) {
      throw new StoreError('down', `the salt cannot be read: ${(error as Error).message}`, { cause: error })
    }
  }

  /** The operation, and for each recipient the place of its pair: a recipient given twice is one. */
  #attempt(
    type: AttemptOperation['type'],
    { clients, sender, recipients, rules, reason = '' }: GreylistRequest,
  ): { readonly operation: AttemptOperation; readonly positions: readonly number[] } {
    if (clients.length === 0) throw wrong('greylist: at least one client key')
    if (recipients.length === 0) throw wrong('greylist: at least one recipient')
    const keys = this.#keys()
    const places = new Map<string, number>()
    const positions = recipients.map(recipient => {
      const pair = keys.pair(sender, recipient)
      const place = places.get(pair) ?? places.size
      places.set(pair, place)
      return place
    })
    const text = (clear: string): string => (this.#privacy ? '' : shown(clear))
    const operation: AttemptOperation = {
      type,
      clients: clients.map(({ key, autoAllow = true }) => ({ key: keys.key(key), shown: text(key), autoAllow })),
      pairs: [...places.keys()],
      rules,
      senderDomain: text(domainOf(sender)),
      reason: text(reason),
    }
    return { operation, positions }
  }
}

function checkRate({ limit, per, cost = 1 }: Rate): void {
  const whole = [limit, per, cost].every(value => Number.isSafeInteger(value) && value >= 0)
  if (!whole || limit === 0 || limit > per * 1000)
    throw wrong('hit: limit, per and cost are whole numbers, limit above 0')
}
