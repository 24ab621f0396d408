// Keys and values as they stand in Redis: <prefix>{<client>}:<pair>, or :a, :r, :k for a client, a rate, a known key.

import { isAbsent } from '../decide.ts'
import { clientEntry, clientOf, entryId, isClientRecord, isTriplet, isWritten, tripletEntry } from '../entries.ts'
import { DIGEST_OCTETS } from '../keys.ts'
import type { PutOperation } from '../operations.ts'
import type { StoreEntry } from '../store.ts'

/** What a key holds that is no triplet. */
export type Suffix = 'a' | 'r' | 'k'

/** An entry, and whether it has expired. */
export interface ReadEntry {
  readonly entry: StoreEntry
  readonly isOver: boolean
}

/** A digest as part of a key. */
export function encode(digest: string): string {
  return Buffer.from(digest, 'latin1').toString('base64url')
}

function decode(text: string): string {
  return Buffer.from(text, 'base64url').toString('latin1')
}

/** The key of a client, a rate or a known key. */
export function keyOf(prefix: string, digest: string, suffix: Suffix): string {
  return `${prefix}{${encode(digest)}}:${suffix}`
}

/** What SCAN takes to find the keys of one digest, or all. */
export function pattern(prefix: string, digest: string | null): string {
  const literal = prefix.replaceAll(/[\\[\]*?]/g, String.raw`\$&`)
  return digest === null ? `${literal}{*` : `${literal}{${encode(digest)}}:*`
}

/** A number as it is written; NaN for any other text. */
function number(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : NaN
}

/** Reads a key and its value; null for a value of another version or of nobody's, or a key of something else. */
export function readEntry(key: string, value: string, prefixLength: number, now: number): ReadEntry | null {
  const [, digest = '', rest = ''] = /^\{([\w-]+)\}:([\w-]+)$/.exec(key.slice(prefixLength)) ?? []
  const id = entryId(decode(digest))
  switch (rest) {
    case '':
      return null
    case 'r':
    case 'k':
      return readTime(rest === 'r' ? 'rate' : 'known', id, number(value) / (rest === 'r' ? 1000 : 1), now)
    case 'a':
      return readClient(decode(digest), value, now)
    default:
      return readTriplet(decode(digest) + decode(rest), value, now)
  }
}

/** `until` is in milliseconds. */
function readTime(kind: 'rate' | 'known', id: string, until: number, now: number): ReadEntry | null {
  const expires = Math.ceil(until)
  return isWritten(expires) ? { entry: { kind, id, expires }, isOver: until <= now } : null
}

function readClient(key: string, value: string, now: number): ReadEntry | null {
  const fields = value.split('\t')
  if (fields.length !== 6 || fields[0] !== '1') return null
  const [passes = NaN, counted = NaN, last = NaN, expires = NaN] = fields.slice(1, 5).map(number)
  const record = { passes, counted, last, expires }
  if (!isClientRecord(record)) return null
  return { entry: clientEntry(key, record, fields[5]!), isOver: isAbsent(record, now) }
}

function readTriplet(key: string, value: string, now: number): ReadEntry | null {
  const fields = value.split('\t')
  if (fields.length !== 10 || fields[0] !== '1') return null
  const [first = NaN, last = NaN, expires = NaN, waited = NaN, attempts = NaN] = fields.slice(1, 6).map(number)
  const triplet = {
    first,
    last,
    expires,
    waited: fields[4] === '' ? null : waited,
    attempts,
    counted: fields[6] === '1',
  }
  if (!isTriplet(triplet)) return null
  const [client = '', senderDomain = '', reason = ''] = fields.slice(7)
  return { entry: tripletEntry(key, triplet, { client, senderDomain, reason }), isOver: isAbsent(triplet, now) }
}

/** What the script that puts an entry gets: `weight` is the passes of a client, and 1 for a triplet that has passed. */
interface PutArguments {
  readonly key: string
  readonly kind: 't' | 'a' | 'k'
  readonly last: number
  readonly expires: number
  readonly value: string
  readonly weight: number
}

/** The key and the value of an entry to put. */
export function putArguments(operation: PutOperation, prefix: string): PutArguments {
  const { key } = operation
  if (operation.kind === 'known') {
    const { until } = operation
    return { key: keyOf(prefix, key, 'k'), kind: 'k', last: 0, expires: until, value: String(until), weight: 0 }
  }
  if (operation.kind === 'client') {
    const { passes, counted, last, expires } = operation.record
    const value = ['1', passes, counted, last, expires, operation.shown].join('\t')
    return { key: keyOf(prefix, key, 'a'), kind: 'a', last, expires, value, weight: passes }
  }
  const { first, last, expires, waited, attempts, counted } = operation.entry
  const { client, senderDomain, reason } = operation.note
  const fields = ['1', first, last, expires, waited ?? '', attempts, counted ? 1 : 0, client, senderDomain, reason]
  const name = `${prefix}{${encode(clientOf(key))}}:${encode(key.slice(DIGEST_OCTETS))}`
  return { key: name, kind: 't', last, expires, value: fields.join('\t'), weight: waited === null ? 0 : 1 }
}
