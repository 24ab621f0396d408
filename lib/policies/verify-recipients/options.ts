// The options of verifyRecipients(), checked, with every default filled in.

import type { Mailbox } from '../../protocol/addresses/mailbox.ts'
import { formatReversePath } from '../../protocol/addresses/path.ts'
import { networksOf, type Networks } from '../../protocol/networks/network.ts'
import { WrongCredentials, type GuessCounter } from '../../smtp/auth/wrong-credentials.ts'
import type { Session } from '../../smtp/session.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkClock, checkKeys, numbers, show, wrong } from '../../words/option-checks.ts'
import type { Reply } from '../../words/reply.ts'

/** A question to a {@link RecipientVerifier}. */
export interface VerifyQuestion {
  /** The reverse-path to ask with; empty for `<>`. */
  readonly sender: string
  /** The network of the client that the question is for, so that no network takes all connections; null if unknown. */
  readonly network: string | null
  /** The session that the question is for: a relay that holds its only connection for it gives that back first. */
  readonly session: Session
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** Knows recipients: a `relay()`, or an object of one's own over a directory. */
export interface RecipientVerifier {
  /**
   * Asks about a recipient. Resolves with what its client would be told: a positive reply, or the refusal; 4yz means that
   * there is no answer now. Rejects if it cannot be asked.
   */
  verifyRecipient(recipient: Mailbox, question: VerifyQuestion): Promise<Reply>
}

/** How long answers are kept, and how many. */
export interface VerifyCache {
  /** Milliseconds for which a recipient is known to exist. @defaultValue 3,600,000 */
  readonly positive: number
  /** Milliseconds for which a recipient is known not to exist. @defaultValue 600,000 */
  readonly negative: number
  /** Recipients of each kind that are remembered. @defaultValue 10,000 */
  readonly size: number
}

/** How many recipients that do not exist a client network may ask for. */
export interface UnknownRecipientLimits {
  /** Different ones within the window; then all its recipients get 450 until the window is over. @defaultValue 50 */
  readonly most: number
  /** Milliseconds. @defaultValue 600,000 */
  readonly window: number
}

/** Options of {@link verifyRecipients}. */
export interface VerifyRecipientsOptions {
  /** Who is asked. */
  readonly upstream: RecipientVerifier
  /** How long answers are kept. */
  readonly cache?: Partial<VerifyCache> | undefined
  /** Milliseconds for a question. @defaultValue 10,000 */
  readonly timeout?: number | undefined
  /**
   * What a recipient gets about which nobody can be asked: `'accept'`, it passes, for a delivery that asks by itself;
   * `'defer'`, 451 4.4.1. @defaultValue `'accept'`
   */
  readonly onFailure?: 'accept' | 'defer' | undefined
  /** The sender to ask with. @defaultValue `''`, which is `<>` */
  readonly sender?: string | undefined
  /** How many recipients that do not exist a client network may ask for. Users that have logged in are not counted. */
  readonly unknown?:
    | (Partial<UnknownRecipientLimits> & {
        /** Networks that are not counted. @defaultValue none */
        readonly except?: Iterable<string> | undefined
        /** Counts in the place of this process. @defaultValue in memory */
        readonly counter?: GuessCounter | undefined
      })
    | undefined
  /** The clock of all times. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

export interface ResolvedVerifyRecipients {
  readonly upstream: RecipientVerifier
  readonly cache: VerifyCache
  readonly timeout: number
  readonly onFailure: 'accept' | 'defer'
  readonly sender: string
  readonly counter: GuessCounter
  readonly except: Networks
  readonly clock: Clock
}

const CACHE: VerifyCache = Object.freeze({ positive: 3_600_000, negative: 600_000, size: 10_000 })
const UNKNOWN: UnknownRecipientLimits = Object.freeze({ most: 50, window: 600_000 })
const NETWORKS = 10_000
const KEYS = ['upstream', 'cache', 'timeout', 'onFailure', 'sender', 'unknown', 'clock']

/** Throws `ERR_OPTION`. */
export function resolveVerifyRecipients(options: VerifyRecipientsOptions): ResolvedVerifyRecipients {
  checkKeys('verifyRecipients', options, KEYS)
  const { upstream, onFailure = 'accept', sender = '', clock = systemClock } = options
  checkClock(clock)
  if (typeof (Object(upstream) as Partial<RecipientVerifier>).verifyRecipient !== 'function') {
    throw wrong(`verifyRecipients.upstream is a relay(), or has verifyRecipient(), not ${show(upstream)}`)
  }
  if (onFailure !== 'accept' && onFailure !== 'defer') {
    throw wrong(`verifyRecipients.onFailure is accept or defer, not ${show(onFailure)}`)
  }
  checkSender(sender)
  const { except = [], counter, ...limits } = options.unknown ?? {}
  const { most, window } = numbers('verifyRecipients.unknown', UNKNOWN, limits)
  return Object.freeze({
    upstream,
    cache: numbers('verifyRecipients.cache', CACHE, options.cache ?? {}),
    timeout: numbers('verifyRecipients', { timeout: 10_000 }, { timeout: options.timeout ?? 10_000 }).timeout,
    onFailure,
    sender,
    counter: counter ?? new WrongCredentials({ credentials: most, window, networks: NETWORKS }, clock),
    except: networksOf('verifyRecipients.unknown.except', except),
    clock,
  })
}

function checkSender(sender: unknown): void {
  try {
    if (typeof sender === 'string') return void formatReversePath(sender, { utf8: false, strictness: 'lenient' })
  } catch {}
  throw wrong(`verifyRecipients.sender is a mailbox, or '' for <>, not ${show(sender)}`)
}
