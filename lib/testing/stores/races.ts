// Calls at once: in one store, in two on the same data, in two processes.

import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Store } from '../../stores/store.ts'
import { attempt, RULES, TestClock, verdict, type Bench, type Cases } from './fixture.ts'

const SLOW = { timeout: 30_000 }

async function oneIsNew(bench: Bench): Promise<void> {
  const store = await bench.open()
  await exactlyOneNew(Array.from({ length: 1000 }, () => store))
}

async function oneIsNewInTwoStores(bench: Bench): Promise<void> {
  const stores = [await bench.open(), await bench.open()]
  await exactlyOneNew(Array.from({ length: 1000 }, (_, i) => stores[i % 2]!))
}

async function exactlyOneNew(stores: readonly Store[]): Promise<void> {
  const request = attempt(['name:example.org', 'net:192.0.2.0/24'])
  const results = await Promise.all(stores.map(store => store.greylist(request, SLOW)))
  const decisions = results.map(({ recipients }) => recipients[0]!)
  assert.equal(decisions.filter(({ verdict }) => verdict === 'new').length, 1)
  assert.ok(decisions.every(({ verdict }) => verdict === 'new' || verdict === 'early'))
  const attempts = decisions.map(each => each.attempts).toSorted((a, b) => a - b)
  assert.deepEqual(
    attempts,
    [...attempts.keys()].map(i => i + 1),
  ) // Each attempt was counted.
}

async function storesShareData(bench: Bench): Promise<void> {
  const [one, other] = [await bench.open(), await bench.open()]
  assert.equal(await verdict(one, attempt('c')), 'new')
  assert.equal(await verdict(other, attempt('c')), 'early')
  bench.clock.move(1000)
  assert.equal(await verdict(other, attempt('c')), 'pass')
  assert.equal(await verdict(one, attempt('c')), 'known')
  await one.know('k', 60_000)
  assert.deepEqual(await other.known(['k']), [true])
  await other.hit('r', { limit: 1, per: 60_000 })
  assert.equal((await one.hit('r', { limit: 1, per: 60_000 })).allowed, false)
  await one.close()
  const third = await bench.open()
  assert.equal(await verdict(third, attempt('c')), 'known')
}

async function clocksOffByAnHour(bench: Bench): Promise<void> {
  const ahead = new TestClock()
  ahead.move(3_600_000)
  const [slow, fast] = [await bench.open(), await bench.open(ahead)]
  const move = (milliseconds: number): void => [bench.clock, ahead].forEach(clock => clock.move(milliseconds))
  const orders = [
    [slow, fast],
    [fast, slow],
    [fast, fast, slow],
    [slow, slow, fast],
    [slow, fast, slow, fast],
  ]
  for (const [i, order] of orders.entries()) {
    const request = attempt(`c${i}`)
    for (const store of order) {
      const { wait } = (await store.greylist(request)).recipients[0]!
      assert.ok(wait <= RULES.delay, 'no wait is longer than the delay')
      move(100)
    }
    const last = order.at(-1)!
    move(RULES.delay)
    assert.ok(['pass', 'known'].includes(await verdict(last, request)), 'a retry on the same machine passes')
  }
}

/** Lets two processes make the same first sights at once: each triplet is new to exactly one of them. */
export async function twoProcesses(bench: Bench, decisions: number): Promise<void> {
  const { child } = bench
  assert.ok(child, 'a shared fixture tells how another process opens its store')
  const task: ChildTask = { ...child, decisions }
  const { CHILD_PROGRAM } = await import('./child-program.ts')
  const children = [0, 1].map(() => fork(CHILD_PROGRAM))
  try {
    for (const each of children) each.send(task)
    await Promise.all(children.map(each => message(each, 'ready')))
    for (const each of children) each.send('go')
    const [one, other] = await Promise.all(children.map(each => message(each, 'done')))
    assert.deepEqual(
      [...one!, ...other!].toSorted((a, b) => a - b),
      [...Array(decisions).keys()],
    )
    await twoAttemptsEach(await bench.openByItself(), decisions)
  } finally {
    for (const each of children) each.kill('SIGKILL')
  }
}

/** No attempt was lost and none counted twice: each process has made one for each triplet. */
async function twoAttemptsEach(store: Store, triplets: number): Promise<void> {
  const ids = new Set<string>()
  for await (const entry of store.scan()) {
    if (entry.kind !== 'triplet') continue
    ids.add(entry.id)
    assert.equal(entry.attempts, 2, 'attempts of a triplet')
  }
  assert.equal(ids.size, triplets, 'triplets in the store')
}

async function message(child: ChildProcess, wanted: 'ready' | 'done'): Promise<readonly number[]> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the other process ended with ${signal ?? `code ${code}`}, not ${wanted}`)
  })
  const [{ state, created }] = (await Promise.race([once(child, 'message'), ended])) as [ChildMessage]
  void ended.catch(() => {})
  assert.equal(state, wanted)
  return created
}

/** What a child is told first. */
export interface ChildTask {
  readonly module: string
  readonly argument: string
  readonly decisions: number
}

/** What a child tells: that it is open, then which triplets were new to it. */
export interface ChildMessage {
  readonly state: 'ready' | 'done'
  readonly created: readonly number[]
}

/** @internal */
export const raceCases: Cases = {
  'of a thousand equal attempts at once one is new': oneIsNew,
}

/** @internal */
export const sharedCases: Cases = {
  'of a thousand equal attempts at once in two stores one is new': oneIsNewInTwoStores,
  'two stores share their data, and a third finds it later': storesShareData,
  'with clocks off by an hour no wait is longer than the delay': clocksOffByAnHour,
}
