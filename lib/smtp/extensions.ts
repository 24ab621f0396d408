// The service extensions: which there are, which are on unless told, and what EHLO says of them.

import type { Extension } from '../protocol/parameters/parameter-rows.ts'
import { reply, type Reply } from '../words/reply.ts'
import type { ResolvedOptions } from './options.ts'

/** An extension by its EHLO keyword. */
export type ExtensionName =
  | Extension
  | 'PIPELINING'
  | 'ENHANCEDSTATUSCODES'
  | 'STARTTLS'
  | 'CHUNKING'
  | 'LIMITS'
  | 'XCLIENT'
  | 'XFORWARD'

/**
 * Every extension, and whether it is on by default. Off are those that promise what happens after acceptance, which
 * only the program can keep.
 */
export const EXTENSIONS: ReadonlyMap<ExtensionName, boolean> = new Map([
  ['PIPELINING', true], // RFC 2920
  ['SIZE', true], // RFC 1870
  ['8BITMIME', true], // RFC 6152
  ['SMTPUTF8', true], // RFC 6531
  ['ENHANCEDSTATUSCODES', true], // RFC 2034
  ['STARTTLS', true], // RFC 3207, where TLS is configured
  ['AUTH', true], // RFC 4954, where it is configured
  ['CHUNKING', true], // RFC 3030
  ['BINARYMIME', true], // RFC 3030
  ['LIMITS', true], // RFC 9422
  ['DSN', false], // RFC 3461
  ['REQUIRETLS', false], // RFC 8689
  ['MT-PRIORITY', false], // RFC 6710
  ['DELIVERBY', false], // RFC 2852
  ['FUTURERELEASE', false], // RFC 4865
  ['RRVS', false], // RFC 7293
  ['XCLIENT', true], // for the networks of the option `xclient`
  ['XFORWARD', true],
])

/** Seconds that FUTURERELEASE may hold a message: seven days. [RFC 4865 §4] */
export const HOLD_SECONDS = 604_800

/** What of a session decides what it is offered. */
export interface Standing {
  readonly tls: boolean
  readonly authenticated: boolean
  /** TLS can be put in the socket's place. */
  readonly upgradable: boolean
  /** XCLIENT and XFORWARD are believed. */
  readonly proxy: boolean
}

/** What a session is offered, and the reply to EHLO that says so. */
export interface Offer {
  readonly extensions: ReadonlySet<ExtensionName>
  readonly reply: Reply
}

/** Before EHLO, and after HELO. */
export const NO_OFFER: Offer = { extensions: new Set(), reply: reply(250, '') }

const offers = new WeakMap<ResolvedOptions, Map<number, Offer>>()

/** What a session in this standing is offered; made once for each standing. [RFC 5321 §4.1.1.1] */
export function offerTo(options: ResolvedOptions, standing: Standing): Offer {
  if (options.extensions.has('FUTURERELEASE')) return makeOffer(options, standing) // its line has the date
  let made = offers.get(options)
  if (made === undefined) offers.set(options, (made = new Map<number, Offer>()))
  const { tls, authenticated, upgradable, proxy } = standing
  const key = (tls ? 1 : 0) | (authenticated ? 2 : 0) | (upgradable ? 4 : 0) | (proxy ? 8 : 0)
  let offer = made.get(key)
  if (offer === undefined) made.set(key, (offer = makeOffer(options, standing)))
  return offer
}

function makeOffer(options: ResolvedOptions, standing: Standing): Offer {
  const { tls, auth } = options
  const there: Readonly<Partial<Record<ExtensionName, boolean>>> = {
    STARTTLS: tls !== null && !standing.tls && standing.upgradable,
    AUTH: auth !== null && (standing.tls || auth.insecure),
    REQUIRETLS: standing.tls, // [RFC 8689 §2]
    XCLIENT: standing.proxy,
    XFORWARD: standing.proxy,
  }
  const extensions = new Set([...options.extensions].filter(name => there[name] ?? true))
  return {
    extensions,
    reply: reply(250, options.name, ...[...extensions].flatMap(name => line(name, options, standing))),
  }
}

function line(name: ExtensionName, options: ResolvedOptions, standing: Standing): readonly string[] {
  switch (name) {
    case 'SIZE':
      return [`SIZE ${options.size}`] // 0: no fixed limit [RFC 1870 §3]
    case 'AUTH':
      // Once is enough. [RFC 4954 §4]
      return standing.authenticated ? [] : [`AUTH ${[...options.auth!.mechanisms.keys()].join(' ')}`]
    case 'LIMITS':
      return limits(options)
    case 'FUTURERELEASE':
      return [
        `FUTURERELEASE ${HOLD_SECONDS} ${new Date(Date.now() + HOLD_SECONDS * 1000).toISOString().replace(/\.\d+/, '')}`,
      ]
    case 'XCLIENT':
      return ['XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME']
    case 'XFORWARD':
      return ['XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE']
    default:
      return [name]
  }
}

/** One to six digits, or not said. [RFC 9422 §3] */
const LARGEST_LIMIT = 999_999

function limits({ limits: { transactions, recipients } }: ResolvedOptions): readonly string[] {
  const said = Object.entries({ MAILMAX: transactions, RCPTMAX: recipients })
    .filter(([, limit]) => limit <= LARGEST_LIMIT)
    .map(([name, limit]) => ` ${name}=${Math.floor(limit)}`)
  return said.length === 0 ? [] : [`LIMITS${said.join('')}`]
}
