// What EHLO offers, and how a delivery narrows it.

import { MailHandlerError } from '../words/errors.ts'
import type { ExtensionName } from './extensions.ts'

/** What a client is offered. */
export interface Offer {
  /** Octets of a message; 0: no limit. [RFC 1870] */
  readonly size: number
  /** The extensions by their EHLO keywords. */
  readonly extensions: ReadonlySet<ExtensionName>
}

/** Before EHLO, and after HELO. */
export const NO_OFFER: Offer = Object.freeze({ size: 0, extensions: new Set<ExtensionName>() })

/** Checks that `narrowed` adds nothing to `full`; throws `ERR_OPTION` if it does, or is not an offer. */
export function checkNarrowed(full: Offer, narrowed: Offer): Offer {
  const { size, extensions } = (narrowed ?? {}) as Partial<Offer>
  if (typeof size !== 'number' || !(extensions instanceof Set)) {
    throw new MailHandlerError('ERR_OPTION', 'offer() returns { size, extensions }, the same or less than it was given')
  }
  const added = [...narrowed.extensions].find(name => !full.extensions.has(name))
  if (added !== undefined) throw new MailHandlerError('ERR_OPTION', `offer() adds ${added}, which is not offered here`)
  const isLarger = full.size > 0 && (narrowed.size === 0 || narrowed.size > full.size)
  if (isLarger || narrowed.size < 0) {
    throw new MailHandlerError('ERR_OPTION', `offer() returns size ${narrowed.size}; it is at most ${full.size}`)
  }
  return narrowed
}
