// Wrong credentials, counted in a store.

import t from 'tap'
import { sharedGuesses } from '../lib/policies/shared-guesses.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError } from '../lib/stores/store-error.ts'
import type { Store } from '../lib/stores/store.ts'
import { FakeClock } from '../lib/testing/fake-clock.ts'
import { begin, quit } from './fixtures/dialogue.ts'

/** The replies to guesses, each in a session of another machine. */
async function guess(store: Store, passwords: readonly string[], address = '192.0.2.7'): Promise<string> {
  const codes: number[] = []
  for (const password of passwords) {
    const guesses = { counter: sharedGuesses(store, { credentials: 3, window: 60_000 }) }
    const c = await begin(
      new SmtpHandler({
        client: { address, port: 1 },
        auth: { insecure: true, guesses },
        onAuth: () => {},
        onMessage() {},
      }),
    )
    codes.push((await c.command(`AUTH PLAIN ${Buffer.from(`\0anna\0${password}`).toString('base64')}`)).code)
    await quit(c)
  }
  return codes.join(' ')
}

t.test('a network that guesses on several machines is stopped by all', async t => {
  const clock = new FakeClock()
  const store = memoryStore({ clock: { now: () => clock.wallTime() } })
  t.equal(await guess(store, ['a', 'b', 'c', 'd', 'e']), '535 535 535 454 454')
  t.equal(await guess(store, ['f'], '192.0.2.8'), '535', 'another network')
  await clock.tick(60_000)
  t.equal(await guess(store, ['g']), '535')
})

t.test('in one process the same wrong password counts once', async t => {
  const store = memoryStore()
  const counter = sharedGuesses(store, { credentials: 2, window: 60_000 })
  for (let i = 0; i < 5; i++) await counter.hit('net', 'digest')
  t.equal(await counter.isExhausted('net'), false)
  await counter.hit('net', 'other')
  t.equal(await counter.isExhausted('net'), true)
  t.equal(await sharedGuesses(store, { credentials: 2, window: 60_000 }).isExhausted('net'), true)
  t.equal(await sharedGuesses(store, { credentials: 2, window: 60_000 }, 'other').isExhausted('net'), false)
})

t.test(
  'the same wrong password counts once for all processes of a store, without their counters having it',
  async t => {
    const store = memoryStore({ salt: 'a salt for the tests only' })
    t.equal(await guess(store, ['a', 'a', 'a', 'a', 'b', 'c', 'd']), '535 535 535 535 535 535 454')
    const other = memoryStore({ salt: 'another salt for the tests' })
    const [one, same] = [sharedGuesses(store), sharedGuesses(circuitBreaker(store))]
    t.equal(one.key?.(), same.key?.())
    t.not(one.key?.(), sharedGuesses(other).key?.())
    t.not(store.derive?.('guesses'), store.derive?.('another purpose'))
  },
)

t.test('without a salt that can be read, or in a store without one, the process has a key of its own', async t => {
  const { derive: _, ...without } = circuitBreaker(memoryStore())
  t.equal(sharedGuesses(without).key, undefined)
  t.equal(circuitBreaker(without).derive, undefined)
  t.equal(await guess(without, ['a', 'a', 'a', 'a']), '535 535 535 454', 'each machine counts it')
  const unreadable = {
    ...circuitBreaker(memoryStore()),
    derive: (): never => {
      throw new StoreError('down', 'no salt')
    },
  }
  t.equal(await guess(unreadable, ['a', 'a', 'a', 'a']), '535 535 535 454')
})

t.test('a store that fails leaves the count of the process', async t => {
  const down = (): Promise<never> => Promise.reject(new StoreError('down', 'no connection'))
  const counter = sharedGuesses(
    { ...circuitBreaker(memoryStore()), hit: down, know: down, known: down },
    { credentials: 2 },
  )
  await counter.hit('net', 'one')
  t.equal(await counter.isExhausted('net'), false)
  await counter.hit('net', 'two')
  t.equal(await counter.isExhausted('net'), true)
})

t.test('options that are wrong', t => {
  t.throws(() => sharedGuesses({} as never), { code: 'ERR_OPTION', message: /store is a store/ })
  t.throws(() => sharedGuesses(memoryStore(), { credential: 1 } as never), /did you mean credentials/)
  t.end()
})
