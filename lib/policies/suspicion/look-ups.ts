// What is asked about one client, all at the same time:
//
//   connection ─→ its name, the lists       HELO ─→ the addresses of that name       MAIL ─→ SPF
//                            └────────────────────────┴── RCPT waits ──┘
//
// Each has the time of the option `timeout`; no look-up rejects, and none holds a client up before RCPT. Of HELO names and
// senders, one is asked about at a time.

import type { DnsblResult } from '../../dns/dnsbl.ts'
import { hostName, type HostName } from '../../dns/host-name.ts'
import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import type { Sender } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import { within } from '../../time/clock.ts'
import { CurrentAnswer } from './current-answer.ts'
import { askHeloAddress, readHelo, type HeloAddress } from './helo.ts'
import type { ResolvedSuspicion } from './options.ts'
import type { Facts } from './signs.ts'
import { resolverUntil, type SpfCheck, type SpfRequest } from './spf.ts'
import type { SpfOutcome } from './verdict.ts'

/** What SPF is asked, and what makes it another question. */
interface SpfQuestion extends Pick<SpfRequest, 'helo' | 'sender' | 'domain'> {
  readonly key: string
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
  readonly #helo = new CurrentAnswer<HeloAddress>()
  readonly #spf = new CurrentAnswer<SpfOutcome>()

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

  /** Begins to ask for the addresses of the HELO name. */
  greet(): void {
    const name = this.#heloName()
    if (name !== null) this.#helo.begin(name, () => this.#askHelo(name))
  }

  /** Begins to ask SPF for the sender. */
  send(sender: Sender): void {
    if (this.#options.spf === null) return
    const question = this.#spfQuestion(sender)
    this.#spf.begin(question.key, () => this.#askSpf(this.#options.spf!, question))
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
    const [hostName, lists, heloAddress, spf] = await Promise.all([
      this.#hostName,
      this.#bad,
      this.#heloAnswer(),
      this.#spfAnswer(sender),
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

  async #heloAnswer(): Promise<HeloAddress | null> {
    const name = this.#heloName()
    return name === null ? null : this.#helo.get(name, () => this.#askHelo(name))
  }

  /** The HELO name in its canonical form; null for one that is an address or no name. */
  #heloName(): string | null {
    const helo = readHelo(this.#session.helo ?? '')
    return helo.kind === 'name' ? helo.name : null
  }

  #askHelo(name: string): Promise<HeloAddress> {
    const { resolver, timeout } = this.#options
    const { signal } = this.#session
    return askHeloAddress(resolver, name, this.address, { timeout, signal })
  }

  async #spfAnswer(sender: Sender): Promise<SpfOutcome | null> {
    const { spf } = this.#options
    if (spf === null) return null
    const question = this.#spfQuestion(sender)
    return this.#spf.get(question.key, () => this.#askSpf(spf, question))
  }

  #spfQuestion({ address, domain, localPart }: Sender): SpfQuestion {
    const helo = this.#session.helo ?? ''
    const asked = address === '' ? helo.toLowerCase() : canonicalDomain(domain)
    const sender = address === '' ? '' : `${localPart}@${asked}`
    return { key: `${sender} ${helo}`, helo, sender, domain: asked }
  }

  #askSpf(spf: SpfCheck, { helo, sender, domain }: SpfQuestion): Promise<SpfOutcome> {
    const { timeout, clock, resolver } = this.#options
    const late: SpfOutcome = { result: 'temperror', domain, mechanism: null, prefix: null }
    const { signal, serverName } = this.#session
    const dns = resolverUntil(resolver, { clock, end: clock.now() + timeout, signal })
    const answer = (async () => spf({ address: this.address, helo, sender, domain, serverName, resolver: dns }))()
    return within(clock, timeout, answer, () => new Error('SPF took too long')).catch(() => late)
  }
}

function ownNames({ serverName, local }: Session, configured: ReadonlySet<string>): Facts['own'] {
  const server = canonicalDomain(serverName)
  return { has: name => name === server || name === local.address || configured.has(name) }
}
