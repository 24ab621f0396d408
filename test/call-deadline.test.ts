import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { bounded, callClock, CallBudget } from '../lib/stores/call-deadline.ts'
import { delay } from '../lib/time/clock.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { failure } from './fixtures/store-failure.ts'

const never = (): Promise<never> => new Promise(() => {})

t.test('a call settles as its work does', async t => {
  const clock = new FakeClock()
  t.equal(await bounded(clock, { timeout: 100 }, async () => 'done'), 'done')
  await t.rejects(
    bounded(clock, { timeout: 100 }, () => Promise.reject(new Error('own'))),
    { message: 'own' },
  )
  t.equal(clock.timers, 0)
})

t.test('a call is over at its deadline, and the work can tell', async t => {
  const clock = new FakeClock()
  let late = (): boolean => false
  const call = bounded(clock, { timeout: 100 }, isLate => {
    late = isLate
    return never()
  })
  t.notOk(late())
  const rejected = t.rejects(call, failure('timeout'))
  await clock.tick(99)
  t.notOk(late())
  await clock.tick(1)
  await rejected
  t.ok(late())
})

t.test('an answer that came while the process was busy is not late', async t => {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  await settle(1) // timers are next
  const call = bounded(callClock, { timeout: 20 }, () => once(port1, 'message'))
  port2.postMessage('here')
  for (const end = performance.now() + 50; performance.now() < end;);
  t.strictSame(await call, ['here'])
})

t.test('a signal ends a call, before or during it', async t => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const call = bounded(clock, { timeout: 100, signal: controller.signal }, never)
  controller.abort(new Error('the client is gone'))
  await t.rejects(call, { ...failure('timeout'), cause: { message: 'the client is gone' } })
  let made = false
  const second = bounded(clock, { signal: controller.signal }, async () => void (made = true))
  await t.rejects(second, failure('timeout'))
  t.notOk(made)
  t.equal(clock.timers, 0)
})

t.test('no time left: the call is not made', async t => {
  let made = false
  const call = bounded(new FakeClock(), { timeout: 0 }, async () => void (made = true))
  await t.rejects(call, failure('timeout'))
  t.notOk(made)
})

t.test('the calls of a session share a budget', async t => {
  const clock = new FakeClock()
  const budget = new CallBudget(300, clock)
  const seen: number[] = []
  const slow = (milliseconds: number): Promise<void> => {
    const call = budget.spend(({ timeout }) => {
      seen.push(timeout)
      return bounded(clock, { timeout }, () => delay(clock, milliseconds))
    })
    void call.catch(() => {})
    return call
  }
  const first = slow(200)
  await clock.tick(200)
  await first
  await clock.tick(60_000) // Between calls no time is used up.
  const second = slow(200)
  await clock.tick(200)
  await t.rejects(second, failure('timeout'))
  t.equal(budget.left, 0)
  await t.rejects(slow(1), failure('timeout'))
  t.strictSame(seen, [300, 100])
})
