// The tables of a configuration that say where mail is passed on to: `[upstream]`, and `[[routes]]` for some recipients.

import type { ClientMechanismName } from '../../client/auth/mechanisms.ts'
import type { CircuitLimits, ClientInfo, PoolLimits, RelayTimeouts } from '../../deliveries/relay/options.ts'
import { flag, leaf, line, list, maybe, network, oneOf, table, whole, type path, type Schema } from './leaves.ts'
import { printable } from '../../words/printable.ts'
import { readDuration, readUpstreamAddress, type UpstreamAddress } from './units.ts'

/** TLS towards an upstream: `[upstream.tls]`. */
export interface UpstreamTls {
  /** `implicit`: from the first octet on; the others say what STARTTLS is worth. */
  readonly mode?: 'never' | 'may' | 'must' | 'implicit'
  /** The name that the certificate has to be valid for. */
  readonly name?: string
  /** A file with the certificates of the authorities. */
  readonly ca?: string
  readonly fingerprints?: readonly string[]
  /** The certificate of this side, with its key, as files. */
  readonly cert?: string
  readonly key?: string
  readonly verify?: boolean
}

/** The account at an upstream: `[upstream.auth]`. */
export interface UpstreamAuth {
  readonly user: string
  readonly passwordFile?: string
  readonly tokenFile?: string
  readonly mechanisms?: readonly ClientMechanismName[]
  readonly insecure?: boolean
}

/** An upstream: `[upstream]`. */
export interface UpstreamConfig {
  readonly address?: readonly UpstreamAddress[]
  readonly weights?: readonly number[]
  readonly protocol?: 'smtp' | 'lmtp'
  readonly name?: string
  readonly clientInfo?: ClientInfo
  readonly eightBit?: 'send' | 'refuse'
  readonly chunking?: boolean
  readonly tls?: UpstreamTls
  readonly auth?: UpstreamAuth
  readonly pool?: Readonly<Partial<PoolLimits>>
  readonly circuit?: Readonly<Partial<CircuitLimits>>
  readonly timeouts?: Readonly<Partial<RelayTimeouts>>
}

/** `[upstream]`, with what is for all routes. */
export interface MainUpstreamConfig extends UpstreamConfig {
  readonly when?: 'rcpt' | 'mail'
  readonly recipients?: 'all' | 'one'
}

/** An upstream for some recipients: `[[routes]]`. What it does not say is as in `[upstream]`. */
export interface RouteConfig extends UpstreamConfig {
  readonly domains: readonly string[]
}

/** Recipients that are asked for before they are accepted: `[verify_recipients]`. */
export interface VerifyConfig {
  readonly enabled: boolean
  readonly positive?: number
  readonly negative?: number
  readonly size?: number
  readonly timeout?: number
  readonly onFailure?: 'accept' | 'defer'
  readonly unknown?: number
  readonly window?: number
  readonly except?: readonly string[]
}

/** True if messages are passed on, and not put in a Maildir. */
export function passesOn({ upstream, routes }: { upstream?: unknown; routes?: unknown }): boolean {
  return upstream !== undefined || routes !== undefined
}

const duration = leaf('a duration such as "30s", "5m" or "1h"', readDuration)
const ADDRESS = 'an address and port such as "10.0.0.5:25", or the path of a unix socket'
const ADDRESSES = `${ADDRESS}, or a list of these`
const address = leaf<readonly UpstreamAddress[]>(ADDRESSES, value => {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value]
  const all = given.map(readUpstreamAddress)
  const odd = Array.isArray(value) ? given.find((_, i) => all[i] === null) : undefined
  if (typeof odd === 'string') throw new Error(`${printable(JSON.stringify(odd), 100)} is not ${ADDRESS}`)
  return all.length === 0 || all.includes(null) ? null : (all as UpstreamAddress[])
})
const weight = leaf('a number above 0', value => (typeof value === 'number' && value > 0 ? value : null))
const share = leaf('a number above 0, up to 1', value =>
  typeof value === 'number' && value > 0 && value <= 1 ? value : null,
)
const serverName = line('the name in a certificate', /^[A-Za-z0-9._:-]{1,253}$/)
const fingerprint = line(
  'a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons',
  /^(?:[\dA-F]{2}:?){32}$/i,
)
const user = line('the name of an account', /^[^\p{Cc}]{1,255}$/u)

function authTable(file: ReturnType<typeof path>): Schema<UpstreamAuth> {
  return table<UpstreamAuth>({
    user,
    passwordFile: maybe(file),
    tokenFile: maybe(file),
    mechanisms: maybe(list(oneOf('SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'XOAUTH2'), 'a list of mechanisms', 1)),
    insecure: maybe(flag),
  })
}

function tlsTable(file: ReturnType<typeof path>): Schema<UpstreamTls> {
  return table<UpstreamTls>({
    mode: maybe(oneOf('never', 'may', 'must', 'implicit')),
    name: maybe(serverName),
    ca: maybe(file),
    fingerprints: maybe(list(fingerprint, 'a list of fingerprints', 1)),
    cert: maybe(file),
    key: maybe(file),
    verify: maybe(flag),
  })
}

const poolTable = table<Partial<PoolLimits>>({
  connections: maybe(whole(1)),
  wait: maybe(duration),
  kept: maybe(whole(0)),
  idle: maybe(duration),
  age: maybe(duration),
  uses: maybe(whole(1)),
  perNetwork: maybe(share),
  silence: maybe(duration),
})

const circuitTable = table<Partial<CircuitLimits>>({ failures: maybe(whole(1)), pause: maybe(duration) })

const timeoutsTable = table<Partial<RelayTimeouts>>({
  open: maybe(duration),
  command: maybe(duration),
  data: maybe(duration),
  block: maybe(duration),
  end: maybe(duration),
  quit: maybe(duration),
})

function entries(file: ReturnType<typeof path>, hostName: Schema<string>) {
  return {
    address: maybe(address),
    weights: maybe(list(weight, 'a list of numbers', 1)),
    protocol: maybe(oneOf('smtp', 'lmtp')),
    name: maybe(hostName),
    clientInfo: maybe(oneOf('auto', 'xclient', 'xforward', 'proxy-v1', 'proxy-v2', 'none')),
    eightBit: maybe(oneOf('send', 'refuse')),
    chunking: maybe(flag),
    tls: maybe(tlsTable(file)),
    auth: maybe(authTable(file)),
    pool: maybe(poolTable),
    circuit: maybe(circuitTable),
    timeouts: maybe(timeoutsTable),
  }
}

/** Makes the schema of `[upstream]`. */
export function upstreamTable(file: ReturnType<typeof path>, hostName: Schema<string>): Schema<MainUpstreamConfig> {
  return table<MainUpstreamConfig>({
    ...entries(file, hostName),
    when: maybe(oneOf('rcpt', 'mail')),
    recipients: maybe(oneOf('all', 'one')),
  })
}

/** Makes the schema of `[[routes]]`. */
export function routeList(
  file: ReturnType<typeof path>,
  hostName: Schema<string>,
  domain: Schema<string>,
): Schema<RouteConfig[]> {
  const route = table<RouteConfig>({ domains: list(domain, 'a list of domains', 1), ...entries(file, hostName) })
  return list(route, 'tables, each begun by [[routes]]', 1)
}

/** The schema of `[verify_recipients]`. */
export const verifyTable: Schema<VerifyConfig> = table<VerifyConfig>({
  enabled: maybe(flag, true),
  positive: maybe(duration),
  negative: maybe(duration),
  size: maybe(whole(1)),
  timeout: maybe(duration),
  onFailure: maybe(oneOf('accept', 'defer')),
  unknown: maybe(whole(1)),
  window: maybe(duration),
  except: maybe(list(network, 'a list of networks such as ["10.0.0.0/8"]')),
})
