import t from 'tap'
import {
  CLOCK_TOLERANCE,
  countHit,
  countPass,
  decide,
  isAllowed,
  merge,
  type ClientRecord,
  type Triplet,
} from '../lib/stores/decide.ts'
import { defaultRules, greylistRules } from '../lib/stores/rules.ts'

const T0 = 1_700_000_000_000
const HOUR = 3_600_000

function waitingTriplet(change: Partial<Triplet> = {}): Triplet {
  return {
    first: T0,
    last: T0,
    expires: T0 + defaultRules.window,
    waited: null,
    attempts: 1,
    counted: false,
    ...change,
  }
}

/** The verdicts of attempts so many milliseconds after the first, one after the other on one entry. */
function verdicts(ages: readonly number[], rules = defaultRules): string[] {
  let entry: Triplet | null = null
  return ages.map(age => {
    const step = decide(entry, T0 + age, rules)
    entry = step.entry
    return `${step.decision.verdict} ${step.decision.wait}`
  })
}

t.test('the default rules: 60 s, 24 h, 36 days', t => {
  t.strictSame(verdicts([0, 1, 59_999, 60_000, 60_001]), ['new 60000', 'early 59999', 'early 1', 'pass 0', 'known 0'])
  t.strictSame(verdicts([0, defaultRules.window]), ['new 60000', 'pass 0'])
  t.strictSame(verdicts([0, defaultRules.window + 1]), ['new 60000', 'new 60000'])
  const { life } = defaultRules
  t.strictSame(verdicts([0, 60_000, 60_000 + life, 60_000 + 2 * life]), ['new 60000', 'pass 0', 'known 0', 'known 0'])
  t.strictSame(verdicts([0, 60_000, 60_001 + life]), ['new 60000', 'pass 0', 'new 60000'])
  t.end()
})

t.test('the times of Kamaelia: a retry within 180 s begins the wait again', t => {
  const rules = greylistRules({
    delay: 3_600_000,
    window: 25_000_000,
    life: 3_000_000_000,
    autoAllow: null,
    restartWithin: 180_000,
  })
  const after = (...ages: number[]): string[] => verdicts(ages, rules).map(text => text.split(' ')[0] ?? '')
  t.strictSame(after(0, 100_000, 279_000, 279_000 + 3_599_000, 279_000 + 3_600_000, 4e6), [
    'new',
    'early',
    'early',
    'early',
    'pass',
    'known',
  ])
  t.strictSame(after(0, 25_000_000), ['new', 'pass'])
  t.strictSame(after(0, 25_000_001), ['new', 'new'])
  t.end()
})

t.test('what an entry tells: the first attempt, the attempts, how long it waited', t => {
  const { entry } = decide(waitingTriplet({ attempts: 3 }), T0 + 90_000, defaultRules)
  t.strictSame(entry, {
    first: T0,
    last: T0 + 90_000,
    expires: T0 + 90_000 + defaultRules.life,
    waited: 90_000,
    attempts: 4,
    counted: false,
  })
  t.end()
})

t.test('an entry from the future counts as new; clocks that differ by a little do not matter', t => {
  const ahead = (by: number, change: Partial<Triplet> = {}): string =>
    decide(waitingTriplet({ first: T0 + by, last: T0 + by, ...change }), T0, defaultRules).decision.verdict
  t.equal(ahead(CLOCK_TOLERANCE), 'early')
  t.equal(ahead(CLOCK_TOLERANCE + 1), 'new')
  t.equal(ahead(365 * 24 * HOUR), 'new')
  t.equal(ahead(365 * 24 * HOUR, { waited: 60_000 }), 'new')
  const { decision } = decide(waitingTriplet({ first: T0 + 5000, last: T0 + 5000 }), T0, defaultRules)
  t.equal(decision.wait, 65_000, 'the wait is told by the clock of the caller')
  t.end()
})

t.test('of the entries under several client keys the one that lets pass soonest decides', t => {
  const early = waitingTriplet({ first: T0 - 5000 })
  const late = waitingTriplet()
  const passed = waitingTriplet({ waited: 60_000 })
  const expired = waitingTriplet({ first: 0, last: 0, expires: T0 - 1 })
  t.equal(merge([late, early, null], T0), early)
  t.equal(merge([early, passed, late], T0), passed)
  t.equal(merge([expired, late], T0), late)
  t.equal(merge([expired, null], T0), null)
  t.end()
})

t.test('auto-allow: five accepted messages, an hour apart', t => {
  let record: ClientRecord | null = null
  for (let i = 0; i < 5; i++) {
    t.notOk(isAllowed(record, T0 + i * HOUR, defaultRules))
    if (record !== null) t.equal(countPass(record, T0 + i * HOUR - 1, defaultRules), null, 'too soon')
    record = countPass(record, T0 + i * HOUR, defaultRules)
  }
  t.ok(isAllowed(record, T0 + 4 * HOUR, defaultRules))
  t.equal(countPass(record, T0 + 9 * HOUR, defaultRules), null, 'no need for more')
  t.notOk(isAllowed(record, T0 + 4 * HOUR + defaultRules.life + 1, defaultRules), 'expired')
  t.notOk(isAllowed(record, T0 - HOUR, defaultRules), 'from the future')
  t.notOk(isAllowed(record, T0 + 4 * HOUR, greylistRules({ autoAllow: null })))
  t.end()
})

t.test('a rate: all at once, then one for each part of the span', t => {
  const rate = { limit: 3, per: 3000 }
  const run = (ages: readonly number[]): string[] => {
    let free = 0
    return ages.map(age => {
      const step = countHit(free, T0 + age, rate)
      free = step.free
      return `${step.result.allowed ? 'yes' : 'no'} ${step.result.remaining} ${step.result.wait}`
    })
  }
  t.strictSame(run([0, 0, 0, 0, 999, 1000, 1000]), [
    'yes 2 0',
    'yes 1 0',
    'yes 0 0',
    'no 0 1000',
    'no 0 1',
    'yes 0 0',
    'no 0 1000',
  ])
  t.strictSame(run([0, 10_000]), ['yes 2 0', 'yes 2 0'])
  t.end()
})

t.test('a rate: cost, looking only, a time from the future', t => {
  const look = countHit(0, T0, { limit: 3, per: 3000, cost: 0 })
  t.strictSame(look.result, { allowed: true, remaining: 3, wait: 0 })
  const two = countHit(0, T0, { limit: 3, per: 3000, cost: 2 })
  t.strictSame(two.result, { allowed: true, remaining: 1, wait: 0 })
  t.strictSame(countHit(two.free, T0, { limit: 3, per: 3000, cost: 2 }).result, {
    allowed: false,
    remaining: 1,
    wait: 1000,
  })
  const ahead = countHit((T0 + 365 * 24 * HOUR) * 1000, T0, { limit: 3, per: 3000 })
  t.ok(ahead.result.allowed)
  t.end()
})

t.test('a rate never lets more through than its limit, whatever the numbers', t => {
  for (const limit of [1, 7, 100, 2999, 3000, 50_000]) {
    let free = 0
    let count = 0
    for (let i = 0; i < limit + 10; i++) {
      const step = countHit(free, T0, { limit, per: 1000 })
      free = step.free
      if (step.result.allowed) count++
    }
    t.equal(count, limit)
  }
  t.end()
})

t.test('rules that make no sense are refused', t => {
  for (const rules of [
    { delay: -1 },
    { delay: 1.5 },
    { life: Number.NaN },
    { window: 60_000 },
    { restartWithin: 60_001 },
    { autoAllow: { passes: 0, apart: 1 } },
    { autoAllow: { passes: 5, apart: -1 } },
  ]) {
    t.throws(() => greylistRules(rules), { code: 'ERR_OPTION' }, JSON.stringify(rules))
  }
  t.strictSame(greylistRules(), defaultRules)
  t.end()
})
