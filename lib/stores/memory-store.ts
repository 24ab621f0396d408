// A store in memory, for one process: nothing is left of it after the end.

import { checkKeys } from '../words/option-checks.ts'
import { isAbsent, type ClientRecord, type Triplet } from './decide.ts'
import { BoundedMap } from './bounded-map.ts'
import { clientEntry, clientOf, entryId, tripletEntry } from './entries.ts'
import { KeyedStore, STORE_OPTIONS, type StoreDriver, type StoreOptions } from './keyed-store.ts'
import { limitsOf, type StoreLimits } from './limits.ts'
import { perform, type Note, type Operation, type Results, type Tables } from './operations.ts'
import type { Store, StoreEntry, StoreStats, WallClock } from './store.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions extends StoreOptions {
  /** How many entries of each kind are kept. @defaultValue 100,000 each */
  readonly limits?: StoreLimits | undefined
  /** @defaultValue `Date` */
  readonly clock?: WallClock | undefined
}

/** A store in the memory of this process, bounded by its limits: about 650 octets an entry. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  checkKeys('', options, [...STORE_OPTIONS, 'limits', 'clock'])
  return new KeyedStore('memory', new MemoryDriver(options), options)
}

interface TripletRow {
  readonly entry: Triplet
  readonly note: Note
}

interface ClientRow {
  readonly record: ClientRecord
  readonly shown: string
}

class MemoryDriver implements StoreDriver, Tables {
  readonly #clock: WallClock
  readonly #passedLimit: number
  readonly #unconfirmed: BoundedMap<TripletRow>
  readonly #passed: BoundedMap<TripletRow> = new BoundedMap(Infinity)
  readonly #clients: BoundedMap<ClientRow> = new BoundedMap(Infinity)
  readonly #rates: BoundedMap<number>
  readonly #known: BoundedMap<number>
  #now = 0

  constructor({ clock = Date, limits = {} }: MemoryStoreOptions) {
    const { unconfirmed, passed, rates, known } = limitsOf(limits, 100_000)
    this.#clock = clock
    this.#passedLimit = passed
    this.#unconfirmed = new BoundedMap(unconfirmed)
    this.#rates = new BoundedMap(rates)
    this.#known = new BoundedMap(known)
  }

  async run(operation: Operation): Promise<Results[Operation['type']]> {
    this.#now = Math.floor(this.#clock.now())
    return perform(operation, this, this.#now)
  }

  triplet(key: string): Triplet | null {
    return (this.#unconfirmed.get(key) ?? this.#passed.get(key))?.entry ?? null
  }

  putTriplet(key: string, entry: Triplet, before: Triplet | null, note: Note): void {
    const into = entry.waited === null ? this.#unconfirmed : this.#passed
    if (before !== null && (before.waited === null) !== (entry.waited === null)) this.#remove(key)
    into.put(key, { entry, note }, row => this.#isOver(row.entry))
  }

  markCounted(key: string): void {
    const row = this.#passed.get(key)
    if (row) this.#passed.set(key, { ...row, entry: { ...row.entry, counted: true } })
  }

  client(key: string): ClientRecord | null {
    return this.#clients.get(key)?.record ?? null
  }

  putClient(key: string, record: ClientRecord, _before: ClientRecord | null, shown: string): void {
    this.#clients.put(key, { record, shown }, row => this.#isOver(row.record))
  }

  hasRoom(): boolean {
    return this.#passed.size + this.#clients.size < this.#passedLimit
  }

  rate(key: string): number {
    return this.#rates.get(key) ?? 0
  }

  putRate(key: string, free: number): void {
    this.#rates.put(key, free, value => this.#isFree(value))
  }

  known(key: string): number {
    return this.#known.get(key) ?? 0
  }

  putKnown(key: string, until: number): void {
    this.#known.put(key, until, value => value <= this.#now)
  }

  forget(key: string): number {
    let gone = 0
    for (const map of [this.#unconfirmed, this.#passed]) {
      for (const each of map.keys()) if (clientOf(each) === key && map.delete(each)) gone++
    }
    for (const map of [this.#clients, this.#rates, this.#known]) if (map.delete(key)) gone++
    return gone
  }

  async *scan(client: string | null): AsyncGenerator<StoreEntry, void, undefined> {
    const now = this.#clock.now()
    const wanted = (key: string): boolean => client === null || clientOf(key) === client
    for (const map of [this.#unconfirmed, this.#passed]) {
      for (const [key, { entry, note }] of map) {
        if (wanted(key) && !isAbsent(entry, now)) yield tripletEntry(key, entry, note)
      }
    }
    for (const [key, { record, shown }] of this.#clients) {
      if (wanted(key) && !isAbsent(record, now)) yield clientEntry(key, record, shown)
    }
    if (client !== null) return
    for (const [key, free] of this.#rates) {
      if (free > now * 1000) yield { kind: 'rate', id: entryId(key), expires: Math.ceil(free / 1000) }
    }
    for (const [key, expires] of this.#known) if (expires > now) yield { kind: 'known', id: entryId(key), expires }
  }

  async sweep(): Promise<number> {
    this.#now = Math.floor(this.#clock.now())
    return (
      this.#unconfirmed.sweep(row => this.#isOver(row.entry)) +
      this.#passed.sweep(row => this.#isOver(row.entry)) +
      this.#clients.sweep(row => this.#isOver(row.record)) +
      this.#rates.sweep(free => this.#isFree(free)) +
      this.#known.sweep(until => until <= this.#now)
    )
  }

  async stats(): Promise<StoreStats> {
    return {
      unconfirmed: this.#unconfirmed.size,
      passed: this.#passed.size,
      clients: this.#clients.size,
      rates: this.#rates.size,
      known: this.#known.size,
      octets: null,
    }
  }

  async close(): Promise<void> {
    for (const map of [this.#unconfirmed, this.#passed, this.#clients, this.#rates, this.#known]) map.clear()
  }

  #remove(key: string): void {
    this.#unconfirmed.delete(key)
    this.#passed.delete(key)
  }

  #isOver(entry: { readonly expires: number }): boolean {
    return this.#now > entry.expires
  }

  #isFree(free: number): boolean {
    return free <= this.#now * 1000
  }
}
