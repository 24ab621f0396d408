// The decisions, as functions of what is stored and the time. Memory and SQLite use them; Redis has them in Lua.

import type { GreylistDecision, Rate, RateResult } from './store.ts'
import type { GreylistRules } from './rules.ts'

/**
 * Milliseconds that a time may be ahead of the clock. Beyond that an entry is from the future: the clock has jumped, or
 * another machine's was wrong; such an entry counts as absent, so that no client waits for ever.
 */
export const CLOCK_TOLERANCE = 10_000

/** What is kept of a triplet; times in milliseconds since 1970. */
export interface Triplet {
  readonly first: number
  readonly last: number
  /** Absent after this. */
  readonly expires: number
  /** Milliseconds from `first` to the attempt that passed; null before that. */
  readonly waited: number | null
  readonly attempts: number
  /** It has counted towards auto-allow. */
  readonly counted: boolean
}

/** What is kept of a client whose messages have counted. */
export interface ClientRecord {
  readonly passes: number
  /** When one counted last. */
  readonly counted: number
  /** The last use. */
  readonly last: number
  readonly expires: number
}

/** True for an entry that is missing, expired or from the future. */
export function isAbsent(entry: { readonly last: number; readonly expires: number } | null, now: number): boolean {
  return entry === null || now > entry.expires || entry.last > now + CLOCK_TOLERANCE
}

/**
 * The entry to decide by, of those that a triplet has under its client keys: one that has passed, the last used of
 * several, else the one that was seen first.
 */
export function merge(entries: readonly (Triplet | null)[], now: number): Triplet | null {
  let best: Triplet | null = null
  for (const entry of entries) {
    if (entry === null || isAbsent(entry, now)) continue
    if (best === null || isBetter(entry, best)) best = entry
  }
  return best
}

function isBetter(entry: Triplet, than: Triplet): boolean {
  if (entry.waited !== null) return than.waited === null || entry.last > than.last
  return than.waited === null && entry.first < than.first
}

/** True if an entry that is put takes the place of what there is. */
export function replacesTriplet(entry: Triplet, before: Triplet | null, now: number): boolean {
  if (isAbsent(entry, now)) return false
  return isAbsent(before, now) || (entry.waited !== null && entry.last > before!.last)
}

/** True if a record that is put takes the place of what there is; a client never has fewer passes after it. */
export function replacesClient(record: ClientRecord, before: ClientRecord | null, now: number): boolean {
  if (isAbsent(record, now)) return false
  if (before === null || isAbsent(before, now)) return true
  if (record.last === before.last) return record.passes > before.passes
  return record.last > before.last && record.passes >= before.passes
}

/** Decides an attempt by the entry of its triplet, and gives the entry to keep. [RFC 6647 §5] */
export function decide(
  entry: Triplet | null,
  now: number,
  rules: GreylistRules,
): { readonly decision: GreylistDecision; readonly entry: Triplet } {
  if (entry === null || isAbsent(entry, now)) return waiting('new', begin(now, 1, rules), now, rules)
  const attempts = entry.attempts + 1
  const last = Math.max(entry.last, now)
  if (entry.waited !== null) {
    const renewed = { ...entry, last, attempts, expires: last + rules.life }
    return { decision: { verdict: 'known', wait: 0, first: entry.first, attempts }, entry: renewed }
  }
  const age = Math.max(0, now - entry.first)
  if (age < rules.restartWithin) return waiting('early', begin(now, attempts, rules), now, rules)
  if (age < rules.delay) return waiting('early', { ...entry, last, attempts }, now, rules)
  return {
    decision: { verdict: 'pass', wait: 0, first: entry.first, attempts },
    entry: { ...entry, last, attempts, waited: age, expires: last + rules.life },
  }
}

function begin(now: number, attempts: number, rules: GreylistRules): Triplet {
  return { first: now, last: now, expires: now + rules.window, waited: null, attempts, counted: false }
}

function waiting(
  verdict: 'new' | 'early',
  entry: Triplet,
  now: number,
  rules: GreylistRules,
): { readonly decision: GreylistDecision; readonly entry: Triplet } {
  const { first, attempts } = entry
  return { decision: { verdict, wait: first + rules.delay - now, first, attempts }, entry }
}

/** True for a client that is past greylisting. */
export function isAllowed(record: ClientRecord | null, now: number, rules: GreylistRules): boolean {
  return rules.autoAllow !== null && !isAbsent(record, now) && record!.passes >= rules.autoAllow.passes
}

/** The record of a client after one more accepted message, or null if the message does not count. */
export function countPass(record: ClientRecord | null, now: number, rules: GreylistRules): ClientRecord | null {
  if (rules.autoAllow === null) return null
  const expires = now + rules.life
  if (record === null || isAbsent(record, now)) return { passes: 1, counted: now, last: now, expires }
  if (record.passes >= rules.autoAllow.passes || now - record.counted < rules.autoAllow.apart) return null
  return { passes: record.passes + 1, counted: now, last: Math.max(record.last, now), expires }
}

/**
 * The generic cell rate algorithm: `free` is the time at which all of the rate is free again, in microseconds, so that
 * every store counts in whole numbers; 0 for a key without one.
 */
export function countHit(
  free: number,
  now: number,
  { limit, per, cost = 1 }: Rate,
): { readonly result: RateResult; readonly free: number } {
  const each = Math.max(1, Math.floor((per * 1000) / limit))
  const burst = each * limit
  const start = now * 1000
  const before = free > start + burst + CLOCK_TOLERANCE * 1000 ? start : Math.max(free, start)
  const over = before + each * Math.max(cost, 1) - start - burst
  const allowed = over <= 0
  const kept = allowed ? before + each * cost : before
  const remaining = Math.max(0, Math.floor((start + burst - kept) / each))
  return { result: { allowed, remaining, wait: allowed ? 0 : Math.ceil(over / 1000) }, free: kept }
}
