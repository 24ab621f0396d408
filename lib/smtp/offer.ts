// What EHLO offers, and how a delivery narrows it.

import { MailHandlerError } from '../words/errors.ts'
import { resolveParameters, type ResolvedParameters } from './custom-parameters.ts'
import type { ExtensionName } from './extensions.ts'

/** What a client is offered. */
export interface Offer {
  /** Octets of a message; 0: no limit. [RFC 1870] */
  readonly size: number
  /** The extensions by their EHLO keywords. */
  readonly extensions: ReadonlySet<ExtensionName>
}

/** What a session was offered, and so accepts. */
export interface SessionOffer extends Offer {
  /** The parameters that the program reads. */
  readonly parameters: ResolvedParameters
  /** Extensions that are configured, and that the delivery has taken out. */
  readonly withdrawn: ReadonlySet<ExtensionName>
}

const NONE: ReadonlySet<ExtensionName> = new Set()

/** Before EHLO. */
export const NO_OFFER: SessionOffer = Object.freeze({
  size: 0,
  extensions: NONE,
  parameters: resolveParameters(),
  withdrawn: NONE,
})

/** After HELO, which offers nothing: the size counts all the same. */
export function withoutExtensions({ size, withdrawn }: SessionOffer): SessionOffer {
  return { ...NO_OFFER, size, withdrawn }
}

/** Checks that `narrowed` adds nothing to `full`; throws `ERR_OPTION` if it does, or is not an offer. */
export function checkNarrowed(full: Offer, narrowed: Offer): Offer {
  const { size, extensions } = (narrowed ?? {}) as Partial<Offer>
  if (typeof size !== 'number' || !isSet(extensions)) {
    throw new MailHandlerError('ERR_OPTION', 'offer() returns { size, extensions }, the same or less than it was given')
  }
  const added = [...extensions].find(name => !full.extensions.has(name))
  if (added !== undefined) throw new MailHandlerError('ERR_OPTION', `offer() adds ${added}, which is not offered here`)
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new MailHandlerError('ERR_OPTION', `offer() returns size ${size}; it is a whole number of octets`)
  }
  if (full.size > 0 && (size === 0 || size > full.size)) {
    throw new MailHandlerError('ERR_OPTION', `offer() returns size ${size}; it is at most ${full.size}`)
  }
  return { size, extensions: new Set(extensions) }
}

function isSet<T>(given: ReadonlySet<T> | undefined): given is ReadonlySet<T> {
  return given instanceof Set
}
