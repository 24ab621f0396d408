// The decisions of the policy, as functions of what a session, the lists and the store say.

import type { Recipient } from '../../smtp/envelope.ts'
import { noteKey, type NoteKey } from '../../smtp/notes.ts'
import type { GreylistDecision, GreylistVerdict } from '../../stores/store.ts'

/** Why a recipient's mail passes without the store being asked. */
export type GreylistExemption =
  | 'authenticated'
  | 'trusted client'
  | 'local client'
  | 'trusted recipient'
  | 'postmaster'
  | 'sender by option'
  | 'recipient by option'
  | 'known correspondent'
  | 'not suspicious'

/** What greylisting has decided about one recipient. */
export interface RecipientDecision {
  /** The recipient as the client wrote it. */
  readonly recipient: string
  /** What the store said; `exempt` if it was not asked, `failed` if it gave no answer. */
  readonly verdict: GreylistVerdict | 'exempt' | 'failed'
  /** Why it is exempt; why the client is held, if a suspicion policy said so; what the store failed with. */
  readonly reason: string | null
  /** True if the client has to come again; in observe mode, if it would have had to. */
  readonly waits: boolean
  /** Milliseconds until a retry passes; 0 if it does not wait. */
  readonly wait: number
  /** Milliseconds since the first attempt; 0 for the first. */
  readonly age: number
  /** Attempts so far, this one included; 0 if the store was not asked. */
  readonly attempts: number
}

/** The note of greylisting on an envelope. */
export interface Greylisting {
  /** True if nothing is held, only noted. */
  readonly observed: boolean
  /** The keys that the client is known by, `name:example.org`, `net:192.0.2.0/24` … */
  readonly clients: readonly string[]
  /** The key that is past greylisting, or null. */
  readonly allowedBy: string | null
  /** One for each recipient about whom it has decided, in that order. */
  readonly decisions: readonly RecipientDecision[]
}

/** The key of the note on `envelope.notes` that `greylist()` makes. */
export const greylistKey: NoteKey<Greylisting> = noteKey<Greylisting>('greylist')

/** What is asked of a session and a recipient before the store is. */
export interface ExemptionFacts {
  readonly user: string | null
  readonly trusted: string | null
  readonly isLocal: boolean
  readonly recipient: Pick<Recipient, 'localPart' | 'trusted'>
  readonly isSenderExempt: boolean
  readonly isRecipientExempt: boolean
  readonly isKnownCorrespondent: boolean
  /** False if a suspicion policy has judged the client, and found too little, and only the suspicious are held. */
  readonly isHeld: boolean
}

const ALWAYS_REACHED: ReadonlySet<string> = new Set(['postmaster', 'abuse']) // [RFC 5321 §4.5.1, RFC 2142 §4]

/** Why greylisting leaves this recipient alone, or null. */
export function exemption(facts: ExemptionFacts): GreylistExemption | null {
  if (facts.user !== null) return 'authenticated'
  if (facts.trusted !== null) return 'trusted client'
  if (facts.isLocal) return 'local client'
  if (facts.recipient.trusted !== null) return 'trusted recipient'
  if (ALWAYS_REACHED.has(facts.recipient.localPart.toLowerCase())) return 'postmaster'
  if (facts.isSenderExempt) return 'sender by option'
  if (facts.isRecipientExempt) return 'recipient by option'
  if (facts.isKnownCorrespondent) return 'known correspondent'
  return facts.isHeld ? null : 'not suspicious'
}

/** The decision for a recipient that is left alone. */
export function exempt(recipient: string, reason: GreylistExemption): RecipientDecision {
  return { recipient, verdict: 'exempt', reason, waits: false, wait: 0, age: 0, attempts: 0 }
}

/** The decision that the store's answer comes to. */
export function decided(
  recipient: string,
  answer: GreylistDecision,
  now: number,
  reason: string | null,
): RecipientDecision {
  const { verdict, wait, first, attempts } = answer
  return { recipient, verdict, reason, waits: wait > 0, wait, age: Math.max(0, Math.round(now - first)), attempts }
}

/** The decision without an answer of the store. */
export function failed(recipient: string, reason: string, onStoreError: 'accept' | 'defer'): RecipientDecision {
  return { recipient, verdict: 'failed', reason, waits: onStoreError === 'defer', wait: 0, age: 0, attempts: 0 }
}

/** The decision that the client waits for longest, or null if none waits. */
export function longestWait(decisions: readonly RecipientDecision[]): RecipientDecision | null {
  let longest: RecipientDecision | null = null
  for (const decision of decisions) {
    if (decision.waits && (longest === null || decision.wait > longest.wait)) longest = decision
  }
  return longest
}
