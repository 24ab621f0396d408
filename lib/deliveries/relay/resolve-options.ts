// Checks the options of a relay and fills in the defaults, once.

import { hostname } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import { resolveClientOptions } from '../../client/options.ts'
import type { ClientTlsOptions } from '../../client/tls.ts'
import { checkStore } from '../../policies/store-option.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkClock, checkKeys, flag, numbers, show, wrong } from '../../words/option-checks.ts'
import type {
  CircuitLimits,
  ClientInfo,
  PoolLimits,
  RelayOptions,
  RelayTimeouts,
  ResolvedRelay,
  ResolvedServer,
  ResolvedUpstream,
  UpstreamOptions,
  UpstreamServer,
} from './options.ts'

/** The defaults of {@link PoolLimits}. */
export const RELAY_POOL: PoolLimits = Object.freeze({
  connections: 50,
  wait: 5000,
  kept: 10,
  idle: 5000,
  age: 300_000,
  uses: 100,
  perNetwork: 0.25,
  silence: 30_000,
})

/** The defaults of {@link CircuitLimits}. */
export const RELAY_CIRCUIT: CircuitLimits = Object.freeze({ failures: 3, pause: 5000 })

/** The defaults of {@link RelayTimeouts}. */
export const RELAY_TIMEOUTS: RelayTimeouts = Object.freeze({
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
const RELAY_KEYS = [...UPSTREAM_KEYS, 'routes', 'probes', 'when', 'recipients', 'header', 'store', 'clock']
const SERVER_KEYS = ['host', 'port', 'path', 'weight']
const CLIENT_INFO: readonly ClientInfo[] = ['auto', 'xclient', 'xforward', 'proxy-v1', 'proxy-v2', 'none']

/** Checks the options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveRelay(options: RelayOptions): ResolvedRelay {
  checkKeys('relay', options, RELAY_KEYS)
  const { when = 'rcpt', recipients = 'all', header = null, clock = systemClock, probes = true } = options
  const { store = null, ...upstreamOptions } = options
  checkClock(clock)
  if (store !== null) checkStore(store)
  if (header !== null && typeof header !== 'function') throw wrong('relay.header is a function that returns fields')
  const upstreams = resolveRoutes(upstreamOptions, clock)
  oneOf('relay.when', ['rcpt', 'mail'] as const, when)
  if (when === 'mail' && upstreams.size > 1) throw wrong("relay.when: 'mail' needs one upstream for all recipients")
  return Object.freeze({
    upstreams,
    probes: flag('relay.probes', probes),
    when,
    recipients: oneOf('relay.recipients', ['all', 'one'] as const, recipients),
    header,
    store,
    clock,
  })
}

/** Routes with the same options share one upstream. */
function resolveRoutes(
  { routes = {}, ...defaults }: RelayOptions,
  clock: Clock,
): ReadonlyMap<ResolvedUpstream, readonly string[]> {
  checkKeys('relay.routes', routes, Object.keys(routes))
  const { host, path, servers, ...shared } = defaults
  const given = Object.entries(routes).map(([name, route]): [string, UpstreamOptions] => {
    checkKeys(`relay.routes.${name}`, route, UPSTREAM_KEYS)
    return [name, { ...shared, ...route }]
  })
  const isOwn = host !== undefined || path !== undefined || servers !== undefined
  if (isOwn || given.length === 0) given.push(['*', defaults])
  const upstreams = new Map<ResolvedUpstream, readonly string[]>()
  const known: [UpstreamOptions, ResolvedUpstream][] = []
  for (const [name, upstream] of given) {
    const same = known.find(([each]) => isDeepStrictEqual(each, upstream))?.[1]
    const resolved = same ?? resolveUpstream(name === '*' ? 'relay' : `relay.routes.${name}`, upstream, clock)
    if (same === undefined) known.push([upstream, resolved])
    upstreams.set(resolved, [...(upstreams.get(resolved) ?? []), name])
  }
  return upstreams
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
    pool: numbers(`${at}.pool`, RELAY_POOL, options.pool ?? {}),
    circuit: numbers(`${at}.circuit`, RELAY_CIRCUIT, options.circuit ?? {}),
    timeouts: numbers(`${at}.timeouts`, RELAY_TIMEOUTS, options.timeouts ?? {}),
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
