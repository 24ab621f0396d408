// Entries as `scan` gives them.

import type { ClientRecord, Triplet } from './decide.ts'
import { DIGEST_OCTETS } from './keys.ts'
import type { Note } from './operations.ts'
import type { StoreEntry } from './store.ts'

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
