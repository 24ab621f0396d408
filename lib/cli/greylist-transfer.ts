// `mailhandler greylist export | import`: entries as lines of JSON, and what postgrey knows.

import type { PutEntry, Store } from '../stores/store.ts'
import { wrong } from '../words/option-checks.ts'
import { isPostgreyDump, readPostgrey, type PostgreyOptions } from './postgrey-dump.ts'
import { readTextFile } from './read-text-file.ts'

/** The first line of an export. */
const HEADER = JSON.stringify({ format: 'mailhandler greylist', version: 1 })
/** Milliseconds for one entry: an administrator can wait. */
const TIMEOUT = 30_000
const KINDS: ReadonlySet<unknown> = new Set(['triplet', 'client', 'known'])

/** Writes every entry that another store with the same salt can take: all but the rates. */
export async function exportEntries(store: Store, write: (text: string) => Promise<unknown>): Promise<void> {
  await write(`${HEADER}\n`)
  for await (const entry of store.scan()) if (entry.kind !== 'rate') await write(`${JSON.stringify(entry)}\n`)
}

/** Puts the entries of a file into the store; resolves with what became of them. Throws for a file of another form. */
export async function importEntries(store: Store, file: string, options: PostgreyOptions): Promise<string> {
  const entries = entriesOf(file, options)
  let [put, left, unread] = [0, 0, 0]
  for (const entry of entries) {
    if (entry === null) unread++
    else if (await store.put(entry, { timeout: TIMEOUT })) put++
    else left++
  }
  const rest = unread === 0 ? '' : `, ${unread} cannot be read`
  return `${put} entries put, ${left} left out (expired, or the store has newer ones)${rest}\n`
}

function entriesOf(file: string, options: PostgreyOptions): Iterable<PutEntry | null> {
  const text = readTextFile(file)
  if (isPostgreyDump(text)) return readPostgrey(text, options)
  const [header, ...lines] = text.split('\n')
  if (header === HEADER) return lines.flatMap((line, i) => (line === '' ? [] : readLine(file, line, i + 2)))
  throw wrong(`${file}: neither an export of mailhandler nor what db5.3_dump -p prints of postgrey.db`)
}

function readLine(file: string, line: string, number: number): PutEntry {
  try {
    const entry = JSON.parse(line) as PutEntry & { readonly id?: unknown }
    if (KINDS.has(entry.kind) && typeof entry.id === 'string') return entry
  } catch {}
  throw wrong(`${file}:${number}: no entry of an export`)
}
