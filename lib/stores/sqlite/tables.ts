// The tables of SQLite, for the operations: one select and one write for each entry, in the transaction of a batch.

import type { ClientRecord, Triplet } from '../decide.ts'
import { isClientRecord, isTriplet, isWritten } from '../entries.ts'
import type { Limits } from '../limits.ts'
import type { Note, Tables } from '../operations.ts'
import type { StoreStats } from '../store.ts'
import type { Database, SqlValue, Statement } from './driver.ts'
import { blob, endOfClient, ROW_VERSION } from './schema.ts'

/** How many rows each table has; triplets by whether they have passed. */
export type Counts = Omit<StoreStats, 'octets'>

const NO_CHANGES: Counts = { unconfirmed: 0, passed: 0, clients: 0, rates: 0, known: 0 }

interface Versioned {
  readonly version: number
}

/** The tables of one open database. */
export class SqliteTables implements Tables {
  readonly #database: Database
  readonly #limits: Limits
  readonly #statements = new Map<string, Statement>()
  #counts: Counts
  #changes: { -readonly [Name in keyof Counts]: number } = { ...NO_CHANGES }

  constructor(database: Database, limits: Limits) {
    this.#database = database
    this.#limits = limits
    this.#counts = this.readCounts()
  }

  /** A statement, prepared once. */
  sql(text: string): Statement {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#database.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  triplet(key: string): Triplet | null {
    const row = this.sql(
      'select version, first, last, expires, waited, attempts, counted from triplets_1 where key = ?',
    ).get(blob(key)) as (Omit<Triplet, 'counted'> & { counted: 0 | 1 } & Versioned) | undefined
    if (row === undefined || row.version !== ROW_VERSION || !isTriplet(row as unknown as Triplet)) return null
    const { first, last, expires, waited, attempts, counted } = row
    return { first, last, expires, waited, attempts, counted: counted === 1 }
  }

  putTriplet(key: string, entry: Triplet, before: Triplet | null, note: Note): void {
    const { first, last, expires, waited, attempts, counted } = entry
    const values = [first, last, expires, waited, attempts, counted ? 1 : 0]
    this.sql('insert or replace into triplets_1 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      blob(key),
      ROW_VERSION,
      ...values,
      note.client,
      note.senderDomain,
      note.reason,
    )
    if (before !== null) this.#changes[before.waited === null ? 'unconfirmed' : 'passed']--
    this.#changes[waited === null ? 'unconfirmed' : 'passed']++
  }

  markCounted(key: string): void {
    this.sql('update triplets_1 set counted = 1 where key = ?').run(blob(key))
  }

  client(key: string): ClientRecord | null {
    const row = this.sql('select version, passes, counted, last, expires from clients_1 where key = ?').get(
      blob(key),
    ) as (ClientRecord & Versioned) | undefined
    if (row === undefined || row.version !== ROW_VERSION || !isClientRecord(row)) return null
    const { passes, counted, last, expires } = row
    return { passes, counted, last, expires }
  }

  putClient(key: string, record: ClientRecord, before: ClientRecord | null, shown: string): void {
    const { passes, counted, last, expires } = record
    const values = [blob(key), ROW_VERSION, passes, counted, last, expires, shown]
    this.sql('insert or replace into clients_1 values (?, ?, ?, ?, ?, ?, ?)').run(...values)
    if (before === null) this.#changes.clients++
  }

  hasRoom(): boolean {
    return this.#count('passed') + this.#count('clients') < this.#limits.passed
  }

  rate(key: string): number {
    const row = this.sql('select free from rates_1 where key = ?').get(blob(key)) as { free: number } | undefined
    return isWritten(row?.free) ? row.free : 0
  }

  putRate(key: string, free: number, before: number): void {
    this.sql('insert or replace into rates_1 values (?, ?)').run(blob(key), free)
    if (before === 0) this.#changes.rates++
  }

  known(key: string): number {
    const row = this.sql('select until from known_1 where key = ?').get(blob(key)) as { until: number } | undefined
    return isWritten(row?.until) ? row.until : 0
  }

  putKnown(key: string, until: number, before: number): void {
    this.sql('insert or replace into known_1 values (?, ?)').run(blob(key), until)
    if (before === 0) this.#changes.known++
  }

  forget(key: string): number {
    const own = [blob(key)]
    const range = [blob(key), blob(endOfClient(key))]
    return (
      this.remove('unconfirmed', 'triplets_1 where key > ? and key < ? and waited is null', range) +
      this.remove('passed', 'triplets_1 where key > ? and key < ?', range) +
      this.remove('clients', 'clients_1 where key = ?', own) +
      this.remove('rates', 'rates_1 where key = ?', own) +
      this.remove('known', 'known_1 where key = ?', own)
    )
  }

  /** Deletes rows that are counted under `count`; answers with their number. */
  remove(count: keyof Counts, from: string, values: readonly SqlValue[]): number {
    const removed = Number(this.sql(`delete from ${from}`).run(...values).changes)
    this.#changes[count] -= removed
    return removed
  }

  /** How many entries there are past a limit. */
  excess(count: keyof Limits): number {
    return this.#count(count) - this.#limits[count]
  }

  /** Writes what has changed of the counts, as the last step of a transaction. */
  writeCounts(): void {
    const { unconfirmed, passed, clients, rates, known } = this.#changes
    const values = [unconfirmed, passed, clients, rates, known]
    if (values.every(value => value === 0)) return
    this.sql(
      `update counts_1 set unconfirmed = unconfirmed + ?, passed = passed + ?, clients = clients + ?,
       rates = rates + ?, known = known + ?`,
    ).run(...values)
    this.#counts = this.readCounts()
    this.dropChanges()
  }

  /** Forgets the changes of a transaction that was rolled back. */
  dropChanges(): void {
    this.#changes = { ...NO_CHANGES }
  }

  /** The counts, with the changes of all processes. */
  readCounts(): Counts {
    return this.sql('select unconfirmed, passed, clients, rates, known from counts_1').get() as Counts
  }

  #count(name: keyof Counts): number {
    return this.#counts[name] + this.#changes[name]
  }
}
