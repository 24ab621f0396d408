// Greylisting: a client that is not known has to come again. [RFC 6647]
//
//   RCPT ─ exempt? ─→ passes
//          └ store.greylist() ─ new, early ─→ 451, with the seconds to wait
//                             └ pass, known, allowed ─→ passes ┄ 250 for the message ┄→ store.accept()
//
// `<>`, and everybody with decideAt 'data', is decided after DATA instead, all recipients in one call.

import type { Envelope, Recipient } from '../../smtp/envelope.ts'
import type { Policy } from '../../smtp/hooks.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import type { GreylistRequest, GreylistResult } from '../../stores/store.ts'
import { printable } from '../../words/printable.ts'
import { LOCAL_ERROR } from '../../words/replies.ts'
import type { Reply } from '../../words/reply.ts'
import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import { callsOf, type CallOutcome } from '../session-calls.ts'
import { knownCorrespondentsKey } from '../known-correspondents.ts'
import { suspicionKey } from '../suspicion/verdict.ts'
import { clientFacts, isLoopback, reasonOf } from './client-facts.ts'
import { clientKeys } from './client-keys.ts'
import * as decisions from './decisions.ts'
import { greylistChannel } from './diagnostics.ts'
import { FirstAttempts } from './first-attempts.ts'
import { foldRecipient, foldSender } from './fold-sender.ts'
import { resolveGreylist, type GreylistOptions, type ResolvedGreylist } from './options.ts'

type Attempt = Omit<GreylistRequest, 'recipients'>

/** What is remembered of a session between its hooks. */
interface Memory {
  envelope: Envelope | null
  /** Recipients to decide about at DATA. */
  readonly postponed: Set<Recipient>
  /** What has passed, to be counted after the 250: the folded recipient of each. */
  readonly passed: Map<Recipient, string>
  attempt: Attempt | null
  note: MutableNote | null
}

type MutableNote = { -readonly [Key in keyof decisions.Greylisting]: decisions.Greylisting[Key] } & {
  readonly decisions: decisions.RecipientDecision[]
}

/** Of the time for the store, what is kept for the one call at DATA. */
const RESERVE = 150

/** The client waits, and nothing is recorded. */
const TOO_MANY = Object.freeze({
  ok: false,
  error: null,
  reason: 'the client has made too many first attempts in the last hour',
  isBusy: true,
} as const)

/** What {@link greylist} gives: a policy. */
export interface Greylist {
  /** What logs and metrics call it. */
  readonly name: string
  /** Decides about a recipient, or puts it off until DATA. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void> | Reply | void
  /** Decides about the recipients that were put off. */
  onData(session: SessionInTransaction): Promise<Reply | void> | void
  /** Counts what has passed, if the message was accepted. */
  onReset(session: Session): void
}

/**
 * Lets mail of unknown clients wait: `policies: [allowRecipients(['example.org']), suspicion(), greylist({ store })]`.
 * Put it behind the policies that refuse or trust. The decisions are in the note {@link greylistKey} of the envelope, and
 * on the channel {@link greylistChannel}. Throws `ERR_OPTION`.
 *
 * @see RFC 6647, docs/greylisting.md
 */
export function greylist(options: GreylistOptions): Greylist {
  return new GreylistPolicy(resolveGreylist(options))
}

class GreylistPolicy implements Greylist, Policy {
  readonly name = 'greylist'
  readonly #options: ResolvedGreylist
  readonly #memories = new WeakMap<Session, Memory>()
  readonly #firstAttempts: FirstAttempts

  constructor(options: ResolvedGreylist) {
    this.#options = options
    this.#firstAttempts = new FirstAttempts(options.clock)
  }

  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void> | void {
    const { envelope } = session
    const memory = this.#memoryOf(session, envelope)
    if (this.#options.decideAt === 'data' || envelope.sender.address === '') {
      memory.postponed.add(recipient)
      return
    }
    const reason = this.#exemption(recipient, session)
    if (reason !== null) {
      this.#note(session, 'rcpt', [], null, [decisions.exempt(recipient.address, reason)])
      return
    }
    if (callsOf(session, this.#options.clock).left < RESERVE) memory.postponed.add(recipient)
    else return this.#decide([recipient], 'rcpt', session, memory)
  }

  onData(session: SessionInTransaction): Promise<Reply | void> | void {
    const { envelope } = session
    const memory = this.#memoryOf(session, envelope)
    const open: Recipient[] = []
    for (const recipient of envelope.recipients) {
      if (!memory.postponed.delete(recipient)) continue
      const reason = this.#exemption(recipient, session)
      if (reason === null) open.push(recipient)
      else this.#note(session, 'data', [], null, [decisions.exempt(recipient.address, reason)])
    }
    memory.postponed.clear() // those that were refused behind this policy
    if (open.length > 0) return this.#decide(open, 'data', session, memory)
  }

  onReset(session: Session): void {
    const memory = this.#memories.get(session)
    if (memory === undefined || memory.envelope === null) return
    const { envelope, attempt, passed } = memory
    const { recipients, verdict } = envelope
    const accepted = recipients.filter((_, i) => verdict[session.lmtp ? i : 0]?.positive === true)
    if (accepted.length > 0) {
      callsOf(session, this.#options.clock).renew()
      const counted = accepted.flatMap(recipient => passed.get(recipient) ?? [])
      if (attempt !== null && counted.length > 0)
        void this.#count(session, envelope, { ...attempt, recipients: counted })
    }
    memory.envelope = null
  }

  /** The reply to the recipients, who pass or wait together, and a note of it. */
  async #decide(
    recipients: readonly Recipient[],
    at: 'rcpt' | 'data',
    session: SessionInTransaction,
    memory: Memory,
  ): Promise<Reply | void> {
    const { onStoreError, mode, clock, refusal } = this.#options
    const { envelope } = session
    const attempt = (memory.attempt ??= this.#attempt(session))
    const folded = recipients.map(foldRecipient)
    const outcome = await this.#ask({ ...attempt, recipients: folded }, session)
    const now = clock.wallTime()
    const made = recipients.map(({ address }, i) => {
      if (outcome.ok) return decisions.decided(address, outcome.value.recipients[i]!, now, attempt.reason ?? null)
      // A client does not get past by using up its time, with many recipients.
      return decisions.failed(address, printable(outcome.reason, 200), outcome.isBusy ? 'defer' : onStoreError)
    })
    for (const [i, { verdict }] of made.entries()) {
      if (verdict === 'pass' || verdict === 'known') memory.passed.set(recipients[i]!, folded[i]!)
    }
    const allowedBy = outcome.ok ? outcome.value.allowedBy : null
    this.#note(
      session,
      at,
      attempt.clients.map(({ key }) => key),
      allowedBy,
      made,
    )
    const longest = decisions.longestWait(made)
    if (longest === null || mode === 'observe') return
    if (longest.verdict === 'failed') return LOCAL_ERROR
    return refusal(longest.wait, canonicalDomain((recipients[made.indexOf(longest)] ?? envelope.recipients[0]!).domain))
  }

  async #ask(request: GreylistRequest, session: Session): Promise<CallOutcome<GreylistResult>> {
    const { store, clock } = this.#options
    const { address } = session.client
    if (this.#firstAttempts.isExhausted(address)) return TOO_MANY
    const outcome = await callsOf(session, clock).ask(async options => {
      const result = await store.greylist(request, options)
      if (result.recipients.length === request.recipients.length) return result
      throw new TypeError('the store did not answer for each recipient')
    })
    if (!outcome.ok && outcome.error !== null) this.#fail(session, 'greylist', outcome.error)
    const made = outcome.ok ? outcome.value.recipients.filter(({ verdict }) => verdict === 'new') : []
    this.#firstAttempts.note(address, made.length)
    return outcome
  }

  async #count(session: Session, envelope: Envelope, request: GreylistRequest): Promise<void> {
    try {
      await this.#options.store.accept(request)
    } catch (error) {
      this.#fail(session, 'accept', error, envelope)
    }
  }

  #fail(session: Session, call: 'greylist' | 'accept', error: unknown, envelope: Envelope = session.envelope!): void {
    if (!greylistChannel.hasSubscribers) return
    const cause = error instanceof Error ? error : new Error(String(error))
    greylistChannel.publish({ event: 'failed', session, envelope, call, error: cause })
  }

  #attempt(session: SessionInTransaction): Attempt {
    const suspicion = session.notes.get(suspicionKey)
    return {
      clients: clientKeys(clientFacts(session, suspicion), this.#options.allowBy),
      sender: foldSender(session.envelope.sender),
      rules: this.#options.rules,
      reason: reasonOf(suspicion) ?? undefined,
    }
  }

  #exemption(recipient: Recipient, session: SessionInTransaction): decisions.GreylistExemption | null {
    const { senders, recipients, hold } = this.#options
    return decisions.exemption({
      user: session.user,
      trusted: session.trusted,
      isLocal: isLoopback(session.client.address),
      recipient,
      isSenderExempt: !senders(session.envelope.sender),
      isRecipientExempt: !recipients(recipient),
      isKnownCorrespondent: session.envelope.notes.get(knownCorrespondentsKey)?.has(recipient) === true,
      isHeld: hold === 'all' || session.notes.get(suspicionKey)?.suspicious !== false,
    })
  }

  #note(
    session: SessionInTransaction,
    at: 'rcpt' | 'data',
    clients: readonly string[],
    allowedBy: string | null,
    made: readonly decisions.RecipientDecision[],
  ): void {
    const { envelope } = session
    const observed = this.#options.mode === 'observe'
    const note = (this.#memoryOf(session, envelope).note ??= { observed, clients, allowedBy, decisions: [] })
    if (clients.length > 0) Object.assign(note, { clients, allowedBy: note.allowedBy ?? allowedBy })
    note.decisions.push(...made)
    envelope.notes.set(decisions.greylistKey, note)
    if (!greylistChannel.hasSubscribers) return
    greylistChannel.publish({ event: 'decided', session, envelope, at, observed, clients, allowedBy, decisions: made })
  }

  #memoryOf(session: Session, envelope: Envelope): Memory {
    let memory = this.#memories.get(session)
    if (memory === undefined) {
      memory = { envelope, postponed: new Set(), passed: new Map(), attempt: null, note: null }
      this.#memories.set(session, memory)
    } else if (memory.envelope !== envelope) {
      Object.assign(memory, { envelope, attempt: null, note: null })
      memory.postponed.clear()
      memory.passed.clear()
    }
    return memory
  }
}
