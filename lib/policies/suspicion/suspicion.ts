// Which clients look suspicious: a note for the policies behind, and by choice a refusal.
//
//   connection, HELO, MAIL ─→ look-ups (look-ups.ts) ─→ signs (signs.ts) ─→ score ─ ≥ threshold ─→ note: suspicious
//                                                                               └─ ≥ reject    ─→ 550 5.7.1

import type { Envelope, Recipient, Sender } from '../../smtp/envelope.ts'
import type { Policy } from '../../smtp/hooks.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import { networks } from '../../protocol/networks/network.ts'
import { delay } from '../../time/clock.ts'
import type { Reply } from '../../words/reply.ts'
import { suspicionChannel } from './diagnostics.ts'
import { LookUps } from './look-ups.ts'
import { resolveSuspicion, type ResolvedSuspicion, type SuspicionOptions } from './options.ts'
import { refusal } from './refusal.ts'
import { certain, confirmedName, findSigns, scoreOf } from './signs.ts'
import { suspicionKey, type Suspicion } from './verdict.ts'

/** What {@link suspicion} gives: a policy. */
export interface SuspicionPolicy {
  /** What logs and metrics call it. */
  readonly name: string
  /** Begins the look-ups of the address; delays the greeting if `greetingDelay` says so. */
  onConnect(session: Session): Promise<void> | void
  /** Begins the look-up of the HELO name. */
  onHelo(session: Session): void
  /** Begins SPF. */
  onMailFrom(sender: Sender, session: Session): void
  /** Waits for the look-ups, and leaves the note; refuses by choice. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void>
}

/** The verdict about a transaction: the same for all its recipients. */
interface Judgement {
  readonly envelope: Envelope
  readonly suspicion: Promise<Suspicion>
}

/** What is remembered of a session. */
interface Memory {
  readonly lookUps: LookUps
  judgement: Judgement | null
}

const LOOPBACK = networks(['127.0.0.0/8', '::1'])

/**
 * Looks for signs that a client is no mail server: `policies: [allowRecipients(['example.org']), suspicion()]`. Put it behind
 * the policies that trust clients, and before those that read its note, {@link suspicionKey}. It sets the client's name if
 * that is confirmed. It does not judge clients that are authenticated, trusted, on this machine, or without an address.
 * Throws `ERR_OPTION`.
 *
 * @see docs/greylisting.md
 */
export function suspicion(options: SuspicionOptions = {}): SuspicionPolicy {
  return new SuspicionJudge(resolveSuspicion(options))
}

class SuspicionJudge implements SuspicionPolicy, Policy {
  readonly name = 'suspicion'
  readonly #options: ResolvedSuspicion
  /** Null for a client whose address is not judged. */
  readonly #memories = new WeakMap<Session, Memory | null>()

  constructor(options: ResolvedSuspicion) {
    this.#options = options
  }

  onConnect(session: Session): Promise<void> | void {
    this.#memories.delete(session) // of the proxy, before XCLIENT
    if (this.#memoryOf(session) === null) return
    const { greetingDelay, clock } = this.#options
    if (greetingDelay > 0) return delay(clock, greetingDelay)
  }

  onHelo(session: Session): void {
    this.#memoryOf(session)?.lookUps.greet()
  }

  onMailFrom(sender: Sender, session: Session): void {
    this.#memoryOf(session)?.lookUps.send(sender)
  }

  async onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void> {
    const memory = this.#memoryOf(session)
    if (memory === null) {
      session.notes.delete(suspicionKey)
      return
    }
    const found = await this.#judge(memory, session)
    session.notes.set(suspicionKey, found)
    session.client.name ??= found.hostName ?? null
    if (recipient.trusted === null && this.#isRefused(found)) return refusal(found.signs)
  }

  /** Null for a client that is not judged. */
  #memoryOf(session: Session): Memory | null {
    if (session.user !== null || session.trusted !== null) return null
    let memory = this.#memories.get(session)
    if (memory === undefined) {
      const address = addressToJudge(session)
      memory = address === null ? null : { lookUps: new LookUps(address, session, this.#options), judgement: null }
      this.#memories.set(session, memory)
    }
    return memory
  }

  #judge(memory: Memory, session: SessionInTransaction): Promise<Suspicion> {
    const { envelope } = session
    if (memory.judgement?.envelope !== envelope) {
      memory.judgement = { envelope, suspicion: this.#ask(memory.lookUps, session) }
    }
    return memory.judgement.suspicion
  }

  async #ask(lookUps: LookUps, session: SessionInTransaction): Promise<Suspicion> {
    const { envelope } = session
    const goodList = await lookUps.goodList()
    const found = goodList === null ? await this.#weigh(lookUps, envelope) : passed(goodList, lookUps.name)
    if (suspicionChannel.hasSubscribers) {
      suspicionChannel.publish({ session, envelope, suspicion: found, refused: this.#isRefused(found) })
    }
    return found
  }

  async #weigh(lookUps: LookUps, { sender }: Envelope): Promise<Suspicion> {
    const { weights, threshold } = this.#options
    const facts = await lookUps.facts(sender)
    const signs = findSigns(facts, weights)
    const score = scoreOf(signs)
    const hostName = confirmedName(facts.hostName)
    return {
      score,
      signs,
      suspicious: score >= threshold,
      ...(hostName !== null && { hostName }),
      ...(facts.spf !== null && { spf: facts.spf }),
    }
  }

  #isRefused({ signs }: Suspicion): boolean {
    return scoreOf(certain(signs)) >= this.#options.reject
  }
}

/** The address of a client that is not on this machine; else null. */
function addressToJudge({ client: { address }, local }: Session): string | null {
  return address === null || address === local.address || LOOPBACK.has(address) ? null : address
}

/** For a client on a list of good ones; its name if that is known already. */
function passed(goodList: string, name: string | null): Suspicion {
  return { score: 0, signs: [], suspicious: false, goodList, ...(name !== null && { hostName: name }) }
}
