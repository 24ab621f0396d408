// The options of createServer, checked and resolved once.

import { networksOf, type Networks } from '../protocol/networks/network.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { isHandlerOption } from '../smtp/options.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { resolveTls, type ResolvedTls, type TlsOptions } from '../tls/tls-options.ts'
import { checkClock, checkKeys, numbers, show, wrong } from '../words/option-checks.ts'
import { clientLimits, type ClientLimits } from './client-limits.ts'
import { SERVER_LIMITS, SERVER_TIMEOUTS, type ServerLimits, type ServerTimeouts } from './limits.ts'

/** Options of {@link createServer}. */
export interface ServerOptions {
  /**
   * TLS from the first octet on, as on port 465: the options of a TLS socket, or `tlsContexts()`. For STARTTLS the
   * handler has an option of the same name. [RFC 8314 §3.3] @defaultValue none
   */
  readonly tls?: TlsOptions
  /** Connections at once, of all clients together; the next client gets 421 4.7.0. @defaultValue 1,000 */
  readonly maxConnections?: number
  /** Limits of one client, an IPv4 address or an IPv6 /64; beyond them it gets 421 4.7.0. */
  readonly perClient?: Partial<ServerLimits['perClient']> & {
    /** Networks to which the limits of one client do not apply: `['10.0.0.0/8']`. @defaultValue none */
    readonly except?: readonly string[]
  }
  /**
   * Networks of proxies that begin each connection with a header of the PROXY protocol, version 1 or 2. From them it is
   * required, once; from any other client it is an unknown command. @defaultValue none
   */
  readonly proxy?: readonly string[]
  /**
   * Milliseconds without an octet in either direction, then 421 4.4.2; the time that this side takes is not counted. It
   * is for handlers that keep no time of their own: an SmtpHandler has `timeouts.idle`. @defaultValue 300,000
   */
  readonly idle?: number
  /** How many milliseconds the steps of a connection and the end of the server may take. */
  readonly timeouts?: Readonly<Partial<ServerTimeouts>>
  /** @defaultValue the system's */
  readonly clock?: Clock
}

/** Options with every default filled in. */
export interface ResolvedServerOptions {
  readonly tls: ResolvedTls | null
  readonly limits: ClientLimits
  readonly exempt: Networks
  readonly proxies: Networks
  readonly idle: number
  readonly timeouts: ServerTimeouts
  readonly clock: Clock
}

/** An option of the handler in the place of one of the server. */
function ofHandler(key: string): string | null {
  return isHandlerOption(key) ? `it is one of SmtpHandler: createServer({}, { ${key} })` : null
}

const KNOWN = ['tls', 'maxConnections', 'perClient', 'proxy', 'idle', 'timeouts', 'clock']

/** Checks options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveServerOptions(options: ServerOptions): ResolvedServerOptions {
  checkKeys('', options, KNOWN, ofHandler)
  const {
    maxConnections = SERVER_LIMITS.maxConnections,
    perClient = {},
    idle = TIMEOUTS.idle,
    clock = systemClock,
  } = options
  checkKeys('perClient', perClient, ['connections', 'perMinute', 'except'])
  if (!(typeof idle === 'number' && idle > 0)) throw wrong(`idle is a number above 0, not ${show(idle)}`)
  const { except = [], ...own } = perClient
  return Object.freeze({
    tls: resolveTls(options.tls),
    limits: clientLimits({ maxConnections, perClient: own, clock }),
    exempt: networksOf('perClient.except', except),
    proxies: networksOf('proxy', options.proxy ?? []),
    idle,
    timeouts: numbers('timeouts', SERVER_TIMEOUTS, options.timeouts ?? {}),
    clock: checkClock(clock),
  })
}
