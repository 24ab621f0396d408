// How many connections there are, and how fast each client opens them. An entry lives in one of two tables: `active`
// while it has connections, then `idle`, in the order of leaving, until its rate is as good as new. So what has
// expired is always at the front, and is dropped on the way of other calls: no timer, nothing that only grows.

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

/** Which limit refused: all clients' connections, this client's, or this client's rate. */
export type LimitRefusal = 'connections' | 'perClient' | 'rate'

/**
 * An admitted connection, which has to call `release` when it has ended (once or more often), or why it was refused.
 */
export type Admission = { release(): void; readonly refused?: undefined } | { readonly refused: LimitRefusal }

/** Counts connections, made by `clientLimits()`. */
export interface ClientLimits {
  /**
   * Asks for one more connection of the client: IPv4 is counted by address, IPv6 by /64. A refused one counts
   * nowhere. An exempt one counts among all, and for no client.
   */
  admit(address: string, exempt?: boolean): Admission
  /** Connections at the moment, and clients that are remembered (with or without connections). */
  counts(): { readonly connections: number; readonly clients: number }
}

interface Client {
  connections: number
  /** Connections that may be opened at `at`. */
  tokens: number
  at: number
  idleSince: number
}

const DEFAULTS = SERVER_LIMITS.perClient
const MINUTE = 60_000

/**
 * Makes the counter of a server's connections. Throws `ERR_OPTION` for a limit that is no whole number from 1, or
 * Infinity.
 */
export function clientLimits(options: ClientLimitOptions = {}): ClientLimits {
  const { maxConnections = SERVER_LIMITS.maxConnections, maxRemembered = SERVER_LIMITS.maxRemembered } = options
  const { connections: perClient = DEFAULTS.connections, perMinute = DEFAULTS.perMinute } = options.perClient ?? {}
  checkLimit('maxConnections', maxConnections)
  checkLimit('perClient.connections', perClient)
  checkLimit('perClient.perMinute', perMinute)
  checkLimit('maxRemembered', maxRemembered)
  const clock = options.clock ?? performance
  const active = new Map<string, Client>()
  const idle = new Map<string, Client>()
  let connections = 0

  function forget(now: number): void {
    for (const [key, client] of idle) {
      if (idle.size <= maxRemembered && now - client.idleSince < MINUTE) return
      idle.delete(key)
    }
  }

  function leave(key: string, client: Client): void {
    client.connections--
    if (client.connections > 0) return
    client.idleSince = clock.now()
    active.delete(key)
    idle.set(key, client)
    forget(client.idleSince)
  }

  function admitted(leave: () => void): Admission {
    connections++
    let released = false
    return {
      release(): void {
        if (released) return
        released = true
        connections--
        leave()
      },
    }
  }

  function admit(address: string, exempt = false): Admission {
    const now = clock.now()
    forget(now)
    if (connections >= maxConnections) return { refused: 'connections' }
    if (exempt) return admitted(() => {})
    const key = networkOf(address)
    const client = active.get(key) ?? idle.get(key) ?? { connections: 0, tokens: perMinute, at: now, idleSince: now }
    if (client.connections >= perClient) return { refused: 'perClient' }
    refill(client, perMinute, now)
    if (client.tokens < 1) return { refused: 'rate' }
    client.tokens--
    client.connections++
    idle.delete(key)
    active.set(key, client)
    return admitted(() => leave(key, client))
  }

  return Object.freeze({ admit, counts: () => ({ connections, clients: active.size + idle.size }) })
}

/** Adds the connections that the time since the last one allows. */
function refill(client: Client, perMinute: number, now: number): void {
  if (perMinute === Infinity) return
  client.tokens = Math.min(perMinute, client.tokens + (Math.max(0, now - client.at) * perMinute) / MINUTE)
  client.at = Math.max(client.at, now)
}

function checkLimit(name: string, value: number): void {
  if (value === Infinity || (Number.isSafeInteger(value) && value >= 1)) return
  throw wrong(`${name} is a whole number from 1, or Infinity, not ${show(value)}`)
}
