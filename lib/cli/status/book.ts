// What the status page shows: adds up the batches of all processes, for the last hour.

import type { StoreStats } from '../../stores/store.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { addUp, MOST_SHOWN, pushNewest, setNewest } from './batch.ts'
import {
  COUNTS,
  type CountName,
  type ShownDecision,
  type ShownPass,
  type ShownWait,
  type StatusBatch,
} from './facts.ts'

/** The minutes of the plots. */
export const MINUTES = 60
const MINUTE = 60_000
/** Clients that wait: those that have waited longest are left out. */
const MOST_WAITS = 1000

/** What happened in a minute. */
export interface Minute extends Readonly<Record<CountName, number>> {
  /** When it began, in milliseconds since 1970. */
  readonly start: number
}

/** How often something happened in the last hour. */
export interface Counted {
  readonly name: string
  readonly count: number
}

/** How often a rule decided in the last hour. */
export interface CountedRule extends Counted {
  readonly outcome: string
}

/** What is known of the store. */
export interface StoreHealth {
  /** When it last answered, and last failed; null: never. */
  readonly answered: number | null
  readonly failed: { readonly at: number; readonly error: string } | null
  readonly entries: StoreStats | null
}

/** What the page shows. */
export interface StatusState {
  readonly now: number
  readonly sessions: number
  /** The oldest first. */
  readonly minutes: readonly Minute[]
  /** The sums of the minutes. */
  readonly sums: Readonly<Record<CountName, number>>
  readonly signs: readonly Counted[]
  readonly rules: readonly CountedRule[]
  /** The newest first, as passes and waits. */
  readonly decisions: readonly ShownDecision[]
  readonly passes: readonly ShownPass[]
  readonly waits: readonly ShownWait[]
  /** How many wait, of whom `waits` has the newest. */
  readonly waiting: number
  readonly store: StoreHealth
}

interface Bucket {
  readonly counts: Record<CountName, number>
  readonly signs: Map<string, number>
  readonly rules: Map<string, number>
}

/** Options of {@link StatusBook}. */
export interface BookOptions {
  /** Milliseconds after its first attempt, when a client counts as waiting no longer. */
  readonly window: number
  /** @defaultValue the system's */
  readonly clock?: Clock
}

/** Adds up what processes tell. */
export class StatusBook {
  readonly #window: number
  readonly #clock: Clock
  /** By the number of the minute since 1970, the oldest first. */
  readonly #buckets = new Map<number, Bucket>()
  readonly #sessions = new Map<number, number>()
  readonly #decisions: ShownDecision[] = []
  readonly #passes: ShownPass[] = []
  readonly #waits = new Map<string, ShownWait>()
  #store: StoreHealth = { answered: null, failed: null, entries: null }
  /** Called when something has changed. */
  onChange: () => void = () => {}

  constructor({ window, clock = systemClock }: BookOptions) {
    this.#window = window
    this.#clock = clock
  }

  /** Adds what a process has told. */
  add(process: number, batch: StatusBatch): void {
    this.#sessions.set(process, batch.sessions)
    const { counts, signs, rules } = this.#bucket()
    for (const name of COUNTS) counts[name] += batch.counts[name] ?? 0
    for (const [name, count] of Object.entries(batch.signs)) addUp(signs, name, count)
    for (const [name, count] of Object.entries(batch.rules)) addUp(rules, name, count)
    for (const decision of batch.decisions) pushNewest(this.#decisions, decision)
    for (const pass of batch.passes) pushNewest(this.#passes, pass)
    for (const id of batch.gone) this.#waits.delete(id)
    for (const wait of batch.waits) setNewest(this.#waits, wait.id, wait, MOST_WAITS)
    const { answered, failed, entries } = this.#store
    this.#store = {
      answered: batch.answered ?? answered,
      failed: batch.failed ?? failed,
      entries: batch.entries ?? entries,
    }
    this.onChange()
  }

  /** A process has ended: its sessions are gone, what it counted stays. */
  forget(process: number): void {
    if (this.#sessions.delete(process)) this.onChange()
  }

  /** What there is to show now. */
  state(): StatusState {
    const now = this.#clock.wallTime()
    const last = Math.floor(now / MINUTE)
    for (const [id, { since }] of this.#waits) if (since + this.#window < now) this.#waits.delete(id)
    const sums = zero()
    const signs = new Map<string, number>()
    const rules = new Map<string, number>()
    const minutes = Array.from({ length: MINUTES }, (_, i): Minute => {
      const number = last - MINUTES + 1 + i
      const bucket = this.#buckets.get(number)
      for (const name of COUNTS) sums[name] += bucket?.counts[name] ?? 0
      for (const [name, count] of bucket?.signs ?? []) addUp(signs, name, count)
      for (const [name, count] of bucket?.rules ?? []) addUp(rules, name, count)
      return { start: number * MINUTE, ...(bucket?.counts ?? zero()) }
    })
    return {
      now,
      sessions: [...this.#sessions.values()].reduce((sum, count) => sum + count, 0),
      minutes,
      sums,
      signs: counted(signs),
      rules: counted(rules).map(({ name, count }) => {
        const [rule = '', outcome = ''] = name.split('\n')
        return { name: rule, outcome, count }
      }),
      decisions: this.#decisions.toReversed(),
      passes: this.#passes.toReversed(),
      waits: [...this.#waits.values()].slice(-MOST_SHOWN).toReversed(),
      waiting: this.#waits.size,
      store: this.#store,
    }
  }

  #bucket(): Bucket {
    const number = Math.floor(this.#clock.wallTime() / MINUTE)
    let bucket = this.#buckets.get(number)
    if (bucket === undefined) {
      bucket = { counts: zero(), signs: new Map(), rules: new Map() }
      setNewest(this.#buckets, number, bucket, MINUTES)
    }
    return bucket
  }
}

function zero(): Record<CountName, number> {
  return Object.fromEntries(COUNTS.map(name => [name, 0])) as Record<CountName, number>
}

/** The most frequent first, equal ones by name. */
function counted(counts: ReadonlyMap<string, number>): Counted[] {
  const all = [...counts].map(([name, count]) => ({ name, count }))
  return all.toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
}
