// The schema of a configuration: all keys. A test compares docs/configuration.md and examples/mailhandler.toml with it.

import { allowRecipients } from '../../policies/allow-recipients.ts'
import { SERVER_TIMEOUTS } from '../../server/limits.ts'
import type { GuessOptions } from '../../smtp/auth/auth-guard.ts'
import { EXTENSIONS } from '../../smtp/extensions.ts'
import { isDomain } from '../../protocol/addresses/domain.ts'
import type { CertificateFiles, Config, Listener, LogConfig } from './config.ts'
import { flag, leaf, line, list, maybe, network, oneOf, path, table, whole, type Issue, type Schema } from './leaves.ts'
import { deliveryTable, policyList } from './delivery.ts'
import { greylistTable, suspicionTable } from './greylisting.ts'
import { listsTable } from './lists.ts'
import { ratesTable } from './rates.ts'
import { statusTable } from './status.ts'
import { readDuration, readListenAddress, readSize } from './units.ts'
import { routeList, upstreamTable, verifyTable } from './upstream.ts'

const duration = leaf('a duration such as "30s", "5m" or "1h"', value => readDuration(value))
const size = leaf('a size such as "50MiB" or "100kB", or a number of octets', readSize)
const address = leaf('an address and port such as "127.0.0.1:25", "[::1]:25" or "*:25"', readListenAddress)
const account = line('the name of an account on this system', /^[a-z_][a-z0-9_.-]{0,31}\$?$/i)
const domain = leaf(
  'a domain such as "example.org", ".example.org" for all domains below it, "anna@example.org" for one mailbox, "*" for any',
  value => {
    if (typeof value !== 'string') return null
    if (value !== '*') allowRecipients([value])
    return value
  },
)
const hostName = leaf('a host name such as "mx.example.org"', value => {
  return typeof value === 'string' && isDomain(value, { utf8: false, strictness: 'strict' }) ? value : null
})

/** The address of the listener of a configuration without listeners. */
export const DEFAULT_LISTEN = '127.0.0.1:2525'

const networkList = list(network, 'a list of networks such as ["10.0.0.0/8"]')

const limitsTable = table<Config['limits']>({
  commandLine: maybe(whole(512)),
  authLine: maybe(whole(512)),
  recipients: maybe(whole(1)),
  header: maybe(size),
  errors: maybe(whole(1)),
  softErrors: maybe(whole(1)),
  junkCommands: maybe(whole(1)),
  overshoot: maybe(whole(1)),
  deferrals: maybe(whole(1)),
  authFailures: maybe(whole(1)),
  transactions: maybe(whole(1)),
})

const timeoutsTable = table<Config['timeouts']>({
  greeting: maybe(duration),
  idle: maybe(duration),
  command: maybe(duration),
  data: maybe(duration),
  tls: maybe(duration),
  proxyHeader: maybe(duration),
  hook: maybe(duration),
  verdict: maybe(duration),
  linger: maybe(duration),
})

const perClientTable = table<Config['perClient']>({
  connections: maybe(whole(1)),
  perMinute: maybe(whole(1)),
  except: maybe(networkList),
})

function tlsTable(file: ReturnType<typeof path>) {
  return table<NonNullable<Config['tls']>>({
    cert: file,
    key: file,
    required: maybe(flag, false),
    minVersion: maybe(oneOf('TLSv1.2', 'TLSv1.3')),
    ciphers: maybe(line('a list of cipher suites as OpenSSL reads it', /^[\w:+!@=.,-]{1,2000}$/)),
    names: maybe(
      list(
        table<CertificateFiles & { names: readonly string[] }>({
          names: list(
            line('a host name, or "*." and a domain', /^(?:\*\.)?[A-Za-z0-9._-]+$/),
            'a list of host names',
            1,
          ),
          cert: file,
          key: file,
        }),
        'tables, each begun by [[tls.names]]',
      ),
      [],
    ),
  })
}

function logTable(file: ReturnType<typeof path>) {
  return table<LogConfig>({
    file: maybe(file),
    level: maybe(oneOf('debug', 'info', 'warn', 'error', 'silent'), 'info'),
    format: maybe(oneOf('json', 'text', 'kamaelia')),
    debugFile: maybe(file),
  })
}

const listenList = list(
  table<Listener>({
    address,
    protocol: maybe(oneOf('smtp', 'lmtp'), 'smtp'),
    tls: maybe(oneOf('starttls', 'implicit', 'off'), 'starttls'),
    proxy: maybe(networkList),
  }),
  'tables, each begun by [[listen]]',
  1,
)

/** Where mail goes if nothing is said. */
export const DEFAULT_MAILDIR = 'Maildir'

/** Makes the schema for a configuration in this folder. */
export function configSchema(folder: string): Schema<Config> {
  const file = path(folder)
  return table<Config>({
    name: maybe(hostName),
    banner: maybe(line('a line of printable ASCII', /^[ -~]{1,200}$/)),
    maildir: maybe(file, DEFAULT_MAILDIR),
    delivery: maybe(deliveryTable(folder, file)),
    policy: maybe(policyList(folder)),
    upstream: maybe(upstreamTable(file, hostName)),
    routes: maybe(routeList(file, hostName, domain)),
    verdicts: maybe(file, 'verdicts.db'),
    verifyRecipients: maybe(verifyTable),
    listen: maybe(listenList, [{ address: DEFAULT_LISTEN }]),
    workers: maybe(whole(1, 256), 1),
    user: maybe(account),
    group: maybe(account),
    shutdownTimeout: maybe(duration, `${SERVER_TIMEOUTS.shutdown}ms`),
    maxConnections: maybe(whole(1)),
    perClient: maybe(perClientTable, {}),
    size: maybe(size),
    oversize: maybe(oneOf('drain', 'close')),
    strictness: maybe(oneOf('strict', 'interoperable', 'lenient')),
    bareNewline: maybe(oneOf('reject', 'normalize', 'allow')),
    unlawfulPipelining: maybe(oneOf('refuse', 'allow')),
    earlyTalkers: maybe(oneOf('refuse', 'allow')),
    minDataRate: maybe(whole(1)),
    xclient: maybe(networkList),
    recipients: maybe(table<Config['recipients']>({ domains: maybe(list(domain, 'a list of domains', 1)) }), {}),
    lists: maybe(listsTable(file), {}),
    rates: maybe(ratesTable(networkList), {}),
    greylist: maybe(greylistTable(file)),
    suspicion: maybe(suspicionTable(duration), {}),
    tls: maybe(tlsTable(file)),
    auth: maybe(
      table<NonNullable<Config['auth']>>({
        users: file,
        required: maybe(flag, false),
        insecure: maybe(flag, false),
        guesses: maybe(
          table<Omit<GuessOptions, 'counter'>>({
            credentials: maybe(whole(1)),
            window: maybe(duration),
            checks: maybe(whole(1)),
            except: maybe(networkList),
          }),
          {},
        ),
      }),
    ),
    extensions: maybe(
      table<Config['extensions']>(Object.fromEntries([...EXTENSIONS.keys()].map(name => [name, maybe(flag)])) as never),
      {},
    ),
    limits: maybe(limitsTable, {}),
    timeouts: maybe(timeoutsTable, {}),
    log: maybe(logTable(file), {}),
    metrics: maybe(table<Config['metrics']>({ listen: maybe(address) }), {}),
    status: maybe(statusTable(file)),
  })
}

/** Returns every key in dotted form, without tables: `listen.address`, `limits.errors` … */
export function allKeys(schema: Schema<unknown>, prefix = ''): string[] {
  const { entries } = schema.item ?? schema
  if (entries === undefined) return [prefix]
  return Object.entries(entries).flatMap(([key, inner]) => allKeys(inner, prefix === '' ? key : `${prefix}.${key}`))
}

/** Checks a parsed file against the schema: the configuration, or all that is wrong. */
export function readConfig(schema: Schema<Config>, raw: unknown): { config: Config; issues: readonly Issue[] } {
  const issues: Issue[] = []
  return { config: schema.read(raw, [], issues), issues }
}
