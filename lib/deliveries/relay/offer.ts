// What EHLO may offer: what the upstream can keep.

import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import type { ExtensionName } from '../../smtp/extensions.ts'
import type { Offer } from '../../smtp/offer.ts'

/** Extensions that promise something of the next server too. */
const NEXT_HOP: ReadonlySet<ExtensionName> = new Set([
  'SMTPUTF8',
  'BINARYMIME',
  'DSN',
  'REQUIRETLS',
  'MT-PRIORITY',
  'DELIVERBY',
  'FUTURERELEASE',
  'RRVS',
] as const)

/** What is known of an upstream. */
export interface KnownOffer {
  /** What it offered last; null if it has never answered: nothing is promised for it then. */
  readonly offer: ServerOffer | null
  /** 8-bit mail is refused if the upstream has no 8BITMIME. */
  readonly needs8bit: boolean
}

/**
 * Narrows an offer to what every upstream has. The size is that of the upstream that takes the most: the others refuse
 * what is too large for them by themselves.
 */
export function narrowOffer(offer: Offer, upstreams: readonly KnownOffer[]): Offer {
  const keeps = (name: ExtensionName): boolean =>
    upstreams.every(({ offer: known, needs8bit }) => {
      if (name === '8BITMIME') return !needs8bit || known?.extensions.has(name) === true
      if (!NEXT_HOP.has(name)) return true
      if (name === 'BINARYMIME' && known?.extensions.has('CHUNKING') !== true) return false
      return known?.extensions.has(name) === true
    })
  const extensions = new Set([...offer.extensions].filter(keeps))
  if (!extensions.has('8BITMIME')) extensions.delete('SMTPUTF8') // [RFC 6531 §3.1]
  const sizes = upstreams.map(({ offer: known }) => known?.size ?? Infinity)
  const largest = Math.max(...sizes)
  const size = offer.size === 0 ? (largest === Infinity ? 0 : largest) : Math.min(offer.size, largest)
  return { size, extensions }
}
