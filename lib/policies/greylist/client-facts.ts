// What a session tells of its client, for greylisting.

import { addressOctets } from '../../protocol/networks/ip-address.ts'
import { networks } from '../../protocol/networks/network.ts'
import type { Session } from '../../smtp/session.ts'
import { looksDynamic } from './dynamic-name.ts'
import type { ClientFacts } from './client-keys.ts'

const LOOPBACK = networks(['127.0.0.0/8', '::1'])

/** What the client is known by. */
export function clientFacts({ client: { address, name } }: Session): ClientFacts {
  return { address, name, isDynamic: name !== null && looksDynamic(name, address), hasSigns: false, spf: null }
}

/** True for a client on this machine. */
export function isLoopback(address: string | null): boolean {
  return address !== null && addressOctets(address) !== null && LOOPBACK.has(address)
}
