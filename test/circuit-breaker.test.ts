import { once } from 'node:events'
import t from 'tap'
import { circuitBreaker, memoryStore, StoreError, type Store } from '../lib/stores.ts'
import { storeContract } from '../lib/testing/index.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { failure } from './fixtures/store-failure.ts'
import { request } from './fixtures/stores.ts'

/** Memory whose calls fail while the test says so. */
function troubled(): { store: Store; calls: () => number; fail: (error: Error | null) => void } {
  const memory = memoryStore()
  let calls = 0
  let error: Error | null = null
  const store = new Proxy(memory, {
    get(_, name) {
      const value: unknown = Reflect.get(memory, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        calls++
        return error === null ? value.apply(memory, args) : Promise.reject(error)
      }
    },
  })
  return { store, calls: () => calls, fail: given => void (error = given) }
}

const DOWN = new StoreError('down', 'no connection')

t.test('three failures: answered at once for a second, then one call is let through', async t => {
  const clock = new FakeClock()
  const changes: (string | null)[] = []
  const { store, calls, fail } = troubled()
  const breaker = circuitBreaker(store, { clock, onChange: error => void changes.push(error?.kind ?? null) })
  const call = (): Promise<unknown> => breaker.greylist(request('a'))
  await call()
  fail(DOWN)
  for (let i = 0; i < 3; i++) await t.rejects(call(), DOWN)
  t.equal(calls(), 4)
  for (let i = 0; i < 100; i++) await t.rejects(call(), failure('down'))
  t.equal(calls(), 4, 'the store is left alone')
  t.strictSame(changes, ['down'])

  await clock.tick(999)
  await t.rejects(call(), failure('down'))
  t.equal(calls(), 4)
  await clock.tick(1)
  const probes = [call(), call(), call()]
  for (const probe of probes) await t.rejects(probe, failure('down'))
  t.equal(calls(), 5, 'one call is let through')
  await clock.tick(999)
  await t.rejects(call(), failure('down'))
  t.equal(calls(), 5, 'its failure begins the pause again')

  fail(null)
  await clock.tick(1)
  await call()
  await call()
  t.equal(calls(), 7)
  t.strictSame(changes, ['down', null])
})

t.test('failures count in a row only', async t => {
  const { store, fail } = troubled()
  const breaker = circuitBreaker(store, { clock: new FakeClock() })
  for (let i = 0; i < 5; i++) {
    fail(DOWN)
    for (let j = 0; j < 2; j++) await t.rejects(breaker.known(['a']), DOWN)
    fail(null)
    await breaker.known(['a'])
  }
})

t.test('a call that never settles keeps nobody out for longer than a pause', async t => {
  const clock = new FakeClock()
  let calls = 0
  const hanging = { ...memoryStore(), known: () => (calls++ < 1 ? Promise.reject(DOWN) : new Promise<never>(() => {})) }
  const breaker = circuitBreaker(hanging as unknown as Store, { clock, failures: 1 })
  await t.rejects(breaker.known(['a']), DOWN)
  await clock.tick(1000)
  void breaker.known(['a'])
  await t.rejects(breaker.known(['a']), failure('down'))
  await clock.tick(1000)
  void breaker.known(['a'])
  t.equal(calls, 3)
})

t.test('what says nothing about the store does not count', async t => {
  const { store, calls, fail } = troubled()
  const breaker = circuitBreaker(store, { clock: new FakeClock(), failures: 1 })
  fail(new TypeError('a mistake of the program'))
  await t.rejects(breaker.known(['a']), TypeError)
  fail(new StoreError('timeout', 'aborted'))
  await t.rejects(breaker.known(['a'], { signal: AbortSignal.abort() }), failure('timeout'))
  fail(null)
  await breaker.known(['a'])
  t.equal(calls(), 3)
})

t.test('every call of a session is guarded, none of an administrator', async t => {
  const { store, calls, fail } = troubled()
  const breaker = circuitBreaker(store, { clock: new FakeClock(), failures: 1 })
  fail(DOWN)
  await t.rejects(breaker.known(['a']), DOWN)
  const rate = { limit: 1, per: 1000 }
  const guarded = [
    () => breaker.greylist(request('a')),
    () => breaker.accept(request('a')),
    () => breaker.hit('a', rate),
    () => breaker.know('a', 1000),
    () => breaker.known(['a']),
  ]
  for (const call of guarded) await t.rejects(Promise.resolve<unknown>(call()), failure('down'))
  t.equal(calls(), 1)
  fail(null)
  await breaker.forget('a')
  await breaker.sweep()
  await breaker.stats()
  for await (const entry of breaker.scan()) t.fail(entry.kind)
  await breaker.close()
  t.equal(calls(), 6)
  t.equal(breaker.name, 'memory')
})

t.test('a listener that throws harms no call', async t => {
  const { store, fail } = troubled()
  const warned = once(process, 'warning')
  const onChange = (): void => {
    throw new Error('no log')
  }
  const breaker = circuitBreaker(store, { clock: new FakeClock(), failures: 1, onChange })
  fail(DOWN)
  await t.rejects(breaker.known(['a']), DOWN)
  t.match(await warned, [{ message: 'no log' }])
})

t.test('options that make no sense are refused', t => {
  for (const options of [{ failures: 0 }, { failures: 1.5 }, { pause: 0 }]) {
    t.throws(() => circuitBreaker(memoryStore(), options), { code: 'ERR_OPTION' })
  }
  t.end()
})

t.test('a store behind a breaker keeps the contract', t => {
  storeContract((name, run) => t.test(name, run), { fixture: () => ({ open: o => circuitBreaker(memoryStore(o)) }) })
  t.end()
})
