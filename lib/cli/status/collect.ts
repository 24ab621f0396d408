// The channels of diagnostics → batches for the status page, at most four a second, each of a bounded size.

import { createHash } from 'node:crypto'
import { storeFailureChannel, type StoreFailureEvent } from '../../policies/diagnostics.ts'
import type { RecipientDecision } from '../../policies/greylist/decisions.ts'
import { greylistChannel, type GreylistDecidedEvent, type GreylistEvent } from '../../policies/greylist/diagnostics.ts'
import { suspicionChannel, type SuspicionEvent } from '../../policies/suspicion/diagnostics.ts'
import { connectionChannel, type ConnectionEvent } from '../../server/diagnostics.ts'
import {
  channels,
  type CommandEvent,
  type RefusalEvent,
  type SessionEvent,
  type TransactionEvent,
} from '../../smtp/diagnostics.ts'
import type { Envelope } from '../../smtp/envelope.ts'
import type { Session } from '../../smtp/session.ts'
import type { StoreStats } from '../../stores/store.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { showReply, verdictOf } from '../log/session-tally.ts'
import { subscribe, together, type Unsubscribe } from '../subscriptions.ts'
import { Batch } from './batch.ts'
import type { Outcome, StatusBatch } from './facts.ts'
import { shownBy, type Shown } from './mask.ts'

/** Milliseconds between batches. */
const INTERVAL = 250
/** Milliseconds between looks at the store. */
const STATS_INTERVAL = 30_000
/** Milliseconds until the first look: the start of the server needs less. */
const FIRST_STATS = 1000
/** Recipients of an event that are shown; all are counted. */
const RECIPIENTS = 20

/** What {@link collectStatus} needs. */
export interface CollectOptions {
  /** True to leave out the local parts of addresses. */
  readonly mask: boolean
  /** Counts the entries of the store; returns null if there is none now, or if that costs much. */
  readonly stats: () => Promise<StoreStats> | null
  /** Gets the batches. */
  readonly tell: (batch: StatusBatch) => void
  /** @defaultValue the system's */
  readonly clock?: Clock
}

/** Tells what happens in this process, until the function that it returns is called. */
export function collectStatus(options: CollectOptions): Unsubscribe {
  const collector = new Collector(options)
  return together([
    subscribe(channels.session, (event: SessionEvent) => collector.session(event)),
    subscribe(channels.command, (event: CommandEvent) => collector.command(event)),
    subscribe(channels.refusal, (event: RefusalEvent) => collector.refusal(event)),
    subscribe(channels.transaction, (event: TransactionEvent) => collector.transaction(event)),
    subscribe(connectionChannel, (event: ConnectionEvent) => collector.connection(event)),
    subscribe(greylistChannel, (event: GreylistEvent) => collector.greylist(event)),
    subscribe(suspicionChannel, (event: SuspicionEvent) => collector.suspicion(event)),
    subscribe(storeFailureChannel, ({ error }: StoreFailureEvent) => collector.storeFailure(error)),
    () => collector.close(),
  ])
}

class Collector {
  readonly #tell: (batch: StatusBatch) => void
  readonly #stats: () => Promise<StoreStats> | null
  readonly #clock: Clock
  readonly #shown: Shown
  /** The path of the last MAIL or RCPT of a session: one that is refused is in no envelope. */
  readonly #paths = new WeakMap<Session, string>()
  /** The rule that refused the message of a session, until its verdict comes. */
  readonly #refusedBy = new WeakMap<Session, string>()
  #batch = new Batch()
  #sessions = 0
  #timer: unknown = null
  #statsTimer: unknown = null

  constructor({ mask, stats, tell, clock = systemClock }: CollectOptions) {
    this.#tell = tell
    this.#stats = stats
    this.#clock = clock
    this.#shown = shownBy({ mask })
    this.#change() // The page is to know of this process before anything happens in it.
    this.#statsTimer = clock.after(FIRST_STATS, () => void this.#askStore())
  }

  close(): void {
    this.#clock.clear(this.#timer)
    this.#clock.clear(this.#statsTimer)
  }

  session({ event }: SessionEvent): void {
    this.#sessions += event === 'start' ? 1 : -1
    this.#change()
  }

  connection({ event }: ConnectionEvent): void {
    if (event === 'refused') this.#change().count('connectionRefused')
  }

  command({ session, verb, argument }: CommandEvent): void {
    if (verb !== 'RCPT' && verb !== 'MAIL') return
    const [, path] = /<([^>]*)>/.exec((argument ?? '').slice(0, 2000)) ?? []
    this.#paths.set(session, path ?? '')
  }

  refusal({ session, hook, policy, reply }: RefusalEvent): void {
    const batch = this.#change()
    const isLater = reply.code < 500
    batch.count(isLater ? 'ruleDeferred' : 'ruleRefused')
    if (hook === 'onMessage') this.#refusedBy.set(session, policy) // The transaction is told next.
    if (policy === 'greylist') return // Told in full by its own channel.
    const outcome = isLater ? 'deferred' : 'refused'
    batch.rule(policy, `${outcome} at ${STEPS[hook] ?? hook}`)
    if (hook === 'onMessage') return
    const path = this.#paths.get(session) ?? ''
    this.#decide(session, policy, outcome, showReply(reply), {
      sender: hook === 'onMailFrom' ? path : (session.envelope?.sender.address ?? null),
      recipient: hook === 'onRcptTo' ? path : firstOf(session.envelope),
    })
  }

  transaction({ session, envelope, verdict }: TransactionEvent): void {
    const word = verdictOf(verdict)
    this.#change().count(word)
    const [reply] = verdict
    const rule = this.#refusedBy.get(session) ?? 'delivery'
    this.#refusedBy.delete(session)
    const reason = reply === undefined ? 'the client was gone before the verdict' : showReply(reply)
    const more = envelope.recipients.length - 1
    this.#decide(session, rule, word, more > 0 ? `${reason} (${more + 1} recipients)` : reason, {
      sender: envelope.sender.address,
      recipient: firstOf(envelope),
    })
  }

  suspicion({ suspicion }: SuspicionEvent): void {
    const batch = this.#change()
    for (const { sign } of suspicion.signs) batch.sign(sign)
  }

  storeFailure(error: Error): void {
    const batch = this.#change()
    batch.count('storeFailed')
    batch.failed = { at: this.#clock.wallTime(), error: this.#shown.text(error.message) }
  }

  greylist(event: GreylistEvent): void {
    if (event.event === 'failed') return this.storeFailure(event.error)
    const batch = this.#change()
    const { session, observed, decisions } = event
    for (const [i, decision] of decisions.entries()) {
      const { outcome, why } = describe(decision, observed)
      batch.rule('greylist', `${outcome}: ${why}`)
      if (wasAsked(decision)) batch.answered = this.#clock.wallTime()
      this.#noteWait(batch, event, decision)
      if (i >= RECIPIENTS) continue
      const trust = decision.reason === 'trusted client' ? session.trusted : null
      const reason = [why, decision.verdict === 'exempt' ? trust : decision.reason].filter(text => text !== null)
      this.#decide(session, 'greylist', outcome, reason.join('; '), {
        sender: event.envelope.sender.address,
        recipient: decision.recipient,
      })
    }
  }

  #noteWait(batch: Batch, { session, envelope, observed, clients }: GreylistDecidedEvent, decision: RecipientDecision) {
    if (!wasAsked(decision)) return
    const { recipient, verdict, waits, wait, age, attempts, reason } = decision
    const now = this.#clock.wallTime()
    const key = [clients[0], envelope.sender.address.toLowerCase(), recipient.toLowerCase()]
    const id = createHash('sha256').update(JSON.stringify(key)).digest('base64url').slice(0, 16)
    const shown = {
      client: this.#client(session),
      sender: this.#shown.address(envelope.sender.address),
      recipient: this.#shown.address(recipient),
      attempts,
    }
    if (waits) {
      const why = reason === null ? '' : this.#shown.text(reason)
      batch.wait({ ...shown, id, since: now - age, until: now + wait, observed, reason: why })
    } else batch.leave(id)
    if (verdict === 'pass') batch.pass({ ...shown, at: now, after: age })
  }

  #decide(
    session: Session,
    rule: string,
    outcome: Outcome,
    reason: string,
    { sender, recipient }: { readonly sender: string | null; readonly recipient: string | null },
  ): void {
    this.#batch.decide({
      at: this.#clock.wallTime(),
      client: this.#client(session),
      sender: sender === null ? '' : this.#shown.address(sender),
      recipient: recipient === null ? '' : this.#shown.address(recipient),
      rule,
      outcome,
      reason: this.#shown.text(reason),
    })
  }

  #client({ client: { address } }: Session): string {
    return address ?? 'unknown'
  }

  /** Returns the batch to change; it is told soon. */
  #change(): Batch {
    this.#timer ??= this.#clock.after(INTERVAL, () => {
      const batch = this.#batch.end(this.#sessions)
      this.#batch = new Batch()
      this.#timer = null
      this.#tell(batch)
    })
    return this.#batch
  }

  async #askStore(): Promise<void> {
    try {
      const entries = await this.#stats()
      if (entries !== null) {
        const batch = this.#change()
        batch.entries = entries
        batch.answered = this.#clock.wallTime()
      }
    } catch (error) {
      this.storeFailure(error as Error)
    }
    this.#statsTimer = this.#clock.after(STATS_INTERVAL, () => void this.#askStore())
  }
}

/** Where in a dialogue a hook is asked. */
const STEPS: Readonly<Record<string, string>> = {
  onConnect: 'connection',
  onHelo: 'HELO',
  onAuth: 'AUTH',
  onMailFrom: 'MAIL',
  onRcptTo: 'RCPT',
  onData: 'DATA',
  onMessage: 'the message',
  onSecure: 'STARTTLS',
}

const WORDS: Readonly<Record<string, string>> = {
  new: 'first attempt',
  early: 'retry too early',
  pass: 'retry after the delay',
  known: 'has passed before',
  allowed: 'client has passed often',
  failed: 'no answer from the store',
}

function describe({ verdict, reason, waits }: RecipientDecision, observed: boolean): { outcome: Outcome; why: string } {
  const why = WORDS[verdict] ?? String(reason) // The reason of an exemption is all there is.
  if (!waits) return { outcome: 'passes', why }
  return { outcome: observed ? 'would wait' : 'waits', why }
}

function wasAsked({ verdict }: RecipientDecision): boolean {
  return verdict !== 'exempt' && verdict !== 'failed'
}

function firstOf(envelope: Envelope | null): string | null {
  return envelope?.recipients[0]?.address ?? null
}
