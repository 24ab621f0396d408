// What happened since the last batch, within bounds: of what is too much, the newest is kept.

import type { StoreStats } from '../../stores/store.ts'
import type { CountName, ShownDecision, ShownPass, ShownWait, StatusBatch } from './facts.ts'

/** Decisions and passes of a batch, and on the page. */
export const MOST_SHOWN = 50
/** Clients of a batch that begin or cease to wait. */
const MOST_WAITS = 200
/** Names of signs and rules: those of the program and its configuration are fewer. */
const MOST_NAMES = 100

/** A batch that is being filled. */
export class Batch {
  answered: number | null = null
  failed: StatusBatch['failed'] = null
  entries: StoreStats | null = null
  readonly #counts: Partial<Record<CountName, number>> = {}
  readonly #signs = new Map<string, number>()
  readonly #rules = new Map<string, number>()
  readonly #decisions: ShownDecision[] = []
  readonly #passes: ShownPass[] = []
  readonly #waits = new Map<string, ShownWait | null>()

  count(name: CountName): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1
  }

  sign(name: string): void {
    addUp(this.#signs, name, 1)
  }

  rule(rule: string, outcome: string): void {
    addUp(this.#rules, `${rule}\n${outcome}`, 1)
  }

  decide(decision: ShownDecision): void {
    pushNewest(this.#decisions, decision)
  }

  pass(pass: ShownPass): void {
    pushNewest(this.#passes, pass)
  }

  wait(wait: ShownWait): void {
    setNewest(this.#waits, wait.id, wait, MOST_WAITS)
  }

  /** The client with this id waits no longer. */
  leave(id: string): void {
    setNewest(this.#waits, id, null, MOST_WAITS)
  }

  end(sessions: number): StatusBatch {
    const waits = [...this.#waits.values()].filter(wait => wait !== null)
    return {
      sessions,
      counts: this.#counts,
      signs: Object.fromEntries(this.#signs),
      rules: Object.fromEntries(this.#rules),
      decisions: this.#decisions,
      passes: this.#passes,
      waits,
      gone: [...this.#waits].filter(([, wait]) => wait === null).map(([id]) => id),
      answered: this.answered,
      failed: this.failed,
      entries: this.entries,
    }
  }
}

/** Adds to the count of a name; a name too many is left out. */
export function addUp(counts: Map<string, number>, name: string, count: number): void {
  const sum = counts.get(name)
  if (sum !== undefined || counts.size < MOST_NAMES) counts.set(name, (sum ?? 0) + count)
}

/** Appends an element; the oldest goes if there are too many. */
export function pushNewest<T>(list: T[], element: T): void {
  list.push(element)
  if (list.length > MOST_SHOWN) list.shift()
}

/** Sets a key as the newest one; the oldest goes if there are too many. */
export function setNewest<K, T>(map: Map<K, T>, key: K, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > most) map.delete(map.keys().next().value!)
}
