// Counts connections, and how fast each client opens them. A client is in one of two tables: in `active` while it has
// connections, then in `idle`, in the order of leaving, until its rate is full again. Expired clients are at the front of
// `idle`, and are removed during other calls: there is no timer, and neither table grows without bound.

import { networkOf } from '../protocol/networks/network.ts'
import type { Clock } from '../time/clock.ts'
import { show, wrong } from '../words/option-checks.ts'
import { SERVER_LIMITS, type ServerLimits } from './limits.ts'

/** Options of {@link clientLimits}: limits that differ from {@link SERVER_LIMITS}. */
export interface ClientLimitOptions extends Partial<Omit<ServerLimits, 'perClient'>> {
  readonly perClient?: Partial<ServerLimits['perClient']>
  /** Monotonic time in milliseconds. @defaultValue `performance` */
  readonly clock?: Pick<Clock, 'now'>
}

/** The limit that was reached: of all connections, of the client's connections, or of its rate. */
export type LimitRefusal = 'connections' | 'perClient' | 'rate'

/** An admitted connection, which must call `release` at its end (more than once does no harm), or why it was refused. */
export type Admission = { release(): void; readonly refused?: undefined } | { readonly refused: LimitRefusal }

/** Counts connections; made by {@link clientLimits}. */
export interface ClientLimits {
  /**
   * Admits one more connection of a client, or refuses it. IPv4 is counted by address, IPv6 by /64. A refused connection
   * is not counted; an exempt one is counted among all connections only.
   */
  admit(address: string, exempt?: boolean): Admission
  /** Connections now, and clients that are remembered, with connections or without. */
  counts(): { readonly connections: number; readonly clients: number }
}

interface Client {
  connections: number
  /** Connections that could be opened at `tokensAt`. */
  tokens: number
  tokensAt: number
  idleSince: number
}

const MINUTE = 60_000

/** Makes the counter of a server. Throws `ERR_OPTION` for a limit that is neither a whole number from 1 nor Infinity. */
export function clientLimits(options: ClientLimitOptions = {}): ClientLimits {
  return new Counter(options)
}

class Counter implements ClientLimits {
  readonly #maxConnections: number
  readonly #maxRemembered: number
  readonly #perClient: number
  readonly #perMinute: number
  readonly #clock: Pick<Clock, 'now'>
  readonly #active = new Map<string, Client>()
  readonly #idle = new Map<string, Client>()
  #connections = 0

  constructor({ maxConnections, maxRemembered, perClient = {}, clock = performance }: ClientLimitOptions) {
    const { connections, perMinute } = SERVER_LIMITS.perClient
    this.#maxConnections = checkLimit('maxConnections', maxConnections ?? SERVER_LIMITS.maxConnections)
    this.#maxRemembered = checkLimit('maxRemembered', maxRemembered ?? SERVER_LIMITS.maxRemembered)
    this.#perClient = checkLimit('perClient.connections', perClient.connections ?? connections)
    this.#perMinute = checkLimit('perClient.perMinute', perClient.perMinute ?? perMinute)
    this.#clock = clock
  }

  counts(): { readonly connections: number; readonly clients: number } {
    return { connections: this.#connections, clients: this.#active.size + this.#idle.size }
  }

  admit(address: string, exempt = false): Admission {
    const now = this.#clock.now()
    this.#forgetExpired(now)
    if (this.#connections >= this.#maxConnections) return { refused: 'connections' }
    if (exempt) return this.#admission(() => {})
    const key = networkOf(address)
    const client = this.#active.get(key) ?? this.#idle.get(key) ?? newClient(this.#perMinute, now)
    if (client.connections >= this.#perClient) return { refused: 'perClient' }
    refill(client, this.#perMinute, now)
    if (client.tokens < 1) return { refused: 'rate' }
    client.tokens--
    client.connections++
    this.#idle.delete(key)
    this.#active.set(key, client)
    return this.#admission(() => this.#noteRelease(key, client))
  }

  #admission(noteRelease: () => void): Admission {
    this.#connections++
    let isReleased = false
    return {
      release: () => {
        if (isReleased) return
        isReleased = true
        this.#connections--
        noteRelease()
      },
    }
  }

  #noteRelease(key: string, client: Client): void {
    client.connections--
    if (client.connections > 0) return
    client.idleSince = this.#clock.now()
    this.#active.delete(key)
    this.#idle.set(key, client)
    this.#forgetExpired(client.idleSince)
  }

  #forgetExpired(now: number): void {
    for (const [key, client] of this.#idle) {
      if (this.#idle.size <= this.#maxRemembered && now - client.idleSince < MINUTE) return
      this.#idle.delete(key)
    }
  }
}

function newClient(perMinute: number, now: number): Client {
  return { connections: 0, tokens: perMinute, tokensAt: now, idleSince: now }
}

/** Adds the connections that the time since the last one allows. */
function refill(client: Client, perMinute: number, now: number): void {
  if (perMinute === Infinity) return
  client.tokens = Math.min(perMinute, client.tokens + (Math.max(0, now - client.tokensAt) * perMinute) / MINUTE)
  client.tokensAt = Math.max(client.tokensAt, now)
}

function checkLimit(name: string, value: number): number {
  if (value === Infinity || (Number.isSafeInteger(value) && value >= 1)) return value
  throw wrong(`${name} is a whole number from 1, or Infinity, not ${show(value)}`)
}
