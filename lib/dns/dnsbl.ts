// DNS lists of addresses, of bad ones (DNSBL) or good ones (DNSWL): each zone asked at once, its codes weighed.

import { systemClock, type Clock } from '../time/clock.ts'
import { checkKeys, checkList, wrong } from '../words/option-checks.ts'
import { isAskable, reversedAddress } from './names.ts'
import type { DnsCallOptions, DnsResolver } from './resolver.ts'

/** A list. */
export interface DnsblZone {
  /** For example `zen.spamhaus.org`. */
  readonly zone: string
  /** What a listing weighs; below 0 for a list of good addresses. @defaultValue 1 */
  readonly weight?: number | undefined
  /**
   * What single codes weigh: `{ '127.0.0.2': 3, '127.0.0.*': 1 }`; a `*` stands for any one number, and the first that
   * fits counts. A code that is not there is no listing. @defaultValue every code weighs `weight`
   */
  readonly codes?: Readonly<Record<string, number>> | undefined
}

/** Options of {@link dnsbl}. */
export interface DnsblOptions {
  /** The lists; a string is a zone whose every code weighs 1. */
  readonly zones: readonly (string | DnsblZone)[]
  /** Asks for the lists' records. A resolver of one's own provider is what most lists want: they refuse public ones. */
  readonly resolver: DnsResolver
  /** Milliseconds for all zones together. @defaultValue 2,000 */
  readonly timeout?: number | undefined
  /** Called when a zone is left out after failures (true), and when it answers again (false). */
  readonly onZone?: ((zone: string, leftOut: boolean) => void) | undefined
  /** For tests. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

/** One zone's listing. */
export interface Listing {
  /** The zone as the option `zones` names it. */
  readonly zone: string
  /** For example `127.0.0.2`; the one that weighs most. */
  readonly code: string
  /** What the code weighs; below 0 for a list of good addresses. */
  readonly weight: number
}

/** What the lists say of an address. */
export interface DnsblResult {
  /** The sum of the weights. */
  readonly score: number
  /** The zones that list the address, in the order of the option `zones`. */
  readonly listings: readonly Listing[]
  /** Zones that gave no answer or an error code, and zones that are left out. */
  readonly unknown: readonly string[]
}

/** Lists that can be asked. */
export interface Dnsbl {
  /** Never rejects. Text that is no address is on no list. */
  lookup(address: string, options?: DnsCallOptions): Promise<DnsblResult>
}

/** How many failures in a row leave a zone out. */
const FAILURES = 3
/** How long a zone is left out, in milliseconds; after that one failure is enough to leave it out again. */
const LEFT_OUT = 60_000
/** Codes that say nothing about us failing: the question was not asked. */
const OWN_CODES: ReadonlySet<string> = new Set(['EBUSY', 'ECANCELLED'])

/** @throws `ERR_OPTION` for an invalid zone, weight or code */
export function dnsbl(options: DnsblOptions): Dnsbl {
  checkKeys('', options, ['zones', 'resolver', 'timeout', 'onZone', 'clock'])
  const { resolver, timeout = 2000, onZone = () => {}, clock = systemClock } = options
  checkList('zones', options.zones)
  const zones = Array.from(options.zones, zone => new Zone(zone, clock, onZone))
  return {
    async lookup(address, call = {}) {
      const labels = reversedAddress(address)
      if (labels === null) return { score: 0, listings: [], unknown: [] }
      const settings = { timeout, ...call }
      const answers = await Promise.all(zones.map(zone => zone.ask(resolver, labels, settings)))
      const listings = answers.filter(answer => typeof answer === 'object' && answer !== null)
      const unknown = zones.filter((_, i) => answers[i] === 'unknown').map(({ name }) => name)
      return { score: listings.reduce((sum, { weight }) => sum + weight, 0), listings, unknown }
    },
  }
}

class Zone {
  readonly name: string
  readonly #weigh: (code: string) => number | null
  readonly #clock: Clock
  readonly #onChange: (zone: string, leftOut: boolean) => void
  #failures = 0
  #leftOutUntil = -Infinity
  #isLeftOut = false

  constructor(given: string | DnsblZone, clock: Clock, onChange: (zone: string, leftOut: boolean) => void) {
    const { zone, weight = 1, codes } = typeof given === 'string' ? { zone: given } : given
    if (!isAskable(zone)) throw wrong(`dnsbl: ${JSON.stringify(zone)} is no name`)
    if (!Number.isFinite(weight)) throw wrong(`dnsbl: ${zone}: weight is a number`)
    this.name = zone
    this.#weigh = codes === undefined ? () => weight : weighing(zone, codes)
    this.#clock = clock
    this.#onChange = onChange
  }

  async ask(resolver: DnsResolver, labels: string, options: DnsCallOptions): Promise<Listing | null | 'unknown'> {
    if (this.#clock.now() < this.#leftOutUntil) return 'unknown'
    const answer = await resolver.resolve(`${labels}.${this.name}`, 'A', options)
    if (answer.kind === 'unknown') {
      if (!OWN_CODES.has(answer.code)) this.#failed()
      return 'unknown'
    }
    if (answer.kind === 'found' && !answer.records.every(isListing)) {
      this.#failed()
      return 'unknown'
    }
    this.#answered()
    return answer.kind === 'found' ? this.#heaviest(answer.records) : null
  }

  #heaviest(codes: readonly string[]): Listing | null {
    let heaviest: Listing | null = null
    for (const code of codes) {
      const weight = this.#weigh(code)
      if (weight === null) continue
      if (heaviest === null || Math.abs(weight) > Math.abs(heaviest.weight))
        heaviest = { zone: this.name, code, weight }
    }
    return heaviest
  }

  #failed(): void {
    this.#failures++
    if (this.#failures < FAILURES) return
    this.#leftOutUntil = this.#clock.now() + LEFT_OUT
    if (!this.#isLeftOut) this.#onChange(this.name, true)
    this.#isLeftOut = true
  }

  #answered(): void {
    this.#failures = 0
    if (!this.#isLeftOut) return
    this.#isLeftOut = false
    this.#onChange(this.name, false)
  }
}

/**
 * False for what no list says of an address: 127.255.255.x (the question came by an open resolver, or too often),
 * 127.0.0.1, and addresses outside of 127/8, which come from a resolver that answers for every name. [RFC 5782 §2.1, §5]
 */
function isListing(code: string): boolean {
  return code.startsWith('127.') && !code.startsWith('127.255.255.') && code !== '127.0.0.1'
}

function weighing(zone: string, codes: Readonly<Record<string, number>>): (code: string) => number | null {
  const rules = Object.entries(codes).map(([pattern, weight]) => {
    const parts = pattern.split('.')
    const isPattern = parts.length === 4 && parts.every(part => /^(?:\*|\d{1,3})$/.test(part))
    if (!isPattern || !Number.isFinite(weight)) throw wrong(`dnsbl: ${zone}: ${pattern} is no code with a weight`)
    return { parts, weight }
  })
  return code => {
    const own = code.split('.')
    return rules.find(({ parts }) => parts.every((part, i) => part === '*' || part === own[i]))?.weight ?? null
  }
}
