// The reply to EHLO: what a session is offered.

import { reply, type Reply } from '../words/reply.ts'
import { HOLD_SECONDS, type ExtensionName } from './extensions.ts'
import { checkNarrowed, type Offer, type SessionOffer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
import type { SessionState } from './session.ts'

/** What of a session decides what it is offered. */
export interface Standing {
  readonly isSecure: boolean
  readonly isAuthenticated: boolean
  /** TLS can be put in the socket's place. */
  readonly isUpgradable: boolean
  /** XCLIENT and XFORWARD are believed. */
  readonly isTrustedProxy: boolean
}

/** An offer, and the reply to EHLO that says so. */
export interface Greeting {
  readonly offer: SessionOffer
  readonly reply: Reply
}

const greetings = new WeakMap<ResolvedOptions, Map<string, Greeting>>()

/** What a session is offered; made once for each standing if nothing else decides. [RFC 5321 §4.1.1.1] */
export function greetingFor(options: ResolvedOptions, standing: Standing, state: SessionState): Greeting {
  const { delivery } = options
  if (delivery?.offer !== undefined) {
    const full = fullOffer(options, standing)
    // A copy: what the delivery adds to the one that it gets is found too.
    const narrowed = delivery.offer(state.view, { ...full, extensions: new Set(full.extensions) })
    return makeGreeting(options, standing, full, checkNarrowed(full, narrowed))
  }
  if (options.extensions.has('FUTURERELEASE')) return makeGreeting(options, standing) // its line has the date
  let made = greetings.get(options)
  if (made === undefined) greetings.set(options, (made = new Map<string, Greeting>()))
  const { isSecure, isAuthenticated, isUpgradable, isTrustedProxy } = standing
  const key = `${isSecure} ${isAuthenticated} ${isUpgradable} ${isTrustedProxy}`
  let greeting = made.get(key)
  if (greeting === undefined) made.set(key, (greeting = makeGreeting(options, standing)))
  return greeting
}

function makeGreeting(
  options: ResolvedOptions,
  standing: Standing,
  full: Offer = fullOffer(options, standing),
  narrowed: Offer = full,
): Greeting {
  const withdrawn = new Set([...full.extensions].filter(name => !narrowed.extensions.has(name)))
  return {
    offer: { ...narrowed, parameters: options.parameters, withdrawn },
    reply: ehloReply(options, standing, narrowed),
  }
}

function fullOffer(options: ResolvedOptions, standing: Standing): Offer {
  const { tls, auth, size } = options
  const available: Readonly<Partial<Record<ExtensionName, boolean>>> = {
    STARTTLS: tls !== null && !standing.isSecure && standing.isUpgradable,
    AUTH: auth !== null && (standing.isSecure || auth.insecure),
    REQUIRETLS: standing.isSecure, // [RFC 8689 §2]
    XCLIENT: standing.isTrustedProxy,
    XFORWARD: standing.isTrustedProxy,
  }
  return { size, extensions: new Set([...options.extensions].filter(name => available[name] ?? true)) }
}

function ehloReply(options: ResolvedOptions, standing: Standing, offer: Offer): Reply {
  const lines = [...offer.extensions].flatMap(name => extensionLine(name, options, standing, offer))
  return reply(250, options.name, ...lines, ...options.parameters.keywords)
}

function extensionLine(
  name: ExtensionName,
  options: ResolvedOptions,
  standing: Standing,
  offer: Offer,
): readonly string[] {
  switch (name) {
    case 'SIZE':
      return [`SIZE ${offer.size}`] // 0: no fixed limit [RFC 1870 §3]
    case 'AUTH':
      // Once is enough. [RFC 4954 §4]
      return standing.isAuthenticated ? [] : [`AUTH ${[...options.auth!.mechanisms.keys()].join(' ')}`]
    case 'LIMITS':
      return limits(options)
    case 'FUTURERELEASE':
      return [`FUTURERELEASE ${HOLD_SECONDS} ${latestHold(options)}`]
    case 'XCLIENT':
      return ['XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME']
    case 'XFORWARD':
      return ['XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE']
    default:
      return [name]
  }
}

function latestHold({ clock }: ResolvedOptions): string {
  return new Date(clock.wallTime() + HOLD_SECONDS * 1000).toISOString().replace(/\.\d+/, '')
}

/** One to six digits, or not said. [RFC 9422 §3] */
const LARGEST_LIMIT = 999_999

function limits({ limits: { transactions, recipients } }: ResolvedOptions): readonly string[] {
  const said = Object.entries({ MAILMAX: transactions, RCPTMAX: recipients })
    .filter(([, limit]) => limit <= LARGEST_LIMIT)
    .map(([name, limit]) => ` ${name}=${Math.floor(limit)}`)
  return said.length === 0 ? [] : [`LIMITS${said.join('')}`]
}
