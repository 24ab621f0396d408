// The options of a relay, checked and filled in once.

import { hostname } from 'node:os'
import type { ClientAuthOptions } from '../../client/auth/mechanisms.ts'
import type { ClientTlsOptions } from '../../client/tls.ts'
import { resolveClientOptions } from '../../client/options.ts'
import type { HeaderFields } from '../../protocol/header/header-field.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkClock, checkKeys, flag, numbers, show, wrong } from '../../words/option-checks.ts'

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
   * When the upstream is asked first: `'rcpt'`, at the first RCPT that all policies accept; MAIL goes with it, and its
   * refusal is told there. `'mail'`, at MAIL.
   * @defaultValue `'rcpt'`
   */
  readonly when?: 'rcpt' | 'mail'
  /** `'one'`: a transaction takes one recipient, the next is told 452. @defaultValue `'all'` */
  readonly recipients?: 'all' | 'one'
  /** Fields to put in front of each message, such as Received. @defaultValue none: the message leaves octet for octet */
  readonly header?: (session: SessionInTransaction) => HeaderFields
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
  readonly upstream: ResolvedUpstream
  readonly when: 'rcpt' | 'mail'
  readonly recipients: 'all' | 'one'
  readonly header: ((session: SessionInTransaction) => HeaderFields) | null
  readonly clock: Clock
}

const POOL: PoolLimits = Object.freeze({
  connections: 50,
  wait: 5000,
  kept: 10,
  idle: 5000,
  age: 300_000,
  uses: 100,
  perNetwork: 0.25,
  silence: 30_000,
})

const CIRCUIT: CircuitLimits = Object.freeze({ failures: 3, pause: 5000 })

const TIMEOUTS: RelayTimeouts = Object.freeze({
  open: 30_000,
  command: 180_000,
  data: 120_000,
  block: 180_000,
  end: 500_000,
  quit: 5000,
})

const UPSTREAM_KEYS = [
  'host',
  'port',
  'path',
  'servers',
  'lmtp',
  'name',
  'secure',
  'tls',
  'auth',
  'clientInfo',
  'eightBit',
  'chunking',
  'pool',
  'circuit',
  'timeouts',
]
const RELAY_KEYS = [...UPSTREAM_KEYS, 'when', 'recipients', 'header', 'clock']
const SERVER_KEYS = ['host', 'port', 'path', 'weight']
const CLIENT_INFO: readonly ClientInfo[] = ['auto', 'xclient', 'xforward', 'proxy-v1', 'proxy-v2', 'none']

/** Checks the options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveRelay(options: RelayOptions): ResolvedRelay {
  checkKeys('relay', options, RELAY_KEYS)
  const { when = 'rcpt', recipients = 'all', header = null, clock = systemClock } = options
  checkClock(clock)
  if (header !== null && typeof header !== 'function') throw wrong('relay.header is a function that returns fields')
  return Object.freeze({
    upstream: resolveUpstream('relay', options, clock),
    when: oneOf('relay.when', ['rcpt', 'mail'] as const, when),
    recipients: oneOf('relay.recipients', ['all', 'one'] as const, recipients),
    header,
    clock,
  })
}

function resolveUpstream(at: string, options: UpstreamOptions, clock: Clock): ResolvedUpstream {
  const { name = hostname(), clientInfo = 'auto', eightBit = 'send', chunking = true, tls, auth } = options
  const lmtp = flag(`${at}.lmtp`, options.lmtp)
  const secure = flag(`${at}.secure`, options.secure)
  flag(`${at}.chunking`, chunking)
  const servers = resolveServers(at, options, secure ? 465 : lmtp ? 24 : 25)
  // Throws now, not at the first mail.
  for (const server of servers) resolveClientOptions({ name, lmtp, tls: tlsFor(server, tls), ...(auth && { auth }) })
  return Object.freeze({
    servers,
    lmtp,
    name,
    secure,
    tls,
    auth,
    clientInfo: oneOf(`${at}.clientInfo`, CLIENT_INFO, clientInfo),
    eightBit: oneOf(`${at}.eightBit`, ['send', 'refuse'] as const, eightBit),
    chunking,
    pool: numbers(`${at}.pool`, POOL, options.pool ?? {}),
    circuit: numbers(`${at}.circuit`, CIRCUIT, options.circuit ?? {}),
    timeouts: numbers(`${at}.timeouts`, TIMEOUTS, options.timeouts ?? {}),
    clock,
  })
}

/** The certificate of a server has to be valid for its host, unless the options say another name. */
export function tlsFor({ host }: ResolvedServer, tls: ClientTlsOptions = {}): ClientTlsOptions {
  return host === null ? tls : { servername: host, ...tls }
}

function resolveServers(at: string, options: UpstreamOptions, port: number): readonly ResolvedServer[] {
  const { servers, host, path } = options
  if (servers === undefined)
    return [resolveServer(at, { host, path, port: options.port ?? port } as UpstreamServer, port)]
  if (host !== undefined || path !== undefined) throw wrong(`${at}: give host, path or servers`)
  if (!Array.isArray(servers) || servers.length === 0) throw wrong(`${at}.servers is a list of servers`)
  return servers.map((server: UpstreamServer, i) => {
    checkKeys(`${at}.servers[${i}]`, server, SERVER_KEYS)
    return resolveServer(`${at}.servers[${i}]`, server, options.port ?? port)
  })
}

function resolveServer(at: string, server: UpstreamServer, byDefault: number): ResolvedServer {
  const { host, path, port = byDefault, weight } = server
  if ((host === undefined) === (path === undefined)) throw wrong(`${at}: a server has a host or a path`)
  for (const [key, value] of Object.entries({ host, path })) {
    if (value !== undefined && (typeof value !== 'string' || value === '')) throw wrong(`${at}.${key} is a text`)
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw wrong(`${at}.port is 1 to 65535, not ${show(port)}`)
  if (weight !== undefined && !(weight > 0)) throw wrong(`${at}.weight is a number above 0, not ${show(weight)}`)
  const label = path ?? (host!.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
  return Object.freeze({ host: host ?? null, port, path: path ?? null, weight: weight ?? null, label })
}

function oneOf<T extends string>(name: string, choices: readonly T[], value: T): T {
  if (choices.includes(value)) return value
  throw wrong(`${name} is one of ${choices.join(', ')}, not ${show(value)}`)
}
