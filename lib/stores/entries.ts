// Entries as `scan` gives them.

import type { ClientRecord, Triplet } from './decide.ts'
import { DIGEST_OCTETS } from './keys.ts'
import type { Note } from './operations.ts'
import type { StoreEntry } from './store.ts'

/** The greatest time of a Date, in milliseconds. */
const LATEST = 8.64e15

/** True for a time or a count that a store can have written. Anything may stand in a store that others can write to. */
export function isWritten(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LATEST
}

/** True for a triplet that a store can have written. */
export function isTriplet({ first, last, expires, attempts, waited }: Triplet): boolean {
  return [first, last, expires, attempts, waited ?? 0].every(isWritten)
}

/** True for the record of a client that a store can have written. */
export function isClientRecord({ passes, counted, last, expires }: ClientRecord): boolean {
  return [passes, counted, last, expires].every(isWritten)
}

/** The id of a key, in hexadecimal. */
export function entryId(key: string): string {
  return Buffer.from(key, 'latin1').toString('hex')
}

/** The client's digest, with which the key of a triplet begins. */
export function clientOf(key: string): string {
  return key.slice(0, DIGEST_OCTETS)
}

/** A triplet as `scan` gives it. */
export function tripletEntry(key: string, entry: Triplet, note: Note): StoreEntry {
  const { first, last, expires, attempts, waited } = entry
  const secret = note.client === ''
  return {
    kind: 'triplet',
    id: entryId(key),
    client: secret ? null : note.client,
    senderDomain: secret ? null : note.senderDomain,
    reason: secret ? null : note.reason,
    first,
    last,
    expires,
    attempts,
    waited,
  }
}

/** A client as `scan` gives it. */
export function clientEntry(key: string, { passes, last, expires }: ClientRecord, shown: string): StoreEntry {
  return { kind: 'client', id: entryId(key), client: shown === '' ? null : shown, passes, last, expires }
}
