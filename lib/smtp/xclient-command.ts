// XCLIENT and XFORWARD, from a proxy that is trusted: what they change in a session (Postfix XCLIENT_README,
// XFORWARD_README).

import { isUnavailable, parseXclient, parseXforward, type Attribute } from '../protocol/proxy/xclient.ts'
import type { Reply } from '../words/reply.ts'
import { badArgument, XFORWARD_OK } from './known-replies.ts'
import type { Session } from './session.ts'

/** Puts the client behind the proxy in the place of the proxy; the session begins anew. A Reply is the refusal. */
export function applyXclient(argument: string, session: Session): Reply | null {
  const parsed = parseXclient(argument)
  if (!parsed.ok) return badArgument(`Bad attribute at position ${parsed.error.at + 1}: ${parsed.error.problem}`)
  const { name, addr, port, proto, helo, login, destAddr, destPort } = parsed.attributes
  session.startAnew()
  session.trusted = null
  session.client = {
    name: told(name, session.client.name),
    address: told(addr, null)?.address ?? (addr === undefined ? session.client.address : null),
    port: told(port, session.client.port),
  }
  session.local = {
    address: told(destAddr, null)?.address ?? (destAddr === undefined ? session.local.address : null),
    port: told(destPort, session.local.port),
  }
  session.helo = told(helo, null)
  session.extended = told(proto, null) === 'ESMTP'
  session.user = told(login, null)
  return null
}

/** Notes what the proxy says of the client behind it. [Postfix XFORWARD_README] */
export function readXforward(argument: string, session: Session): Reply {
  const parsed = parseXforward(argument)
  if (!parsed.ok) return badArgument(`Bad attribute at position ${parsed.error.at + 1}: ${parsed.error.problem}`)
  session.forwarded = { ...session.forwarded, ...parsed.attributes }
  return XFORWARD_OK
}

/** What the proxy told; null where it says that it does not know; what was there before where it says nothing. */
function told<T>(attribute: Attribute<T> | undefined, before: T | null): T | null {
  if (attribute === undefined) return before
  return isUnavailable(attribute) ? null : attribute
}
