// SPF by the package mailauth, of which nothing but that is loaded.

import type { DnsResolver, DnsType } from '../../dns/resolver.ts'
import { TtlCache } from '../../dns/ttl-cache.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { wrong } from '../../words/option-checks.ts'
import type { SpfCheck, SpfRequest } from './spf.ts'
import type { SpfOutcome, SpfResult } from './verdict.ts'

type Resolve = (name: string, type: string) => Promise<unknown>

interface Question {
  readonly sender: string
  readonly ip: string
  readonly helo: string
  readonly mta: string
  readonly resolver: Resolve
}

/** The term that matched; for `include` with the one that matched inside. */
interface Match {
  readonly type?: string
  readonly val?: string
  readonly include?: Match
}

interface Mailauth {
  spf(question: Question): Promise<{ readonly status: { readonly result: string } }>
  spfVerify(domain: string, question: Question): Promise<Match | false>
}

/** Options of {@link mailauthSpf}. */
export interface MailauthSpfOptions {
  /** For tests: says how long an outcome is kept. @defaultValue the system's */
  readonly clock?: Clock
}

/** Outcomes that are kept: the evaluation costs several times what the look-up of its records does. */
const MOST_KEPT = 10_000
/** Milliseconds; the records themselves are kept by the resolver, as long as it likes. */
const KEPT_FOR = 60_000

/** Octets of a record; RFC 7208 §3.4 wants 450, and senders that list all their addresses have up to some 2,000. */
const LONGEST_RECORD = 4096

const RESULTS: ReadonlySet<string> = new Set<SpfResult>(['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror'])
const TYPES: ReadonlySet<string> = new Set<DnsType>(['A', 'AAAA', 'MX', 'NS', 'PTR', 'TXT'])
/** `a/24`, `mx:example.org/16`: mailauth does not say how much they matched. */
const WIDENED = /(?:^|\s)\+?(?:a|mx)(?::[^\s/]*)?\/\S/i

/**
 * Loads mailauth, an optional peer dependency, and gives the function for the option `spf`:
 * `suspicion({ spf: await mailauthSpf() })`. Keeps what it has found out of an address and a domain for a minute, unless the
 * records have macros. Rejects with `ERR_OPTION` if the package is not installed.
 */
export async function mailauthSpf({ clock = systemClock }: MailauthSpfOptions = {}): Promise<SpfCheck> {
  const mailauth = await load()
  const kept = new TtlCache<SpfOutcome>(MOST_KEPT)
  return async request => {
    const key = `${request.address} ${request.domain}`
    const known = kept.get(key, clock.now())
    if (known !== undefined) return known
    const answers = new Map<string, unknown>()
    const outcome = await check(mailauth, request, answers)
    if (outcome.result !== 'temperror' && !hasMacro(answers)) kept.set(key, outcome, clock.now() + KEPT_FOR)
    return outcome
  }
}

/** True if a record may say something else about another sender or HELO name. [RFC 7208 §7] */
function hasMacro(answers: ReadonlyMap<string, unknown>): boolean {
  return texts(answers).some(text => text.includes('%'))
}

async function load(): Promise<Mailauth> {
  try {
    const [{ spf }, { spfVerify }] = (await Promise.all([
      import('mailauth/lib/spf/index.js'),
      import('mailauth/lib/spf/spf-verify.js' as string),
    ])) as unknown as readonly [Pick<Mailauth, 'spf'>, Pick<Mailauth, 'spfVerify'>]
    return { spf, spfVerify }
  } catch (error) {
    const failed = wrong('suspicion: SPF needs the package mailauth: npm install mailauth@4.13.3')
    failed.cause = error
    throw failed
  }
}

async function check(mailauth: Mailauth, request: SpfRequest, answers: Map<string, unknown>): Promise<SpfOutcome> {
  const { address: ip, helo, sender, domain, serverName: mta } = request
  const resolver = recording(request.resolver, answers)
  // Without a sender mailauth asks for postmaster at the HELO name. [RFC 7208 §2.4]
  const { status } = await mailauth.spf({ sender, ip, helo, mta, resolver })
  const result = RESULTS.has(status.result) ? (status.result as SpfResult) : 'temperror'
  if (result !== 'pass') return { result, domain, mechanism: null, prefix: null }
  const replay: Resolve = async (name, type) => answers.get(`${type} ${name}`) ?? []
  const match = await mailauth
    .spfVerify(domain, { sender: sender === '' ? `postmaster@${domain}` : sender, ip, helo, mta, resolver: replay })
    .catch(() => false as const)
  return { result, domain, ...describe(match, ip, answers) }
}

/** As mailauth has it: what node:dns resolves with, or an error with its code. */
function recording(dns: DnsResolver, answers: Map<string, unknown>): Resolve {
  return async (name, type) => {
    const answer = TYPES.has(type) ? await dns.resolve(name, type as DnsType) : ({ kind: 'none' } as const)
    if (answer.kind !== 'found') throw Object.assign(new Error(name), { code: codes[answer.kind] })
    const records = type === 'TXT' ? spfRecords(name, answer.records as readonly string[]) : answer.records
    answers.set(`${type} ${name}`, records)
    return records
  }
}

/** The records that SPF looks at, each a list of strings. A record may be 64 KiB long, and have 9 as long ones included. */
function spfRecords(name: string, records: readonly string[]): readonly (readonly string[])[] {
  const found = records.filter(record => /^\s*v=spf1(?:\s|$)/i.test(record))
  if (found.some(({ length }) => length > LONGEST_RECORD)) {
    const spfResult = { error: 'permerror', text: `the record of ${name} is too long` } // as mailauth's own errors have it
    throw Object.assign(new Error(name), { spfResult })
  }
  return found.map(record => [record])
}

const codes = { none: 'ENOTFOUND', unknown: 'ETIMEOUT' } as const

/** The innermost term that matched, and how much of the address. */
function describe(
  match: Match | false,
  ip: string,
  answers: ReadonlyMap<string, unknown>,
): Pick<SpfOutcome, 'mechanism' | 'prefix'> {
  let term = match === false ? undefined : match
  while (term?.include !== undefined) term = term.include
  const { type, val = '' } = term ?? {}
  const whole = ip.includes(':') ? 128 : 32
  if (type === undefined) return { mechanism: null, prefix: null }
  if (type === 'ip4' || type === 'ip6') {
    const [, bits] = /\/(\d+)$/.exec(val) ?? []
    return { mechanism: `${type}:${val}`, prefix: bits === undefined ? whole : Number(bits) }
  }
  if (type === 'all') return { mechanism: type, prefix: 0 }
  const isHost = type === 'a' || type === 'mx'
  const isWidened = texts(answers).some(text => WIDENED.test(text))
  return { mechanism: type, prefix: isHost && !isWidened ? whole : null }
}

function texts(answers: ReadonlyMap<string, unknown>): readonly string[] {
  return [...answers.values()].flat(2).filter(record => typeof record === 'string')
}
