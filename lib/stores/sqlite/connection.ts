// The open file: opened when it is needed, again when it was replaced, moved aside when it is damaged.

import { accessSync, constants, readdirSync, renameSync, statSync, unlinkSync, type Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Limits } from '../limits.ts'
import type { StoreErrorKind } from '../store-error.ts'
import { kindOf, type Database, type OpenDatabase } from './driver.ts'
import { HAS_SCHEMA, SCHEMA } from './schema.ts'
import { SqliteTables } from './tables.ts'

/**
 * Octets of a page. A decision changes one page, wherever it is; with SQLite's 4,096 the log is written twice as fast for
 * nothing, and writing it back (after 1,000 pages, within a commit) takes twice as long.
 */
const PAGE_SIZE = 2048

/** Damaged files that are kept; older ones are removed. */
const KEPT_ASIDE = 3
/** The file itself last: while it is there, no process begins a new one. */
const SUFFIXES = ['-shm', '-wal', '']

/** What a connection is made with. */
export interface ConnectionSettings {
  readonly file: string
  readonly busyTimeout: number
  readonly limits: Limits
}

/** One file, through all its troubles. */
export class Connection {
  readonly #settings: ConnectionSettings
  readonly #openDatabase: OpenDatabase
  readonly #warn: (message: string) => void
  #database: Database | null = null
  /** Null while the database is not open, or could not be prepared. */
  #tables: SqliteTables | null = null
  /** Device and inode of the file that was opened last. */
  #identity = ''

  constructor(settings: ConnectionSettings, openDatabase: OpenDatabase, warn: (message: string) => void) {
    this.#settings = settings
    this.#openDatabase = openDatabase
    this.#warn = warn
  }

  /** Runs `work` in one transaction, which is on its way to the disk when this returns. Throws after rolling it back. */
  transaction<T>(work: (tables: SqliteTables) => T): T {
    const tables = this.#ready()
    tables.sql('begin immediate').run()
    try {
      const result = work(tables)
      tables.writeCounts()
      tables.sql('commit').run()
      return result
    } catch (error) {
      tables.dropChanges()
      try {
        tables.sql('rollback').run()
      } catch {} // SQLite has rolled back already.
      throw error
    }
  }

  /** Only reads; sees one state if `work` is one statement. */
  read<T>(work: (tables: SqliteTables) => T): T {
    return work(this.#ready())
  }

  /** Octets of the file and its log. */
  octets(): number {
    const { file } = this.#settings
    return ['', '-wal'].reduce((sum, suffix) => sum + (stat(file + suffix)?.size ?? 0), 0)
  }

  /** What an error of {@link transaction} or {@link read} means. After it the connection works again as soon as it can. */
  failed(error: unknown): StoreErrorKind {
    const kind = this.#kindOf(error)
    if (kind === 'corrupt') this.#moveAside(error)
    else if (this.#tables === null || (kind !== 'busy' && kind !== 'full')) this.close()
    return kind
  }

  close(): void {
    const database = this.#database
    this.#database = null
    this.#tables = null
    try {
      database?.close()
    } catch {} // It is so damaged that it cannot be closed.
  }

  #ready(): SqliteTables {
    const { file } = this.#settings
    if (this.#tables !== null) {
      if (this.#identity === identity(file)) return this.#tables
      this.#warn(`${file} was replaced or removed; opening it again`)
    }
    this.close()
    this.#database = this.#openDatabase(file)
    this.#identity = identity(file)
    this.#tables = this.#prepare(this.#database)
    return this.#tables
  }

  #prepare(database: Database): SqliteTables {
    const { file, busyTimeout, limits } = this.#settings
    database.exec(`pragma busy_timeout = ${busyTimeout}; pragma synchronous = normal; pragma page_size = ${PAGE_SIZE}`)
    const mode = patiently(busyTimeout, () => database.prepare('pragma journal_mode = wal').get())
    if ((mode as { journal_mode: string }).journal_mode !== 'wal') {
      throw new Error(`${file}: processes cannot share memory on this file system (WAL)`)
    }
    if (database.prepare(HAS_SCHEMA).get() === undefined) {
      patiently(busyTimeout, () => database.exec(`begin immediate; ${SCHEMA}; commit`))
    }
    return new SqliteTables(database, limits)
  }

  #kindOf(error: unknown): StoreErrorKind {
    const kind = kindOf(error)
    if (kind !== 'down') return kind
    try {
      accessSync(dirname(this.#settings.file), constants.W_OK)
    } catch (error) {
      if (['EROFS', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return 'readonly'
    }
    return kind
  }

  /** Renames the file and its logs, if they are still the ones that were opened: another process may have been faster. */
  #moveAside(cause: unknown): void {
    const { file, busyTimeout } = this.#settings
    const reason = cause instanceof Error ? cause.message : String(cause)
    try {
      const lock = this.#openDatabase(`${file}-recovery`) // SQLite's lock, since it ends with its process.
      try {
        lock.exec(`pragma busy_timeout = ${busyTimeout}; begin exclusive`)
        if (identity(file) !== this.#identity) return
        const aside = `${file}.corrupt-${new Date().toISOString().replaceAll(/[:.]/g, '')}`
        for (const suffix of SUFFIXES) if (stat(file + suffix)) renameSync(file + suffix, aside + suffix)
        this.#warn(`${file} is damaged (${reason}); it was moved to ${aside}, and a new one begins empty`)
        removeOldest(file)
      } finally {
        lock.close()
      }
    } catch (error) {
      this.#warn(`${file} is damaged (${reason}) and cannot be moved aside: ${(error as Error).message}`)
    } finally {
      this.close()
    }
  }
}

/** Repeats what SQLite does not wait for by itself: the change to WAL while another process does the same. */
function patiently<T>(milliseconds: number, work: () => T): T {
  const end = performance.now() + milliseconds
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (kindOf(error) !== 'busy' || performance.now() > end) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

function stat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

function identity(file: string): string {
  const found = stat(file)
  return found === undefined ? '' : `${found.dev} ${found.ino}`
}

function removeOldest(file: string): void {
  const begin = `${basename(file)}.corrupt-`
  const asides = readdirSync(dirname(file)).filter(name => name.startsWith(begin) && !/-(?:wal|shm)$/.test(name))
  for (const name of asides.toSorted().slice(0, -KEPT_ASIDE)) {
    for (const suffix of SUFFIXES) {
      const path = join(dirname(file), name + suffix)
      if (stat(path)) unlinkSync(path)
    }
  }
}
