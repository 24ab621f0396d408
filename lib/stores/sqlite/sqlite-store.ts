// A store in a file: embedded, shared by the processes of one machine.

import { resolve } from 'node:path'
import { checkKeys, wrong } from '../../words/option-checks.ts'
import { emitStoreWarning, safeListener } from '../listener.ts'
import { ADMIN_TIMEOUT, bounded, callClock } from '../call-deadline.ts'
import { KeyedStore, STORE_OPTIONS, type StoreDriver, type StoreOptions } from '../keyed-store.ts'
import { saltFile } from '../keys.ts'
import { limitsOf, type StoreLimits } from '../limits.ts'
import type { Operation, Results } from '../operations.ts'
import type { Store, StoreEntry, StoreStats, WallClock } from '../store.ts'
import { Batcher } from './batcher.ts'
import type { Jobs, ScanPosition } from './messages.ts'
import { scanStart } from './scan.ts'
import { WorkerLink } from './worker-link.ts'

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions extends StoreOptions {
  /** The database; created if it is missing, in a folder that exists and is on a local disk. */
  readonly file: string
  /** How many entries of each kind are kept. @defaultValue 1,000,000 each */
  readonly limits?: StoreLimits | undefined
  /** Milliseconds, 0 to 10, that a call waits for others to share its transaction. @defaultValue 5 */
  readonly window?: number | undefined
  /** Calls that may wait; one more rejects with `busy`. @defaultValue 10,000 */
  readonly maxWaiting?: number | undefined
  /** Milliseconds between two steps of sweeping, each over 1,000 entries at most; 0: only `sweep()`. @defaultValue 1,000 */
  readonly sweepInterval?: number | undefined
  /** Called when a damaged file was moved aside, or the file was replaced. @defaultValue `process.emitWarning` */
  readonly onWarning?: ((message: string) => void) | undefined
  /** For tests: the time, in the place of the system's. */
  readonly clock?: WallClock | undefined
}

const OPTIONS = [...STORE_OPTIONS, 'file', 'limits', 'window', 'maxWaiting', 'sweepInterval', 'onWarning', 'clock']

/**
 * A store in an SQLite file, in a worker thread of its own. What was acknowledged survives the death of this and any other
 * process; a crash of the machine may lose the last seconds. Without `salt`, the salt is in `<file>.salt`.
 *
 * Needs Node 22.13 or later, or on Node 20 the package `@photostructure/sqlite@1.2.1`; neither is loaded before the first
 * call.
 */
export function sqliteStore(options: SqliteStoreOptions): Store {
  checkKeys('', options, OPTIONS)
  if (typeof options.file !== 'string' || options.file === '') throw wrong('sqliteStore: file is a path')
  const file = resolve(options.file)
  return new KeyedStore('sqlite', new SqliteDriver(file, options), options, () => saltFile(`${file}.salt`))
}

class SqliteDriver implements StoreDriver {
  readonly #link: WorkerLink
  readonly #batcher: Batcher
  readonly #clock: WallClock | null

  constructor(file: string, options: SqliteStoreOptions) {
    const { limits = {}, window = 5, maxWaiting = 10_000, sweepInterval = 1000, timeout = 300, clock = null } = options
    if (!(window >= 0 && window <= 10)) throw wrong('window is 0 to 10 milliseconds')
    if (!(maxWaiting > 0)) throw wrong('maxWaiting is a number above 0')
    const settings = {
      file,
      busyTimeout: Math.max(1, Math.floor(timeout - 50)),
      limits: limitsOf(limits, 1_000_000),
      sweepInterval: clock === null ? sweepInterval : 0,
    }
    this.#clock = clock
    this.#link = new WorkerLink(settings, safeListener(options.onWarning ?? emitStoreWarning))
    this.#batcher = new Batcher(operations => this.#link.ask('batch', { operations }, this.#now()), {
      window,
      limit: maxWaiting,
      size: 1000,
    })
  }

  run(operation: Operation, late: () => boolean): Promise<Results[Operation['type']]> {
    return this.#batcher.add(operation, late)
  }

  async *scan(client: string | null): AsyncGenerator<StoreEntry, void, undefined> {
    let position: ScanPosition | null = scanStart(client)
    while (position !== null) {
      const page: { entries: readonly StoreEntry[]; next: ScanPosition | null } = await this.#step('scan', position)
      yield* page.entries
      position = page.next
    }
  }

  async sweep(): Promise<number> {
    let removed = 0
    for (let restart = true; ; restart = false) {
      const step = await this.#step('sweep', { restart })
      removed += step.removed
      if (step.done) return removed
    }
  }

  stats(): Promise<StoreStats> {
    return this.#step('stats', {})
  }

  async close(): Promise<void> {
    await this.#batcher.drain()
    await this.#link.close()
  }

  #step<Type extends 'scan' | 'sweep' | 'stats'>(type: Type, job: Jobs[Type]['job']): Promise<Jobs[Type]['answer']> {
    return bounded(callClock, { timeout: ADMIN_TIMEOUT }, () => this.#link.ask(type, job, this.#now()))
  }

  #now(): number | null {
    return this.#clock === null ? null : Math.floor(this.#clock.now())
  }
}
