// Messages that are on their way to an upstream, each with a connection of its own. Whoever sends slowly holds one for as
// long as he likes: with a few networks, all of them. So while others wait, a message that comes too slowly is cut; its
// client is told to try again.

import type { Clock } from '../../time/clock.ts'

/** Milliseconds that a message has in any case: by then a chunk of BDAT has been sent. */
const LEAST_TIME = 30_000
/** Octets a second: a message that comes as fast is never cut. */
const LEAST_RATE = 8192
/** Milliseconds between two looks. */
const INTERVAL = 1000

/** A message on its way. */
interface Sending {
  readonly since: number
  /** Octets that were sent on its connection, and how many when it began. */
  readonly octets: () => number
  readonly from: number
  readonly cut: () => void
}

/** Those of one upstream. */
export class SlowSenders {
  readonly #clock: Clock
  readonly #sendings = new Set<Sending>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Watches a message until the function that is returned is called. */
  watch(octets: () => number, cut: () => void): () => void {
    const sending = { since: this.#clock.now(), octets, from: octets(), cut }
    this.#sendings.add(sending)
    return () => void this.#sendings.delete(sending)
  }

  /** Cuts the slowest message, now and each second as long as `isNeeded`, until the function that is returned is called. */
  relieve(isNeeded: () => boolean): () => void {
    let timer: unknown = null
    const look = (): void => {
      if (isNeeded()) this.#cutSlowest()
      timer = this.#clock.after(INTERVAL, look)
    }
    look()
    return () => this.#clock.clear(timer)
  }

  #cutSlowest(): void {
    let slowest: Sending | null = null
    let least = LEAST_RATE
    for (const sending of this.#sendings) {
      const rate = this.#rateOf(sending)
      if (rate < least) [slowest, least] = [sending, rate]
    }
    if (slowest === null) return
    this.#sendings.delete(slowest)
    slowest.cut()
  }

  #rateOf({ since, octets, from }: Sending): number {
    const time = this.#clock.now() - since
    return time < LEAST_TIME ? Infinity : ((octets() - from) / time) * 1000
  }
}
