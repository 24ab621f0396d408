// name, type ─→ cache ─→ the same question under way? ─→ room for one more? ─→ node:dns ─→ found | none | unknown
//
// One resolver for all callers. Every question has an answer by its deadline: "none" is sure, "unknown" is not.

import { promises as dns } from 'node:dns'
import { systemClock, type Clock } from '../time/clock.ts'
import { checkKeys, checkList, wrong } from '../words/option-checks.ts'
import { isAskable } from './names.ts'
import { TtlCache } from './ttl-cache.ts'

/** A record of type MX. */
export interface MxRecord {
  /** The host that takes mail, without a dot at its end; empty for a null MX: the domain takes none. [RFC 7505 §3] */
  readonly exchange: string
  /** 0 to 65535; clients try the lowest first. [RFC 5321 §5.1] */
  readonly priority: number
}

/** The types of records, and what a record of each is. */
export interface DnsRecords {
  /** An IPv4 address: `192.0.2.1`. */
  readonly A: string
  /** An IPv6 address: `2001:db8::1`. */
  readonly AAAA: string
  /** A host that takes mail for the name. */
  readonly MX: MxRecord
  /** The name of a name server. */
  readonly NS: string
  /** A name that an address points to. */
  readonly PTR: string
  /** Its strings joined. [RFC 7208 §3.3] */
  readonly TXT: string
}

/** A type of records. */
export type DnsType = keyof DnsRecords

/** What DNS says: records; no records, for sure (NXDOMAIN, or none of this type); or no answer. */
export type DnsAnswer<Type extends DnsType = DnsType> = DnsFound<Type> | DnsNone | DnsUnknown

/** The name has records of this type. */
export interface DnsFound<Type extends DnsType = DnsType> {
  /** Tells the three answers apart. */
  readonly kind: 'found'
  /** At least one, in the order of the answer. */
  readonly records: readonly DnsRecords[Type][]
}

/** The name does not exist (NXDOMAIN), or has no record of this type; this is sure. [RFC 2308 §2] */
export interface DnsNone {
  /** Tells the three answers apart. */
  readonly kind: 'none'
}

/** No answer. */
export interface DnsUnknown {
  /** Tells the three answers apart. */
  readonly kind: 'unknown'
  /**
   * Why: a code of node:dns such as `ESERVFAIL`, `EREFUSED`, `EBADRESP`; `ETIMEOUT` at the deadline; `EBUSY` if too many
   * questions are under way; `ECANCELLED` if the caller gave up, or the resolver was closed.
   */
  readonly code: string
}

/** How long one may wait for an answer. */
export interface DnsCallOptions {
  /** Milliseconds; then the answer is unknown. @defaultValue the resolver's `timeout` */
  readonly timeout?: number | undefined
  /** Once it is aborted, the answer is unknown. */
  readonly signal?: AbortSignal | undefined
}

/** Asks DNS; never rejects. */
export interface DnsResolver {
  /**
   * Asks for the records of a name; a text that can be no name has none. Equal questions under way at the same time
   * share one answer, and an answer that is sure is kept for its TTL.
   */
  resolve<Type extends DnsType>(name: string, type: Type, options?: DnsCallOptions): Promise<DnsAnswer<Type>>
  /** Forgets what is cached, and answers the questions under way with `unknown`. */
  close(): void
}

/** Options of {@link resolver}. */
export interface ResolverOptions {
  /** Addresses of name servers, with a port if it is not 53: `127.0.0.1:5353`. @defaultValue the system's */
  readonly servers?: readonly string[] | undefined
  /** Milliseconds until an answer is unknown. @defaultValue 2,000 */
  readonly timeout?: number | undefined
  /** Questions under way, different ones; one more is unknown at once. @defaultValue 500 */
  readonly maxInFlight?: number | undefined
  /** Answers that are kept. @defaultValue 10,000 */
  readonly cacheSize?: number | undefined
  /** For tests. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

const SECOND = 1000
/** What is kept for how long: Node tells the TTL of addresses only. */
const UNTOLD_TTL = 300 * SECOND
const NONE_TTL = 60 * SECOND // [RFC 2308 §5 lets a zone say so; Node does not pass it on.]
const LONGEST_TTL = 3600 * SECOND
/** Characters of an answer that is kept, so that a client's zone cannot fill the memory. */
const LONGEST_KEPT = 4096

const NONE: DnsAnswer<never> = Object.freeze({ kind: 'none' })
const SURE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])

interface Fetched {
  readonly answer: DnsAnswer
  /** Milliseconds. */
  readonly ttl: number
}

/** A resolver over node:dns. Idle it keeps no process alive. @throws `ERR_OPTION` */
export function resolver(options: ResolverOptions = {}): DnsResolver {
  return new CachingResolver(options)
}

class CachingResolver implements DnsResolver {
  readonly #dns: dns.Resolver
  readonly #timeout: number
  readonly #maxInFlight: number
  readonly #clock: Clock
  readonly #cache: TtlCache<DnsAnswer>
  readonly #underWay = new Map<string, Promise<DnsAnswer>>()

  constructor(options: ResolverOptions) {
    checkKeys('', options, ['servers', 'timeout', 'maxInFlight', 'cacheSize', 'clock'])
    const { servers, timeout = 2000, maxInFlight = 500, cacheSize = 10_000, clock = systemClock } = options
    for (const [name, value] of Object.entries({ timeout, maxInFlight, cacheSize })) {
      if (!(value > 0)) throw wrong(`resolver: ${name} is a number above 0`)
    }
    // Node's own limit is longer than it says; the deadline of each call is kept here.
    this.#dns = new dns.Resolver({ timeout: Math.max(1, Math.ceil(timeout / 2)), tries: 2 })
    if (servers !== undefined) setServers(this.#dns, servers)
    this.#timeout = timeout
    this.#maxInFlight = maxInFlight
    this.#clock = clock
    this.#cache = new TtlCache(cacheSize)
  }

  async resolve<Type extends DnsType>(
    name: string,
    type: Type,
    { timeout = this.#timeout, signal }: DnsCallOptions = {},
  ): Promise<DnsAnswer<Type>> {
    const asked = name.toLowerCase().replace(/\.$/, '')
    if (!isAskable(asked)) return NONE
    const key = `${type} ${asked}`
    const cached = this.#cache.get(key, this.#clock.now())
    if (cached !== undefined) return cached as DnsAnswer<Type>
    if (signal?.aborted === true) return unknown('ECANCELLED')
    if (!(timeout > 0)) return unknown('ETIMEOUT')
    let answer = this.#underWay.get(key)
    if (answer === undefined) {
      if (this.#underWay.size >= this.#maxInFlight) return unknown('EBUSY')
      answer = this.#ask(key, asked, type)
    }
    return this.#by(timeout, signal, answer) as Promise<DnsAnswer<Type>>
  }

  close(): void {
    this.#cache.clear()
    this.#dns.cancel()
  }

  /** Asks, for every caller with the same question until the answer comes. */
  #ask(key: string, name: string, type: DnsType): Promise<DnsAnswer> {
    const asking = fetchRecords(this.#dns, name, type).then(({ answer, ttl }) => {
      this.#underWay.delete(key)
      if (ttl > 0) this.#cache.set(key, answer, this.#clock.now() + ttl)
      return answer
    })
    this.#underWay.set(key, asking)
    return asking
  }

  /** The answer, or `unknown` by the deadline. */
  #by(timeout: number, signal: AbortSignal | undefined, answer: Promise<DnsAnswer>): Promise<DnsAnswer> {
    return new Promise(resolve => {
      const settle = (answer: DnsAnswer): void => {
        this.#clock.clear(timer)
        signal?.removeEventListener('abort', abort)
        resolve(answer)
      }
      const abort = (): void => settle(unknown('ECANCELLED'))
      const timer = this.#clock.after(timeout, () => settle(unknown('ETIMEOUT')))
      signal?.addEventListener('abort', abort)
      void answer.then(settle)
    })
  }
}

function unknown(code: string): DnsUnknown {
  return { kind: 'unknown', code }
}

function setServers(resolver: dns.Resolver, servers: readonly string[]): void {
  checkList('servers', servers)
  try {
    if (servers.length === 0) throw new Error('at least one')
    resolver.setServers(servers)
  } catch (error) {
    throw wrong(`resolver: servers: ${(error as Error).message}`)
  }
}

async function fetchRecords(resolver: dns.Resolver, name: string, type: DnsType): Promise<Fetched> {
  try {
    const { records, ttl } = await queries[type](resolver, name)
    if (records.length === 0) return { answer: NONE, ttl: NONE_TTL }
    const size = records.reduce(
      (sum, record) => sum + (typeof record === 'string' ? record : record.exchange).length,
      0,
    )
    return { answer: { kind: 'found', records }, ttl: size > LONGEST_KEPT ? 0 : Math.min(ttl, LONGEST_TTL) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EFAIL'
    return SURE_CODES.has(code) ? { answer: NONE, ttl: NONE_TTL } : { answer: unknown(code), ttl: 0 }
  }
}

interface Found {
  readonly records: readonly DnsRecords[DnsType][]
  readonly ttl: number
}

function addresses(found: readonly { readonly address: string; readonly ttl: number }[]): Found {
  const ttl = Math.min(...found.map(({ ttl }) => ttl)) * SECOND
  return { records: found.map(({ address }) => address), ttl }
}

function untold(records: readonly DnsRecords[DnsType][]): Found {
  return { records, ttl: UNTOLD_TTL }
}

const queries: Readonly<Record<DnsType, (resolver: dns.Resolver, name: string) => Promise<Found>>> = {
  A: async (resolver, name) => addresses(await resolver.resolve4(name, { ttl: true })),
  AAAA: async (resolver, name) => addresses(await resolver.resolve6(name, { ttl: true })),
  MX: async (resolver, name) => {
    const found = await resolver.resolveMx(name)
    return untold(found.map(({ exchange, priority }) => ({ exchange, priority })))
  },
  NS: async (resolver, name) => untold(await resolver.resolveNs(name)),
  PTR: async (resolver, name) => untold(await resolver.resolvePtr(name)),
  TXT: async (resolver, name) => untold((await resolver.resolveTxt(name)).map(strings => strings.join(''))),
}
