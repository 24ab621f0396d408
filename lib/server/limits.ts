// How many connections a server takes, and how much time each step of a connection has.

import { TIMEOUTS } from '../smtp/limits.ts'

/** Limits of the connections of a server. `Infinity` turns one off. */
export interface ServerLimits {
  /** Connections at once, of all clients together. @defaultValue 1,000 */
  readonly maxConnections: number
  /** Limits of one client: an IPv4 address or an IPv6 /64. */
  readonly perClient: {
    /** Connections at once of one client. Postfix smtpd_client_connection_count_limit. @defaultValue 50 */
    readonly connections: number
    /**
     * New connections a minute of one client. That many may come at once; after that they are spread evenly.
     * @defaultValue 100
     */
    readonly perMinute: number
  }
  /**
   * Clients without connections that are remembered for their rate; beyond it the one that left first is forgotten.
   * @defaultValue 100,000
   */
  readonly maxRemembered: number
}

/** The limits of a server unless its options say otherwise. */
export const SERVER_LIMITS: ServerLimits = Object.freeze({
  maxConnections: 1000,
  perClient: Object.freeze({ connections: 50, perMinute: 100 }),
  maxRemembered: 100_000,
})

/** Time limits of a connection and its server, in milliseconds. */
export interface ServerTimeouts {
  /** For the header of the PROXY protocol. @defaultValue 5,000 */
  readonly proxyHeader: number
  /** For the handshake of implicit TLS. @defaultValue 30,000 */
  readonly tls: number
  /**
   * From the last reply until the client has closed; then the connection is cut. It is for handlers that keep no time of
   * their own: an SmtpHandler has `timeouts.linger`.
   * @defaultValue 10,000
   */
  readonly linger: number
  /** For the transactions under way when the server closes; then they are cut. @defaultValue 30,000 */
  readonly shutdown: number
}

/** The time limits of a server unless its options say otherwise. */
export const SERVER_TIMEOUTS: ServerTimeouts = Object.freeze({
  proxyHeader: 5000,
  tls: TIMEOUTS.tls,
  linger: TIMEOUTS.linger,
  shutdown: 30_000,
})
