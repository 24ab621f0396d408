// What was answered about recipients: asked once at a time for each, kept for a while.

import { TtlCache } from '../../dns/ttl-cache.ts'
import type { Clock } from '../../time/clock.ts'
import type { Reply } from '../../words/reply.ts'
import type { VerifyCache } from './options.ts'

/** Answers by recipient. Recipients that do not exist push out no others: each kind has a cache of its own. */
export class Answers {
  readonly #times: VerifyCache
  readonly #clock: Clock
  readonly #known: TtlCache<Reply>
  readonly #unknown: TtlCache<Reply>
  readonly #asked = new Map<string, Promise<Reply>>()

  constructor(times: VerifyCache, clock: Clock) {
    this.#times = times
    this.#clock = clock
    this.#known = new TtlCache(times.size)
    this.#unknown = new TtlCache(times.size)
  }

  /** The answer that is kept, or that `ask` gets; equal questions at the same time are one. */
  get(recipient: string, ask: () => Promise<Reply>): Reply | Promise<Reply> {
    const now = this.#clock.now()
    const kept = this.#known.get(recipient, now) ?? this.#unknown.get(recipient, now)
    if (kept !== undefined) return kept
    let asked = this.#asked.get(recipient)
    if (asked === undefined) {
      asked = ask().finally(() => this.#asked.delete(recipient))
      this.#asked.set(recipient, asked)
      asked.then(
        answer => this.#keep(recipient, answer),
        () => {},
      )
    }
    return asked
  }

  /** Temporary refusals are no answer. */
  #keep(recipient: string, answer: Reply): void {
    const now = this.#clock.now()
    if (answer.positive) this.#known.set(recipient, answer, now + this.#times.positive)
    else if (answer.code >= 500) this.#unknown.set(recipient, answer, now + this.#times.negative)
  }
}
