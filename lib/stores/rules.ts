// The times of greylisting. Stores have no defaults of their own: each request carries its rules.

import { checkKeys, wrong } from '../words/option-checks.ts'

/** The times that a store decides by, in milliseconds. */
export interface GreylistRules {
  /** A retry passes if it comes at least this long after the first attempt. @defaultValue 60 s */
  readonly delay: number
  /** A triplet is forgotten this long after the first attempt if it has not passed. @defaultValue 24 h */
  readonly window: number
  /** A triplet or client that has passed is forgotten this long after its last use. @defaultValue 36 days */
  readonly life: number
  /** When a client is past greylisting; null: never. @defaultValue 5 passes, an hour apart */
  readonly autoAllow: AutoAllow | null
  /** A retry sooner than this begins the wait again; 0: never. @defaultValue 0 */
  readonly restartWithin: number
}

/** A client is past greylisting after some accepted messages that did not come all at once. */
export interface AutoAllow {
  /** Accepted messages that it takes, of different triplets; 1 or more. */
  readonly passes: number
  /** Milliseconds that must lie between two of them for both to count. */
  readonly apart: number
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** 60 s, 24 h, 36 days; auto-allow after 5 accepted messages an hour apart. @see RFC 6647 §5 */
export const defaultRules: GreylistRules = Object.freeze({
  delay: MINUTE,
  window: DAY,
  life: 36 * DAY,
  autoAllow: Object.freeze({ passes: 5, apart: HOUR }),
  restartWithin: 0,
})

/**
 * The rules with what is not given taken from {@link defaultRules}, checked and frozen.
 * @throws `ERR_OPTION` for a time that is no number from 0 on, or a window that is not longer than the delay
 */
export function greylistRules(given: Partial<GreylistRules> = {}): GreylistRules {
  checkKeys('', given, Object.keys(defaultRules))
  const rules = { ...defaultRules, ...given }
  for (const name of ['delay', 'window', 'life', 'restartWithin'] as const) checkTime(name, rules[name])
  if (rules.window <= rules.delay) throw wrong('greylist: window is longer than delay')
  if (rules.restartWithin > rules.delay) throw wrong('greylist: restartWithin is at most delay')
  if (rules.autoAllow !== null) {
    const { passes, apart } = rules.autoAllow
    if (!Number.isInteger(passes) || passes < 1) throw wrong('greylist: autoAllow.passes is 1 or more')
    checkTime('autoAllow.apart', apart)
  }
  return Object.freeze(rules)
}

function checkTime(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw wrong(`greylist: ${name} is a whole number of milliseconds`)
}
