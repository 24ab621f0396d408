// What an upstream is told of the client: the attributes of XCLIENT and XFORWARD, and a PROXY header.

import { isIP } from 'node:net'
import type { ProxyHeaderInput } from '../../protocol/proxy/format-proxy-header.ts'
import type { XclientAttributes, XforwardAttributes } from '../../protocol/proxy/xclient.ts'
import type { AddressLiteral } from '../../protocol/addresses/address-literal.ts'
import { canonicalIp } from '../../protocol/networks/network.ts'
import type { ProxyEndpoint } from '../../protocol/proxy/proxy-header.ts'
import { formatXclient, formatXforward, type Unavailable } from '../../protocol/proxy/xclient.ts'
import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import type { Session } from '../../smtp/session.ts'
import type { Endpoint } from '../../stream/peer.ts'
import type { ClientInfo } from './options.ts'

const UNKNOWN: Unavailable = Object.freeze({ unavailable: 'permanently' })

/** All that is known of the client; what is not known, or cannot be written, is said to be unknown. */
export function xclientOf(session: Session): XclientAttributes {
  const { client, local, helo, user, extended } = session
  const known = {
    name: client.name,
    addr: literal(client.address),
    port: client.port,
    proto: extended ? 'ESMTP' : 'SMTP',
    helo,
    login: user,
    destAddr: literal(local.address),
    destPort: local.port,
  }
  return writable(known, (field, value) => formatXclient({ [field]: value }, XCLIENT_NAMES)) as XclientAttributes
}

/** What XFORWARD tells of the client and of the message. */
export function xforwardOf(session: Session): XforwardAttributes {
  const { client, helo, extended, envelope } = session
  const known = {
    name: client.name,
    addr: literal(client.address),
    port: client.port,
    proto: extended ? 'ESMTP' : 'SMTP',
    helo,
    ident: envelope?.id ?? null,
    source: 'REMOTE',
  }
  return writable(known, (field, value) => formatXforward({ [field]: value }, XFORWARD_NAMES)) as XforwardAttributes
}

/** True if the upstream is told by XFORWARD. */
export function usesXforward(clientInfo: ClientInfo, { extensions }: ServerOffer): boolean {
  if (clientInfo === 'xforward') return true
  return clientInfo === 'auto' && !extensions.has('XCLIENT') && extensions.has('XFORWARD')
}

/** The PROXY header for the client; UNKNOWN, or LOCAL in version 2, if there is none or its address is not known. */
export function proxyHeaderOf(session: Session | null, version: 1 | 2): ProxyHeaderInput {
  const source = session && endpoint(session.client)
  const destination = session && endpoint(session.local)
  if (source === null || destination === null) return { version, command: version === 1 ? 'UNKNOWN' : 'LOCAL' }
  return { version, source, destination }
}

const XCLIENT_NAMES = new Set('NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT'.split(' '))
const XFORWARD_NAMES = new Set('NAME ADDR PORT PROTO HELO IDENT SOURCE'.split(' '))

/** The client chooses some of the values: one that cannot be written is unknown, never raw. */
function writable(
  known: Readonly<Record<string, unknown>>,
  format: (field: string, value: unknown) => unknown,
): Record<string, unknown> {
  const written: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(known)) {
    written[field] = UNKNOWN
    if (value === null || value === '') continue
    try {
      format(field, value)
      written[field] = value
    } catch {
      // stays unknown
    }
  }
  return written
}

function literal(address: string | null): AddressLiteral | null {
  if (address === null) return null
  const canonical = canonicalIp(address)
  const family = isIP(canonical)
  return family === 0 ? null : { family: family as 4 | 6, address: canonical }
}

function endpoint({ address, port }: Endpoint): ProxyEndpoint | null {
  const known = literal(address)
  return known === null || port === null ? null : { address: known.address, port }
}
