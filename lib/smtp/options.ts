// The options of SmtpHandler: what they are, what they are by default, and where that comes from. Resolved once for each
// options object, frozen; nobody else knows a default.

import { hostname } from 'node:os'
import { networks, type Networks } from '../protocol/networks/network.ts'
import { reply, type Reply } from '../words/reply.ts'
import type { MailHandlerMethods, MailHandlerOptions } from '../stream/mail-handler-options.ts'
import { resolveAuth, type AuthOptions, type ResolvedAuth } from './auth-options.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { EXTENSIONS, type ExtensionName } from './extensions.ts'
import { hooksOf, type Filter, type Hooks, type Policy, type PolicyHooks } from './hooks.ts'
import { LIMITS, TIMEOUTS, type Limits, type Timeouts } from './limits.ts'
import { checkChoices, checkGreeting, checkHooks, list } from './option-checks.ts'
import { atLeast, flag, numbers, wrong } from '../words/option-checks.ts'
import { resolveTls, type ResolvedTls, type TlsOptions } from '../tls/tls-options.ts'

export type { AuthOptions } from './auth-options.ts'
export type { Limits, Timeouts } from './limits.ts'
export type { TlsOptions } from '../tls/tls-options.ts'

/** Options of an `SmtpHandler`; hooks and methods may be among them. */
export interface SmtpHandlerOptions
  extends Omit<MailHandlerOptions, keyof MailHandlerMethods | 'limits'>, Hooks, MailHandlerMethods {
  /** What stands behind the name in the greeting. Default `ESMTP`. */
  readonly banner?: string
  /** Octets of a message; 0: no limit. Default 50 MiB. [RFC 1870] */
  readonly size?: number
  /** What a message over the size gets: `'drain'`, 552 after its end; `'close'`, 552 at once, and the end. */
  readonly oversize?: 'drain' | 'close'
  /** LMTP instead of SMTP: LHLO, a reply for each recipient. Default false. [RFC 2033] */
  readonly lmtp?: boolean
  /** What of addresses and parameters is accepted: the grammar, or what real senders do wrong too. Default `'strict'`. */
  readonly addresses?: 'strict' | 'lenient'
  /** What a bare CR or LF in mail data gets: 550 after the end, CRLF in its place, or nothing. [RFC 5321 §2.3.8] */
  readonly bareNewline?: 'reject' | 'normalize' | 'allow'
  /** Input behind DATA, EHLO or AUTH that did not wait for the reply: 503 and the end, or nothing. [RFC 2920 §3.1] */
  readonly unlawfulPipelining?: 'refuse' | 'allow'
  /** Input before the greeting: 554 and the end, or nothing; `onConnect` decides how long the greeting takes. */
  readonly earlyTalkers?: 'refuse' | 'allow'
  readonly tls?: TlsOptions
  readonly auth?: AuthOptions
  /** Switches extensions. Those that promise something after acceptance are off until the program honours them. */
  readonly extensions?: Readonly<Partial<Record<ExtensionName, boolean>>>
  /** Networks whose XCLIENT and XFORWARD are believed: `['10.0.0.0/8']`. Default none. */
  readonly xclient?: readonly string[]
  /** Octets a second below which a client is too slow with its mail data; 0: none is. Default 500. Postfix smtpd_min_data_rate. */
  readonly minDataRate?: number
  readonly limits?: Readonly<Partial<Limits>>
  readonly timeouts?: Readonly<Partial<Timeouts>>
  readonly policies?: readonly Policy[]
  readonly filters?: readonly Filter[]
  /** Default: the system's. */
  readonly clock?: Clock
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  /** For MailHandler. */
  readonly base: MailHandlerOptions
  readonly name: string
  readonly greeting: Reply
  readonly heloReply: Reply
  readonly goodbye: Reply
  readonly size: number
  readonly oversize: 'drain' | 'close'
  readonly lmtp: boolean
  readonly lenient: boolean
  readonly bareNewline: 'reject' | 'normalize' | 'allow'
  readonly unlawfulPipelining: 'refuse' | 'allow'
  readonly earlyTalkers: 'refuse' | 'allow'
  readonly tls: ResolvedTls | null
  readonly auth: ResolvedAuth | null
  readonly extensions: ReadonlySet<ExtensionName>
  readonly proxies: Networks | null
  readonly minDataRate: number
  readonly limits: Limits
  readonly timeouts: Timeouts
  readonly policies: readonly Policy[]
  readonly hooks: PolicyHooks
  readonly filters: readonly Filter[]
  readonly clock: Clock
}

const resolved = new WeakMap<SmtpHandlerOptions, ResolvedOptions>()

/** Checks options and fills in the defaults, once for each object. Throws `ERR_OPTION`. */
export function resolveOptions(options: SmtpHandlerOptions): ResolvedOptions {
  let result = resolved.get(options)
  if (result === undefined) {
    result = resolve(options)
    resolved.set(options, result)
  }
  return result
}

function resolve(options: SmtpHandlerOptions): ResolvedOptions {
  checkChoices(options)
  const policies = list('policies', options)
  const filters = list('filters', options)
  if (filters.some(filter => typeof filter !== 'function')) throw wrong('filters are functions that make a stream')
  const name = options.name ?? hostname()
  const banner = options.banner ?? (options.lmtp === true ? 'LMTP' : 'ESMTP')
  checkGreeting(name, banner)
  const auth = resolveAuth(options.auth)
  const limits = numbers('limits', LIMITS, options.limits ?? {})
  checkHooks(options, policies)
  return Object.freeze({
    base: {
      ...mailHandlerOptions(options),
      name,
      limits: { commandLine: Math.max(limits.commandLine, auth === null ? 0 : limits.authLine) },
    },
    name,
    greeting: reply(220, `${name} ${banner}`),
    heloReply: reply(250, name),
    goodbye: reply(221, '2.0.0', `${name} closing connection`),
    size: atLeast('size', 0, options.size ?? 50 * 2 ** 20),
    oversize: options.oversize ?? 'drain',
    lmtp: flag('lmtp', options.lmtp),
    lenient: options.addresses === 'lenient',
    bareNewline: options.bareNewline ?? 'reject',
    unlawfulPipelining: options.unlawfulPipelining ?? 'refuse',
    earlyTalkers: options.earlyTalkers ?? 'allow',
    tls: resolveTls(options.tls),
    auth,
    extensions: resolveExtensions(options.extensions ?? {}),
    proxies: options.xclient === undefined ? null : networks(options.xclient),
    minDataRate: atLeast('minDataRate', 0, options.minDataRate ?? 500),
    limits,
    timeouts: numbers('timeouts', TIMEOUTS, options.timeouts ?? {}),
    policies,
    hooks: hooksOf(policies),
    filters,
    clock: options.clock ?? systemClock,
  })
}

/** What of the options is MailHandler's. */
function mailHandlerOptions(options: SmtpHandlerOptions): MailHandlerOptions {
  const { limits: _, ...rest } = options
  return rest
}

function resolveExtensions(switches: Readonly<Partial<Record<ExtensionName, boolean>>>): ReadonlySet<ExtensionName> {
  for (const [name, on] of Object.entries(switches)) {
    if (!EXTENSIONS.has(name as ExtensionName)) throw wrong(`extensions.${name}: there is no such extension`)
    flag(`extensions.${name}`, on)
  }
  const on = [...EXTENSIONS].filter(([name, byDefault]) => switches[name] ?? byDefault).map(([name]) => name)
  const extensions = new Set(on)
  if (!extensions.has('CHUNKING')) extensions.delete('BINARYMIME') // [RFC 3030 §3]
  if (!extensions.has('8BITMIME')) extensions.delete('SMTPUTF8') // [RFC 6531 §3.1]
  return extensions
}
