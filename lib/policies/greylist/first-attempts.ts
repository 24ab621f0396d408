// First attempts, counted by the address of the client: each leaves an entry in the store until the window of the triplet
// ends, and a full store forgets entries of clients that wait. Without this, one client with many senders or `+extensions`
// could keep everybody else waiting.

import { networkOf } from '../../protocol/networks/network.ts'
import { BoundedMap } from '../../stores/bounded-map.ts'
import type { Clock } from '../../time/clock.ts'

/** First attempts of an address within an hour: more than a server of mailing lists makes at a large site. */
export const MOST_FIRST_ATTEMPTS = 10_000
const HOUR = 3_600_000
/** Addresses that are remembered. */
const ADDRESSES = 10_000

/** Counts in the memory of this process. */
export class FirstAttempts {
  readonly #clock: Clock
  /** When all of the attempts of an address are free again, if it makes no more of them. */
  readonly #free = new BoundedMap<number>(ADDRESSES)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True if the client has made so many that no more are recorded for now. An IPv6 client is counted by its /64. */
  isExhausted(address: string | null): boolean {
    if (address === null) return false
    return (this.#free.get(networkOf(address)) ?? 0) - this.#clock.now() >= HOUR
  }

  /** Counts attempts that were recorded. */
  note(address: string | null, count: number): void {
    if (address === null || count === 0) return
    const now = this.#clock.now()
    const network = networkOf(address)
    const free = Math.max(this.#free.get(network) ?? 0, now) + (count * HOUR) / MOST_FIRST_ATTEMPTS
    this.#free.put(network, free, each => each <= now)
  }
}
