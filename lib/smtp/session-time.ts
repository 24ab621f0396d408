// The deadline of a session: what it waits for, and until when.

import type { Waiting } from '../stream/handlers.ts'
import type { Source } from '../stream/peer.ts'
import { Deadline, type TimeLimit } from '../time/deadline.ts'
import type { ResolvedOptions } from './options.ts'
import type { Transaction } from './envelope.ts'
import type { SessionState } from './session.ts'

/** How far a session has come, and what ends it: an SmtpSession. */
export interface Progress {
  readonly state: SessionState
  readonly linesReceived: number
  readonly octetsReceived: number
  /** The time of a limit has run out. */
  expire(limit: TimeLimit): void
}

/** The time limit for each turn that a session waits for. */
const LIMIT_OF = {
  command: 'idle',
  line: 'command',
  end: 'linger',
  answer: 'verdict',
  consumer: 'verdict',
} as const satisfies Record<Exclude<Waiting, 'data'>, TimeLimit>

/** Keeps the deadline of a session: one at a time, set again whenever the session makes progress. */
export class SessionTime {
  readonly #options: ResolvedOptions
  readonly #progress: Progress
  readonly #deadline: Deadline
  #waiting: Waiting | 'handshake' = 'answer'
  #isForVerdict = false
  /** Lines that had come when the wait began. */
  #lines = 0
  /** Octets that had come when it was last looked at. */
  #octets = 0
  /** When the time to the first HELO began. */
  #greetedAt = 0
  /** The transaction whose mail data is timed, the octets that came before it, the client's time it has taken. */
  #timed: Transaction | null | undefined = undefined
  #dataFrom = 0
  #dataTime = 0
  /** When the client began to send mail data; null while it does not. */
  #sendingSince: number | null = null

  constructor(options: ResolvedOptions, progress: Progress) {
    this.#options = options
    this.#progress = progress
    this.#deadline = new Deadline(options.clock, limit => progress.expire(limit))
  }

  /** The time to the first HELO begins: after the greeting, and after what sets the session back to it. */
  startGreetingTimer(): void {
    this.#greetedAt = this.#options.clock.now()
  }

  beginHandshake(): void {
    const { clock, timeouts } = this.#options
    this.#waiting = 'handshake'
    this.#deadline.set('tls', clock.now() + timeouts.tls)
  }

  endHandshake(): void {
    this.startGreetingTimer()
    this.#waiting = 'command'
    this.#expect('command', this.#greetedAt)
  }

  /** The session waits; `forVerdict`: an answer that is the verdict on a message. */
  wait(waiting: Waiting, forVerdict: boolean): void {
    if (this.#waiting === 'handshake') return
    const { linesReceived, octetsReceived } = this.#progress
    const isSlow = waiting === 'consumer' && octetsReceived !== this.#octets // but it goes on
    const isSame = waiting === this.#waiting && forVerdict === this.#isForVerdict && linesReceived === this.#lines
    const begins = isSlow || !isSame
    this.#waiting = waiting
    this.#isForVerdict = forVerdict
    this.#lines = linesReceived
    this.#octets = octetsReceived
    if (!begins && waiting !== 'data') return
    const now = this.#options.clock.now()
    this.#timeData(waiting, now)
    if (waiting === 'data') this.#expectData(now)
    else if (waiting === 'answer' && !forVerdict) this.#deadline.clear() // a hook has its own limit
    else this.#expect(waiting, now)
  }

  /** The session has ended; the client has the time `linger` to close its connection, `source`. */
  stop(source: Source | null): void {
    if (source === null || source.destroyed) {
      this.#deadline.stop()
      return
    }
    if (this.#waiting !== 'end') this.#deadline.set('linger', this.#options.clock.now() + this.#options.timeouts.linger)
    source.once('close', () => this.#deadline.stop())
  }

  #expect(waiting: Exclude<Waiting, 'data'>, now: number): void {
    const { timeouts } = this.#options
    const limit = LIMIT_OF[waiting]
    const at = now + timeouts[limit]
    const greeting = this.#greetedAt + timeouts.greeting
    const early = this.#progress.state.phase === 'connected' && (waiting === 'command' || waiting === 'line')
    const slowest = this.#sendingSince === null ? Infinity : this.#slowest(now)
    if (early && greeting < at) this.#deadline.set('greeting', greeting)
    else if (slowest < at) this.#deadline.set('data', slowest)
    else this.#deadline.set(limit, at)
  }

  #expectData(now: number): void {
    this.#deadline.set('data', Math.min(now + this.#options.timeouts.data, this.#slowest(now)))
  }

  /** Adds up the client's time for the mail data of a transaction: between two BDATs too, but not this side's time. */
  #timeData(waiting: Waiting, now: number): void {
    const { transaction, phase } = this.#progress.state
    const between = (phase === 'chunks' || phase === 'failed') && (waiting === 'command' || waiting === 'line')
    const sending = waiting === 'data' || between
    if (this.#sendingSince !== null) this.#dataTime += now - this.#sendingSince
    this.#sendingSince = sending ? now : null
    if (!sending || transaction === this.#timed) return
    this.#timed = transaction
    this.#dataFrom = this.#octets
    this.#dataTime = 0
  }

  /** When a client that sends nothing more is too slow with its mail data. */
  #slowest(now: number): number {
    const { timeouts, minDataRate } = this.#options
    const allowed = minDataRate === 0 ? Infinity : ((this.#octets - this.#dataFrom) / minDataRate) * 1000
    return now + timeouts.data + allowed - this.#dataTime
  }
}
