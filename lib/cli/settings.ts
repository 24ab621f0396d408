// Config → the options of the servers and of their handlers. All files that it names are read here, so that what is wrong
// with one is a problem of its key.

import { hostname } from 'node:os'
import { allowRecipients } from '../policies/allow-recipients.ts'
import { maildir } from '../deliveries/maildir.ts'
import { isDomain } from '../protocol/addresses/domain.ts'
import { SERVER_LIMITS } from '../server/limits.ts'
import type { ServerOptions } from '../server/options.ts'
import type { TlsContexts } from '../tls/tls-contexts.ts'
import type { AuthOptions } from '../smtp/auth-options.ts'
import { GUESS_LIMITS } from '../smtp/auth/auth-guard.ts'
import type { Policy } from '../smtp/hooks.ts'
import { resolveOptions, type SmtpHandlerOptions } from '../smtp/options.ts'
import type { Session } from '../smtp/session.ts'
import { printable } from '../words/printable.ts'
import { contextsFor, readCertificates, type CommandTls } from './certificates.ts'
import type { Config, Listener } from './config/config.ts'
import { type Loaded } from './config/load.ts'
import { ConfigError, type Problem } from './config/problems.ts'
import type { KeyPath } from './config/locate.ts'
import { traceFields } from '../filters/trace-fields.ts'
import { greylistPolicies } from './greylisting.ts'
import { readUsers, type Users } from './users.ts'

/** The options that a configuration comes to. */
export interface Settings {
  readonly config: Config
  readonly tls: CommandTls | null
  /** Options of the handlers of each listener, in the order of the listeners. */
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
  attempt(['greylist'], () => greylistPolicies(config))
  if (problems.length > 0) throw new ConfigError(problems)

  const authOptions = auth === undefined || users === null ? undefined : makeAuth(config, auth, users)
  const handlers = config.listen.map(listener => handlerOptions(config, listener, tls, users?.policy, authOptions))
  for (const options of handlers) attempt([], () => resolveOptions(options))
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, tls, handlers }
}

/** Returns the options for the server of a listener; each of several workers gets its share of the limits. */
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
  tls: CommandTls | null,
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
  policies.push(...greylistPolicies(config))
  return {
    ...given({
      banner: config.banner,
      size: config.size,
      oversize: config.oversize,
      strictness: config.strictness,
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
    delivery: maildir<Session>(config.maildir, { header: traceFields(name) }),
    ...(tls === null || listener.tls === 'off'
      ? {}
      : { tls: { ...contextsFor(listener, config, tls), required: config.tls?.required ?? false } }),
  }
}

/** Returns the name of this host, or `localhost` if it is not a domain. */
function ownName(): string {
  const name = hostname()
  return isDomain(name, { utf8: false, strictness: 'strict' }) ? name : 'localhost'
}

/** Returns the options that are not undefined. */
function given<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
