// The options of suspicion(), checked and resolved once.

import { dnsbl, type Dnsbl, type DnsblZone } from '../../dns/dnsbl.ts'
import { resolver, type DnsResolver } from '../../dns/resolver.ts'
import { isDomain, canonicalDomain } from '../../protocol/addresses/domain.ts'
import { addressOctets } from '../../protocol/networks/ip-address.ts'
import { canonicalIp } from '../../protocol/networks/network.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkClock, checkFunction, checkKeys, checkList, show, wrong } from '../../words/option-checks.ts'
import type { SpfCheck } from './spf.ts'
import { resolveWeights, type SuspicionWeights } from './weights.ts'

/** Options of {@link suspicion}. */
export interface SuspicionOptions {
  /** A client is suspicious from this score on. @defaultValue 3 */
  readonly threshold?: number
  /**
   * From this score on RCPT gets 550 5.7.1; it is above `threshold`. Signs that are only supposed do not count.
   * @defaultValue none: nobody is refused
   */
  readonly reject?: number | null
  /** What each sign weighs. @defaultValue {@link SUSPICION_WEIGHTS} */
  readonly weights?: Partial<SuspicionWeights>
  /** DNS lists of bad addresses (DNSBL), each with a weight, and with weights for its codes. @defaultValue none */
  readonly blockLists?: readonly (string | DnsblZone)[]
  /**
   * DNS lists of good addresses (DNSWL): a client that one of them lists has no signs. Give `codes` for a list whose codes
   * say how good: those that are not given do not count. @defaultValue none
   */
  readonly allowLists?: readonly (string | DnsblZone)[]
  /** Asks SPF: {@link mailauthSpf}, or a function of one's own. @defaultValue none: no sign comes from SPF */
  readonly spf?: SpfCheck
  /**
   * Names and addresses that are this server's besides `session.serverName` and `session.local`: the names of its domains,
   * its public address behind a NAT. @defaultValue none
   */
  readonly ownNames?: readonly string[]
  /**
   * Milliseconds that the greeting waits, at most 60,000, so that more clients give themselves away by talking early;
   * a client that is trusted by then does not wait. @defaultValue 0
   */
  readonly greetingDelay?: number
  /**
   * Milliseconds for the look-ups of a client, from the connection on, and from HELO and MAIL on for what is asked then.
   * RCPT waits no longer than that after MAIL. @defaultValue 2,000
   */
  readonly timeout?: number
  /** Asks DNS; its `maxInFlight` bounds the questions of all sessions. @defaultValue one for the process, `resolver()` */
  readonly resolver?: DnsResolver
  /** Called when a list is left out after three failures (true), and when it answers again (false). */
  readonly onZone?: (zone: string, leftOut: boolean) => void
  /** For tests. @defaultValue the system's */
  readonly clock?: Clock
}

/** Options with every default filled in. */
export interface ResolvedSuspicion {
  readonly threshold: number
  readonly reject: number
  readonly weights: SuspicionWeights
  readonly bad: Dnsbl | null
  readonly good: Dnsbl | null
  readonly spf: SpfCheck | null
  /** Domains and addresses, canonical. */
  readonly ownNames: ReadonlySet<string>
  readonly greetingDelay: number
  readonly timeout: number
  readonly resolver: DnsResolver
  readonly clock: Clock
}

const KNOWN = [
  'threshold',
  'reject',
  'weights',
  'blockLists',
  'allowLists',
  'spf',
  'ownNames',
  'greetingDelay',
  'timeout',
  'resolver',
  'onZone',
  'clock',
]
const THRESHOLD = 3
const TIMEOUT = 2000
const LONGEST_DELAY = 60_000

let shared: DnsResolver | null = null

/** Checks options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveSuspicion(options: SuspicionOptions): ResolvedSuspicion {
  checkKeys('', options, KNOWN)
  const { threshold = THRESHOLD, reject, greetingDelay = 0, timeout = TIMEOUT, clock = systemClock } = options
  checkNumber('threshold', threshold, threshold > 0)
  checkNumber('timeout', timeout, timeout > 0)
  if (typeof reject === 'number' && !(reject > threshold)) throw wrong('suspicion: reject is above threshold')
  if (!(greetingDelay >= 0 && greetingDelay <= LONGEST_DELAY)) {
    throw wrong(`suspicion: greetingDelay is in milliseconds, at most ${LONGEST_DELAY}, not ${show(greetingDelay)}`)
  }
  checkFunction('suspicion: spf', options.spf)
  checkClock(clock)
  const dns = options.resolver ?? (shared ??= resolver())
  const lists = (zones: SuspicionOptions['blockLists'] = []): Dnsbl | null => {
    checkList('suspicion: lists of zones', zones)
    const { onZone } = options
    return zones.length === 0 ? null : dnsbl({ zones, resolver: dns, timeout, onZone, clock })
  }
  return Object.freeze({
    threshold,
    reject: reject ?? Infinity,
    weights: resolveWeights(options.weights),
    bad: lists(options.blockLists),
    good: lists(options.allowLists),
    spf: options.spf ?? null,
    ownNames: ownNames(options.ownNames),
    greetingDelay,
    timeout,
    resolver: dns,
    clock,
  })
}

function checkNumber(name: string, value: number, isGood: boolean): void {
  if (!(Number.isFinite(value) && isGood)) throw wrong(`suspicion: ${name} is a number above 0, not ${show(value)}`)
}

function ownNames(names: readonly string[] = []): ReadonlySet<string> {
  checkList('suspicion: ownNames', names)
  return new Set(
    names.map(name => {
      if (typeof name === 'string') {
        if (addressOctets(name) !== null) return canonicalIp(name)
        if (isDomain(name, { utf8: true, strictness: 'lenient' })) return canonicalDomain(name)
      }
      throw wrong(`suspicion: ownNames: ${show(name)} is neither a name nor an address`)
    }),
  )
}
