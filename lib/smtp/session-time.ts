// What a session waits for, and until when.

import type { Waiting } from '../stream/handlers.ts'
import { Deadline, type TimeLimit } from '../time/deadline.ts'
import type { ResolvedOptions } from './options.ts'
import type { Envelope, Session } from './session.ts'

/** How far a session has come: an SmtpHandler. */
export interface Progress {
  readonly session: Session
  readonly linesReceived: number
  readonly octetsReceived: number
}

/** The time limit for each turn that a session waits for. */
const LIMIT_OF = {
  command: 'idle',
  line: 'command',
  end: 'linger',
  answer: 'verdict',
  consumer: 'verdict',
} as const satisfies Record<Exclude<Waiting, 'data'>, TimeLimit>

/** Keeps the deadline of a session: one at a time, which begins anew where the session comes further. */
export class SessionTime {
  readonly #options: ResolvedOptions
  readonly #progress: Progress
  readonly #deadline: Deadline
  #waiting: Waiting | 'handshake' = 'answer'
  #judged = false
  /** Lines that had come when the wait began. */
  #lines = 0
  /** Octets that had come when it was last looked at. */
  #octets = 0
  /** From here the client has time for its first HELO. */
  #metAt = 0
  /** The transaction whose mail data is timed, the octets that had come before, the client's time it has taken. */
  #timed: Envelope | null | undefined = undefined
  #dataFrom = 0
  #dataTime = 0
  /** Since then the client has been sending mail data; null while it has not. */
  #sendingSince: number | null = null

  /** `expire` is called when time has run out. */
  constructor(options: ResolvedOptions, progress: Progress, expire: (limit: TimeLimit) => void) {
    this.#options = options
    this.#progress = progress
    this.#deadline = new Deadline(options.clock, expire)
  }

  /** The greeting, or what sets the session back to it: the time to the first HELO begins. */
  meet(): void {
    this.#metAt = this.#options.clock.now()
  }

  beginHandshake(): void {
    const { clock, timeouts } = this.#options
    this.#waiting = 'handshake'
    this.#deadline.set('tls', clock.now() + timeouts.tls)
  }

  endHandshake(): void {
    this.meet()
    this.#waiting = 'command'
    this.#expect('command', this.#metAt)
  }

  /** The session waits; `judged`: for the verdict on a message, where it is for an answer. */
  wait(waiting: Waiting, judged: boolean): void {
    if (this.#waiting === 'handshake') return
    const { linesReceived, octetsReceived } = this.#progress
    const slow = waiting === 'consumer' && octetsReceived !== this.#octets // but it goes on
    const same = waiting === this.#waiting && judged === this.#judged && linesReceived === this.#lines
    const begins = slow || !same
    this.#waiting = waiting
    this.#judged = judged
    this.#lines = linesReceived
    this.#octets = octetsReceived
    if (!begins && waiting !== 'data') return
    const now = this.#options.clock.now()
    this.#timeData(waiting, now)
    if (waiting === 'data') this.#expectData(now)
    else if (waiting === 'answer' && !judged) this.#deadline.clear() // a hook has its own limit
    else this.#expect(waiting, now)
  }

  /** There is no more waiting. */
  stop(): void {
    this.#deadline.stop()
  }

  #expect(waiting: Exclude<Waiting, 'data'>, now: number): void {
    const { timeouts } = this.#options
    const limit = LIMIT_OF[waiting]
    const at = now + timeouts[limit]
    const greeting = this.#metAt + timeouts.greeting
    const early = this.#progress.session.phase === 'connected' && (waiting === 'command' || waiting === 'line')
    const slowest = this.#sendingSince === null ? Infinity : this.#slowest(now)
    if (early && greeting < at) this.#deadline.set('greeting', greeting)
    else if (slowest < at) this.#deadline.set('data', slowest)
    else this.#deadline.set(limit, at)
  }

  #expectData(now: number): void {
    this.#deadline.set('data', Math.min(now + this.#options.timeouts.data, this.#slowest(now)))
  }

  /** Adds up the client's time for the mail data of a transaction: between two BDATs too, but not what this side takes. */
  #timeData(waiting: Waiting, now: number): void {
    const { envelope, phase } = this.#progress.session
    const between = (phase === 'chunks' || phase === 'failed') && (waiting === 'command' || waiting === 'line')
    const sending = waiting === 'data' || between
    if (this.#sendingSince !== null) this.#dataTime += now - this.#sendingSince
    this.#sendingSince = sending ? now : null
    if (!sending || envelope === this.#timed) return
    this.#timed = envelope
    this.#dataFrom = this.#octets
    this.#dataTime = 0
  }

  /** When a client that sends no more would have been too slow with its mail data. */
  #slowest(now: number): number {
    const { timeouts, minDataRate } = this.#options
    const allowed = minDataRate === 0 ? Infinity : ((this.#octets - this.#dataFrom) / minDataRate) * 1000
    return now + timeouts.data + allowed - this.#dataTime
  }
}
