// What `mailhandler greylist` does with the store of a configuration.

import { isIP } from 'node:net'
import { addressKeys, type AllowBy } from '../policies/greylist/allow-by.ts'
import { organisationalDomain } from '../policies/greylist/client-keys.ts'
import { PRESETS } from '../policies/greylist/presets.ts'
import { isDomain } from '../protocol/addresses/domain.ts'
import { greylistRules, type GreylistRules } from '../stores/rules.ts'
import type { ClientEntry, Store, StoreEntry, TripletEntry } from '../stores/store.ts'
import { printable } from '../words/printable.ts'
import { quote, UsageError } from './command-line.ts'
import { given } from './config/given.ts'
import type { GreylistConfig } from './config/greylisting.ts'
import { duration } from './duration.ts'
import { exportEntries, importEntries } from './greylist-transfer.ts'
import { report } from './report/report.ts'

/** The first operand of the command. */
export type Action = 'stats' | 'list' | 'show' | 'allow' | 'forget' | 'export' | 'import' | 'report'

/** Writes a piece of the answer. */
export type Write = (text: string) => Promise<unknown>

/** What an action works with. */
export interface Context {
  readonly store: Store
  readonly config: GreylistConfig
  readonly write: Write
  /** Logs to read for a report. */
  readonly logs: readonly string[]
  /** Whether a report is JSON. */
  readonly json: boolean
}

/** Does one action, and writes its answer. */
export async function act(action: Action, operand: string, context: Context): Promise<void> {
  const { store, config, write, logs, json } = context
  const { allowBy } = PRESETS[config.preset]
  const keys = operand === '' || action === 'import' ? [] : keysOf(operand, allowBy)
  switch (action) {
    case 'stats':
      await write(await statistics(store))
      return
    case 'list':
      return list(store, keys.length === 0 ? [undefined] : keys, write)
    case 'show':
      for (const key of keys) await write(await show(store, key, rulesOf(config)))
      return
    case 'allow':
      await write(await allow(store, checkAllowed(keys.at(-1)!, allowBy), rulesOf(config)))
      return
    case 'forget':
      return forget(store, keys, write)
    case 'export':
      return exportEntries(store, write)
    case 'import':
      await write(await importEntries(store, operand, { rules: rulesOf(config), allowBy }))
      return
    case 'report': {
      const { window } = rulesOf(config)
      await write(await report(store, { observes: config.mode === 'observe', window, logs, json }))
    }
  }
}

function rulesOf({ preset, delay, window, life }: GreylistConfig): GreylistRules {
  return greylistRules({ ...PRESETS[preset].rules, ...given({ delay, window, life }) })
}

/** What the store knows of a client, in words. */
async function show(store: Store, key: string, { autoAllow }: GreylistRules): Promise<string> {
  const lines: string[] = []
  let allowed: ClientEntry | null = null
  for await (const entry of store.scan({ client: key })) {
    if (entry.kind === 'client') allowed = entry
    if (entry.kind !== 'triplet') continue
    const state = entry.waited === null ? 'waits' : `passed after ${duration(entry.waited)}`
    const sender = entry.senderDomain === '' ? '<>' : (entry.senderDomain ?? 'a sender')
    const why = entry.reason === null || entry.reason === '' ? '' : `, held for ${entry.reason}`
    lines.push(`${sender}: ${state}, ${entry.attempts} attempts, ${date(entry.first)} to ${date(entry.last)}${why}`)
  }
  const passes = allowed?.passes ?? 0
  const isPast = autoAllow !== null && passes >= autoAllow.passes
  const until = allowed === null ? '' : `, known until ${date(allowed.expires)}`
  const needed = autoAllow === null ? 'the preset allows no client' : `it takes ${autoAllow.passes}`
  const state = isPast ? 'past greylisting' : 'not past greylisting'
  const head = `${key}: ${state}, ${passes} accepted messages that count (${needed})${until}`
  return `${[head, ...lines.toSorted()].map(line => printable(line, 500)).join('\n')}\n`
}

/** Has the store count enough messages for a client to be past greylisting, for as long as its use renews that. */
async function allow(store: Store, key: string, { autoAllow, life }: GreylistRules): Promise<string> {
  if (autoAllow === null) throw new UsageError('the preset lets no client past greylisting: use lists.allow_clients')
  const last = Date.now()
  const entry = { kind: 'client', client: key, passes: autoAllow.passes, last, expires: last + life } as const
  const done = await store.put(entry, { timeout: 5000 })
  return `${printable(key, 300)}: ${done ? 'past greylisting' : 'left as it is, the store has a newer entry'}\n`
}

/**
 * The keys of a client: those of its address for an address, that of a name for a name; a key is itself. The last one may get
 * past greylisting. Throws a UsageError for what no client is known under.
 */
export function keysOf(client: string, allowBy: AllowBy): readonly string[] {
  if (/^(?:net|name|spf):/.test(client)) return [client]
  if (isIP(client) !== 0) return addressKeys(client, allowBy)
  const name = nameKey(client)
  if (name !== null) return [name]
  throw new UsageError(`${quote(client)} is no client: an address, the name of a host, or a key as net:192.0.2.0/24`)
}

/** Returns the key; throws a UsageError if no client gets past greylisting by it, and the entry would do nothing. */
export function checkAllowed(key: string, allowBy: AllowBy): string {
  const [of] = key.slice(key.indexOf(':') + 1).split('/') as [string]
  const used = key.startsWith('net:') ? networkKey(of, allowBy) : key.startsWith('name:') ? nameKey(of) : null
  if (used === key) return key
  const advice = used === null ? '' : `; did you mean ${used}?`
  throw new UsageError(`no client gets past greylisting by ${quote(key)}${advice}`)
}

/** Returns the key by which an address may get past greylisting; null if the text is not an address. */
function networkKey(address: string, allowBy: AllowBy): string | null {
  return isIP(address) === 0 ? null : addressKeys(address, allowBy).at(-1)!
}

function nameKey(name: string): string | null {
  const domain = isDomain(name, { utf8: false, strictness: 'strict' }) ? organisationalDomain(name) : null
  return domain === null ? null : `name:${domain}`
}

async function forget(store: Store, keys: readonly string[], write: Write): Promise<void> {
  let forgotten = 0
  for (const key of keys) forgotten += await store.forget(key)
  await write(`${forgotten} entries forgotten\n`)
}

async function statistics(store: Store): Promise<string> {
  const { unconfirmed, passed, clients, rates, known, octets } = await store.stats()
  const waited: number[] = []
  for await (const entry of store.scan()) {
    if (entry.kind === 'triplet' && entry.waited !== null) waited.push(entry.waited)
  }
  waited.sort((a, b) => a - b)
  const at = (part: number): string => duration(waited[Math.floor((waited.length - 1) * part)] ?? 0)
  const rows = [
    ['triplets that wait, or never came again', unconfirmed],
    ['triplets that have passed', passed],
    ...(waited.length === 0 ? [] : [['  the time they waited: least, median, most', `${at(0)}, ${at(0.5)}, ${at(1)}`]]),
    ['clients with accepted messages', clients],
    ['rates', rates],
    ['known keys', known],
    ...(octets === null ? [] : [['octets', octets]]),
  ]
  return `${rows.map(([name, value]) => `${String(name).padEnd(46)} ${value}`).join('\n')}\n`
}

async function list(store: Store, clients: readonly (string | undefined)[], write: Write): Promise<void> {
  await write('state\tclient\tsender\tfirst\tlast\tattempts\twaited\treason\n')
  for (const client of clients) {
    for await (const entry of store.scan(client === undefined ? {} : { client })) {
      const row = rowOf(entry)
      if (row !== null) await write(`${row.map(field => printable(field, 200).replaceAll('\t', ' ')).join('\t')}\n`)
    }
  }
}

function rowOf(entry: StoreEntry): readonly string[] | null {
  if (entry.kind === 'triplet') return tripletRow(entry)
  return entry.kind === 'client' ? clientRow(entry) : null
}

function tripletRow({ client, senderDomain, first, last, attempts, waited, reason }: TripletEntry): readonly string[] {
  const state = waited === null ? 'waits' : 'passed'
  const since = waited === null ? '-' : duration(waited)
  const sender = senderDomain === '' ? '<>' : (senderDomain ?? '-')
  return [state, client ?? '-', sender, date(first), date(last), String(attempts), since, reason ?? '-']
}

function clientRow({ client, last, passes }: ClientEntry): readonly string[] {
  return ['client', client ?? '-', '-', '-', date(last), '-', '-', `${passes} messages accepted`]
}

function date(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 19)
}
