// The options of createServer: what they are, and what they are by default. Resolved once; nobody else knows a default.

import { networks, type Networks } from '../protocol/networks/network.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { resolveTls, type ResolvedTls, type TlsOptions } from '../tls/tls-options.ts'
import { MailHandlerError } from '../words/errors.ts'
import { clientLimits, type ClientLimits } from './client-limits.ts'

/** Options of {@link createServer}. */
export interface ServerOptions {
  /**
   * TLS from the first octet on, as on port 465: the options of a TLS socket, or `tlsContexts()`. Default none. For
   * STARTTLS the handler has an option of the same name. [RFC 8314 §3.3]
   */
  readonly tls?: TlsOptions
  /** Connections at once, all clients together; the next gets 421 4.7.0. Default 1,000. */
  readonly maxConnections?: number
  /** Limits of one client, an IPv4 address or an IPv6 /64; beyond them it gets 421 4.7.0. */
  readonly perClient?: {
    /** Connections at once. Default 50. */
    readonly connections?: number
    /** New connections a minute. Default 100. */
    readonly perMinute?: number
    /** Networks that are not held by these two: `['10.0.0.0/8']`. Default none. */
    readonly except?: readonly string[]
  }
  /**
   * Networks of proxies that begin each connection with a header of the PROXY protocol, version 1 or 2: from them it is
   * required, once; from others it is a command like any that nobody knows. Default none.
   */
  readonly proxy?: readonly string[]
  /**
   * Milliseconds without an octet in either direction, then 421 4.4.2; the time that this side takes is not counted.
   * Default 300,000, and none for an SmtpHandler, which has its own.
   */
  readonly idle?: number
  readonly timeouts?: Readonly<Partial<ServerTimeouts>>
  /** Default: the system's. */
  readonly clock?: Clock
}

/** Time limits of a connection, in milliseconds. */
export interface ServerTimeouts {
  /** For the header of the PROXY protocol; default 5,000. */
  readonly proxyHeader: number
  /** For the handshake of implicit TLS; default 30,000. */
  readonly tls: number
  /** From the last reply until the client has closed, then the connection is cut; default 10,000. */
  readonly linger: number
}

/** Options with every default filled in. */
export interface ResolvedServerOptions {
  readonly tls: ResolvedTls | null
  readonly limits: ClientLimits
  readonly exempt: Networks
  readonly proxies: Networks
  /** Null: as the handler has it. */
  readonly idle: number | null
  readonly timeouts: ServerTimeouts
  readonly clock: Clock
}

const TIMEOUTS: ServerTimeouts = { proxyHeader: 5000, tls: 30_000, linger: 10_000 }

/** Checks options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveServerOptions(options: ServerOptions): ResolvedServerOptions {
  const { maxConnections = 1000, perClient: { except = [], ...perClient } = {}, timeouts = {} } = options
  for (const [key, value] of Object.entries({ idle: options.idle, ...timeouts })) {
    if (key !== 'idle' && !Object.hasOwn(TIMEOUTS, key)) throw wrong(`timeouts.${key}: there is no such option`)
    if (value !== undefined && !(value > 0)) throw wrong(`${key} is a number above 0`)
  }
  const clock = options.clock ?? systemClock
  return Object.freeze({
    tls: resolveTls(options.tls),
    limits: clientLimits({ maxConnections, perClient, clock }),
    exempt: networks(except),
    proxies: networks(options.proxy ?? []),
    idle: options.idle ?? null,
    timeouts: Object.freeze({ ...TIMEOUTS, ...timeouts }),
    clock,
  })
}

function wrong(message: string): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', message)
}
