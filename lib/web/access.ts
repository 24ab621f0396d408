// Who may ask for a guarded route: the Host, the origin of the page that asks, the token.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { WebAnswer } from './answer.ts'

/** The names of this machine for its own programs. */
const OWN_NAMES = new Set(['localhost', 'localhost.localdomain', 'ip6-localhost'])

/** What a guarded route asks of a request. */
export interface Access {
  /** Host names that a request may name, beside those of the loopback and every IP address. */
  readonly hosts: readonly string[]
  /** The secret that a request must know, or null. */
  readonly token: string | null
}

/** A request as the checks see it. */
export interface Asking {
  readonly method: string
  /** The path with the query, as it came. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** Returns the refusal of a request, or null if it may be answered. */
export function refusal(asking: Asking, { hosts, token }: Access): WebAnswer | null {
  if (!isKnownHost(asking.headers.host, hosts)) {
    return { status: 403, body: 'this server does not answer to this host name: add it to the list of hosts\n' }
  }
  if (!isOwnOrigin(asking)) return { status: 403, body: 'this request comes from a page of another origin\n' }
  return token === null ? null : tokenRefusal(asking, token)
}

/**
 * True for a Host that no page of a stranger can have: DNS rebinding needs a name, so that an IP address is always right,
 * and a name only if it is in the list.
 */
export function isKnownHost(host: string | undefined, hosts: readonly string[]): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host ?? '') ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6
  if (plain === undefined) return false
  if (isIP(plain) === 4) return true
  const name = plain.toLowerCase().replace(/\.$/, '')
  return OWN_NAMES.has(name) || hosts.some(each => each.toLowerCase() === name)
}

/**
 * True for a request that no page of another origin has made: a browser says so (Fetch Metadata, else Origin), and a program
 * that is no browser sends neither. A link from another page may lead to a page here, but nothing may be changed by it.
 */
export function isOwnOrigin({ method, headers }: Asking): boolean {
  const changes = method !== 'GET' && method !== 'HEAD'
  const site = headers['sec-fetch-site']
  const { origin } = headers
  if (origin !== undefined && !/^https?:\/\//.test(origin)) return false
  if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== headers.host) return false
  if (site === undefined || site === 'same-origin') return true
  if (changes) return false
  return site === 'none' || headers['sec-fetch-mode'] === 'navigate'
}

/**
 * The token comes as `Authorization: Bearer`, or as a cookie, which `?token=` in the address of a page sets: it answers with a
 * redirect to the same address without it, so that the token stays in no history. The cookie is a digest of the token. It is
 * not `Strict`: a link of a dashboard may lead here, and what that page could do with it is checked before.
 */
function tokenRefusal({ method, url, headers }: Asking, token: string): WebAnswer | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined && isSame(bearer, token)) return null
  const { name, value } = cookieOf(token)
  const given = (headers.cookie ?? '').split(/; */).map(each => each.split('='))
  if (given.some(([key, secret = '']) => key === name && isSame(secret, value))) return null
  const [path = '/', text] = url.split('?')
  const query = new URLSearchParams(text)
  const fromQuery = query.get('token')
  if (method === 'GET' && fromQuery !== null && isSame(fromQuery, token)) {
    query.delete('token')
    // "//" or "/\" at the start would lead to another host.
    const location = path.replace(/^[/\\]+/, '/') + (query.size === 0 ? '' : `?${query.toString()}`)
    const cookie = `${name}=${value}; Path=/; HttpOnly; SameSite=Lax`
    return { status: 303, headers: { location, 'set-cookie': cookie } }
  }
  const body = 'a token is needed: open this address with ?token=… once, or send Authorization: Bearer …\n'
  return { status: 401, headers: { 'www-authenticate': 'Bearer' }, body }
}

/** The cookie of a token. Its name differs for each token: all ports of a host share their cookies. */
function cookieOf(token: string): { readonly name: string; readonly value: string } {
  const digest = (what: string): string => createHmac('sha256', token).update(what).digest('base64url')
  return { name: `mailhandler-${digest('name').slice(0, 8)}`, value: digest('cookie') }
}

/** Compares in a time that does not depend on the texts. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}
