// How much a store keeps.

import { checkKeys, wrong } from '../words/option-checks.ts'

/** How many entries a store keeps of each kind. */
export interface StoreLimits {
  /** Triplets that have not passed; past it the oldest go. @defaultValue 100,000 in memory, 1,000,000 in a file */
  readonly unconfirmed?: number | undefined
  /** Triplets and clients that have passed; past it no more are kept. @defaultValue 100,000, 1,000,000 */
  readonly passed?: number | undefined
  /** Keys of `hit`; past it others go. @defaultValue 100,000, 1,000,000 */
  readonly rates?: number | undefined
  /** Keys of `know`; past it others go. @defaultValue 100,000, 1,000,000 */
  readonly known?: number | undefined
}

/** Limits with their defaults in place. */
export type Limits = { readonly [Name in keyof StoreLimits]-?: number }

/** Fills in the defaults. @throws `ERR_OPTION` for a limit that is no whole number above 0 */
export function limitsOf(given: StoreLimits, fallback: number): Limits {
  checkKeys('limits', given, ['unconfirmed', 'passed', 'rates', 'known'])
  const { unconfirmed = fallback, passed = fallback, rates = fallback, known = fallback } = given
  const limits = { unconfirmed, passed, rates, known }
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isInteger(value) || value < 1) throw wrong(`limits.${name} is a whole number above 0`)
  }
  return limits
}
