import fc from 'fast-check'
import t from 'tap'
import { WrongCredentials } from '../lib/smtp/auth/wrong-credentials.ts'

const LIMITS = { credentials: 3, window: 600, networks: 4 }

function make(limits: object = {}) {
  const clock = { time: 0, now: () => clock.time }
  return { clock, counter: new WrongCredentials({ ...LIMITS, ...limits }, clock) }
}

t.test('so many different ones, then no more', async t => {
  const { counter } = make()
  for (const digest of ['a', 'b', 'a', 'a', 'b']) counter.hit('one', digest)
  t.equal(counter.isExhausted('one'), false, 'the same ones count once')
  counter.hit('one', 'c')
  t.equal(counter.isExhausted('one'), true)
  t.equal(counter.isExhausted('two'), false, 'others are counted by themselves')
})

t.test('each counts for the window, from when it came first', async t => {
  const { clock, counter } = make()
  for (const digest of ['a', 'b', 'c']) {
    counter.hit('one', digest)
    clock.time += 100
  }
  counter.hit('one', 'a')
  clock.time = 599
  t.equal(counter.isExhausted('one'), true)
  clock.time = 600
  t.equal(counter.isExhausted('one'), false, 'the first is forgotten')
  counter.hit('one', 'd')
  t.equal(counter.isExhausted('one'), true)
  clock.time = 5000
  t.equal(counter.isExhausted('one'), false)
  t.equal(counter.size, 0, 'and so is the network')
})

t.test('memory is bounded: the network that has guessed least recently goes first', async t => {
  const { clock, counter } = make({ credentials: 1 })
  for (const network of ['a', 'b', 'c', 'd']) counter.hit(network, 'x')
  counter.hit('a', 'y')
  counter.hit('e', 'x')
  t.equal(counter.size, 4)
  t.strictSame(
    ['a', 'b', 'c', 'd', 'e'].map(network => counter.isExhausted(network)),
    [true, false, true, true, true],
  )
  clock.time = 600
  counter.hit('f', 'x')
  counter.hit('g', 'x')
  t.equal(counter.size, 2, 'what has expired is removed at each hit')
})

t.test('as a model that keeps everything', async t => {
  const step = fc.record({ network: fc.constantFrom('a', 'b'), digest: fc.nat(4), wait: fc.nat(300) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const { clock, counter } = make({ networks: 10 })
      const hits = new Map<string, number>()
      for (const { network, digest, wait } of steps) {
        clock.time += wait
        const key = `${network}${digest}`
        if (!hits.has(key) || clock.time - hits.get(key)! >= LIMITS.window) hits.set(key, clock.time)
        counter.hit(network, String(digest))
        const counted = [...hits].filter(([each, at]) => each.startsWith(network) && clock.time - at < LIMITS.window)
        if (counter.isExhausted(network) !== counted.length >= LIMITS.credentials) return false
      }
      return true
    }),
  )
  t.pass()
})
