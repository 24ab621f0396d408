// Whom a connection to an upstream is for.

import { networkOf } from '../../protocol/networks/network.ts'
import type { Session } from '../../smtp/session.ts'

/** Whom a connection is for. */
export interface PoolUser {
  /** The client; null: this server itself, which gets no connection that speaks for a client. */
  readonly session: Session | null
  /** The network whose share of the connections it counts for; null if none is known. */
  readonly network: string | null
}

/** A client, with its network. */
export function clientUser(session: Session): PoolUser {
  const { address } = session.client
  return { session, network: address === null ? null : networkOf(address) }
}
