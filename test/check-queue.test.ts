import t from 'tap'
import { CheckQueue, type CheckKey } from '../lib/smtp/auth/check-queue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

function make(checks: number) {
  const clock = new FakeClock()
  const queue = new CheckQueue(checks, clock)
  const log: string[] = []
  const enter = (key: CheckKey, name: string, signal = new AbortController().signal): void => {
    void Promise.resolve(queue.enter(key, 1000, () => signal)).then(result => log.push(`${name} ${result}`))
  }
  return { clock, queue, log, enter }
}

t.test('a few at a time, one of each network, the networks in turn', async t => {
  const { clock, queue, log, enter } = make(2)
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) enter(name[0]!, name)
  await settle()
  t.strictSame(log, ['a1 turn', 'b1 turn'])
  t.equal(queue.waiting, 4)
  for (const [key, expected] of [
    ['a', 'a2'],
    ['b', 'c1'],
    ['a', 'a3'],
    ['c', 'c2'],
  ] as const) {
    queue.leave(key)
    await settle()
    t.equal(log.at(-1), `${expected} turn`)
  }
  t.equal(log.length, 6)
  t.equal(queue.waiting, 0)
  t.equal(clock.timers, 0)
})

t.test('a network that asks for much does not keep another waiting', async t => {
  const { queue, log, enter } = make(1)
  for (let i = 0; i < 100; i++) enter('flood', `flood${i}`)
  enter('honest', 'honest')
  queue.leave('flood')
  await settle()
  t.equal(log.at(-1), 'flood1 turn')
  queue.leave('flood')
  await settle()
  t.equal(log.at(-1), 'honest turn')
})

t.test('a network takes one turn, even if there are more', async t => {
  const { queue, log, enter } = make(5)
  enter('a', 'a1')
  enter('a', 'a2')
  enter('b', 'b1')
  await settle()
  t.strictSame(log, ['a1 turn', 'b1 turn'])
  queue.leave('a')
  await settle()
  t.equal(log.at(-1), 'a2 turn')
})

t.test('clients without an address share a turn with nobody', async t => {
  const { log, enter } = make(2)
  for (const name of ['x', 'y', 'z']) enter({}, name)
  await settle()
  t.strictSame(log, ['x turn', 'y turn'])
})

t.test('who waits too long, or is gone, waits no more', async t => {
  const { clock, queue, log, enter } = make(1)
  const gone = new AbortController()
  enter('a', 'first')
  enter('a', 'late')
  enter('b', 'gone', gone.signal)
  await clock.tick(500)
  enter('a', 'next')
  gone.abort()
  await settle()
  t.strictSame(log, ['first turn', 'gone ended'])
  await clock.tick(500)
  t.strictSame(log, ['first turn', 'gone ended', 'late late'])
  queue.leave('a')
  await settle()
  t.equal(log.at(-1), 'next turn')
  enter('a', 'again', gone.signal)
  await settle()
  t.equal(log.at(-1), 'again ended', 'gone before it asked')
  t.equal(queue.waiting, 0)
  t.equal(clock.timers, 0)
})

t.test('only so many wait', async t => {
  const { log, enter } = make(1)
  for (let i = 0; i < 102; i++) enter('a', 'a')
  enter('b', 'b')
  await settle()
  t.strictSame(log, ['a turn', 'a full'], 'a hundred of a network')
  for (let i = 0; i < 10_000; i++) enter(`n${i}`, `n${i}`)
  await settle()
  t.strictSame(log.slice(2), ['n9998 full', 'n9999 full'], 'and ten thousand networks')
})
