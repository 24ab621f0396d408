// The tables [greylist] and [suspicion].

import type { DnsblZone } from '../../dns/dnsbl.ts'
import type { GreylistPreset } from '../../policies/greylist/presets.ts'
import { SUSPICION_WEIGHTS, type SuspicionWeights } from '../../policies/suspicion/weights.ts'
import { isDomain } from '../../protocol/addresses/domain.ts'
import { flag, leaf, line, list, maybe, oneOf, table, type Schema } from './leaves.ts'
import { addresses, clients, nonstandardTriples, triples } from './lists.ts'
import { readDuration } from './units.ts'

/** Greylisting: `[greylist]`. */
export interface GreylistConfig {
  /** The SQLite file, unless there is `redis`. */
  readonly file: string
  readonly redis?: string
  /** The file with the salt; needed with `redis`, else beside `file`. */
  readonly salt?: string
  readonly privacy: boolean
  readonly preset: GreylistPreset
  readonly mode: 'enforce' | 'observe'
  readonly hold: 'suspicious' | 'all'
  readonly decideAt?: 'rcpt' | 'data'
  readonly onStoreError: 'accept' | 'defer'
  readonly delay?: number
  readonly window?: number
  readonly life?: number
  readonly text?: string
  /** Whether messages get a field X-Greylist. */
  readonly header: boolean
  readonly onlyRecipients?: readonly string[]
  readonly exceptRecipients: readonly string[]
  readonly onlySenders?: readonly string[]
  readonly exceptSenders: readonly string[]
  readonly allowClients: readonly string[]
  readonly triples: readonly string[]
  readonly nonstandardTriples: readonly string[]
}

/** Which clients look suspicious: `[suspicion]`. */
export interface SuspicionConfig {
  readonly spf: boolean
  readonly weights: Partial<SuspicionWeights>
  readonly threshold?: number
  readonly reject?: number
  readonly blockLists: readonly (string | DnsblZone)[]
  readonly allowLists: readonly (string | DnsblZone)[]
  readonly ownNames: readonly string[]
  readonly greetingDelay?: number
  readonly timeout?: number
}

const zones = list(
  leaf<string | DnsblZone>('a zone such as "zen.spamhaus.org", or { zone, weight, codes }', value =>
    isZone(value) ? value : readZone(value),
  ),
  'a list of zones',
)

function isZone(value: unknown): value is string {
  return typeof value === 'string' && isDomain(value, { utf8: false, strictness: 'strict' })
}

/** A zone with weights; null if it is none. */
function readZone(value: unknown): DnsblZone | null {
  const { zone, weight = 1, codes = {}, ...others } = Object(value) as Record<string, unknown>
  if (!isZone(zone) || Object.keys(others).length > 0 || typeof codes !== 'object') return null
  const entries = Object.entries(codes as object)
  const numbers: unknown[] = [weight, ...entries.map(([, each]) => each as unknown)]
  if (!numbers.every(each => typeof each === 'number' && Number.isFinite(each))) return null
  return { zone, weight: weight as number, ...(entries.length === 0 ? {} : { codes: Object.fromEntries(entries) }) }
}
/** What a store remembers may be longer than any timer. */
const YEAR = 366 * 86_400_000
const span = leaf('a duration such as "60s", "24h" or "36d"', value => readDuration(value, YEAR))
const score = leaf('a number above 0', value =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null,
)

const weight = leaf('a number from 0', value => {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
})
const weightsTable = table<Partial<SuspicionWeights>>(
  Object.fromEntries(Object.keys(SUSPICION_WEIGHTS).map(sign => [sign, maybe(weight)])) as never,
)

export function greylistTable(file: Schema<string>): Schema<GreylistConfig> {
  return table<GreylistConfig>({
    file: maybe(file, 'greylist.db'),
    redis: maybe(line('an address such as "redis://10.0.0.5:6379"', /^rediss?:\/\/\S+$/)),
    salt: maybe(file),
    privacy: maybe(flag, false),
    preset: maybe(oneOf('default', 'kamaelia', 'postgrey'), 'default'),
    mode: maybe(oneOf('enforce', 'observe'), 'enforce'),
    hold: maybe(oneOf('suspicious', 'all'), 'suspicious'),
    decideAt: maybe(oneOf('rcpt', 'data')),
    onStoreError: maybe(oneOf('accept', 'defer'), 'accept'),
    delay: maybe(span),
    window: maybe(span),
    life: maybe(span),
    text: maybe(line('a line of printable ASCII', /^[ -~]{1,200}$/)),
    header: maybe(flag, false),
    onlyRecipients: maybe(addresses),
    exceptRecipients: maybe(addresses, []),
    onlySenders: maybe(addresses),
    exceptSenders: maybe(addresses, []),
    allowClients: maybe(clients, []),
    triples: maybe(triples, []),
    nonstandardTriples: maybe(nonstandardTriples, []),
  })
}

export function suspicionTable(duration: Schema<number>): Schema<SuspicionConfig> {
  return table<SuspicionConfig>({
    spf: maybe(flag, false),
    weights: maybe(weightsTable, {}),
    threshold: maybe(score),
    reject: maybe(score),
    blockLists: maybe(zones, []),
    allowLists: maybe(zones, []),
    ownNames: maybe(list(line('a name or an address', /^[\w.:-]+$/), 'a list of names and addresses'), []),
    greetingDelay: maybe(duration),
    timeout: maybe(duration),
  })
}
