// Reading the tables, a page at a time.

import { isAbsent, type ClientRecord, type Triplet } from '../decide.ts'
import { clientEntry, entryId, isClientRecord, isTriplet, isWritten, tripletEntry } from '../entries.ts'
import type { StoreEntry } from '../store.ts'
import type { Jobs, ScanPosition } from './messages.ts'
import { blob, endOfClient, keyText, LAST_KEY, ROW_VERSION, type TableName } from './schema.ts'
import type { SqliteTables } from './tables.ts'

const PAGE = 500
const ALL_TABLES: readonly TableName[] = ['triplets_1', 'clients_1', 'rates_1', 'known_1']
const CLIENT_TABLES: readonly TableName[] = ['triplets_1', 'clients_1']

interface Row {
  readonly key: Uint8Array
}

type Reader = (key: string, row: Row, now: number) => StoreEntry | null

const READERS: Readonly<Record<TableName, Reader>> = {
  triplets_1: (key, row, now) => {
    const entry = row as Row & Triplet & { version: number; client: string; domain: string; reason: string }
    if (entry.version !== ROW_VERSION || !isTriplet(entry) || isAbsent(entry, now)) return null
    return tripletEntry(key, entry, { client: entry.client, senderDomain: entry.domain, reason: entry.reason })
  },
  clients_1: (key, row, now) => {
    const record = row as Row & ClientRecord & { version: number; client: string }
    if (record.version !== ROW_VERSION || !isClientRecord(record) || isAbsent(record, now)) return null
    return clientEntry(key, record, record.client)
  },
  rates_1: (key, row, now) => {
    const { free } = row as Row & { free: number }
    return !isWritten(free) || free <= now * 1000
      ? null
      : { kind: 'rate', id: entryId(key), expires: Math.ceil(free / 1000) }
  },
  known_1: (key, row, now) => {
    const { until } = row as Row & { until: number }
    return !isWritten(until) || until <= now ? null : { kind: 'known', id: entryId(key), expires: until }
  },
}

/** Where a scan begins, of all entries or of one client's. */
export function scanStart(client: string | null): ScanPosition {
  return { table: 'triplets_1', from: client ?? '', client: client ?? '' }
}

/** The entries of a page that have not expired, and where the next page begins. */
export function scanPage(tables: SqliteTables, position: ScanPosition, now: number): Jobs['scan']['answer'] {
  const { table, from, client } = position
  const rows = tables
    .sql(`select * from ${table} where key >= ? and key < ? order by key limit ${PAGE}`)
    .all(blob(from), blob(client === '' ? LAST_KEY : endOfClient(client))) as Row[]
  const entries = rows.map(row => READERS[table](keyText(row.key), row, now)).filter(entry => entry !== null)
  if (rows.length === PAGE) return { entries, next: { table, from: `${keyText(rows.at(-1)!.key)}\0`, client } }
  const order = client === '' ? ALL_TABLES : CLIENT_TABLES
  const next = order[order.indexOf(table) + 1]
  return { entries, next: next === undefined ? null : { table: next, from: client, client } }
}
