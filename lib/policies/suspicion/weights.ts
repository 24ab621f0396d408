// How much each sign weighs.

import { checkKeys, show, wrong } from '../../words/option-checks.ts'
import type { SignName } from './verdict.ts'

/** What each sign adds to the score; 0 turns it off. */
export interface SuspicionWeights extends Readonly<Record<SignName, number>> {
  /** The address has no name in DNS. [RFC 1912 §2.1] @defaultValue 3 */
  readonly noReverseName: number
  /** The address has names, but none of them points back to it. @defaultValue 2 */
  readonly unconfirmedName: number
  /** The name is made from the address, or says that it is a customer's: `dsl`, `pool`, `dhcp` … @defaultValue 2 */
  readonly dynamicName: number
  /**
   * HELO gave no host name, a name or address that is not the client's, or a bare address. [RFC 5321 §4.1.4]
   * @defaultValue 1
   */
  readonly heloMismatch: number
  /** HELO gave a name or an address of this server. @defaultValue 4 */
  readonly heloOurs: number
  /** For each point of the lists' score, from a score of 1 on. @defaultValue 3 */
  readonly listed: number
  /** For each point of the lists' score, if it is above 0 and below 1. @defaultValue 3 */
  readonly nearlyListed: number
  /** SPF says that the client may not send for the domain. [RFC 7208 §2.6.4] @defaultValue 2 */
  readonly spfFail: number
  /** SPF says that the client probably may not. [RFC 7208 §2.6.5] @defaultValue 1 */
  readonly spfSoftfail: number
  /** The domain of the sender has no SPF record, or none that can be read; does not count for `<>`. @defaultValue 1 */
  readonly spfNone: number
  /** The client sent something before the greeting. @defaultValue 3 */
  readonly earlyTalker: number
  /** The client sends mail in clear though EHLO offered STARTTLS. @defaultValue 1 */
  readonly noTls: number
}

/** The weights unless the option `weights` says otherwise. */
export const SUSPICION_WEIGHTS: SuspicionWeights = Object.freeze({
  noReverseName: 3,
  unconfirmedName: 2,
  dynamicName: 2,
  heloMismatch: 1,
  heloOurs: 4,
  listed: 3,
  nearlyListed: 3,
  spfFail: 2,
  spfSoftfail: 1,
  spfNone: 1,
  earlyTalker: 3,
  noTls: 1,
})

/** Fills in the defaults. Throws `ERR_OPTION`. */
export function resolveWeights(given: Partial<SuspicionWeights> = {}): SuspicionWeights {
  checkKeys('suspicion: weights', given, Object.keys(SUSPICION_WEIGHTS))
  for (const [sign, weight] of Object.entries(given)) {
    if (weight === undefined || (Number.isFinite(weight) && weight >= 0)) continue
    throw wrong(`suspicion: weights.${sign} is a number from 0 on, not ${show(weight)}`)
  }
  const set = Object.entries(given).filter(([, weight]) => weight !== undefined)
  return Object.freeze({ ...SUSPICION_WEIGHTS, ...Object.fromEntries(set) })
}
