// Whom our own users write to may answer at once.
//
//   a user's message ─ 250 ─→ store.know(user, correspondent)
//   the answer       ─ sender is who it says? ─ store.known(recipient, sender) ─→ a note that greylist() reads

import type { Envelope, Recipient } from '../smtp/envelope.ts'
import type { Policy } from '../smtp/hooks.ts'
import { noteKey, type NoteKey } from '../smtp/notes.ts'
import type { Session, SessionInTransaction } from '../smtp/session.ts'
import type { Store } from '../stores/store.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { checkClock, checkKeys, wrong } from '../words/option-checks.ts'
import { publishFailure } from './diagnostics.ts'
import { isNarrow, organisationalDomain } from './greylist/client-keys.ts'
import { foldRecipient } from './greylist/fold-sender.ts'
import { callsOf, wasAccepted } from './session-calls.ts'
import { suspicionKey } from './suspicion/verdict.ts'
import { checkStore } from './store-option.ts'

/** Options of {@link knownCorrespondents}. */
export interface KnownCorrespondentsOptions {
  /** What remembers the pairs. */
  readonly store: Store
  /** Milliseconds from the last message to a correspondent. @defaultValue 60 days */
  readonly life?: number | undefined
  /** Pairs that are remembered for one user in 24 hours; later ones are not. @defaultValue 500 */
  readonly perDay?: number | undefined
  /** For the time that the store takes. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

const DAY = 86_400_000

/** The recipients of a transaction whom the sender may answer: a note for `greylist()`. */
export const knownCorrespondentsKey: NoteKey<ReadonlySet<Recipient>> =
  noteKey<ReadonlySet<Recipient>>('known correspondents')

/**
 * Remembers whom authenticated users write to, after the 250 for the message, and lets them answer without greylisting: put
 * it before `greylist()`. It skips nothing else. The answer must come from who it says: SPF passes for the sender's domain by
 * a narrow mechanism, or the client's confirmed name is of that domain; so `suspicion()` goes before it. A store that fails
 * means that nobody is known. Throws `ERR_OPTION`.
 */
export function knownCorrespondents(options: KnownCorrespondentsOptions): Policy {
  checkKeys('', options, ['store', 'life', 'perDay', 'clock'])
  const { store, life = 60 * DAY, perDay = 500, clock = systemClock } = options
  checkStore(store)
  if (!Number.isSafeInteger(life) || life < 1) throw wrong('life is a whole number of milliseconds')
  if (!Number.isSafeInteger(perDay) || perDay < 1) throw wrong('perDay is a whole number above 0')
  return new KnownCorrespondents(store, life, perDay, checkClock(clock))
}

class KnownCorrespondents implements Policy {
  readonly name = 'knownCorrespondents'
  readonly #store: Store
  readonly #life: number
  readonly #perDay: number
  readonly #clock: Clock
  readonly #envelopes = new WeakMap<Session, Envelope>()

  constructor(store: Store, life: number, perDay: number, clock: Clock) {
    this.#store = store
    this.#life = life
    this.#perDay = perDay
    this.#clock = clock
  }

  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<void> | void {
    const { envelope } = session
    if (session.user !== null) return void this.#envelopes.set(session, envelope)
    const isOver = session.trusted !== null || recipient.trusted !== null
    if (!isOver && envelope.sender.address !== '' && isGenuine(session)) return this.#look(recipient, session)
  }

  onReset(session: Session): void {
    const envelope = this.#envelopes.get(session)
    if (envelope === undefined) return
    this.#envelopes.delete(session)
    if (session.user !== null && wasAccepted(envelope)) void this.#remember(session, session.user, envelope)
  }

  async #look(recipient: Recipient, session: SessionInTransaction): Promise<void> {
    const { envelope } = session
    const key = pair(foldRecipient(recipient), foldRecipient(envelope.sender))
    const outcome = await callsOf(session, this.#clock).ask(options => this.#store.known([key], options))
    if (!outcome.ok) {
      if (outcome.error !== null) publishFailure(this.name, session, outcome.error)
      return
    }
    if (outcome.value[0] !== true) return
    const before = envelope.notes.get(knownCorrespondentsKey) ?? []
    envelope.notes.set(knownCorrespondentsKey, new Set([...before, recipient]))
  }

  /** Nobody waits for it: the message has its verdict. */
  async #remember(session: Session, user: string, { sender, recipients, verdict }: Envelope): Promise<void> {
    const own = foldRecipient(sender)
    if (own === '') return
    const rate = { limit: this.#perDay, per: DAY }
    try {
      for (const [i, recipient] of recipients.entries()) {
        if (verdict[session.lmtp ? i : 0]?.positive !== true) continue
        const { allowed } = await this.#store.hit(`known ${user}`, rate)
        if (!allowed) return
        await this.#store.know(pair(own, foldRecipient(recipient)), this.#life)
      }
    } catch (error) {
      publishFailure(this.name, session, error)
    }
  }
}

function pair(user: string, correspondent: string): string {
  return `known ${user.length} ${user} ${correspondent}`
}

/** True if the client sends for the domain of the sender: by SPF, or by its name. */
function isGenuine({ client, notes, envelope }: SessionInTransaction): boolean {
  const domain = envelope.sender.domain.toLowerCase()
  const { spf, hostName = client.name } = notes.get(suspicionKey) ?? {}
  if (spf?.result === 'pass' && spf.mechanism !== null && spf.domain === domain) {
    if (isNarrow({ ...spf, mechanism: spf.mechanism }, client.address)) return true
  }
  const own = organisationalDomain(domain)
  return own !== null && hostName !== null && organisationalDomain(hostName) === own
}
