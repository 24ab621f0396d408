// The SQLite that there is: Node's own from 22.13 on, else @photostructure/sqlite, which has the same interface.

import type { StoreErrorKind } from '../store-error.ts'

/** A prepared statement, as far as it is used. `get` is for SELECT alone: with RETURNING it hides errors of COMMIT. */
export interface Statement {
  run(...values: readonly SqlValue[]): { readonly changes: number | bigint }
  get(...values: readonly SqlValue[]): unknown
  all(...values: readonly SqlValue[]): unknown[]
}

/** An open database, as far as it is used. */
export interface Database {
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

export type SqlValue = number | string | Uint8Array | null

/** Opens a file. */
export type OpenDatabase = (file: string) => Database

interface SqliteModule {
  readonly DatabaseSync: new (file: string) => Database
}

/** Loads a driver. Rejects if no driver is installed; the error says what to install. */
export async function loadDriver(): Promise<OpenDatabase> {
  const { DatabaseSync } = (await nodeSqlite()) ?? (await installedSqlite())
  return file => new DatabaseSync(file)
}

async function nodeSqlite(): Promise<SqliteModule | null> {
  const name: string = 'node:sqlite' // A variable, since the types of Node 20 do not know it.
  try {
    return (await import(name)) as SqliteModule
  } catch {
    return null
  }
}

async function installedSqlite(): Promise<SqliteModule> {
  try {
    return (await import('@photostructure/sqlite')) as unknown as SqliteModule
  } catch (error) {
    const message = 'SQLite needs Node 22.13 or later, or on Node 20: npm install @photostructure/sqlite@1.2.1'
    throw new Error(message, { cause: error })
  }
}

/** What SQLite's result code means for a store. [https://sqlite.org/rescode.html] */
export function kindOf(error: unknown): StoreErrorKind {
  const code = (error as { errcode?: number }).errcode ?? 0
  switch (code) {
    case 522: // SQLITE_IOERR_SHORT_READ: the file is shorter than it says.
      return 'corrupt'
    case 4874: // SQLITE_IOERR_SHMSIZE
      return 'full'
  }
  switch (code & 0xff) {
    case 5:
    case 6:
      return 'busy'
    case 8:
      return 'readonly'
    case 11:
    case 26:
      return 'corrupt'
    case 13:
      return 'full'
    default:
      return 'down'
  }
}
