// `mailhandler import-kamaelia FILE`: the configuration of Kamaelia Grey, greylist.conf, as TOML, with a comment where
// something means another thing now.

import { clientList } from '../policies/lists/client-list.ts'
import { printable } from '../words/printable.ts'

/** A greylist.conf: single values, and lists of entries, each with its fields. */
interface Kamaelia {
  readonly values: ReadonlyMap<string, string>
  readonly lists: ReadonlyMap<string, readonly (readonly string[])[]>
  readonly notes: string[]
}

const VALUES = new Set([
  'port',
  'servername',
  'serverid',
  'smtp_ip',
  'smtp_port',
  'inactivity_timeout',
  'greylist_log',
  'greylist_debuglog',
])
const LISTS = new Set([
  'allowed_senders',
  'allowed_sender_nets',
  'allowed_domains',
  'whitelisted_triples',
  'whitelisted_nonstandard_triples',
])

/** The TOML that a greylist.conf comes to. Every line of the old file is in it, or in a comment that says why it is not. */
export function importKamaelia(text: string): string {
  const old = readKamaelia(text)
  const { values, lists, notes } = old
  const top: string[] = []
  const set = (key: string, toml: string, make: (value: string) => string | number): string[] =>
    values.has(key) ? [`${toml} = ${show(make(values.get(key)!))}`] : []
  const number = (value: string): number => (/^\d+$/.test(value) ? Number(value) : Number.NaN)

  top.push(...set('servername', 'name', value => value))
  if (values.has('serverid'))
    notes.push(`serverid = ${values.get('serverid')}: the greeting tells no version any more; banner = "…" sets a text`)
  const port = number(values.get('port') ?? '25')
  if (Number.isNaN(port)) notes.push(`port = ${values.get('port')}: not a number`)
  const listen = ['[[listen]]', `address = "*:${Number.isNaN(port) ? 25 : port}"`]
  const upstream = `${values.get('smtp_ip') ?? '127.0.0.1'}:${values.get('smtp_port') ?? '25'}`
  const idle = values.get('inactivity_timeout')
  const log = [
    ...set('greylist_log', 'file', value => value),
    ...set('greylist_debuglog', 'debug_file', value => value),
  ]
  const greylist = ['[greylist]', 'preset = "kamaelia"', 'hold = "all"', ...clients(old), ...triples(old)]
  notes.push(
    'greylist: a client is its network (/24, /64); sender and recipient in any case are one, BATV, VERP and +tags are left out',
  )
  notes.push('recipients: other domains get 550, not 451 for ever')

  const tables = [
    top,
    listen,
    ['[upstream]', `address = ${show(upstream)}`],
    ['[recipients]', `domains = ${showList((lists.get('allowed_domains') ?? []).map(([domain = '']) => domain))}`],
    greylist,
    ...(idle === undefined ? [] : [['[timeouts]', `idle = ${show(`${idle}s`)}`]]),
    ['[log]', ...log, 'format = "kamaelia"'],
  ]
  const head = [
    '# Made of a greylist.conf. What is different now:',
    ...notes.map(note => `# - ${printable(note, 400)}`),
  ]
  return `${[head, ...tables.filter(table => table.length > 0)].map(table => table.join('\n')).join('\n\n')}\n`
}

/** `key = value`, and `name:` with indented entries below it. [Kamaelia.Support.Tk, readConfig] */
function readKamaelia(text: string): Kamaelia {
  const values = new Map<string, string>()
  const lists = new Map<string, (readonly string[])[]>()
  const notes: string[] = []
  let current: (readonly string[])[] | null = null
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [, name, value = ''] = /^(\w+)\s*[=:]\s*(.*)$/.exec(line) ?? []
    if (name === undefined) {
      if (/^\s/.test(line) && current !== null) current.push(trimmed.split(/\s+/))
      else notes.push(`line ${i + 1} was left out: ${trimmed}`)
      continue
    }
    current = null
    if (LISTS.has(name) && value === '') lists.set(name, (current = []))
    else if (VALUES.has(name)) values.set(name, value.trim())
    else notes.push(`line ${i + 1}: ${name} was not known to Kamaelia Grey either, and is left out`)
  }
  return { values, lists, notes }
}

function clients({ lists, notes }: Kamaelia): string[] {
  const allowed: string[] = []
  for (const [address = ''] of lists.get('allowed_senders') ?? []) {
    if (isClient(address)) allowed.push(address)
    else notes.push(`allowed_senders: ${address} is no address, and is left out`)
  }
  for (const [prefix = ''] of lists.get('allowed_sender_nets') ?? []) {
    const network = networkOf(prefix)
    if (network === null) notes.push(`allowed_sender_nets: ${prefix} is no prefix of an address, and is left out`)
    else {
      allowed.push(network)
      notes.push(
        `allowed_sender_nets: ${prefix} is ${network} now; it also let in every address that begins with this text`,
      )
    }
  }
  if (allowed.length === 0) return []
  notes.push(
    'allow_clients: they are past greylisting, and may not send to other domains any more (they could: an open relay)',
  )
  return [`allow_clients = ${showList(allowed)}`]
}

function triples({ lists, notes }: Kamaelia): string[] {
  const lines: string[] = []
  for (const [old, toml] of [
    ['whitelisted_triples', 'triples'],
    ['whitelisted_nonstandard_triples', 'nonstandard_triples'],
  ] as const) {
    const texts: string[] = []
    for (const fields of lists.get(old) ?? []) {
      const made = fields.map((field, i) =>
        old === 'whitelisted_nonstandard_triples' && i === 1 ? networkOf(field) : bare(field),
      )
      if (fields.length === 3 && made.every(field => field !== null)) texts.push(made.join(' '))
      else notes.push(`${old}: ${fields.join(' ')} is left out: three fields were expected`)
    }
    if (texts.length > 0) lines.push(`${toml} = ${showList(texts)}`)
  }
  return lines
}

/** `<anna@example.org>` without its brackets; `<>` is `<>`. */
function bare(address: string): string {
  return address === '<>' ? address : address.replace(/^<(.*)>$/, '$1')
}

/** `192.168.2`, `192.168.2.`, `10` as a network; a whole address as it is; null for anything else. */
function networkOf(prefix: string): string | null {
  if (isClient(prefix)) return prefix
  const octets = prefix.replace(/\.$/, '').split('.')
  if (octets.length > 3 || !octets.every(octet => /^\d{1,3}$/.test(octet))) return null
  const network = `${[...octets, '0', '0', '0'].slice(0, 4).join('.')}/${octets.length * 8}`
  return isClient(network) ? network : null
}

function isClient(text: string): boolean {
  try {
    return /[\d:]/.test(text) && !clientList('', [text]).hasNames
  } catch {
    return false
  }
}

function show(value: string | number): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function showList(values: readonly string[]): string {
  return `[${values.map(show).join(', ')}]`
}
