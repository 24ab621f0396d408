// The options of SmtpHandler: what they are, what they are by default, and where that comes from. Resolved once for each
// options object, frozen; nobody else knows a default.

import { hostname } from 'node:os'
import { createSecureContext, type SecureContext, type TLSSocketOptions } from 'node:tls'
import { networks, type Networks } from '../protocol/network.ts'
import { MailHandlerError } from '../words/errors.ts'
import { reply, type Reply } from '../words/reply.ts'
import type { MailHandlerMethods, MailHandlerOptions } from '../stream/mail-handler-options.ts'
import type { Mechanism } from './auth/mechanism.ts'
import { login, plain } from './auth/password.ts'
import { systemClock, type Clock } from './clock.ts'
import { EXTENSIONS, type ExtensionName } from './extensions.ts'
import { HOOKS, hooksOf, type Filter, type Hooks, type Policy, type PolicyHooks } from './hooks.ts'

/** Limits of a session. Each names its source. */
export interface Limits {
  /** Octets of a command line with CRLF. RFC 5321 §4.5.3.1.4 says 512, each extension adds; Postfix has 2,048. */
  readonly commandLine: number
  /** Octets of a line of AUTH with CRLF. [RFC 4954 §4] */
  readonly authLine: number
  /** Recipients of a transaction; RFC 5321 §4.5.3.1.8 wants at least 100. Postfix smtpd_recipient_limit. */
  readonly recipients: number
  /** Octets of a message before its first empty line. Postfix header_size_limit has 102,400. */
  readonly header: number
  /** Refused commands of a session, then 421. Postfix smtpd_hard_error_limit. */
  readonly errors: number
  /** Refused commands after which each further command waits a second. Postfix smtpd_soft_error_limit. */
  readonly softErrors: number
  /** NOOP, RSET, VRFY, EXPN, HELP, HELO, EHLO between two mails; each further one counts as an error. Postfix. */
  readonly junkCommands: number
  /** AUTH attempts that failed, then 421. */
  readonly authFailures: number
  /** Mail transactions of a session, then 421. */
  readonly transactions: number
}

/** Time limits, in milliseconds. None of them counts the time that this side takes. */
export interface Timeouts {
  /** From the connection to the first HELO or EHLO. */
  readonly greeting: number
  /** From a reply to the next command. RFC 5321 §4.5.3.2.7 wants at least 5 minutes. */
  readonly idle: number
  /** From the first octet of a command line to its last. Postfix smtpd_per_request_deadline. */
  readonly command: number
  /** Without progress in mail data [RFC 5321 §4.5.3.2.5]; in all, this and what {@link SmtpHandlerOptions.minDataRate} allows. */
  readonly data: number
  /** For the TLS handshake. */
  readonly tls: number
  /** For one hook. */
  readonly hook: number
  /** For the verdict after the end of data, while the client waits ten minutes [RFC 5321 §4.5.3.2.6]. */
  readonly verdict: number
  /** From the last reply until the client has closed; then the connection is cut. */
  readonly linger: number
}

/** STARTTLS, and TLS at all: the options of a TLS socket, the key and certificate among them. */
export interface TlsOptions extends TLSSocketOptions {
  /** Mail only under TLS: 530 5.7.0 before. Default false. [RFC 3207 §4] */
  readonly required?: boolean
  /** The context for the next session, so that certificates can be replaced. Default: made of the options, once. */
  readonly context?: () => SecureContext
}

/** AUTH. [RFC 4954] */
export interface AuthOptions {
  /** Default: PLAIN and LOGIN. */
  readonly mechanisms?: readonly Mechanism[]
  /** AUTH without TLS too. Default false. */
  readonly insecure?: boolean
  /** Mail only after AUTH: 530 5.7.0 before. Default false. */
  readonly required?: boolean
}

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
  readonly tls: { readonly required: boolean; readonly socket: TLSSocketOptions; context(): SecureContext } | null
  readonly auth: {
    readonly mechanisms: ReadonlyMap<string, Mechanism>
    readonly insecure: boolean
    readonly required: boolean
  } | null
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

const LIMITS: Limits = {
  commandLine: 2048,
  authLine: 12_288,
  recipients: 1000,
  header: 2 ** 20,
  errors: 20,
  softErrors: 10,
  junkCommands: 100,
  authFailures: 3,
  transactions: Infinity,
}

const TIMEOUTS: Timeouts = {
  greeting: 60_000,
  idle: 300_000,
  command: 300_000,
  data: 180_000,
  tls: 30_000,
  hook: 240_000,
  verdict: 540_000,
  linger: 10_000,
}

const CHOICES = {
  oversize: ['drain', 'close'],
  addresses: ['strict', 'lenient'],
  bareNewline: ['reject', 'normalize', 'allow'],
  unlawfulPipelining: ['refuse', 'allow'],
  earlyTalkers: ['refuse', 'allow'],
} as const

/** What is wrong where two would deliver. */
export const TWO_TAKERS = 'onMessage has two takers: one delivers, who only wants to look is a filter'

/** [RFC 4422 §3.1] */
const MECHANISM = /^[A-Z0-9_-]{1,20}$/

interface ResolvedLists {
  readonly policies: readonly Policy[]
  readonly filters: readonly Filter[]
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
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES]
    if (value !== undefined && !(choices as readonly string[]).includes(value)) {
      throw wrong(`${name} is one of ${choices.join(', ')}, not ${value}`)
    }
  }
  const policies = list('policies', options)
  const filters = list('filters', options)
  if (filters.some(filter => typeof filter !== 'function')) throw wrong('filters are functions that make a stream')
  const name = options.name ?? hostname()
  const banner = options.banner ?? (options.lmtp === true ? 'LMTP' : 'ESMTP')
  checkGreeting(name, banner)
  const auth = resolveAuth(options.auth)
  const limits = numbers('limits', LIMITS, options.limits ?? {})
  checkHooks(options, policies)
  if (policies.filter(policy => policy.onMessage !== undefined).length > 1) throw wrong(TWO_TAKERS)
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

/** TLS for a socket; null without options. */
export function resolveTls(options: TlsOptions | undefined): ResolvedOptions['tls'] {
  if (options === undefined) return null
  const { required, context, ...socket } = options
  if (context !== undefined && typeof context !== 'function') throw wrong('tls.context is a function')
  const fixed = context === undefined ? (socket.secureContext ?? makeContext(socket)) : null
  return Object.freeze({
    required: flag('tls.required', required),
    socket: Object.freeze(socket),
    context: () => fixed ?? context!(),
  })
}

function makeContext(socket: TLSSocketOptions): SecureContext {
  try {
    return createSecureContext(socket)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `tls: ${(cause as Error).message}`, { cause })
  }
}

function resolveAuth(options: AuthOptions | undefined): ResolvedOptions['auth'] {
  if (options === undefined) return null
  const mechanisms = options.mechanisms ?? [plain(), login()]
  if (!Array.isArray(mechanisms) || mechanisms.length === 0) throw wrong('auth.mechanisms is a list of mechanisms')
  const names = mechanisms.map((mechanism: Mechanism | null) => (mechanism?.name ?? '').toUpperCase())
  if (!names.every(name => MECHANISM.test(name))) throw wrong('auth.mechanisms have a name of 1 to 20 of A-Z 0-9 - _')
  if (new Set(names).size < names.length) throw wrong('auth.mechanisms has one twice')
  return Object.freeze({
    mechanisms: new Map(names.map((name, i) => [name, mechanisms[i]!])),
    insecure: flag('auth.insecure', options.insecure),
    required: flag('auth.required', options.required),
  })
}

function resolveExtensions(switches: Readonly<Partial<Record<ExtensionName, boolean>>>): ReadonlySet<ExtensionName> {
  for (const [name, on] of Object.entries(switches)) {
    if (!EXTENSIONS.has(name as ExtensionName)) throw wrong(`extensions.${name}: there is no such extension`)
    flag(`extensions.${name}`, on)
  }
  const on = [...EXTENSIONS].filter(([name, byDefault]) => switches[name] ?? byDefault).map(([name]) => name)
  const extensions = new Set(on)
  if (!extensions.has('CHUNKING')) extensions.delete('BINARYMIME') // [RFC 3030 §3]
  return extensions
}

function checkHooks(options: SmtpHandlerOptions, policies: readonly Policy[]): void {
  for (const hook of HOOKS) {
    for (const hooks of [...policies, options]) {
      if (typeof hooks !== 'object' || hooks === null) throw wrong('policies are objects with hooks')
      if (hooks[hook] !== undefined && typeof hooks[hook] !== 'function') throw wrong(`${hook} is a function`)
    }
  }
  if (policies.some(({ attach }) => attach !== undefined && typeof attach !== 'function')) {
    throw wrong('attach is a function')
  }
}

function numbers<T extends object>(name: string, defaults: T, given: Readonly<Partial<T>>): T {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, key)) throw wrong(`${name}.${key}: there is no such option`)
    if (value !== undefined && !(typeof value === 'number' && value > 0))
      throw wrong(`${name}.${key} is a number above 0`)
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze({ ...defaults, ...Object.fromEntries(set) })
}

/** The greeting is made of them: `220 name banner`. [RFC 5321 §4.2] */
function checkGreeting(name: string, banner: string): void {
  if (typeof name !== 'string' || !/^[^\s]{1,255}$/.test(name)) throw wrong('name is a host name')
  if (typeof banner !== 'string') throw wrong('banner is a text')
  try {
    reply(220, `${name} ${banner}`)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', 'name and banner are one line of printable text', { cause })
  }
}

function list<K extends 'policies' | 'filters'>(name: K, options: SmtpHandlerOptions): ResolvedLists[K] {
  const given = options[name] ?? []
  if (!Array.isArray(given)) throw wrong(`${name} is a list`)
  return Object.freeze([...given]) as ResolvedLists[K]
}

function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(`${name} is true or false`)
  return value ?? false
}

function atLeast(name: string, least: number, value: number): number {
  if (typeof value !== 'number' || !(value >= least)) throw wrong(`${name} is a number, ${least} or more; 0: no limit`)
  return value
}

function wrong(message: string): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', message)
}
