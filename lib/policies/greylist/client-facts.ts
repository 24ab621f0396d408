// What a session tells of its client, for greylisting.

import { addressOctets } from '../../protocol/networks/ip-address.ts'
import { networks } from '../../protocol/networks/network.ts'
import type { Session } from '../../smtp/session.ts'
import { looksDynamic } from './dynamic-name.ts'
import type { SpfOutcome, Suspicion } from '../suspicion/verdict.ts'
import type { ClientFacts, SpfPass } from './client-keys.ts'

const LOOPBACK = networks(['127.0.0.0/8', '::1'])

/** What the client is known by. */
export function clientFacts({ client: { address, name } }: Session, suspicion: Suspicion | undefined): ClientFacts {
  const confirmed = suspicion?.hostName ?? name
  const signs = suspicion?.signs ?? []
  return {
    address,
    name: confirmed,
    isDynamic:
      signs.some(({ sign }) => sign === 'dynamicName') || (confirmed !== null && looksDynamic(confirmed, address)),
    hasSigns: signs.length > 0,
    spf: spfPass(suspicion?.spf),
  }
}

function spfPass(spf: SpfOutcome | undefined): SpfPass | null {
  if (spf === undefined || spf.result !== 'pass' || spf.mechanism === null) return null
  return { domain: spf.domain, mechanism: spf.mechanism, prefix: spf.prefix }
}

/** The signs as a reason for the administrator: `noReverseName, spfNone`; null without any. */
export function reasonOf(suspicion: Suspicion | undefined): string | null {
  const signs = suspicion?.signs ?? []
  return signs.length === 0 ? null : signs.map(({ sign }) => sign).join(', ')
}

/** True for a client on this machine. */
export function isLoopback(address: string | null): boolean {
  return address !== null && addressOctets(address) !== null && LOOPBACK.has(address)
}
