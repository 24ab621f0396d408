// What is asked about one client, all at the same time:
//
//   connection ─→ its name, the lists       HELO ─→ the addresses of that name       MAIL ─→ SPF
//                            └────────────────────────┴── RCPT waits ──┘
//
// Each has the time of the option `timeout`; no look-up rejects, and none holds a client up before RCPT.

import type { DnsblResult } from '../../dns/dnsbl.ts'
import { hostName, type HostName } from '../../dns/host-name.ts'
import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import type { Sender } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import { within } from '../../time/clock.ts'
import { askHeloAddress, readHelo, type HeloAddress } from './helo.ts'
import type { ResolvedSuspicion } from './options.ts'
import type { Facts } from './signs.ts'
import { resolverUntil } from './spf.ts'
import type { SpfOutcome } from './verdict.ts'

/** An answer about a subject: the HELO name, or the domain of the sender. */
interface About<T> {
  readonly subject: string
  readonly answer: Promise<T>
}

/** The look-ups of a session. */
export class LookUps {
  readonly address: string
  readonly #options: ResolvedSuspicion
  readonly #session: Session
  readonly #hostName: Promise<HostName>
  readonly #bad: Promise<DnsblResult> | null
  readonly #good: Promise<string | null> | null
  /** The client's name as soon as it is known. */
  #name: HostName | null = null
  #helo: About<HeloAddress> | null = null
  #spf: About<SpfOutcome> | null = null

  /** Begins what the address alone is needed for. */
  constructor(address: string, session: Session, options: ResolvedSuspicion) {
    const { resolver, timeout, clock, bad, good } = options
    const { signal } = session
    this.address = address
    this.#options = options
    this.#session = session
    this.#hostName = hostName(resolver, address, { timeout, signal, clock })
    void this.#hostName.then(name => (this.#name = name)).catch(() => {})
    this.#bad = bad?.lookup(address, { timeout, signal }) ?? null
    this.#good = good?.lookup(address, { timeout, signal }).then(({ listings }) => listings[0]?.zone ?? null) ?? null
  }

  /** Asks for the addresses of a HELO name, once for each name. */
  greet(): void {
    const helo = readHelo(this.#session.helo ?? '')
    if (helo.kind !== 'name' || this.#helo?.subject === helo.name) return
    const { resolver, timeout } = this.#options
    const { signal } = this.#session
    this.#helo = { subject: helo.name, answer: askHeloAddress(resolver, helo.name, this.address, { timeout, signal }) }
  }

  /** Asks SPF for the sender, once for each domain as long as it does not change. */
  send({ address, domain, localPart }: Sender): void {
    const { spf, timeout, clock, resolver } = this.#options
    if (spf === null) return
    const helo = this.#session.helo ?? ''
    const subject = address === '' ? helo.toLowerCase() : canonicalDomain(domain)
    const sender = address === '' ? '' : `${localPart}@${subject}`
    if (this.#spf?.subject === `${sender} ${helo}`) return
    const late: SpfOutcome = { result: 'temperror', domain: subject, mechanism: null, prefix: null }
    const { signal, serverName } = this.#session
    const dns = resolverUntil(resolver, { clock, end: clock.now() + timeout, signal })
    const answer = (async () =>
      spf({ address: this.address, helo, sender, domain: subject, serverName, resolver: dns }))()
    this.#spf = {
      subject: `${sender} ${helo}`,
      answer: within(clock, timeout, answer, () => new Error('SPF took too long')).catch(() => late),
    }
  }

  /** The list of good addresses that has the client, or null. */
  async goodList(): Promise<string | null> {
    return this.#good
  }

  /** The client's confirmed name, as far as it is known by now. */
  get name(): string | null {
    return this.#name?.kind === 'confirmed' ? this.#name.name : null
  }

  /** Everything that is known, once all answers are there. */
  async facts(sender: Sender): Promise<Facts> {
    const session = this.#session
    this.greet() // a client that was trusted at HELO is asked for only now
    const isName = readHelo(session.helo ?? '').kind === 'name'
    const [hostName, lists, heloAddress, spf] = await Promise.all([
      this.#hostName,
      this.#bad,
      isName ? this.#helo!.answer : null,
      this.#spf?.answer ?? null,
    ])
    return {
      address: this.address,
      hostName,
      helo: session.helo ?? '',
      heloAddress,
      own: ownNames(session, this.#options.ownNames),
      lists,
      spf,
      isNullSender: sender.address === '',
      talkedEarly: session.talkedEarly,
      lacksTls: session.tls === null && session.offered.has('STARTTLS'),
    }
  }
}

function ownNames({ serverName, local }: Session, configured: ReadonlySet<string>): Facts['own'] {
  const server = canonicalDomain(serverName)
  return { has: name => name === server || name === local.address || configured.has(name) }
}
