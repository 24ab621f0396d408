// The options of a client, checked and filled in once.

import { hostname } from 'node:os'
import { parseHelo } from '../protocol/addresses/domain.ts'
import { formatProxyHeader, type ProxyHeaderInput } from '../protocol/proxy/format-proxy-header.ts'
import type { XclientAttributes } from '../protocol/proxy/xclient.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { checkClock, checkKeys, flag, numbers, show, wrong } from '../words/option-checks.ts'
import { checkAuthKeys, resolveClientAuth, type ClientAuthOptions, type ResolvedClientAuth } from './auth/mechanisms.ts'
import { REPLY_LIMITS, type ReplyLimits } from './reply-reader.ts'
import { resolveTimeouts, type ClientTimeouts } from './timeouts.ts'
import { resolveClientTls, type ClientTlsOptions, type ResolvedClientTls } from './tls.ts'

/** Options of an {@link SmtpClient}. */
export interface SmtpClientOptions {
  /** The name in EHLO, HELO or LHLO: a domain or an address literal. @defaultValue the name of the machine */
  readonly name?: string
  /** True: LMTP, with LHLO and a reply for each recipient after the mail data. @defaultValue false [RFC 2033] */
  readonly lmtp?: boolean
  /** False: each command waits for the reply to the one before, whatever the server offers. @defaultValue true */
  readonly pipelining?: boolean
  /** TLS by STARTTLS, and what the server's certificate must be. */
  readonly tls?: ClientTlsOptions
  /** Logs in once the session is open, before anything else. */
  readonly auth?: ClientAuthOptions
  /** The client that this one speaks for, told by XCLIENT during the opening; see {@link SmtpClient.xclient}. */
  readonly xclient?: XclientAttributes
  /** A PROXY header that is sent before anything else. */
  readonly proxy?: ProxyHeaderInput
  /** Time limits, in milliseconds; see {@link ClientTimeouts} for the defaults. */
  readonly timeouts?: Partial<ClientTimeouts>
  /** Octets that a server may reply: `replyLine`, one line (4,096), and `reply`, all lines of a reply (65,536). */
  readonly limits?: Partial<ReplyLimits>
  /** The clock of all time limits. @defaultValue the clock of the system */
  readonly clock?: Clock
}

/** {@link SmtpClientOptions} with every default filled in. */
export interface ResolvedClientOptions {
  readonly name: string
  readonly lmtp: boolean
  readonly pipelining: boolean
  readonly tls: ResolvedClientTls
  readonly auth: ResolvedClientAuth | null
  readonly xclient: XclientAttributes | null
  /** The PROXY header as it is sent. */
  readonly proxy: Buffer | null
  readonly timeouts: ClientTimeouts
  readonly limits: ReplyLimits
  readonly clock: Clock
}

const KNOWN = ['name', 'lmtp', 'pipelining', 'tls', 'auth', 'xclient', 'proxy', 'timeouts', 'limits', 'clock']

/** Checks the options and fills in the defaults. Throws `ERR_OPTION`. */
export function resolveClientOptions(options: SmtpClientOptions): ResolvedClientOptions {
  checkKeys('', options, KNOWN)
  const { name = hostname(), pipelining = true, auth, xclient = null, proxy, clock = systemClock } = options
  if (auth !== undefined) checkAuthKeys(auth)
  if (xclient !== null && (typeof xclient !== 'object' || Array.isArray(xclient)))
    throw wrong(`xclient is an object, not ${show(xclient)}`)
  if (typeof name !== 'string' || !parseHelo(name, { utf8: false, strictness: 'lenient' }).ok)
    throw wrong(`name is a domain or an address literal, not ${show(name)}`)
  flag('pipelining', pipelining)
  return Object.freeze({
    name,
    lmtp: flag('lmtp', options.lmtp),
    pipelining,
    tls: resolveClientTls(options.tls ?? {}, auth === undefined || auth.insecure === true ? 'may' : 'must'),
    auth: auth === undefined ? null : resolveClientAuth(auth),
    xclient,
    proxy: proxy === undefined ? null : formatProxyHeader(proxy),
    timeouts: resolveTimeouts(options.timeouts),
    limits: numbers('limits', REPLY_LIMITS, options.limits ?? {}),
    clock: checkClock(clock),
  })
}
