// Times, texts and the moment of the decision that belong together.

import { defaultRules, greylistRules, type GreylistRules } from '../../stores/rules.ts'
import type { AllowBy } from './allow-by.ts'

/** The name of a set of defaults. */
export type GreylistPreset = 'default' | 'kamaelia' | 'postgrey'

/** What a preset sets. */
export interface Preset {
  /** The times of the store. */
  readonly rules: GreylistRules
  readonly decideAt: 'rcpt' | 'data'
  /** What of the client's address may get past greylisting. */
  readonly allowBy: AllowBy
  readonly code: 450 | 451
  readonly status: string
  /** `{seconds}` is the time that is left, `{domain}` the recipient's. */
  readonly text: string
}

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR

export const PRESETS: Readonly<Record<GreylistPreset, Preset>> = Object.freeze({
  /** [RFC 6647 §5] */
  default: Object.freeze({
    rules: defaultRules,
    decideAt: 'rcpt',
    allowBy: 'network',
    code: 451,
    status: '4.7.1',
    text: 'Greylisted, try again in {seconds} seconds',
  }),
  /** Those of Kamaelia Grey: a retry within 180 s begins the wait again, one after 25,000 s is a first attempt. */
  kamaelia: Object.freeze({
    rules: greylistRules({
      delay: HOUR,
      window: 25_000 * SECOND,
      life: 3_000_000 * SECOND,
      autoAllow: null,
      restartWithin: 180 * SECOND,
    }),
    decideAt: 'data',
    allowBy: 'network',
    code: 451,
    status: '4.7.1',
    text: 'Please try again later',
  }),
  /** Those of postgrey 1.37 as Debian starts it. */
  postgrey: Object.freeze({
    rules: greylistRules({
      delay: 300 * SECOND,
      window: 2 * DAY,
      life: 35 * DAY,
      autoAllow: Object.freeze({ passes: 5, apart: HOUR }),
    }),
    decideAt: 'rcpt',
    allowBy: 'address',
    code: 450,
    status: '4.2.0',
    text: 'Greylisted, see http://postgrey.schweikert.ch/help/{domain}.html',
  }),
})
