// What the main thread and the worker of SQLite tell each other.

import type { StoreErrorKind } from '../store-error.ts'
import type { Operation, Results } from '../operations.ts'
import type { StoreEntry, StoreStats } from '../store.ts'
import type { TableName } from './schema.ts'
import type { Limits } from '../limits.ts'

/** What a worker is started with. */
export interface WorkerSettings {
  readonly file: string
  /** Milliseconds to wait for another process's lock. */
  readonly busyTimeout: number
  readonly limits: Limits
  /** Milliseconds between two steps of sweeping. */
  readonly sweepInterval: number
}

/** What the worker is given: its settings, and the memory of its {@link WorkGate}. */
export interface WorkerData extends WorkerSettings {
  readonly gate: SharedArrayBuffer
}

/** Where a scan goes on: at the first key of a table that is not below `from`. */
export interface ScanPosition {
  readonly table: TableName
  readonly from: string
  /** The digest of the client whose entries alone are wanted, or empty. */
  readonly client: string
}

/** What a job is for, and what it answers with. Times are given where the main thread has a clock of its own. */
export interface Jobs {
  batch: { readonly job: { readonly operations: readonly Operation[] }; readonly answer: Results[Operation['type']][] }
  scan: {
    readonly job: ScanPosition
    readonly answer: { readonly entries: readonly StoreEntry[]; readonly next: ScanPosition | null }
  }
  /** A step over some keys. `done` is true at the end of the last table. */
  sweep: {
    readonly job: { readonly restart: boolean }
    readonly answer: { readonly removed: number; readonly done: boolean }
  }
  stats: { readonly job: object; readonly answer: StoreStats }
  close: { readonly job: object; readonly answer: null }
}

/** A job on its way to the worker. */
export type JobMessage = {
  [Type in keyof Jobs]: { readonly id: number; readonly type: Type; readonly now: number | null } & Jobs[Type]['job']
}[keyof Jobs]

/** What comes back: an answer, a failure, or a warning that belongs to no job. */
export type WorkerMessage =
  | { readonly id: number; readonly answer: Jobs[keyof Jobs]['answer'] }
  | { readonly id: number; readonly failure: { readonly kind: StoreErrorKind; readonly message: string } }
  | { readonly warning: string }
