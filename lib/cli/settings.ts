// Config → the options of the servers and of their handlers. All files that it names are read here, so that what is wrong
// with one is a problem of its key.

import { hostname } from 'node:os'
import { isDomain } from '../protocol/addresses/domain.ts'
import { copyTraceFields, traceFields } from '../filters/trace-fields.ts'
import { sharedGuesses } from '../policies/shared-guesses.ts'
import { SERVER_LIMITS } from '../server/limits.ts'
import type { ServerOptions } from '../server/options.ts'
import type { TlsContexts } from '../tls/tls-contexts.ts'
import type { AuthOptions } from '../smtp/auth-options.ts'
import { GUESS_LIMITS } from '../smtp/auth/auth-guard.ts'
import type { Delivery, Policy } from '../smtp/hooks.ts'
import { resolveOptions, type SmtpHandlerOptions } from '../smtp/options.ts'
import { printable } from '../words/printable.ts'
import { contextsFor, readCertificates, type Attempt, type CommandTls } from './certificates.ts'
import type { Config, Listener } from './config/config.ts'
import { type Loaded } from './config/load.ts'
import { ConfigError, type Problem } from './config/problems.ts'
import type { KeyPath } from './config/locate.ts'
import { passesOn } from './config/upstream.ts'
import { given } from './config/given.ts'
import { toDelivery } from './delivery.ts'
import { toMaildir, toOther, toUpstream, type Destination } from './destination.ts'
import { withGreylist } from './header-fields.ts'
import { listPolicies } from './lists.ts'
import type { WithModules } from './modules.ts'
import { nameResolver } from './names.ts'
import { makePolicies } from './policies.ts'
import { ratePolicies } from './rates.ts'
import { relayOptions } from './relay-options.ts'
import { readToken } from './status/token.ts'
import { storeOf } from './stores.ts'
import { spfByMailauth } from './spf.ts'
import { readUsers, type Users } from './users.ts'
import { waitingPolicies } from './waiting-policies.ts'

/** The options that a configuration comes to. */
export interface Settings {
  readonly config: Config
  /** The file of the configuration; null if there is none. */
  readonly file: string | null
  readonly tls: CommandTls | null
  readonly destination: Destination
  /** Options of the handlers of each listener, in the order of the listeners. */
  readonly handlers: readonly SmtpHandlerOptions[]
  /** Lets go of connections, watched files and what modules have; sessions under way go on. */
  close(): void
  /** The name of this server. */
  readonly name: string
  /** The token of the status page, or null. */
  readonly statusToken: string | null
}

/** Reads the files that a configuration names; call loadParts before. Throws a ConfigError. */
export function makeSettings({ config, file, problem, modules, own = {} }: Loaded & Partial<WithModules>): Settings {
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
  const share = (count: number): number => shareOf(config, count)
  const lists = listPolicies(config.lists, attempt, nameResolver())
  const rates = attempt(['rates'], () => ratePolicies(config, share)) ?? []
  const asksSpf = config.greylist !== undefined && config.suspicion.spf
  const spf = asksSpf ? attempt(['suspicion', 'spf'], spfByMailauth) : null
  const waiting = attempt(['greylist'], () => waitingPolicies(config, spf)) ?? []
  const ending = new AbortController()
  const context = { name: nameOf(config), signal: ending.signal }
  const ownPolicies = (modules?.policies ?? []).flatMap((each, i) => {
    return attempt(['policy', i, 'module'], () => each.make(context) as Policy) ?? []
  })
  const makeDelivery = modules?.delivery ?? null
  const make = makeDelivery === null ? null : () => makeDelivery.make(context) as Delivery
  const destination = own.delivery === undefined ? makeDestination(config, attempt, make) : toOther(own.delivery, [])
  const tokenFile = config.status?.tokenFile
  const statusToken = tokenFile === undefined ? null : attempt(['status', 'token_file'], () => readToken(tokenFile))
  const close = (): void => {
    ending.abort()
    destination?.close()
    for (const list of lists) list.close() // sessions under way go on with it as it is
  }
  if (problems.length > 0 || destination === null) {
    close()
    throw new ConfigError(problems)
  }

  const authOptions = auth === undefined || users === null ? undefined : makeAuth(config, auth, users)
  const first = [...lists, ...rates]
  const policies = makePolicies(config, destination, {
    users: users?.policy,
    first,
    own: [...ownPolicies, ...(own.policies ?? [])],
    waiting,
    share,
  })
  const handlers = config.listen.map(listener => {
    return handlerOptions(config, listener, { tls, policies, auth: authOptions, delivery: destination.delivery })
  })
  for (const options of handlers) attempt([], () => resolveOptions(options))
  if (problems.length > 0) {
    close()
    throw new ConfigError(problems)
  }
  return { config, file, tls, destination, handlers, close, name: nameOf(config), statusToken }
}

/** One destination for all listeners: they share its connections. */
function makeDestination(config: Config, attempt: Attempt, make: (() => Delivery) | null): Destination | null {
  const name = nameOf(config)
  if (config.delivery !== undefined) {
    const header = {
      message: withGreylist(traceFields(name), config),
      copy: withGreylist(copyTraceFields(name), config),
    }
    return toDelivery(config.delivery, { header, attempt, make })
  }
  if (!passesOn(config)) return toMaildir(config.maildir, withGreylist(traceFields(name), config))
  const share = (count: number): number => shareOf(config, count)
  const options = relayOptions(config, { config, name, share, attempt })
  const table = config.upstream === undefined ? 'routes' : 'upstream'
  return options === null ? null : attempt([table], () => toUpstream(options))
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

/** One object for all listeners: they count guesses together, and over a store so do all workers and machines. */
function makeAuth(config: Config, auth: NonNullable<Config['auth']>, users: Users): AuthOptions {
  const { guesses, required, insecure } = auth
  const most = guesses.credentials ?? GUESS_LIMITS.credentials
  const counting =
    config.greylist === undefined
      ? { credentials: shareOf(config, most) }
      : {
          counter: sharedGuesses(storeOf(config.greylist), { credentials: most, ...given({ window: guesses.window }) }),
        }
  return { mechanisms: users.mechanisms, required, insecure, guesses: { ...guesses, ...counting } }
}

/** What the handlers of all listeners share. */
interface Parts {
  readonly tls: CommandTls | null
  readonly policies: readonly Policy[]
  readonly auth: AuthOptions | undefined
  readonly delivery: Delivery
}

function handlerOptions(
  config: Config,
  listener: Listener,
  { tls, policies, auth, delivery }: Parts,
): SmtpHandlerOptions {
  const { log } = config
  const { proxyHeader: _, ...timeouts } = config.timeouts
  const name = nameOf(config)
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
    delivery,
    ...(tls === null || listener.tls === 'off'
      ? {}
      : { tls: { ...contextsFor(listener, config, tls), required: config.tls?.required ?? false } }),
  }
}

/** Returns the name of this server: that of its host, or `localhost` if that is not a domain. */
function nameOf({ name = hostname() }: Config): string {
  return isDomain(name, { utf8: false, strictness: 'strict' }) ? name : 'localhost'
}
