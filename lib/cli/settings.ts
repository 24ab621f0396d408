// Config → what the server and its handlers are made with. All files that it names are read here, so that what is wrong
// with one is a problem of its key.

import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { allowRecipients } from '../policies/allow-recipients.ts'
import { maildir } from '../deliveries/maildir.ts'
import { isDomain } from '../protocol/addresses/domain.ts'
import { SERVER_LIMITS } from '../server/limits.ts'
import type { ServerOptions } from '../server/options.ts'
import { tlsContexts, type TlsContexts } from '../tls/tls-contexts.ts'
import type { AuthOptions } from '../smtp/auth-options.ts'
import { GUESS_LIMITS } from '../smtp/auth/auth-guard.ts'
import type { Policy } from '../smtp/hooks.ts'
import { resolveOptions, type SmtpHandlerOptions } from '../smtp/options.ts'
import type { Session } from '../smtp/session.ts'
import { printable } from '../words/printable.ts'
import type { CertificateFiles, Config, Listener } from './config/config.ts'
import { type Loaded } from './config/load.ts'
import { ConfigError, type Problem } from './config/problems.ts'
import type { KeyPath } from './config/locate.ts'
import { traceFields } from '../filters/trace-fields.ts'
import { reportCauses } from './reported-delivery.ts'
import { readUsers, type Users } from './users.ts'

/** What a configuration comes to. */
export interface Settings {
  readonly config: Config
  readonly tls: TlsContexts | null
  /** For the handlers of each listener, in their order. */
  readonly handlers: readonly SmtpHandlerOptions[]
}

/** Reads the files that a configuration names. Throws a ConfigError. */
export function makeSettings({ config, problem }: Loaded): Settings {
  const problems: Problem[] = []
  const attempt = <T>(path: KeyPath, make: () => T): T | null => {
    try {
      return make()
    } catch (error) {
      problems.push(problem(path, printable((error as Error).message)))
      return null
    }
  }
  const { auth } = config
  const tls = config.tls === undefined ? null : readCertificates(config.tls, attempt)
  const users = auth === undefined ? null : attempt(['auth', 'users'], () => readUsers(auth.users))
  if (problems.length > 0) throw new ConfigError(problems)

  const authOptions = auth === undefined || users === null ? undefined : makeAuth(config, auth, users)
  const handlers = config.listen.map(listener => handlerOptions(config, listener, tls, users?.policy, authOptions))
  for (const options of handlers) attempt([], () => resolveOptions(options))
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, tls, handlers }
}

/** For the server of a listener; each of several workers takes its share of the limits. */
export function serverOptions(config: Config, listener: Listener, tls: TlsContexts | null): ServerOptions {
  const { maxConnections, perClient, timeouts } = config
  const share = (count: number): number => shareOf(config, count)
  return {
    ...(listener.tls === 'implicit' && tls !== null ? { tls } : {}),
    maxConnections: share(maxConnections ?? SERVER_LIMITS.maxConnections),
    perClient: {
      connections: share(perClient.connections ?? SERVER_LIMITS.perClient.connections),
      perMinute: share(perClient.perMinute ?? SERVER_LIMITS.perClient.perMinute),
      ...given({ except: perClient.except }),
    },
    timeouts: given({ proxyHeader: timeouts.proxyHeader, tls: timeouts.tls, linger: timeouts.linger }),
    ...given({ proxy: listener.proxy }),
  }
}

/** One worker's share of a limit. */
function shareOf({ workers }: Config, count: number): number {
  return Math.ceil(count / workers)
}

/** One object for all listeners: they count guesses together. */
function makeAuth(config: Config, auth: NonNullable<Config['auth']>, users: Users): AuthOptions {
  const { guesses, required, insecure } = auth
  const credentials = shareOf(config, guesses.credentials ?? GUESS_LIMITS.credentials)
  return { mechanisms: users.mechanisms, required, insecure, guesses: { ...guesses, credentials } }
}

function handlerOptions(
  config: Config,
  listener: Listener,
  tls: TlsContexts | null,
  users: Policy | undefined,
  auth: AuthOptions | undefined,
): SmtpHandlerOptions {
  const { log, recipients } = config
  const { proxyHeader: _, ...timeouts } = config.timeouts
  const name = config.name ?? ownName()
  const domains = recipients.domains ?? ['*']
  const policies: Policy[] = []
  if (users !== undefined) policies.push(users)
  if (!domains.includes('*')) policies.push(allowRecipients(domains))
  return {
    ...given({
      banner: config.banner,
      size: config.size,
      oversize: config.oversize,
      addresses: config.addresses,
      bareNewline: config.bareNewline,
      unlawfulPipelining: config.unlawfulPipelining,
      earlyTalkers: config.earlyTalkers,
      minDataRate: config.minDataRate,
      xclient: config.xclient,
      debugLogFile: log.debugFile,
      auth,
    }),
    name,
    lmtp: listener.protocol === 'lmtp',
    extensions: config.extensions,
    limits: config.limits,
    timeouts,
    policies,
    delivery: reportCauses(maildir<Session>(config.maildir, { header: traceFields(name) })),
    ...(tls === null || listener.tls === 'off' ? {} : { tls: { ...tls, required: config.tls?.required ?? false } }),
  }
}

type Attempt = <T>(path: KeyPath, make: () => T) => T | null

function readCertificates(tls: NonNullable<Config['tls']>, attempt: Attempt): TlsContexts | null {
  const common = tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }
  const good = (files: CertificateFiles, path: KeyPath): boolean => {
    const cert = attempt([...path, 'cert'], () => readFileSync(files.cert))
    const key = attempt([...path, 'key'], () => readFileSync(files.key))
    return (
      cert !== null &&
      key !== null &&
      attempt([...path, 'cert'], () => tlsContexts({ default: { cert, key } })) !== null
    )
  }
  const all = [good(tls, ['tls']), ...tls.names.map((each, i) => good(each, ['tls', 'names', i]))]
  if (all.includes(false)) return null
  const files = ({ cert, key }: CertificateFiles): { certFile: string; keyFile: string } => ({
    certFile: cert,
    keyFile: key,
  })
  const names = Object.fromEntries(tls.names.flatMap(each => each.names.map(name => [name, files(each)])))
  return attempt(['tls'], () => tlsContexts({ default: files(tls), names, common }))
}

/** The name of this host, where it is one that others can be told. */
function ownName(): string {
  const name = hostname()
  return isDomain(name, { utf8: false, lenient: false }) ? name : 'localhost'
}

/** Without what is undefined. */
function given<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
