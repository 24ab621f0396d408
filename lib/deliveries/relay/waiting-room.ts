// Clients that wait for a place, in the order in which they came.

import type { Session } from '../../smtp/session.ts'
import type { Clock } from '../../time/clock.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { BUSY } from './relayed-replies.ts'

/** Gives a client of a network a place, or null if there is none for it. */
export type Enter<Place> = (session: Session | null, network: string | null) => Place | null

interface Waiter<Place> {
  readonly session: Session | null
  readonly network: string | null
  readonly admit: (place: Place) => void
}

/** Those who wait. */
export class WaitingRoom<Place> {
  readonly #clock: Clock
  readonly #patience: number
  readonly #waiting = new Set<Waiter<Place>>()

  /** `patience`: milliseconds that each waits. */
  constructor(clock: Clock, patience: number) {
    this.#clock = clock
    this.#patience = patience
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves with a place; rejects with an SmtpError if there is none in time, or the signal is aborted. */
  wait(session: Session | null, network: string | null, signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter)
        this.#clock.clear(timer)
        signal.removeEventListener('abort', refuse)
      }
      const refuse = (): void => {
        leave()
        reject(new SmtpError(BUSY))
      }
      const waiter: Waiter<Place> = {
        session,
        network,
        admit(place) {
          leave()
          resolve(place)
        },
      }
      if (signal.aborted) return reject(new SmtpError(BUSY))
      const timer = this.#clock.after(this.#patience, refuse)
      signal.addEventListener('abort', refuse, { once: true })
      this.#waiting.add(waiter)
    })
  }

  /** Lets those in for whom there is a place. */
  admit(enter: Enter<Place>): void {
    for (const waiter of this.#waiting) {
      const place = enter(waiter.session, waiter.network)
      if (place !== null) waiter.admit(place)
    }
  }
}
