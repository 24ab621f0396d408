// Keeps guesses of passwords few, and what they cost low: wrong credentials are counted by client network across
// sessions, and only a few exchanges at a time are given work.
//
//   AUTH → attempt.begin() ─ too many wrong credentials: 454
//                          └ a turn ─ the mechanism and onAuth work ─ attempt.noteWrong() ─ attempt.end()
//
// An attempt has its turn only while this side works, never while it waits for the client.

import { createHmac, randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { networkOf, networksOf, type Networks } from '../../protocol/networks/network.ts'
import type { Clock } from '../../time/clock.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { checkKeys, numbers } from '../../words/option-checks.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { AUTH_BUSY, TOO_MANY_GUESSES } from '../known-replies.ts'
import { CheckQueue, type CheckKey } from './check-queue.ts'
import type { Credentials } from './mechanism.ts'
import { WrongCredentials, type GuessCounter } from './wrong-credentials.ts'

/** How many guesses of passwords a client network has. `Infinity` turns a limit off. */
export interface GuessLimits {
  /**
   * Different wrong credentials of one client network, an IPv4 address or an IPv6 /64, within the window, in all
   * sessions. Beyond them AUTH gets 454 4.7.0 without a check, until the first of them is older than the window. The
   * same wrong password, sent again and again, counts once; SCRAM and CRAM-MD5 do not show whether it is the same.
   * @defaultValue 20
   */
  readonly credentials: number
  /** Milliseconds for which wrong credentials count. @defaultValue 600,000 */
  readonly window: number
  /**
   * Exchanges that are given work at a time, one of each network, the networks in turn. The others wait, at most
   * `timeouts.hook`, then they get 454 4.7.0.
   * @defaultValue 2; 1 on a machine of one or two processors
   */
  readonly checks: number
}

/** The limits of guesses unless the option `auth.guesses` says otherwise. */
export const GUESS_LIMITS: GuessLimits = Object.freeze({ credentials: 20, window: 600_000, checks: checksAtATime() })

/**
 * Two, and one if the machine has no third processor: a check can hold a processor for 0.1 s, and one has to be left for
 * the mail of others, which took twice as long on two.
 */
export function checksAtATime(processors: number = availableParallelism()): number {
  return processors > 2 ? 2 : 1
}

/** The option `auth.guesses`: limits that differ from {@link GUESS_LIMITS}. */
export interface GuessOptions extends Partial<GuessLimits> {
  /** Networks whose wrong credentials are not counted, such as that of a webmail server. @defaultValue none */
  readonly except?: readonly string[]
  /** Counts wrong credentials in the place of this process, as `sharedGuesses()`. @defaultValue in memory */
  readonly counter?: GuessCounter
}

/** Networks that are remembered: each takes 3 KiB at the most. */
const NETWORKS = 10_000

/** The guards of this process, by the object that is the option `auth.guesses`, or by the clock if it is missing. */
const guards = new WeakMap<object, AuthGuard>()

/** The guard for these options. Throws `ERR_OPTION`. */
export function authGuard(options: GuessOptions | undefined, clock: Clock): AuthGuard {
  if (options !== undefined) checkKeys('auth.guesses', options, [...Object.keys(GUESS_LIMITS), 'except', 'counter'])
  const key = options ?? clock
  const known = guards.get(key)
  if (known !== undefined) return known
  const { except = [], counter, ...given } = options ?? {}
  const limits = numbers('auth.guesses', GUESS_LIMITS, given)
  const guard = new AuthGuard(limits, networksOf('auth.guesses.except', except), clock, counter)
  guards.set(key, guard)
  return guard
}

/** Guards AUTH in all sessions of a process. */
export class AuthGuard {
  readonly counter: GuessCounter
  readonly queue: CheckQueue
  readonly clock: Clock
  readonly #exempt: Networks
  /** Of the digests in whose form secrets are kept, unless the counter has a key. */
  readonly #key = randomBytes(32)

  constructor(limits: GuessLimits, exempt: Networks, clock: Clock, counter?: GuessCounter) {
    const { credentials, window, checks } = limits
    this.counter = counter ?? new WrongCredentials({ credentials, window, networks: NETWORKS }, clock)
    this.queue = new CheckQueue(checks, clock)
    this.clock = clock
    this.#exempt = exempt
  }

  /** The network that a client is counted by; null if it is not. */
  networkOf(address: string | null): string | null {
    return address === null || this.#exempt.has(address) ? null : networkOf(address)
  }

  digest(user: string, secret: string): string {
    return createHmac('sha256', this.#keyOfDigests()).update(`${user}\0${secret}`).digest('base64url').slice(0, 22)
  }

  #keyOfDigests(): string | Buffer {
    try {
      return this.counter.key?.() ?? this.#key
    } catch {
      return this.#key
    }
  }
}

/** What an attempt needs to know of its session. */
export interface AttemptSession {
  /** The client's address; null if it has none. */
  readonly address: string | null
  /** Aborted when the client is gone. */
  readonly signal: () => AbortSignal
  /** Milliseconds that it may wait for a turn, and that a turn lasts at the most. */
  readonly patience: number
}

/** One AUTH command. */
export class AuthAttempt {
  readonly #guard: AuthGuard
  readonly #session: AttemptSession
  readonly #network: string | null
  readonly #key: CheckKey
  #timer: unknown = null
  #hasTurn = false
  #workTimer: unknown = null
  #rejectLate: (error: Error) => void = () => {}
  /** Rejects with `ERR_TIMEOUT` if the mechanism works too long. */
  readonly late: Promise<never> = new Promise((_, reject) => (this.#rejectLate = reject))

  constructor(guard: AuthGuard, session: AttemptSession) {
    this.late.catch(() => {})
    this.#guard = guard
    this.#session = session
    this.#network = guard.networkOf(session.address)
    this.#key = session.address === null ? {} : networkOf(session.address)
  }

  /** Rejects with an SmtpError 454 if the network has shown too many wrong credentials. */
  async checkCount(): Promise<void> {
    if (this.#network === null || !(await this.#guard.counter.isExhausted(this.#network))) return
    throw new SmtpError(TOO_MANY_GUESSES)
  }

  /** Waits for a turn. Rejects with an SmtpError 454 if it does not come in time, or if the count is reached. */
  async begin(): Promise<void> {
    const { queue, clock } = this.#guard
    const { patience, signal } = this.#session
    await this.checkCount()
    const result = await queue.enter(this.#key, patience, signal)
    if (result === 'ended') throw new MailHandlerError('ERR_SESSION_ENDED', 'the session has ended')
    if (result !== 'turn') throw new SmtpError(AUTH_BUSY)
    this.#hasTurn = true
    this.#timer = clock.after(patience, () => this.end()) // a hook may hang
    try {
      await this.checkCount() // the one before may have been the last
    } catch (error) {
      this.end()
      throw error
    }
  }

  /** Gives the turn back: this side has nothing to do until the client sends more, or the exchange is over. */
  end(): void {
    if (!this.#hasTurn) return
    this.#hasTurn = false
    this.#guard.clock.clear(this.#timer)
    this.#guard.queue.leave(this.#key)
  }

  /** The mechanism works, and neither waits for the client nor for a hook, which has a limit of its own. */
  startWork(): void {
    this.stopWork()
    this.#workTimer = this.#guard.clock.after(this.#session.patience, () => {
      this.#rejectLate(new MailHandlerError('ERR_TIMEOUT', 'the mechanism of AUTH took too long'))
    })
  }

  stopWork(): void {
    this.#guard.clock.clear(this.#workTimer)
  }

  /** Counts wrong credentials; null if only the mechanism has seen them. */
  async noteWrong(credentials: Credentials | null): Promise<void> {
    if (this.#network === null) return
    const secret = credentials === null ? null : secretOf(credentials)
    // Without the secret one guess cannot be told from another, so each counts.
    const digest = this.#guard.digest(credentials?.user ?? '', secret ?? randomBytes(16).toString('base64'))
    await this.#guard.counter.hit(this.#network, digest)
  }
}

function secretOf(credentials: Credentials): string | null {
  if ('password' in credentials) return credentials.password
  return 'token' in credentials ? credentials.token : null
}
