// From what is known of a client to signs of suspicion. Pure.

import type { DnsblResult } from '../../dns/dnsbl.ts'
import type { HostName } from '../../dns/host-name.ts'
import { canonicalIp } from '../../protocol/networks/network.ts'
import { looksDynamic } from '../greylist/dynamic-name.ts'
import { isNameOf, isOurs, readHelo, type HeloAddress } from './helo.ts'
import type { Sign, SignName, SpfOutcome } from './verdict.ts'
import type { SuspicionWeights } from './weights.ts'

/** What is known of a client and the transaction under way. */
export interface Facts {
  readonly address: string
  readonly hostName: HostName
  readonly helo: string
  /** Null for a HELO that is no name. */
  readonly heloAddress: HeloAddress | null
  /** This server's names and addresses, canonical. */
  readonly own: { has(name: string): boolean }
  /** Null without lists. */
  readonly lists: DnsblResult | null
  /** Null if SPF was not asked. */
  readonly spf: SpfOutcome | null
  /** True for `<>`. */
  readonly isNullSender: boolean
  readonly talkedEarly: boolean
  /** True for mail in clear though STARTTLS was offered. */
  readonly lacksTls: boolean
}

interface Found {
  readonly sign: SignName
  readonly detail?: string
  readonly isSupposed?: boolean
  /** How often the weight counts. */
  readonly times?: number
}

/** The signs that the facts show and that weigh something. */
export function findSigns(facts: Facts, weights: SuspicionWeights): readonly Sign[] {
  const found = [...ofName(facts), ...ofHelo(facts), ...ofLists(facts), ...ofSpf(facts), ...ofSession(facts)]
  return found.map(each => toSign(each, weights)).filter(({ weight }) => weight > 0)
}

function toSign({ sign, detail, isSupposed = false, times = 1 }: Found, weights: SuspicionWeights): Sign {
  const weight = weights[sign] * times
  return { sign, weight, ...(detail !== undefined && { detail }), ...(isSupposed && { supposed: true }) }
}

/** The sum of the weights, without the last digits that halves and tenths leave. */
export function scoreOf(signs: readonly Sign[]): number {
  return Math.round(signs.reduce((sum, { weight }) => sum + weight, 0) * 1000) / 1000
}

/** The signs that do not rest on a missing answer. */
export function certain(signs: readonly Sign[]): readonly Sign[] {
  return signs.filter(({ supposed }) => supposed !== true)
}

/** The name of the client if it is confirmed, else null. */
export function confirmedName(hostName: HostName): string | null {
  return hostName.kind === 'confirmed' ? hostName.name : null
}

/** A client lets the answer about its own name hang if it has something to hide: no answer counts as no name. */
function ofName({ hostName, address }: Facts): Found[] {
  const isSupposed = hostName.kind === 'unknown'
  const names = hostName.kind === 'confirmed' ? [hostName.name] : hostName.kind === 'none' ? [] : hostName.names
  const found: Found[] = []
  if (names.length === 0) found.push({ sign: 'noReverseName', isSupposed })
  else if (hostName.kind !== 'confirmed') found.push({ sign: 'unconfirmedName', detail: names[0]!, isSupposed })
  const dynamic = names.find(name => looksDynamic(name, address))
  if (dynamic !== undefined) found.push({ sign: 'dynamicName', detail: dynamic })
  return found
}

function ofHelo({ helo, heloAddress, own, address, hostName }: Facts): Found[] {
  const given = readHelo(helo)
  if (isOurs(given, own)) return [{ sign: 'heloOurs', detail: helo }]
  const fits =
    given.kind === 'literal'
      ? given.address === canonicalIp(address)
      : given.kind === 'name' && (heloAddress === 'same' || isNameOf(given.name, confirmedName(hostName)))
  if (fits) return []
  const isSupposed = given.kind === 'name' && (heloAddress === 'unknown' || hostName.kind === 'unknown')
  return [{ sign: 'heloMismatch', detail: helo, isSupposed }]
}

/** No answer from a list says nothing: the list is not the client's. */
function ofLists({ lists }: Facts): Found[] {
  if (lists === null) return []
  const zones = lists.listings.filter(({ weight }) => weight > 0).map(({ zone, code }) => `${zone} (${code})`)
  const sign = lists.score >= 1 ? 'listed' : 'nearlyListed'
  return [{ sign, detail: zones.join(', '), times: lists.score }]
}

function ofSpf({ spf, isNullSender }: Facts): Found[] {
  if (spf === null) return []
  const { result, domain } = spf
  if (result === 'fail') return [{ sign: 'spfFail', detail: domain }]
  if (result === 'softfail') return [{ sign: 'spfSoftfail', detail: domain }]
  if (result === 'pass' || result === 'neutral') return []
  // Few names of hosts have an SPF record, and bounces come from them.
  return isNullSender ? [] : [{ sign: 'spfNone', detail: domain, isSupposed: result === 'temperror' }]
}

function ofSession({ talkedEarly, lacksTls }: Facts): Found[] {
  return [...(talkedEarly ? [{ sign: 'earlyTalker' } as const] : []), ...(lacksTls ? [{ sign: 'noTls' } as const] : [])]
}
