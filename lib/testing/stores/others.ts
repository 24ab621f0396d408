// What every store does besides greylisting: rates, known keys, forgetting, reading, the end.

import assert from 'node:assert/strict'
import type { StoreEntry } from '../../stores/store.ts'
import { attempt, entries, fails, RULES, verdict, type Bench, type Cases } from './fixture.ts'

const MINUTE = 60_000

async function countsRates(bench: Bench): Promise<void> {
  const store = await bench.open()
  const rate = { limit: 3, per: 3000 }
  const hit = async (): Promise<string> => {
    const { allowed, remaining, wait } = await store.hit('r', rate)
    return `${allowed} ${remaining} ${wait}`
  }
  assert.equal(await hit(), 'true 2 0')
  assert.deepEqual(await store.hit('r', { ...rate, cost: 0 }), { allowed: true, remaining: 2, wait: 0 })
  assert.deepEqual([await hit(), await hit(), await hit()], ['true 1 0', 'true 0 0', 'false 0 1000'])
  assert.deepEqual(await store.hit('r', { ...rate, cost: 0 }), { allowed: false, remaining: 0, wait: 1000 })
  assert.equal((await store.hit('other', rate)).allowed, true)
  bench.clock.move(1000)
  assert.deepEqual([await hit(), await hit()], ['true 0 0', 'false 0 1000'])
  bench.clock.move(MINUTE)
  assert.deepEqual(await store.hit('r', { ...rate, cost: 2 }), { allowed: true, remaining: 1, wait: 0 })
  assert.deepEqual(await store.hit('r', { ...rate, cost: 2 }), { allowed: false, remaining: 1, wait: 1000 })
}

async function countsRatesAtOnce(bench: Bench): Promise<void> {
  const store = await bench.open()
  const rate = { limit: 100, per: MINUTE }
  const results = await Promise.all(Array.from({ length: 500 }, () => store.hit('r', rate, { timeout: 5000 })))
  assert.equal(results.filter(({ allowed }) => allowed).length, 100)
}

async function ratesOutliveAJump(bench: Bench): Promise<void> {
  const store = await bench.open()
  const rate = { limit: 1, per: MINUTE }
  await store.hit('r', rate)
  bench.clock.move(-24 * 60 * MINUTE)
  assert.equal((await store.hit('r', rate)).allowed, true, 'a count from the future is dropped')
  assert.equal((await store.hit('r', rate)).wait, MINUTE)
}

async function remembersKeys(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.know('a', 2 * MINUTE)
  await store.know('a', MINUTE)
  await store.know('b', MINUTE)
  assert.deepEqual(await store.known(['a', 'unknown', 'b']), [true, false, true])
  assert.deepEqual(await store.known([]), [])
  bench.clock.move(MINUTE)
  assert.deepEqual(await store.known(['a', 'b']), [true, false], 'what is remembered is never cut short')
  bench.clock.move(MINUTE)
  assert.deepEqual(await store.known(['a', 'b']), [false, false])
}

async function forgetsOneKey(bench: Bench): Promise<void> {
  const store = await bench.open()
  const recipients = ['a@example.net', 'b@example.net']
  for (const client of ['c', 'd']) {
    await store.greylist(attempt(client, undefined, { recipients }))
    bench.clock.move(1000)
    await store.greylist(attempt(client, undefined, { recipients }))
    await store.accept(attempt(client, undefined, { recipients }))
    await store.know(client, MINUTE)
    await store.hit(client, { limit: 1, per: MINUTE })
  }
  assert.equal(await store.forget('c'), 5)
  assert.equal(await store.forget('c'), 0)
  assert.equal(await verdict(store, attempt('c', 'a@example.net')), 'new')
  assert.equal((await store.hit('c', { limit: 1, per: MINUTE })).allowed, true)
  assert.deepEqual(await store.known(['c', 'd']), [false, true])
  assert.equal(await verdict(store, attempt('d', 'a@example.net')), 'known')
}

async function putsEntries(bench: Bench): Promise<void> {
  const store = await bench.open()
  const now = bench.clock.now()
  const pair = { sender: 'bob@example.org', recipient: 'anna@example.net' }
  const passed = { kind: 'triplet', first: now - 5000, last: now - 1000, attempts: 2, waited: 2000 } as const
  const life = { expires: now + RULES.life }
  assert.equal(await store.put({ ...passed, ...life, ...pair, client: 'c', reason: 'imported' }), true)
  assert.deepEqual((await entries(store, 'c')).map(withoutId), [
    { ...passed, ...life, client: 'c', senderDomain: 'example.org', reason: 'imported' },
  ])
  assert.equal(await verdict(store, attempt('c')), 'known', 'its keys are those of greylist')
  assert.equal(await store.put({ ...passed, ...life, ...pair, client: 'c' }), false, 'what is newer stays')

  const waits = { kind: 'triplet', first: now - 200, last: now, expires: now + RULES.window } as const
  const waiting = { ...waits, attempts: 1, waited: null, ...pair }
  assert.equal(await store.put({ ...waiting, client: 'c', last: now + 1 }), false, 'what has passed stays passed')
  assert.equal(await store.put({ ...waiting, client: 'd' }), true)
  assert.equal((await store.greylist(attempt('d'))).recipients[0]!.wait, RULES.delay - 200, 'its wait goes on')
  assert.equal(await store.put({ ...waiting, client: 'd', first: now - 100, last: now + 1 }), false)
  assert.equal((await store.greylist(attempt('d'))).recipients[0]!.wait, RULES.delay - 200, 'and does not begin again')
  assert.equal(await store.put({ ...passed, ...life, ...pair, client: 'd', last: now + 1 }), true, 'older than this')
  assert.equal(await store.put({ ...passed, ...pair, client: 'e', expires: now - 1 }), false, 'expired')
  assert.equal(await store.put({ ...passed, ...life, ...pair, client: 'e', last: now + MINUTE }), false, 'the future')
  assert.equal(await verdict(store, attempt('e')), 'new')
}

async function putsClients(bench: Bench): Promise<void> {
  const store = await bench.open()
  const last = bench.clock.now()
  const client = { kind: 'client', client: 'c', last, expires: last + MINUTE } as const
  assert.equal(await store.put({ ...client, passes: 1 }), true)
  assert.equal(await verdict(store, attempt('c')), 'new')
  assert.equal(await store.put({ ...client, passes: 2 }), true, 'more passes')
  assert.equal(await verdict(store, attempt('c')), 'allowed')
  assert.equal(await store.put({ ...client, passes: 3, last: last - 1 }), false, 'what is newer stays')
  assert.equal(await store.put({ ...client, passes: 1, last: last + 1 }), false, 'nobody has fewer passes after it')
  const found = (await entries(store, 'c')).filter(entry => entry.kind === 'client')
  assert.deepEqual(found.map(withoutId), [{ ...client, passes: 2, expires: last + RULES.life }])
  assert.equal(await store.put({ ...client, client: 'd', passes: 9, expires: last - 1 }), false, 'expired')
}

async function putsWhatItGave(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.greylist(attempt('c'))
  await store.greylist(attempt('d'))
  bench.clock.move(1000)
  await store.greylist(attempt('c'))
  await store.accept(attempt('c'))
  await store.know('k', MINUTE)
  const before = await entries(store)
  for (const key of ['c', 'd', 'k']) await store.forget(key)
  assert.deepEqual(await entries(store), [])
  for (const entry of before) assert.equal(await store.put(entry), true, entry.kind)
  const sorted = (all: readonly StoreEntry[]): string[] => all.map(entry => JSON.stringify(entry)).toSorted()
  assert.deepEqual(sorted(await entries(store)), sorted(before))
  for (const entry of before) assert.equal(await store.put(entry), false, 'the same again')
  assert.deepEqual(await store.known(['k']), [true])
  assert.equal(await verdict(store, attempt('c')), 'known')
  assert.equal(await store.accept(attempt('c')), false, 'it has counted')
  const other = before.find(entry => entry.kind === 'client')!
  const strange = { ...other, client: 'x', last: bench.clock.now() + 1 }
  await assert.rejects(async () => store.put(strange as StoreEntry), { code: 'ERR_OPTION' }, 'another salt')
}

function withoutId(entry: StoreEntry): unknown {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => name !== 'id'))
}

async function scans(bench: Bench): Promise<void> {
  const store = await bench.open()
  const start = bench.clock.now()
  await store.greylist(attempt('net:192.0.2.0/24', undefined, { reason: 'no reverse name' }))
  await store.greylist(attempt('name:example.com', undefined, { sender: '' }))
  bench.clock.move(1000)
  await store.greylist(attempt('name:example.com', undefined, { sender: '' }))
  await store.accept(attempt('name:example.com', undefined, { sender: '' }))
  await store.know('k', MINUTE)
  await store.hit('r', { limit: 10, per: MINUTE })
  const found = await entries(store)
  assert.deepEqual(found.map(({ kind }) => kind).toSorted(), ['client', 'known', 'rate', 'triplet', 'triplet'])
  assert.equal(new Set(found.map(({ kind, id }) => `${kind} ${id}`)).size, 5)
  assert.deepEqual(found.filter(entry => 'client' in entry && entry.client === 'net:192.0.2.0/24').map(withoutId), [
    {
      kind: 'triplet',
      client: 'net:192.0.2.0/24',
      senderDomain: 'example.org',
      reason: 'no reverse name',
      first: start,
      last: start,
      expires: start + RULES.window,
      attempts: 1,
      waited: null,
    },
  ])
  const last = start + 1000
  const own = await entries(store, 'name:example.com')
  assert.deepEqual(own.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)).map(withoutId), [
    { kind: 'client', client: 'name:example.com', passes: 1, last, expires: last + RULES.life },
    {
      kind: 'triplet',
      client: 'name:example.com',
      senderDomain: '',
      reason: '',
      first: start,
      last,
      expires: last + RULES.life,
      attempts: 2,
      waited: 1000,
    },
  ])
  bench.clock.move(RULES.life + 1)
  assert.deepEqual(await entries(store), [], 'expired entries are not given')
}

async function scansMany(bench: Bench): Promise<void> {
  const store = await bench.open()
  const clients = Array.from({ length: 2500 }, (_, i) => `net:${i}`)
  await Promise.all(clients.map(client => store.greylist(attempt(client), { timeout: 10_000 })))
  const found = (await entries(store)).map(entry => ('client' in entry ? entry.client : ''))
  assert.equal(found.length, 2500)
  assert.deepEqual(new Set(found), new Set(clients))
  for await (const entry of store.scan()) {
    assert.equal(entry.kind, 'triplet')
    break // A reader may stop.
  }
  assert.equal(await verdict(store, attempt('net:0')), 'early')
}

async function sweeps(bench: Bench): Promise<void> {
  const store = await bench.open()
  const clients = Array.from({ length: 700 }, (_, i) => `net:${i}`)
  await Promise.all(clients.map(client => store.greylist(attempt(client), { timeout: 10_000 })))
  bench.clock.move(1000)
  await store.greylist(attempt('net:7'))
  await store.hit('r', { limit: 1, per: MINUTE })
  await store.know('k', MINUTE)
  const counts = async (): Promise<unknown> => {
    const { unconfirmed, passed, clients, rates, known } = await store.stats()
    return { unconfirmed, passed, clients, rates, known }
  }
  assert.deepEqual(await counts(), { unconfirmed: 699, passed: 1, clients: 0, rates: 1, known: 1 })
  assert.equal(await store.sweep(), 0)
  bench.clock.move(2 * MINUTE)
  await store.greylist(attempt('net:a'))
  await store.sweep()
  assert.deepEqual(await counts(), { unconfirmed: 1, passed: 1, clients: 0, rates: 0, known: 0 })
  assert.equal(await verdict(store, attempt('net:7')), 'known')
}

async function obeysCallers(bench: Bench): Promise<void> {
  const store = await bench.open()
  assert.notEqual(store.name, '')
  await fails('timeout', store.greylist(attempt('c'), { timeout: 0 }))
  await fails('timeout', store.greylist(attempt('c'), { signal: AbortSignal.abort() }))
  assert.equal(await verdict(store, attempt('c')), 'new', 'neither of the two was carried out')
}

async function closes(bench: Bench): Promise<void> {
  const store = await bench.open()
  const call = store.greylist(attempt('c'))
  await Promise.all([store.close(), store.close(), call])
  await fails('down', store.greylist(attempt('c')))
  await fails('down', store.hit('r', { limit: 1, per: MINUTE }))
  await fails('down', store.known(['k']))
  await fails('down', store.stats())
  await fails('down', entries(store))
}

/** @internal */
export const otherCases: Cases = {
  'a rate allows its limit at once, then one at a time': countsRates,
  'a rate is exact for calls at once': countsRatesAtOnce,
  'a rate is free again after the clock went back': ratesOutliveAJump,
  'a key is known for its life': remembersKeys,
  'a key is forgotten with all that is under it, and no other': forgetsOneKey,
  'a triplet is put with its times, and changes nothing that is newer': putsEntries,
  'a client is put with its passes, and changes nothing that is newer': putsClients,
  'what scan gave can be put, once': putsWhatItGave,
  'scan gives entries an administrator can read': scans,
  'scan gives each of many entries once': scansMany,
  'sweep removes what has expired, and nothing else': sweeps,
  'a call without time is not made': obeysCallers,
  'after the end calls fail': closes,
}
