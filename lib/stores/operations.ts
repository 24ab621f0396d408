// request ─→ KeyedStore: digests, deadline ─→ Operation ─→ a driver: memory, the worker of SQLite, Redis
//
// An operation is plain data, so that it can be sent to a worker, and holds digests only. What memory and SQLite do for
// it is written once, over the few reads and writes that tables give.

import {
  countHit,
  countPass,
  decide,
  isAbsent,
  isAllowed,
  merge,
  replacesClient,
  replacesTriplet,
  type ClientRecord,
  type Triplet,
} from './decide.ts'
import type { GreylistRules } from './rules.ts'
import type { GreylistDecision, Rate, RateResult } from './store.ts'

/** A client key as stores keep it. */
export interface KeyedClient {
  /** Its digest, one octet a character. */
  readonly key: string
  /** What an administrator reads; empty with `privacy`. */
  readonly shown: string
  readonly autoAllow: boolean
}

/** An attempt, or an accepted message. */
export interface AttemptOperation {
  readonly type: 'greylist' | 'accept'
  readonly clients: readonly KeyedClient[]
  /** A digest for each recipient. */
  readonly pairs: readonly string[]
  readonly rules: GreylistRules
  readonly senderDomain: string
  readonly reason: string
}

export type Operation =
  | AttemptOperation
  | { readonly type: 'hit'; readonly key: string; readonly rate: Rate }
  | { readonly type: 'know'; readonly key: string; readonly life: number }
  | { readonly type: 'known'; readonly keys: readonly string[] }
  | { readonly type: 'forget'; readonly key: string }
  | PutOperation

/** An entry to put; `key` is that of the tables. */
export type PutOperation = { readonly type: 'put'; readonly key: string } & (
  | { readonly kind: 'triplet'; readonly entry: Triplet; readonly note: Note }
  | { readonly kind: 'client'; readonly record: ClientRecord; readonly shown: string }
  | { readonly kind: 'known'; readonly until: number }
)

/** What the operations resolve with. */
export interface Results {
  greylist: AttemptResult
  accept: boolean
  hit: RateResult
  know: null
  known: boolean[]
  forget: number
  put: boolean
}

/** Of `greylist`: `allowedBy` is an index into the clients. */
export interface AttemptResult {
  readonly decisions: readonly GreylistDecision[]
  readonly allowedBy: number | null
}

/** The words that go with a triplet, in clear. */
export interface Note {
  readonly client: string
  readonly senderDomain: string
  readonly reason: string
}

/** What a store has to read and write; all within one transaction. */
export interface Tables {
  /** The entry as it is kept, expired or not; null also for one of another version. */
  triplet(key: string): Triplet | null
  /** `before` is what {@link triplet} gave. */
  putTriplet(key: string, entry: Triplet, before: Triplet | null, note: Note): void
  /** Marks a triplet that exists as one that has counted towards auto-allow. */
  markCounted(key: string): void
  client(key: string): ClientRecord | null
  putClient(key: string, record: ClientRecord, before: ClientRecord | null, shown: string): void
  /** False at the cap of what has passed. */
  hasRoom(): boolean
  /** The time that `countHit` gave, or 0. */
  rate(key: string): number
  putRate(key: string, free: number, before: number): void
  /** Until when the key is known, in milliseconds since 1970, or 0. */
  known(key: string): number
  putKnown(key: string, until: number, before: number): void
  /** Removes all that is under the key; answers with the number of entries. */
  forget(key: string): number
}

/** Carries out one operation. */
export function perform(operation: Operation, tables: Tables, now: number): Results[Operation['type']] {
  switch (operation.type) {
    case 'greylist':
      return greylist(operation, tables, now)
    case 'accept':
      return accept(operation, tables, now)
    case 'hit': {
      const before = tables.rate(operation.key)
      const { result, free } = countHit(before, now, operation.rate)
      if (result.allowed && operation.rate.cost !== 0) tables.putRate(operation.key, free, before)
      return result
    }
    case 'know': {
      const until = now + operation.life
      const before = tables.known(operation.key)
      if (until > before) tables.putKnown(operation.key, until, before)
      return null
    }
    case 'known':
      return operation.keys.map(key => tables.known(key) > now)
    case 'forget':
      return tables.forget(operation.key)
    case 'put':
      return put(operation, tables, now)
  }
}

function greylist(operation: AttemptOperation, tables: Tables, now: number): AttemptResult {
  const { clients, pairs, rules } = operation
  const allowedBy = renewAllowed(operation, tables, now)
  if (allowedBy !== null) {
    const allowed: GreylistDecision = { verdict: 'allowed', wait: 0, first: now, attempts: 1 }
    return { decisions: pairs.map(() => allowed), allowedBy }
  }
  const decisions = pairs.map(pair => {
    const own = clients.map(client => tables.triplet(client.key + pair))
    const { decision, entry } = decide(merge(own, now), now, rules)
    clients.forEach((client, i) => {
      const before = own[i] ?? null
      const counted = before !== null && before.counted && !isAbsent(before, now)
      const kept = withinCap({ ...entry, counted }, before, tables, rules)
      if (kept === null) return
      const { senderDomain, reason } = operation
      tables.putTriplet(client.key + pair, kept, before, { client: client.shown, senderDomain, reason })
    })
    return decision
  })
  return { decisions, allowedBy: null }
}

function put(operation: PutOperation, tables: Tables, now: number): boolean {
  const { key } = operation
  if (operation.kind === 'triplet') {
    const { entry, note } = operation
    const before = tables.triplet(key)
    const takesRoom = entry.waited !== null && (before === null || before.waited === null)
    if (!replacesTriplet(entry, before, now) || (takesRoom && !tables.hasRoom())) return false
    tables.putTriplet(key, entry, before, note)
    return true
  }
  if (operation.kind === 'client') {
    const before = tables.client(key)
    if (!replacesClient(operation.record, before, now) || (before === null && !tables.hasRoom())) return false
    tables.putClient(key, operation.record, before, operation.shown)
    return true
  }
  const before = tables.known(key)
  if (operation.until <= Math.max(before, now)) return false
  tables.putKnown(key, operation.until, before)
  return true
}

/** The first client that is past greylisting, its record renewed. */
function renewAllowed({ clients, rules }: AttemptOperation, tables: Tables, now: number): number | null {
  if (rules.autoAllow === null) return null
  for (const [i, client] of clients.entries()) {
    if (!client.autoAllow) continue
    const record = tables.client(client.key)
    if (record === null || !isAllowed(record, now, rules)) continue
    const last = Math.max(record.last, now)
    tables.putClient(client.key, { ...record, last, expires: last + rules.life }, record, client.shown)
    return i
  }
  return null
}

/** At the cap of what has passed, no triplet more is kept as passed: it goes on as one that waits. */
function withinCap(entry: Triplet, before: Triplet | null, tables: Tables, rules: GreylistRules): Triplet | null {
  if (entry.waited === null || (before !== null && before.waited !== null) || tables.hasRoom()) return entry
  return before === null ? null : { ...entry, waited: null, expires: entry.first + rules.window }
}

function accept({ clients, pairs, rules }: AttemptOperation, tables: Tables, now: number): boolean {
  let counts = false
  for (const client of clients) {
    if (!client.autoAllow) continue
    const before = tables.client(client.key)
    const record = countPass(before, now, rules)
    if (record === null || (before === null && !tables.hasRoom())) continue
    for (const pair of pairs) {
      const key = client.key + pair
      const triplet = tables.triplet(key)
      if (triplet === null || triplet.waited === null || triplet.counted || isAbsent(triplet, now)) continue
      tables.markCounted(key)
      tables.putClient(client.key, record, before, client.shown)
      counts = true
      break
    }
  }
  return counts
}
