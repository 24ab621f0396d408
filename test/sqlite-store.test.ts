import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { sqliteStore, type Store } from '../lib/stores.ts'
import { bounded, callClock } from '../lib/stores/call-deadline.ts'
import { Batcher } from '../lib/stores/sqlite/batcher.ts'
import { kindOf, loadDriver } from '../lib/stores/sqlite/driver.ts'
import { WorkGate } from '../lib/stores/sqlite/work-gate.ts'
import { WorkerLink } from '../lib/stores/sqlite/worker-link.ts'
import type { Operation, Results } from '../lib/stores/operations.ts'
import { ROOT } from './fixtures/repository.ts'
import { failure } from './fixtures/store-failure.ts'
import { request, verdict } from './fixtures/stores.ts'

const SALT = 'a salt for the tests only'
const T0 = 1_700_000_000_000
const LATE = { timeout: 20_000 }

t.test('past its cap unconfirmed entries go, never passed ones', async t => {
  let now = T0
  const clock = { now: () => now }
  const file = join(t.testdir(), 'store.db')
  const store = sqliteStore({ file, salt: SALT, clock, ...LATE, limits: { unconfirmed: 100, rates: 50, known: 50 } })
  await Promise.all(Array.from({ length: 20 }, (_, i) => verdict(store, `good ${i}`)))
  now += 60_000
  const passed = await Promise.all(Array.from({ length: 20 }, (_, i) => verdict(store, `good ${i}`)))
  t.strictSame(new Set(passed), new Set(['pass']))
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => verdict(store, `stranger ${round} ${i}`)))
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.hit(`${round} ${i}`, { limit: 5, per: 60_000 })))
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.know(`${round} ${i}`, 60_000)))
  }
  t.match(await store.stats(), { unconfirmed: 100, passed: 20, rates: 50, known: 50 })
  const known = await Promise.all(Array.from({ length: 20 }, (_, i) => verdict(store, `good ${i}`)))
  t.strictSame(new Set(known), new Set(['known']))
  await store.close()
})

t.test('at the cap of passed entries no more are kept, and retries pass all the same', async t => {
  let now = T0
  const clock = { now: () => now }
  const file = join(t.testdir(), 'store.db')
  const store = sqliteStore({ file, salt: SALT, clock, ...LATE, limits: { passed: 2 } })
  for (const name of ['a', 'b', 'c']) await verdict(store, name)
  now += 60_000
  for (const name of ['a', 'b', 'c']) t.equal(await verdict(store, name), 'pass')
  t.equal(await verdict(store, 'a'), 'known')
  t.equal(await verdict(store, 'c'), 'pass')
  t.match(await store.stats(), { unconfirmed: 1, passed: 2 })
  await store.close()
})

t.test('expired entries go by themselves, a step at a time', async t => {
  const file = join(t.testdir(), 'store.db')
  const past = sqliteStore({ file, salt: SALT, ...LATE, clock: { now: () => T0 } })
  await Promise.all(Array.from({ length: 1500 }, (_, i) => verdict(past, `net:${i}`)))
  await past.close()
  const store = sqliteStore({ file, salt: SALT, ...LATE, sweepInterval: 5 })
  const end = Date.now() + 20_000
  await verdict(store, 'a')
  while ((await store.stats()).unconfirmed > 1 && Date.now() < end) await pause(5)
  t.equal((await store.stats()).unconfirmed, 1)
  await store.close()
})

t.test('privacy: nothing of a name or an address is in the file', async t => {
  const folder = t.testdir()
  const write = async (name: string, privacy: boolean): Promise<Buffer> => {
    const file = join(folder, name)
    const store = sqliteStore({ file, salt: SALT, privacy, ...LATE })
    await store.greylist({ ...request('net:192.0.2.0/24'), reason: 'no reverse name' })
    await store.close()
    return readFileSync(file)
  }
  const open = await write('open.db', false)
  for (const text of ['net:192.0.2.0/24', 'example.org', 'no reverse name']) t.ok(open.includes(text), text)
  for (const text of ['from@', 'to@']) t.notOk(open.includes(text), text)
  const closed = await write('closed.db', true)
  for (const text of ['192.0.2', 'example', 'reverse']) t.notOk(closed.includes(text), text)
})

t.test('without a salt of its own a store has one beside its file', async t => {
  const file = join(t.testdir(), 'store.db')
  const one = sqliteStore({ file, ...LATE })
  t.equal(await verdict(one, 'a'), 'new')
  await one.close()
  t.equal(statSync(`${file}.salt`).mode & 0o777, 0o600)
  const other = sqliteStore({ file, ...LATE })
  t.equal(await verdict(other, 'a'), 'early')
  await other.close()
  writeFileSync(`${file}.salt`, 'x'.repeat(40))
  const third = sqliteStore({ file, ...LATE })
  t.equal(await verdict(third, 'a'), 'new', 'another salt: nothing is known')
  await third.close()
})

t.test('options that make no sense are refused', t => {
  const file = join(t.testdir(), 'store.db')
  for (const options of [
    { window: 11 },
    { window: -1 },
    { maxWaiting: 0 },
    { timeout: -1 },
    { salt: 'short' },
    { windows: 1 },
    { file: '' },
  ]) {
    t.throws(() => sqliteStore({ file, ...options }), { code: 'ERR_OPTION' }, JSON.stringify(options))
  }
  t.end()
})

/** A batcher whose batches are answered when the test says so. */
function heldBatcher(limit: number): { batcher: Batcher; batches: number[]; answer: () => void } {
  const batches: number[] = []
  let answer = (): void => {}
  const send = (operations: readonly Operation[]): Promise<Results[Operation['type']][]> => {
    batches.push(operations.length)
    return new Promise(resolve => void (answer = () => resolve(operations.map(() => true))))
  }
  return { batcher: new Batcher(send, { window: 0, limit, size: 3 }), batches, answer: () => answer() }
}

t.test('calls share batches; too many at once are busy; late ones are dropped', async t => {
  const { batcher, batches, answer } = heldBatcher(5)
  const operation: Operation = { type: 'forget', key: 'k' }
  let late = false
  const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  const first = [1, 2, 3].map(() => batcher.add(operation, () => false))
  await turn()
  const second = [1, 2, 3, 4].map(i => batcher.add(operation, () => late && i < 4))
  void batcher.add(operation, () => true)
  await t.rejects(
    batcher.add(operation, () => false),
    failure('busy'),
  )
  t.strictSame(batches, [3], 'one batch at a time')
  late = true
  answer()
  await Promise.all(first)
  await turn()
  t.strictSame(batches, [3, 1])
  answer()
  await second[3]
  await batcher.drain()
})

t.test('a worker that dies fails its jobs, and is started again', async t => {
  const program = new URL('fixtures/dying-worker.js', import.meta.url)
  const limits = { unconfirmed: 1, passed: 1, rates: 1, known: 1 }
  const settings = { file: '', busyTimeout: 1, limits, sweepInterval: 0 }
  const link = new WorkerLink(settings, () => {}, program)
  for (let i = 0; i < 2; i++) {
    const ask = (): Promise<unknown> => bounded(callClock, LATE, () => link.ask('stats', {}, null))
    const jobs = [ask(), ask()]
    for (const job of jobs) await t.rejects(job, { ...failure('down'), message: /out of memory/ })
  }
})

t.test('a gate that is shut lets no work begin, and waits for what is under way', t => {
  const gate = new WorkGate()
  const other = new WorkGate(gate.memory)
  let passed = 0
  t.throws(() => gate.pass(() => assert.fail('bad work')))
  gate.pass(() => passed++)
  t.equal(passed, 1, 'work that throws is done as well')
  gate.pass(() => {
    const start = performance.now()
    other.shut(20)
    t.ok(performance.now() - start >= 19, 'it was waited for')
  })
  gate.pass(() => passed++)
  t.equal(passed, 1)
  const start = performance.now()
  other.shut(20_000)
  t.ok(performance.now() - start < 10_000, 'nothing is under way')
  t.end()
})

t.test('a store keeps the process alive for its calls only', async t => {
  const program = `
    import { sqliteStore } from 'mailhandler/stores'
    const store = sqliteStore({ file: process.argv[1], timeout: 20_000 })
    console.log((await store.known(['a'])).length)`
  const args = ['--input-type=module', '--eval', program, join(t.testdir(), 'store.db')]
  const { stdout } = await promisify(execFile)('env', ['-i', process.execPath, ...args], { cwd: ROOT })
  t.equal(stdout, '1\n')
})

t.test('without a driver the error says what to install', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-bare-')) // Beside no node_modules.
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(ROOT, 'dist/lib'), join(folder, 'lib'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const program = `
    import { sqliteStore } from './lib/stores.js'
    const store = sqliteStore({ file: 'store.db', timeout: 20_000 })
    await store.known(['a']).then(() => console.log('works'), error => console.log(error.kind, error.message))
    await store.close()`
  const args = ['--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)('env', ['-i', process.execPath, ...args], { cwd: folder })
  const builtIn = await import('node:module').then(({ isBuiltin }) => isBuiltin('node:sqlite'))
  if (builtIn) t.equal(stdout, 'works\n')
  else
    t.match(stdout, /^down SQLite: SQLite needs Node 22\.13 or later, or .*npm install @photostructure\/sqlite@1\.2\.1/)
})

t.test("SQLite's result codes", async t => {
  const meaning = {
    busy: [5, 6, 517],
    readonly: [8, 1032],
    corrupt: [11, 26, 267, 522],
    full: [13, 4874],
    down: [14, 10, 778, 1],
  }
  for (const [kind, codes] of Object.entries(meaning)) {
    for (const errcode of codes) t.equal(kindOf({ errcode }), kind, String(errcode))
  }
  t.equal(kindOf(new Error('no error of SQLite')), 'down')
  const database = (await loadDriver())(join(t.testdir(), 'x.db'))
  t.throws(() => database.exec('nonsense'), { code: 'ERR_SQLITE_ERROR', errcode: 1 } as { code: string })
  database.close()
})

t.test('two stores made at once create one file between them', async t => {
  const file = join(t.testdir(), 'store.db')
  const stores: Store[] = Array.from({ length: 4 }, () => sqliteStore({ file, ...LATE }))
  const verdicts = await Promise.all(stores.map(store => verdict(store, 'a')))
  t.strictSame(verdicts.toSorted(), ['early', 'early', 'early', 'new'])
  await Promise.all(stores.map(store => store.close()))
})
