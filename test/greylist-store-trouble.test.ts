// A store in trouble never loses mail, never refuses it for good, and never holds a session longer than 300 ms.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { greylistKey } from '../lib/policies/greylist/decisions.ts'
import { greylistChannel, type GreylistEvent } from '../lib/policies/greylist/diagnostics.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError, type StoreErrorKind } from '../lib/stores/store-error.ts'
import type { GreylistRequest, Store } from '../lib/stores/store.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
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

/** Lets time pass while somebody waits for it, until the work is done; resolves with the milliseconds that it took. */
async function took(clock: FakeClock, work: Promise<unknown>): Promise<number> {
  const start = clock.now()
  const state = { isDone: false }
  const end = (): void => void (state.isDone = true)
  work.then(end, end)
  while (!state.isDone) await (clock.timers > 0 ? clock.tick(1) : settle(1))
  return clock.now() - start
}

const after = (clock: FakeClock, milliseconds: number): Promise<void> =>
  new Promise(resolve => void clock.after(milliseconds, resolve))

t.test('a store that hangs, and does not keep its deadline, holds a session 300 ms', async t => {
  const hanging = (): Promise<never> => new Promise(() => {})
  for (const recipients of [1, 10]) {
    const world = new World({ store: storeWith({ greylist: hanging }) })
    const to = Array.from({ length: recipients }, (_, i) => `${'abcdefghij'[i]}@example.org`)
    const codes = world.codes({ to })
    t.equal(await took(world.clock, codes), 300, `${recipients} recipients`)
    t.match(await codes, /354 250$/)
  }
})

t.test(
  'many recipients on a slow store: one call at DATA for the last, and nobody gets past by being many',
  async t => {
    const clock = new FakeClock()
    const inner = memoryStore({ clock: { now: () => clock.wallTime() } })
    const asked: number[] = []
    const slow = async (request: GreylistRequest): ReturnType<Store['greylist']> => {
      asked.push(request.recipients.length)
      await after(clock, 40)
      return inner.greylist(request)
    }
    const world = new World({ store: storeWith({ greylist: slow }), clock })
    const to = Array.from({ length: 26 }, (_, i) => `${String.fromCharCode(97 + i)}@example.org`)
    const codes = world.codes({ to })
    t.equal(await took(clock, codes), 200, 'one call each would take 1,040 ms')
    t.match(await codes, /^(?:451 ){4}(?:250 ){22}451$/)
    t.strictSame(asked, [1, 1, 1, 1, 22], 'each is recorded')
  },
)

t.test('a session that has used its time is told to come again, whatever onStoreError says', async t => {
  let now = 0
  let calls = 0
  const answer = { recipients: [{ verdict: 'known', wait: 0, first: 0, attempts: 2 }], allowedBy: null } as const
  const world = new World({
    clock: { now: () => now, wallTime: () => now, after: () => 0, clear() {} },
    decideAt: 'rcpt',
    store: storeWith({
      greylist: () => {
        calls += 1
        now += 310 // the process was busy: the answer is there, but the time is over
        return Promise.resolve(answer)
      },
    }),
  })
  t.equal(await world.codes({ to: ['a@example.org', 'b@example.org'] }), '250 250 451')
  t.equal(calls, 1)
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
  const clock = new FakeClock()
  const inner = memoryStore({ clock: { now: () => clock.wallTime() } })
  const down = storeWith({
    greylist: request => (isDown ? new Promise(() => {}) : inner.greylist(request)),
  })
  const world = new World({ store: circuitBreaker(withDeadline(down, clock), { pause: 50, clock }), clock })
  for (const expected of [290, 290, 290, 0]) {
    const codes = world.codes()
    t.equal(await took(clock, codes), expected)
    t.equal(await codes, PASSED)
  }
  isDown = false
  await clock.tick(50)
  t.equal(await world.codes(), '451', 'greylisting is back')
})

/** The store, which gives up in time. */
function withDeadline(store: Store, clock: FakeClock): Store {
  const late = async (milliseconds: number): Promise<never> => {
    await after(clock, milliseconds)
    throw new StoreError('timeout', 'late')
  }
  return {
    ...store,
    greylist: (request, { timeout = 300 } = {}) => Promise.race([store.greylist(request), late(timeout - 10)]),
  }
}
