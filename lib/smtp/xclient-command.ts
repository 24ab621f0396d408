// XCLIENT and XFORWARD, from a proxy that is trusted: what they change in a session (Postfix XCLIENT_README,
// XFORWARD_README).

import { isUnavailable, parseXclient, parseXforward, type Attribute } from '../protocol/proxy/xclient.ts'
import { unmapped } from '../protocol/networks/ip-address.ts'
import type { Reply } from '../words/reply.ts'
import { badArgument, XFORWARD_OK } from './known-replies.ts'
import { SessionClient } from './session-client.ts'
import type { SessionState } from './session.ts'

/** Puts the client behind the proxy in the place of the proxy; the session starts again. A Reply is the refusal. */
export function applyXclient(argument: string, state: SessionState): Reply | null {
  const parsed = parseXclient(argument)
  if (!parsed.ok) return badArgument(`Bad attribute at position ${parsed.error.at + 1}: ${parsed.error.problem}`)
  const { name, addr, port, proto, helo, login, destAddr, destPort } = parsed.attributes
  const { client } = state
  state.changeClient(
    new SessionClient(
      addr === undefined ? client.address : addressOf(addr),
      told(port, client.port),
      told(name, client.name),
    ),
  )
  state.local = {
    address: destAddr === undefined ? state.local.address : addressOf(destAddr),
    port: told(destPort, state.local.port),
  }
  state.helo = told(helo, null)
  state.isExtended = told(proto, null) === 'ESMTP'
  state.user = told(login, null)
  return null
}

/** Notes what the proxy says of the client behind it. [Postfix XFORWARD_README] */
export function readXforward(argument: string, state: SessionState): Reply {
  const parsed = parseXforward(argument)
  if (!parsed.ok) return badArgument(`Bad attribute at position ${parsed.error.at + 1}: ${parsed.error.problem}`)
  state.forwarded = { ...state.forwarded, ...parsed.attributes }
  return XFORWARD_OK
}

/** What the proxy told; null if it says that it does not know; what was there before if it says nothing. */
function told<T>(attribute: Attribute<T> | undefined, before: T | null): T | null {
  if (attribute === undefined) return before
  return isUnavailable(attribute) ? null : attribute
}

/** An address that the proxy told; IPv4 as it is written by itself. */
function addressOf(attribute: Attribute<{ readonly address: string }>): string | null {
  const address = told(attribute, null)?.address
  return address === undefined ? null : unmapped(address)
}
