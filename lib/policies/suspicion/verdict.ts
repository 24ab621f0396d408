// What suspicion() has found out about a client, as a note for the policies behind it.

import { noteKey, type NoteKey } from '../../smtp/notes.ts'

/** A sign of suspicion; docs/greylisting.md says when each is given. */
export type SignName =
  | 'noReverseName'
  | 'unconfirmedName'
  | 'dynamicName'
  | 'heloMismatch'
  | 'heloOurs'
  | 'listed'
  | 'nearlyListed'
  | 'spfFail'
  | 'spfSoftfail'
  | 'spfNone'
  | 'earlyTalker'
  | 'noTls'

/** A sign that was found. */
export interface Sign {
  /** Which sign it is. */
  readonly sign: SignName
  /** What it adds to the score; above 0. */
  readonly weight: number
  /** What it was found in: a name, a zone, a domain; from the client or its DNS, so escape it wherever it is shown. */
  readonly detail?: string
  /** True if it is only supposed, since DNS gave no answer for a name of the client's; `reject` does not count it. */
  readonly supposed?: true
}

/** What SPF says of the client and a domain. [RFC 7208 §2.6] */
export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror'

/** What SPF says, and of what. */
export interface SpfOutcome {
  /** `temperror` also if there was no answer in time. */
  readonly result: SpfResult
  /** The domain that was asked, in lower case: that of the sender, or for `<>` the HELO name. [RFC 7208 §2.4] */
  readonly domain: string
  /** For `pass`, the mechanism that matched: `ip4:192.0.2.0/24`, `a`, `all`; null if that is not known. */
  readonly mechanism: string | null
  /** For `pass`, how many bits of the address the mechanism matches, 0 to 32 or 128; null if that is not known. */
  readonly prefix: number | null
}

/** What is known of a client and its sender when the first recipient is named. */
export interface Suspicion {
  /** The sum of the weights. */
  readonly score: number
  /** Every sign that was found, those below the threshold too; empty for a client that is trusted or on a list of good ones. */
  readonly signs: readonly Sign[]
  /** True if the score reaches the threshold. */
  readonly suspicious: boolean
  /** The client's name, if it points back to the address; in lower case. */
  readonly hostName?: string
  /** What SPF says; absent if SPF was not asked for. */
  readonly spf?: SpfOutcome
  /** The list of good addresses (DNSWL) that has the client; then no other sign counts. */
  readonly goodList?: string
}

/**
 * The note that `suspicion()` leaves on the session at each RCPT: `session.notes.get(suspicionKey)`. It is about the
 * transaction under way, and replaced by the next one; undefined if the policy does not judge the client.
 */
export const suspicionKey: NoteKey<Suspicion> = noteKey<Suspicion>('suspicion')
