// The options of SmtpHandler: their defaults and the sources of these. Resolved once for each options
// object, frozen; nothing else has a default.

import { hostname } from 'node:os'
import { networksOf, type Networks } from '../protocol/networks/network.ts'
import type { Strictness } from '../protocol/addresses/characters.ts'
import type { BareNewline } from '../protocol/mail-data/scanners.ts'
import { OVERRIDABLE } from '../stream/handlers.ts'
import { checkHandlerOptions, type HandlerOptions } from '../stream/mail-handler-options.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { resolveTls, type ResolvedTls, type TlsOptions } from '../tls/tls-options.ts'
import { atLeast, checkKeys, flag, checkClock, numbers } from '../words/option-checks.ts'
import { reply, type Reply } from '../words/reply.ts'
import { resolveAuth, type AuthOptions, type ResolvedAuth } from './auth-options.ts'
import { resolveParameters, type ParameterOptions, type ResolvedParameters } from './custom-parameters.ts'
import { EXTENSIONS, type ExtensionName } from './extensions.ts'
import { orderHooks, type HookOrder } from './hook-runner.ts'
import { HOOKS, type Delivery, type Filter, type JudgingHooks, type Policy, type TakingHook } from './hooks.ts'
import { LIMITS, TIMEOUTS, type Limits, type Timeouts } from './limits.ts'
import {
  checkChoices,
  checkDelivery,
  checkFilters,
  checkGreeting,
  checkOwnHooks,
  checkPolicies,
} from './option-checks.ts'

/** Options of an `SmtpHandler` but for what takes messages; hooks may be among them. */
export interface SessionOptions extends Omit<HandlerOptions, 'limits' | 'bareNewline'>, JudgingHooks {
  /** The text behind the name in the greeting. @defaultValue `'ESMTP'`, or `'LMTP'` */
  readonly banner?: string
  /** Octets of a message; 0: no limit. [RFC 1870] @defaultValue 50 MiB */
  readonly size?: number
  /**
   * What a message over the size gets: `'drain'`, 552 after its end; `'close'`, 552 at once, and the end.
   * @defaultValue `'drain'`
   */
  readonly oversize?: 'drain' | 'close'
  /** LMTP instead of SMTP: LHLO, a reply for each recipient. [RFC 2033] @defaultValue false */
  readonly lmtp?: boolean
  /**
   * How strictly commands are parsed: `'strict'`, by RFC 5321's grammar and lengths; `'interoperable'`, also with white
   * space behind `FROM:` and `TO:`, local parts of up to 255 octets and paths of up to 512; `'lenient'`, also what few
   * senders do wrong. The table is in docs/smtp.md. @defaultValue `'interoperable'`
   */
  readonly strictness?: Strictness
  /**
   * What a bare CR or LF gets. In mail data: `'reject'`, 550 after the end; `'normalize'`, CRLF for an LF and a space for
   * a CR; `'allow'`, nothing, unless the delivery {@link Delivery.needsLines | needs lines}. In a command: 500 and the end of the session with `'reject'`; else an LF ends the command.
   * [RFC 5321 §2.3.8]
   * @defaultValue `'normalize'`; `'reject'` if `strictness` is `'strict'`
   */
  readonly bareNewline?: BareNewline
  /**
   * What input behind DATA, EHLO or AUTH gets that did not wait for the reply: 503 and the end, or nothing.
   * [RFC 2920 §3.1] @defaultValue `'refuse'`
   */
  readonly unlawfulPipelining?: 'refuse' | 'allow'
  /**
   * What input before the greeting gets: 554 and the end, or nothing; `onConnect` decides how long the greeting takes.
   * @defaultValue `'allow'`
   */
  readonly earlyTalkers?: 'refuse' | 'allow'
  /** STARTTLS. @defaultValue none */
  readonly tls?: TlsOptions
  /** AUTH. @defaultValue none */
  readonly auth?: AuthOptions
  /** Switches extensions. Those that promise something after acceptance are off until the program honours them. */
  readonly extensions?: Readonly<Partial<Record<ExtensionName, boolean>>>
  /** Parameters of MAIL and RCPT that the program reads itself; EHLO lists them. */
  readonly parameters?: ParameterOptions
  /** Networks whose XCLIENT and XFORWARD are believed: `['10.0.0.0/8']`. @defaultValue none */
  readonly xclient?: readonly string[]
  /**
   * Octets a second below which a client is too slow with its mail data; 0: no limit. Postfix smtpd_min_data_rate.
   * @defaultValue 500
   */
  readonly minDataRate?: number
  /** How many octets, recipients, errors and commands a session may have. @defaultValue for each {@link LIMITS} */
  readonly limits?: Readonly<Partial<Limits>>
  /** How many milliseconds each step may take. @defaultValue for each {@link TIMEOUTS} */
  readonly timeouts?: Readonly<Partial<Timeouts>>
  /** Asked in this order, before the handler's own hooks. */
  readonly policies?: readonly Policy[]
  /** Streams between client and `onMessage`, in this order. */
  readonly filters?: readonly Filter[]
  /** @defaultValue the system's */
  readonly clock?: Clock
  /** Called once, after `onClose`: for a line in the log. */
  readonly logResult?: () => void
  /** Is told of program errors. @defaultValue the channel `mailhandler:error`, or a warning of the process */
  readonly handleError?: (error: Error) => void
}

/** Options of an `SmtpHandler`: a delivery, or its short form `onMessage`, takes messages. */
export type SmtpHandlerOptions = SessionOptions & (HookTakes | DeliveryTakes)

/** Messages go to the hook `onMessage`, of the options or of a subclass; without one, each gets 554 5.3.0. */
export interface HookTakes extends TakingHook {
  /** Not together with `onMessage`: one of the two takes messages. */
  readonly delivery?: never
}

/** Messages go to a delivery. */
export interface DeliveryTakes {
  /** Takes the messages that no policy and no hook has refused; it is asked last. */
  readonly delivery?: Delivery
  /** Not together with `delivery`: one of the two takes messages. */
  readonly onMessage?: never
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  /** For MailHandler. */
  readonly base: HandlerOptions & Pick<SessionOptions, 'handleError' | 'logResult'>
  readonly name: string
  readonly greeting: Reply
  readonly heloReply: Reply
  readonly goodbye: Reply
  readonly size: number
  readonly oversize: 'drain' | 'close'
  readonly lmtp: boolean
  readonly strictness: Strictness
  readonly bareNewline: BareNewline
  readonly unlawfulPipelining: 'refuse' | 'allow'
  readonly earlyTalkers: 'refuse' | 'allow'
  readonly tls: ResolvedTls | null
  readonly auth: ResolvedAuth | null
  readonly extensions: ReadonlySet<ExtensionName>
  readonly proxies: Networks | null
  readonly minDataRate: number
  readonly limits: Limits
  readonly timeouts: Timeouts
  readonly parameters: ResolvedParameters
  readonly policies: readonly Policy[]
  readonly delivery: Delivery | null
  readonly hooks: HookOrder
  readonly filters: readonly Filter[]
  readonly clock: Clock
}

const HANDLER_OPTIONS = [
  'highWaterMark',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'signal',
  'logFile',
  'debugLogFile',
  'client',
  'bareNewline',
  'handleError',
  'logResult',
] as const

const KNOWN: readonly string[] = [
  ...HANDLER_OPTIONS,
  ...HOOKS,
  'name',
  'banner',
  'size',
  'oversize',
  'lmtp',
  'strictness',
  'bareNewline',
  'unlawfulPipelining',
  'earlyTalkers',
  'tls',
  'auth',
  'extensions',
  'parameters',
  'xclient',
  'minDataRate',
  'limits',
  'timeouts',
  'policies',
  'delivery',
  'filters',
  'clock',
]

/** True for the name of an option of SmtpHandler. */
export function isHandlerOption(name: string): boolean {
  return KNOWN.includes(name)
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
  checkKeys('', options, KNOWN, ofSubclass)
  checkChoices({ ...options })
  checkOwnHooks({ ...options })
  const policies = checkPolicies(options.policies)
  const delivery = checkDelivery(options.delivery)
  const name = options.name ?? hostname()
  const banner = options.banner ?? (options.lmtp === true ? 'LMTP' : 'ESMTP')
  checkGreeting(name, banner)
  const clock = checkClock(options.clock ?? systemClock)
  const auth = resolveAuth(options.auth, clock)
  const { strictness = 'interoperable' } = options
  const bareNewline = bareNewlineOf(options, strictness, delivery)
  const limits = numbers('limits', LIMITS, options.limits ?? {})
  return Object.freeze({
    base: handlerOptions(options, { name, bareNewline }, limits, auth !== null),
    name,
    greeting: reply(220, `${name} ${banner}`),
    heloReply: reply(250, name),
    goodbye: reply(221, '2.0.0', `${name} closing connection`),
    size: atLeast('size', 0, options.size ?? 50 * 2 ** 20),
    oversize: options.oversize ?? 'drain',
    lmtp: flag('lmtp', options.lmtp),
    strictness,
    bareNewline,
    unlawfulPipelining: options.unlawfulPipelining ?? 'refuse',
    earlyTalkers: options.earlyTalkers ?? 'allow',
    tls: resolveTls(options.tls),
    auth,
    extensions: resolveExtensions(options.extensions ?? {}),
    parameters: resolveParameters(options.parameters),
    proxies: options.xclient === undefined ? null : networksOf('xclient', options.xclient),
    minDataRate: atLeast('minDataRate', 0, options.minDataRate ?? 500),
    limits,
    timeouts: numbers('timeouts', TIMEOUTS, options.timeouts ?? {}),
    policies,
    delivery,
    hooks: orderHooks(policies, delivery),
    filters: checkFilters(options.filters),
    clock,
  })
}

/** A method of MailHandler, which its options may have. */
function ofSubclass(key: string): string | null {
  const isMethod = (OVERRIDABLE as readonly string[]).includes(key)
  return isMethod ? 'override the method in a subclass, or use a hook' : null
}

function bareNewlineOf(
  { bareNewline }: SmtpHandlerOptions,
  strictness: Strictness,
  delivery: Delivery | null,
): BareNewline {
  if (bareNewline === 'allow' && delivery?.needsLines === true) return 'normalize'
  return bareNewline ?? (strictness === 'strict' ? 'reject' : 'normalize')
}

/** What of the options is MailHandler's. */
function handlerOptions(
  options: SmtpHandlerOptions,
  shared: Pick<ResolvedOptions, 'name' | 'bareNewline'>,
  { commandLine, authLine }: Limits,
  hasAuth: boolean,
): ResolvedOptions['base'] {
  const given = HANDLER_OPTIONS.filter(key => options[key] !== undefined).map(key => [key, options[key]])
  const base: ResolvedOptions['base'] = Object.freeze({
    ...(Object.fromEntries(given) as HandlerOptions),
    ...shared,
    limits: { commandLine, ...(hasAuth && { authLine }) },
  })
  checkHandlerOptions(base)
  return base
}

function resolveExtensions(switches: Readonly<Partial<Record<ExtensionName, boolean>>>): ReadonlySet<ExtensionName> {
  checkKeys('extensions', switches, EXTENSIONS.keys())
  for (const [name, on] of Object.entries(switches)) {
    flag(`extensions.${name}`, on)
  }
  const on = [...EXTENSIONS].filter(([name, byDefault]) => switches[name] ?? byDefault).map(([name]) => name)
  const extensions = new Set(on)
  if (!extensions.has('CHUNKING')) extensions.delete('BINARYMIME') // [RFC 3030 §3]
  if (!extensions.has('8BITMIME')) extensions.delete('SMTPUTF8') // [RFC 6531 §3.1]
  return extensions
}
