// `[upstream]` → the options of a relay. The files that it names are read here.

import { readFileSync } from 'node:fs'
import type { ClientAuthOptions } from '../client/auth/mechanisms.ts'
import type { ClientTlsOptions } from '../client/tls.ts'
import type { RelayOptions, UpstreamOptions } from '../deliveries/relay/options.ts'
import { RELAY_POOL, RELAY_TIMEOUTS } from '../deliveries/relay/resolve-options.ts'
import { receivedTrace } from '../filters/trace-fields.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import type { Attempt } from './certificates.ts'
import type { Config } from './config/config.ts'
import type { KeyPath } from './config/locate.ts'
import { given } from './config/given.ts'
import { withGreylist } from './header-fields.ts'
import { verdictStoreOf } from './stores.ts'
import type { RouteConfig, UpstreamAuth, UpstreamConfig, UpstreamTls } from './config/upstream.ts'

/** Milliseconds that an upstream has less for its verdict than the delivery as a whole. */
const BEFORE_VERDICT = 40_000

/** Returns the options of the relay; null if a file cannot be read. */
export function relayOptions(
  { upstream = {}, routes = [] }: Pick<Config, 'upstream' | 'routes'>,
  context: RelayContext,
): RelayOptions | null {
  const common = {
    ...given({ when: upstream.when, recipients: upstream.recipients, store: verdictStoreOf(context.config) }),
    header: withGreylist(receivedTrace(context.name), context.config),
  }
  const own = upstreamOptions(upstream, ['upstream'], context)
  if (routes.length === 0) return own === null ? null : { ...own, ...common }
  // The account of one server is never another's: routes have all of their options themselves.
  const table: Record<string, UpstreamOptions | null> = {}
  for (const [i, route] of routes.entries()) {
    const options = upstreamOptions(inherit(upstream, route), ['routes', i], context)
    for (const domain of route.domains) table[domain] = options
  }
  if (upstream.address !== undefined) table['*'] = own
  const isComplete = own !== null && !Object.values(table).includes(null)
  return isComplete ? { ...common, routes: table as Record<string, UpstreamOptions> } : null
}

/** What a route does not say is as in `[upstream]`, key by key; but its account and TLS are its own. */
function inherit(upstream: UpstreamConfig, route: RouteConfig): UpstreamConfig {
  const { address: _, weights: __, auth: ___, tls: ____, ...shared } = upstream
  return {
    ...shared,
    ...route,
    pool: { ...upstream.pool, ...route.pool },
    circuit: { ...upstream.circuit, ...route.circuit },
    timeouts: { ...upstream.timeouts, ...route.timeouts },
  }
}

/** What the options of a relay need beside its table. */
export interface RelayContext {
  readonly config: Config
  /** The name of this server. */
  readonly name: string
  readonly share: (count: number) => number
  readonly attempt: Attempt
}

function upstreamOptions(
  upstream: UpstreamConfig,
  path: KeyPath,
  { config, name, share, attempt }: RelayContext,
): UpstreamOptions | null {
  const { address = [], weights, protocol, clientInfo, eightBit, chunking, pool = {}, circuit } = upstream
  const tls = tlsOptions(upstream.tls, [...path, 'tls'], attempt)
  const auth = upstream.auth === undefined ? undefined : authOptions(upstream.auth, [...path, 'auth'], attempt)
  if (tls === null || auth === null) return null
  const { connections = RELAY_POOL.connections, kept = RELAY_POOL.kept } = pool
  const verdict = config.timeouts.verdict ?? TIMEOUTS.verdict
  const end = Math.max(1000, Math.min(RELAY_TIMEOUTS.end, verdict - BEFORE_VERDICT))
  return {
    servers: address.map((server, i) => Object.assign({}, server, given({ weight: weights?.[i] }))),
    lmtp: protocol === 'lmtp',
    name: upstream.name ?? name,
    secure: upstream.tls?.mode === 'implicit',
    tls,
    ...given({ auth, clientInfo, eightBit, chunking, circuit }),
    pool: { ...pool, connections: share(connections), kept: share(kept) },
    timeouts: { end, ...upstream.timeouts },
  }
}

function tlsOptions(tls: UpstreamTls | undefined, path: KeyPath, attempt: Attempt): ClientTlsOptions | null {
  if (tls === undefined) return {}
  const read = (key: 'ca' | 'cert' | 'key'): Buffer | null | undefined => {
    const file = tls[key]
    return file === undefined ? undefined : attempt([...path, key], () => readFileSync(file))
  }
  const files = { ca: read('ca'), cert: read('cert'), key: read('key') }
  if (Object.values(files).includes(null)) return null
  const { mode, name: servername, fingerprints: fingerprints256, verify: rejectUnauthorized } = tls
  return given({
    ...(files as { ca?: Buffer; cert?: Buffer; key?: Buffer }),
    mode: mode === 'implicit' ? 'must' : mode,
    servername,
    fingerprints256,
    rejectUnauthorized,
  })
}

function authOptions(auth: UpstreamAuth, path: KeyPath, attempt: Attempt): ClientAuthOptions | null {
  const { user, passwordFile, tokenFile, mechanisms, insecure } = auth
  const more = given({ mechanisms, insecure })
  if (passwordFile !== undefined) {
    const password = attempt([...path, 'password_file'], () => firstLine(passwordFile))
    return password === null ? null : { user, password, ...more }
  }
  // Tokens are short-lived: another program writes the next one to the file.
  const token = (): string => firstLine(tokenFile!)
  return attempt([...path, 'token_file'], token) === null ? null : { user, token, ...more }
}

function firstLine(file: string): string {
  const [line = ''] = readFileSync(file, 'utf8').split(/\r?\n/, 1)
  if (line === '') throw new Error(`${file} has no first line`)
  return line
}
