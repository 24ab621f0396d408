// The options of a relay.

import type { ClientAuthOptions } from '../../client/auth/mechanisms.ts'
import type { ClientTlsOptions } from '../../client/tls.ts'
import type { HeaderFields } from '../../protocol/header/header-field.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'
import type { Store } from '../../stores/store.ts'
import type { Clock } from '../../time/clock.ts'

/** One server of an upstream. */
export interface UpstreamServer {
  /** A host name or an IP address; a name is looked up at each connect, and all of its addresses are tried. */
  readonly host?: string
  /** The TCP port. @defaultValue 25; 465 with `secure`; 24 with `lmtp` */
  readonly port?: number
  /** The path of a unix socket, instead of `host`. */
  readonly path?: string
  /**
   * Servers with weights are tried in random order, one of weight 2 twice as often first as one of weight 1.
   * @defaultValue none: servers are tried in the order of the list
   */
  readonly weight?: number
}

/** Limits of the connections to one upstream, of this process. */
export interface PoolLimits {
  /** Connections at the same time. @defaultValue 50 */
  readonly connections: number
  /** Milliseconds that a client waits for one of them, then it is told 451. @defaultValue 5,000 */
  readonly wait: number
  /** Connections that are kept for the next client. @defaultValue 10 */
  readonly kept: number
  /** Milliseconds that one is kept without use: short, so that it takes no place from others. @defaultValue 5,000 */
  readonly idle: number
  /** Milliseconds from its opening after which one is not kept. @defaultValue 300,000 */
  readonly age: number
  /** Transactions after which one is not kept. @defaultValue 100 */
  readonly uses: number
  /** The share of `connections` that one client network holds at most. @defaultValue 0.25 */
  readonly perNetwork: number
  /** Milliseconds after which a client that is silent before DATA gives its connection back. @defaultValue 30,000 */
  readonly silence: number
}

/** When a server of an upstream is left alone for a while. */
export interface CircuitLimits {
  /** Failures to open a connection, one after the other. @defaultValue 3 */
  readonly failures: number
  /** Milliseconds until the next one is tried. @defaultValue 5,000 */
  readonly pause: number
}

/** Time limits of an upstream, in milliseconds. */
export interface RelayTimeouts {
  /** For opening a connection as a whole, all servers and addresses together. @defaultValue 30,000 */
  readonly open: number
  /** For the reply to MAIL, RCPT and most other commands. @defaultValue 180,000 */
  readonly command: number
  /** For the reply to DATA. @defaultValue 120,000 */
  readonly data: number
  /** For the upstream to read on while mail data is sent. @defaultValue 180,000 */
  readonly block: number
  /** For the reply to the mail data; less than `timeouts.verdict` of the session. @defaultValue 500,000 */
  readonly end: number
  /** For the reply to QUIT. @defaultValue 5,000 */
  readonly quit: number
}

/** How an upstream learns of the client. */
export type ClientInfo = 'auto' | 'xclient' | 'xforward' | 'proxy-v1' | 'proxy-v2' | 'none'

/** Options of an upstream: the server that takes the mail. */
export interface UpstreamOptions extends Omit<UpstreamServer, 'weight'> {
  /** Several servers, instead of `host` or `path`. */
  readonly servers?: readonly UpstreamServer[]
  /** LMTP instead of SMTP. @defaultValue false [RFC 2033] */
  readonly lmtp?: boolean
  /** The name in EHLO. @defaultValue the name of the machine */
  readonly name?: string
  /** TLS from the start instead of STARTTLS. @defaultValue false */
  readonly secure?: boolean
  /** TLS, and what the upstream's certificate must be. @defaultValue STARTTLS if offered, whatever the certificate */
  readonly tls?: ClientTlsOptions
  /** Logs in at the upstream. */
  readonly auth?: ClientAuthOptions
  /**
   * How the upstream learns of the client: `'auto'`, by XCLIENT if it offers that, else by XFORWARD if it offers that;
   * `'xclient'` or `'xforward'`, or 451; `'proxy-v1'` or `'proxy-v2'`, by a PROXY header: such a connection is never
   * kept; `'none'`, it does not.
   * @defaultValue `'auto'`
   */
  readonly clientInfo?: ClientInfo
  /** What 8-bit mail gets if the upstream has no 8BITMIME: it is sent all the same, or 554. @defaultValue `'send'` */
  readonly eightBit?: 'send' | 'refuse'
  /** False: mail data is sent by DATA, even if the upstream offers CHUNKING. @defaultValue true */
  readonly chunking?: boolean
  /** Limits of the connections to it. */
  readonly pool?: Partial<PoolLimits>
  /** When one of its servers is left alone for a while. */
  readonly circuit?: Partial<CircuitLimits>
  /** Time limits, in milliseconds. */
  readonly timeouts?: Partial<RelayTimeouts>
}

/** Options of `relay()`. Those of an upstream are its defaults if there are `routes`. */
export interface RelayOptions extends UpstreamOptions {
  /**
   * Upstreams by recipient: `'anna@example.org'`, `'example.org'`, `'.example.org'` (all below), `'*'` (all others). The
   * options of the relay itself are the defaults of each, and its own server, if it has one, is `'*'`. A transaction goes
   * to one upstream: a recipient of another one is told 452.
   */
  readonly routes?: Readonly<Record<string, UpstreamOptions>>
  /** False: an upstream is not asked what it offers before the first mail for it. @defaultValue true */
  readonly probes?: boolean
  /**
   * When the upstream is asked first: `'rcpt'`, at the first RCPT that all policies accept; MAIL goes with it, and its
   * refusal is told there. `'mail'`, at MAIL.
   * @defaultValue `'rcpt'`
   */
  readonly when?: 'rcpt' | 'mail'
  /** `'one'`: a transaction takes one recipient, the next is told 452. @defaultValue `'all'` */
  readonly recipients?: 'all' | 'one'
  /** Fields to put in front of each message, such as Received. @defaultValue none: the message leaves octet for octet */
  readonly header?: (session: SessionInTransaction) => HeaderFields
  /**
   * Where it is remembered which recipients of a message have it, if an upstream of LMTP takes a message for some
   * of them only: processes and machines that share a store bring nobody a second copy at a retry. If it fails, this
   * process alone remembers. @defaultValue in memory
   */
  readonly store?: Store
  /** The clock of all time limits. @defaultValue the system's */
  readonly clock?: Clock
}

/** {@link UpstreamOptions} with every default filled in. */
export interface ResolvedUpstream extends Required<
  Pick<UpstreamOptions, 'lmtp' | 'name' | 'secure' | 'clientInfo' | 'eightBit' | 'chunking'>
> {
  readonly servers: readonly ResolvedServer[]
  readonly tls: ClientTlsOptions | undefined
  readonly auth: ClientAuthOptions | undefined
  readonly pool: PoolLimits
  readonly circuit: CircuitLimits
  readonly timeouts: RelayTimeouts
  readonly clock: Clock
}

/** {@link UpstreamServer} with every default filled in: `host` or `path`. */
export interface ResolvedServer {
  readonly host: string | null
  readonly port: number
  readonly path: string | null
  readonly weight: number | null
  /** For logs: `'mx.example:25'`, or the path. */
  readonly label: string
}

/** {@link RelayOptions} with every default filled in. */
export interface ResolvedRelay {
  /** Each upstream with the names of its routes. */
  readonly upstreams: ReadonlyMap<ResolvedUpstream, readonly string[]>
  readonly probes: boolean
  readonly when: 'rcpt' | 'mail'
  readonly recipients: 'all' | 'one'
  readonly header: ((session: SessionInTransaction) => HeaderFields) | null
  readonly store: Store | null
  readonly clock: Clock
}
