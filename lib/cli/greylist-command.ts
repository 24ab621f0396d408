// `mailhandler greylist stats | list | forget`: what the store of a configuration knows.

import { isIP } from 'node:net'
import { organisationalDomain } from '../policies/greylist/client-keys.ts'
import { networkOf } from '../protocol/networks/network.ts'
import type { ClientEntry, Store, StoreEntry, TripletEntry } from '../stores/store.ts'
import { printable } from '../words/printable.ts'
import { UsageError, type CommandLine } from './command-line.ts'
import { loadConfig, readConfigText } from './config/load.ts'
import { ConfigError } from './config/problems.ts'
import { openStore } from './stores.ts'

/** Writes a piece of the answer. */
export type Write = (text: string) => Promise<unknown>

/** Runs the command. Rejects with what is wrong with the command line, the configuration or the store. */
export async function greylistCommand({ config: file, words }: CommandLine, write: Write): Promise<void> {
  const [action = 'stats', client] = words
  if (!['stats', 'list', 'forget'].includes(action)) {
    throw new UsageError(`greylist takes stats, list or forget, not ${printable(JSON.stringify(action), 100)}`)
  }
  if (action === 'forget' && client === undefined)
    throw new UsageError('greylist forget takes a client: an address or a key')
  if (action === 'stats' && client !== undefined) throw new UsageError('greylist stats takes nothing more')
  const { config } = loadConfig(file, readConfigText(file))
  if (config.greylist === undefined)
    throw new ConfigError([{ key: 'greylist', where: file, what: 'there is no such table in this configuration' }])
  const store = openStore(config.greylist)
  try {
    if (action === 'stats') await write(await statistics(store))
    else if (action === 'list') await list(store, client, write)
    else await write(`${await store.forget(keyOf(client!))} entries forgotten\n`)
  } finally {
    await store.close()
  }
}

/** The key of a client: that of its network for an address, that of a name for a name; a key is itself. */
export function keyOf(client: string): string {
  if (/^(?:net|name|spf):/.test(client)) return client
  if (isIP(client) !== 0) return `net:${networkOf(client, { v4: 24, v6: 64 })}`
  return `name:${organisationalDomain(client) ?? client}`
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

async function list(store: Store, client: string | undefined, write: Write): Promise<void> {
  await write('state\tclient\tsender\tfirst\tlast\tattempts\twaited\treason\n')
  for await (const entry of store.scan(client === undefined ? {} : { client: keyOf(client) })) {
    const row = rowOf(entry)
    if (row !== null) await write(`${row.map(field => printable(field, 200).replaceAll('\t', ' ')).join('\t')}\n`)
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

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 600) return `${seconds}s`
  return seconds < 36_000 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`
}
