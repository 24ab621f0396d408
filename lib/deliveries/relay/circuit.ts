// The servers of an upstream in the order in which they are tried, without those that have failed lately.
//
//   closed ─ failures in a row ─→ open ─ a pause ─→ one connection is tried ─ it fails ─→ open
//                                                                           └ it is open ─→ closed

import type { Clock } from '../../time/clock.ts'
import type { CircuitLimits, ResolvedServer } from './options.ts'

interface State {
  failures: number
  /** When the next connection is tried, if there were too many failures. */
  until: number
}

/** Knows which servers have failed. */
export class Circuits {
  readonly #limits: CircuitLimits
  readonly #clock: Clock
  readonly #states: ReadonlyMap<ResolvedServer, State>

  constructor(servers: readonly ResolvedServer[], limits: CircuitLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#states = new Map(servers.map(server => [server, { failures: 0, until: 0 }]))
  }

  /** The servers that may be tried, in order; none if all have failed lately. A server whose pause is over is tried once. */
  order(): readonly ResolvedServer[] {
    const now = this.#clock.now()
    const allowed = [...this.#states].filter(([, state]) => this.#isClosed(state) || now >= state.until)
    for (const [, state] of allowed) if (!this.#isClosed(state)) state.until = now + this.#limits.pause
    return inOrder(allowed.map(([server]) => server))
  }

  /** How a server did. */
  note(server: ResolvedServer, hasFailed: boolean): void {
    const state = this.#states.get(server)!
    if (!hasFailed) {
      state.failures = 0
      return
    }
    state.failures += 1
    if (!this.#isClosed(state)) state.until = this.#clock.now() + this.#limits.pause
  }

  /** The servers that are left alone now. */
  get open(): readonly ResolvedServer[] {
    return [...this.#states].filter(([, state]) => !this.#isClosed(state)).map(([server]) => server)
  }

  #isClosed({ failures }: State): boolean {
    return failures < this.#limits.failures
  }
}

/** By weight at random, if there are weights; else as they are. */
function inOrder(servers: readonly ResolvedServer[]): readonly ResolvedServer[] {
  if (servers.every(({ weight }) => weight === null)) return servers
  // The one whose exponentially distributed time is the shortest comes first, as in a race of rates.
  const times = new Map(servers.map(server => [server, -Math.log(1 - Math.random()) / (server.weight ?? 1)]))
  return servers.toSorted((a, b) => times.get(a)! - times.get(b)!)
}
