// An entry to put → an operation with digests.

import { wrong } from '../words/option-checks.ts'
import type { ClientRecord, Triplet } from './decide.ts'
import { clientOf } from './entries.ts'
import { DIGEST_OCTETS, domainOf, type Digester } from './keys.ts'
import type { PutOperation } from './operations.ts'
import type { NewClient, NewTriplet, PutEntry } from './store.ts'

/** A client key of this length or more may have been shortened where it is shown. */
const LONG = 100

/** The operation; null for a rate, which has no use in another place. `text` gives what is kept in clear. Throws `ERR_OPTION`. */
export function putOperation(entry: PutEntry, keys: Digester, text: (clear: string) => string): PutOperation | null {
  if (!('client' in entry)) {
    const { kind, id, expires } = entry
    checkTimes(expires)
    return kind === 'rate' ? null : { type: 'put', kind, key: readId(id, 1), until: expires }
  }
  const isClear = !('id' in entry)
  const key = isClear ? keyOf(entry, keys) : readId(entry.id, entry.kind === 'triplet' ? 2 : 1)
  checkTimes(entry.expires, entry.last)
  const { client } = entry
  if (!isClear && client !== null && client.length < LONG && keys.key(client) !== clientOf(key)) {
    throw wrong('put: the entry was made with another salt')
  }
  const shown = text(client ?? '')
  if (entry.kind === 'client') return { type: 'put', kind: 'client', key, record: recordOf(entry), shown }
  const senderDomain = text('sender' in entry ? domainOf(entry.sender) : (entry.senderDomain ?? ''))
  const note = { client: shown, senderDomain, reason: text(entry.reason ?? '') }
  return { type: 'put', kind: 'triplet', key, entry: tripletOf(entry), note }
}

function keyOf(entry: NewTriplet | NewClient, keys: Digester): string {
  const client = keys.key(entry.client)
  return entry.kind === 'client' ? client : client + keys.pair(entry.sender, entry.recipient)
}

function readId(id: string, digests: number): string {
  if (!/^(?:[\da-f]{2})+$/.test(id) || id.length !== digests * DIGEST_OCTETS * 2)
    throw wrong('put: the id is not one of scan')
  return Buffer.from(id, 'hex').toString('latin1')
}

/** A triplet that has passed counts as one that has counted towards auto-allow: `scan` does not tell. */
function tripletOf({
  first,
  last,
  expires,
  attempts,
  waited,
}: Omit<NewTriplet, 'client' | 'sender' | 'recipient' | 'reason'>): Triplet {
  const good = isTime(first) && first <= last && isTime(attempts) && (waited === null || isTime(waited))
  if (!good) throw wrong('put: first, attempts and waited are whole numbers, first not after last')
  return { first, last, expires, waited, attempts, counted: waited !== null }
}

function recordOf({ passes, last, expires }: Pick<NewClient, 'passes' | 'last' | 'expires'>): ClientRecord {
  if (!isTime(passes)) throw wrong('put: passes is a whole number')
  return { passes, counted: last, last, expires }
}

function checkTimes(...times: readonly number[]): void {
  if (!times.every(isTime)) throw wrong('put: times are whole numbers of milliseconds since 1970')
}

function isTime(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
