// What holds for any sequence of attempts.

import fc from 'fast-check'
import t from 'tap'
import { countHit, decide, type Triplet } from '../lib/stores/decide.ts'
import { defaultRules, greylistRules } from '../lib/stores/rules.ts'

const T0 = 1_700_000_000_000
/** Milliseconds between two attempts: around the delay, the window and the life. */
const gaps = fc.array(
  fc.oneof(fc.nat(1000), fc.integer({ min: 59_000, max: 61_000 }), fc.nat(90_000_000), fc.nat(4_000_000_000)),
  { minLength: 1, maxLength: 40 },
)

t.test('attempts: nobody passes before the delay, and everybody after it', t => {
  const property = fc.property(gaps, gaps => {
    let entry: Triplet | null = null
    let now = T0
    let promised: number | null = null
    for (const gap of gaps) {
      now += gap
      const before: Triplet | null = entry
      const step = decide(entry, now, defaultRules)
      const { verdict, wait, first, attempts } = step.decision
      entry = step.entry
      if (verdict === 'new') {
        if (wait !== defaultRules.delay || first !== now || attempts !== 1) return false
        promised = now + wait
      } else if (verdict === 'early') {
        // The moment that was promised first stays the same.
        if (now + wait !== promised || wait <= 0 || first !== before?.first) return false
      } else {
        if (promised === null || now < promised || wait !== 0) return false
      }
      if (entry.expires < now || entry.last !== now) return false
    }
    return true
  })
  fc.assert(property, { numRuns: 2000 })
  t.end()
})

t.test('attempts: who retries within the window passes once, and is known from then on', t => {
  const property = fc.property(fc.integer({ min: 60_000, max: 86_400_000 }), fc.nat(3_000_000_000), (wait, gap) => {
    const first = decide(null, T0, defaultRules)
    const second = decide(first.entry, T0 + wait, defaultRules)
    const third = decide(second.entry, T0 + wait + gap, defaultRules)
    return second.decision.verdict === 'pass' && third.decision.verdict === 'known'
  })
  fc.assert(property)
  t.end()
})

t.test('attempts: with any rules, a wait is never negative and never longer than the delay', t => {
  const rules = fc
    .record({ delay: fc.nat(100_000), more: fc.integer({ min: 1, max: 1_000_000 }), share: fc.nat(100) })
    .map(({ delay, more, share }) =>
      greylistRules({ delay, window: delay + more, restartWithin: Math.floor((delay * share) / 100) }),
    )
  const property = fc.property(rules, fc.array(fc.nat(200_000), { maxLength: 30 }), (rules, gaps) => {
    let entry: Triplet | null = null
    let now = T0
    return gaps.every(gap => {
      now += gap
      const step = decide(entry, now, rules)
      entry = step.entry
      return step.decision.wait >= 0 && step.decision.wait <= rules.delay
    })
  })
  fc.assert(property, { numRuns: 1000 })
  t.end()
})

t.test('rates: in no span more than twice the limit, and a wait that was told is enough', t => {
  const property = fc.property(
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 100, max: 10_000 }),
    fc.array(fc.nat(500), { maxLength: 100 }),
    (limit, per, gaps) => {
      let free = 0
      let now = T0
      const allowed: number[] = []
      for (const gap of gaps) {
        now += gap
        const step = countHit(free, now, { limit, per })
        free = step.free
        if (step.result.allowed) allowed.push(now)
        else if (!countHit(free, now + step.result.wait, { limit, per }).result.allowed) return false
      }
      return allowed.every((time, i) => (allowed[i + 2 * limit] ?? Infinity) - time >= per)
    },
  )
  fc.assert(property, { numRuns: 1000 })
  t.end()
})
