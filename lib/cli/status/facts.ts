// What a process tells the status page: plain values, already masked and escaped, that fit in a message between processes.

import type { StoreStats } from '../../stores/store.ts'

/** What became of a message, a recipient or a client. */
export type Outcome = 'accepted' | 'passes' | 'would wait' | 'waits' | 'deferred' | 'refused' | 'lost'

/** A decision. */
export interface ShownDecision {
  /** Milliseconds since 1970, as all times here. */
  readonly at: number
  /** The address of the client. */
  readonly client: string
  readonly sender: string
  readonly recipient: string
  /** The policy, or `delivery`. */
  readonly rule: string
  readonly outcome: Outcome
  readonly reason: string
}

/** A client that passed greylisting after it had waited. */
export interface ShownPass {
  readonly at: number
  readonly client: string
  readonly sender: string
  readonly recipient: string
  /** Milliseconds since its first attempt. */
  readonly after: number
  readonly attempts: number
}

/** A client that has to wait, or would have to. */
export interface ShownWait {
  /** The same for each attempt; shown to nobody. */
  readonly id: string
  readonly client: string
  readonly sender: string
  readonly recipient: string
  /** The first attempt. */
  readonly since: number
  /** From when on a retry passes. */
  readonly until: number
  readonly attempts: number
  readonly observed: boolean
  readonly reason: string
}

/** What is counted for each minute. */
export const COUNTS = [
  'accepted',
  'deferred',
  'refused',
  'lost',
  'ruleDeferred',
  'ruleRefused',
  'connectionRefused',
  'storeFailed',
] as const

/** The name of a count. */
export type CountName = (typeof COUNTS)[number]

/** What happened in a process since its last batch. */
export interface StatusBatch {
  /** Sessions at the moment. */
  readonly sessions: number
  readonly counts: Partial<Record<CountName, number>>
  /** How many clients had each sign of suspicion. */
  readonly signs: Readonly<Record<string, number>>
  /** How often each rule decided, by rule and outcome. */
  readonly rules: Readonly<Record<string, number>>
  /** The last ones, the newest last. */
  readonly decisions: readonly ShownDecision[]
  readonly passes: readonly ShownPass[]
  readonly waits: readonly ShownWait[]
  /** The ids of those that wait no longer. */
  readonly gone: readonly string[]
  /** When the store last answered, and last failed; null if it did not since the last batch. */
  readonly answered: number | null
  readonly failed: { readonly at: number; readonly error: string } | null
  /** Null if it was not asked. */
  readonly entries: StoreStats | null
}
