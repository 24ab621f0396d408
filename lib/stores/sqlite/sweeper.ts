// Removing entries in short steps, along the keys: what has expired, and past a cap what is unconfirmed.
//
// Keys are digests, so the next keys after any place are a random sample: past a cap, an entry goes with the same
// probability whoever made it, and a flood mostly removes its own entries.

import { performance } from 'node:perf_hooks'
import { blob, keyText, LAST_KEY, type TableName } from './schema.ts'
import type { Counts, SqliteTables } from './tables.ts'

/** Milliseconds that a step should take at most: a decision that comes meanwhile waits for its end. */
const STEP_TIME = 3
const MOST_KEYS = 1000
const LEAST_KEYS = 20

const ORDER: readonly TableName[] = ['triplets_1', 'clients_1', 'rates_1', 'known_1']

/** Under what rows are counted, and which of them have expired at the time `?`. */
const EXPIRED: Readonly<Record<TableName, readonly (readonly [keyof Counts, string])[]>> = {
  triplets_1: [
    ['unconfirmed', 'waited is null and expires < ?'],
    ['passed', 'waited is not null and expires < ?'],
  ],
  clients_1: [['clients', 'expires < ?']],
  rates_1: [['rates', 'free <= ? * 1000']],
  known_1: [['known', 'until <= ?']],
}

const EVICTED = [
  ['unconfirmed', 'triplets_1', 'waited is null'],
  ['rates', 'rates_1', 'true'],
  ['known', 'known_1', 'true'],
] as const

/** Goes round the tables. */
export class Sweeper {
  #table: TableName = 'triplets_1'
  #after = ''
  #keys = MOST_KEYS / 2
  readonly #evictedAfter = new Map<TableName, string>()

  /** Begins again at the first table. */
  restart(): void {
    this.#table = 'triplets_1'
    this.#after = ''
  }

  /** Removes what has expired among the next keys. `done` is true at the end of the last table. */
  step(tables: SqliteTables, now: number): { readonly removed: number; readonly done: boolean } {
    const start = performance.now()
    const last = keyAt(tables, this.#table, this.#after, this.#keys)
    let removed = 0
    for (const [count, expired] of EXPIRED[this.#table]) {
      const range = [blob(this.#after), blob(last ?? LAST_KEY), now]
      removed += tables.remove(count, `${this.#table} where key > ? and key <= ? and ${expired}`, range)
    }
    this.#adapt(performance.now() - start)
    if (last !== null) {
      this.#after = last
      return { removed, done: false }
    }
    const next = ORDER[ORDER.indexOf(this.#table) + 1]
    this.#table = next ?? 'triplets_1'
    this.#after = ''
    return { removed, done: next === undefined }
  }

  /** Past the caps: removes entries among the next keys. */
  evict(tables: SqliteTables): void {
    for (const [count, table, condition] of EVICTED) {
      const excess = tables.excess(count)
      if (excess <= 0) continue
      const after = this.#evictedAfter.get(table) ?? ''
      const last = keyAt(tables, table, after, this.#keys)
      const range = [blob(after), blob(last ?? LAST_KEY), excess]
      const chosen = `select key from ${table} where key > ? and key <= ? and ${condition} limit ?`
      tables.remove(count, `${table} where key in (${chosen})`, range)
      this.#evictedAfter.set(table, last ?? '')
    }
  }

  #adapt(took: number): void {
    const wanted = took > STEP_TIME ? this.#keys / 2 : took < STEP_TIME / 4 ? this.#keys * 2 : this.#keys
    this.#keys = Math.min(MOST_KEYS, Math.max(LEAST_KEYS, Math.round(wanted)))
  }
}

/** The key `keys` places after another, or null past the end. */
function keyAt(tables: SqliteTables, table: TableName, after: string, keys: number): string | null {
  const row = tables
    .sql(`select key from ${table} where key > ? order by key limit 1 offset ?`)
    .get(blob(after), keys - 1) as { readonly key: Uint8Array } | undefined
  return row === undefined ? null : keyText(row.key)
}
