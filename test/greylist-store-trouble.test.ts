// A store in trouble never loses mail, never refuses it for good, and never holds a session longer than 300 ms.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { greylistKey } from '../lib/policies/greylist/decisions.ts'
import { greylistChannel, type GreylistEvent } from '../lib/policies/greylist/diagnostics.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError, type StoreErrorKind } from '../lib/stores/store-error.ts'
import type { GreylistRequest, Store } from '../lib/stores/store.ts'
import { systemClock } from '../lib/time/clock.ts'
import { MINUTE, World } from './fixtures/greylisting.ts'

const PASSED = '250 354 250'
const KINDS: readonly StoreErrorKind[] = ['timeout', 'down', 'full', 'readonly', 'busy', 'corrupt']

/** A store some of whose methods are others. */
const storeWith = (methods: Partial<Store>, store = memoryStore()): Store => ({ ...circuitBreaker(store), ...methods })

function eventsOf(test: Test): GreylistEvent[] {
  const events: GreylistEvent[] = []
  const listen = (event: unknown): void => void events.push(event as GreylistEvent)
  subscribe(greylistChannel.name, listen)
  test.teardown(() => unsubscribe(greylistChannel.name, listen))
  return events
}

t.test('each kind of failure: accept by default, 451 4.3.0 by option', async t => {
  const events = eventsOf(t)
  for (const kind of KINDS) {
    const store = storeWith({ greylist: () => Promise.reject(new StoreError(kind, `it is ${kind}`)) })
    const { codes, envelope } = await new World({ store }).send()
    t.equal(codes, PASSED, kind)
    t.match(envelope!.notes.get(greylistKey)!.decisions, [{ verdict: 'failed', waits: false, reason: `it is ${kind}` }])
    t.match(events.splice(0), [
      { event: 'failed', call: 'greylist', error: { kind } },
      { event: 'decided', decisions: [{ verdict: 'failed' }] },
    ])
    const deferring = new World({ store, onStoreError: 'defer' })
    t.strictSame((await deferring.send()).replies, ['451 4.3.0 Local error, please try again later'], kind)
    t.equal(await new World({ store, onStoreError: 'defer', decideAt: 'data' }).codes(), '250 451', kind)
    t.equal(await new World({ store, onStoreError: 'defer', mode: 'observe' }).codes(), PASSED, kind)
    events.length = 0
  }
})

t.test('a store of a user that throws something else, at once or later', async t => {
  for (const failing of [
    () => Promise.reject(new TypeError('x is undefined')),
    () => {
      throw new TypeError('x is undefined')
    },
    () => Promise.reject('a text'), // oxlint-disable-line prefer-promise-reject-errors -- it is what stores of users do
    () => Promise.resolve({ recipients: [], allowedBy: null }),
  ]) {
    const store = storeWith({ greylist: failing as Store['greylist'] })
    t.match(await new World({ store }).codes(), PASSED)
  }
})

t.test('after a failure the store is left alone for the rest of the session', async t => {
  let calls = 0
  const store = storeWith({
    greylist: () => {
      calls++
      return Promise.reject(new StoreError('down', 'no connection'))
    },
  })
  const to = Array.from({ length: 20 }, (_, i) => `r${'abcdefghijklmnopqrst'[i]}@example.org`)
  t.equal((await new World({ store }).codes({ to })).split(' ').filter(code => code === '250').length, 21)
  t.equal(calls, 1)
})

t.test('a store that hangs, and does not keep its deadline, holds a session 300 ms', async t => {
  const hanging = (): Promise<never> => new Promise(() => {})
  for (const recipients of [1, 10]) {
    const world = new World({ store: storeWith({ greylist: hanging }), clock: systemClock })
    const to = Array.from({ length: recipients }, (_, i) => `${'abcdefghij'[i]}@example.org`)
    const start = performance.now()
    t.match(await world.codes({ to }), /354 250$/)
    const took = performance.now() - start
    t.ok(took >= 290 && took < 1200, `${Math.round(took)} ms for ${recipients}`)
  }
})

t.test(
  'many recipients on a slow store: one call at DATA for the last, and nobody gets past by being many',
  async t => {
    const inner = memoryStore()
    const asked: number[] = []
    const slow = async (request: GreylistRequest): ReturnType<Store['greylist']> => {
      asked.push(request.recipients.length)
      await new Promise(resolve => setTimeout(resolve, 40))
      return inner.greylist(request)
    }
    const world = new World({ store: storeWith({ greylist: slow }), clock: systemClock })
    const to = Array.from({ length: 26 }, (_, i) => `${String.fromCharCode(97 + i)}@example.org`)
    const start = performance.now()
    const codes = await world.codes({ to })
    t.ok(performance.now() - start < 1000, 'one call each would take 1,040 ms')
    t.match(codes, /^(?:451 ){3,5}(?:250 ){21,23}451$/)
    t.equal(
      asked.reduce((sum, count) => sum + count),
      26,
      'each is recorded',
    )
    t.ok(asked.length <= 6)
  },
)

t.test('a session that has used its time is told to come again, whatever onStoreError says', async t => {
  const slow = async (): Promise<never> => new Promise(resolve => setTimeout(resolve, 320)) as never
  let first = true
  const answer = { recipients: [{ verdict: 'known', wait: 0, first: 0, attempts: 2 }], allowedBy: null } as const
  const world = new World({
    clock: systemClock,
    decideAt: 'rcpt',
    store: storeWith({
      greylist: () => {
        if (!first) return slow()
        first = false
        const end = performance.now() + 310
        while (performance.now() < end); // the process was busy: the answer is there, but the time is over
        return Promise.resolve(answer)
      },
    }),
  })
  t.equal(await world.codes({ to: ['a@example.org', 'b@example.org'] }), '250 250 451')
})

t.test('a failure of accept() is told, and holds nobody', async t => {
  const events = eventsOf(t)
  const accept = (): Promise<never> => Promise.reject(new StoreError('full', 'no space'))
  const inner = new World()
  const world = new World({ store: storeWith({ accept }, inner.store) })
  await world.send()
  await inner.clock.tick(MINUTE)
  t.equal(await world.codes(), PASSED)
  t.match(events.at(-1), { event: 'failed', call: 'accept', error: { kind: 'full' } })
})

t.test('behind an open breaker nobody waits, and it comes back by itself', async t => {
  let isDown = true
  const inner = memoryStore()
  const down = storeWith({
    greylist: request => (isDown ? new Promise(() => {}) : inner.greylist(request)),
  })
  const world = new World({ store: circuitBreaker(withDeadline(down), { pause: 50 }), clock: systemClock })
  for (let i = 0; i < 3; i++) t.equal(await world.codes(), PASSED)
  const start = performance.now()
  t.equal(await world.codes(), PASSED)
  t.ok(performance.now() - start < 280, 'not 290 ms, as the calls before')
  isDown = false
  await new Promise(resolve => setTimeout(resolve, 60))
  t.equal(await world.codes(), '451', 'greylisting is back')
})

/** The store, which gives up in time. */
function withDeadline(store: Store): Store {
  const late = (milliseconds: number): Promise<never> =>
    new Promise((_, reject) => setTimeout(() => reject(new StoreError('timeout', 'late')), milliseconds))
  return {
    ...store,
    greylist: (request, { timeout = 300 } = {}) => Promise.race([store.greylist(request), late(timeout - 10)]),
  }
}
