// A damaged file is moved aside, loudly, and a new one begins.

import { readdirSync, renameSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sqliteStore, type Store } from '../lib/stores.ts'
import { loadDriver } from '../lib/stores/sqlite/driver.ts'
import { failure } from './fixtures/store-failure.ts'
import { request, verdict } from './fixtures/stores.ts'

const SALT = 'a salt for the tests only'

interface Opened {
  readonly store: Store
  readonly warnings: string[]
}

function open(file: string): Opened {
  const warnings: string[] = []
  const store = sqliteStore({
    file,
    salt: SALT,
    timeout: 20_000,
    sweepInterval: 0, // A step of sweeping would find the damage first.
    onWarning: text => void warnings.push(text),
  })
  return { store, warnings }
}

/** Enough entries for some hundred pages. */
async function fill(store: Store, prefix = 'net:'): Promise<void> {
  await Promise.all(Array.from({ length: 1500 }, (_, i) => store.greylist(request(`${prefix}${i}`))))
}

/** Repeats the calls of {@link fill}, and answers with the kinds of their failures. */
async function kinds(store: Store): Promise<string[]> {
  const calls = Array.from({ length: 1500 }, (_, i) => store.greylist(request(`net:${i}`)))
  const failed = (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected')
  return [...new Set(failed.map(each => (each as { reason: { kind: string } }).reason.kind))]
}

/** Writes the log back into the file. */
async function checkpoint(file: string): Promise<void> {
  const database = (await loadDriver())(file)
  database.exec('pragma wal_checkpoint(truncate)')
  database.close()
}

function movedAside(file: string): string[] {
  return readdirSync(join(file, '..')).filter(name => /\.corrupt-[\w-]+Z$/.test(name))
}

const DAMAGES: Record<string, (file: string) => void> = {
  garbage: file => writeFileSync(file, Buffer.alloc(statSync(file).size, 'garbage ')),
  'a zeroed file': file => writeFileSync(file, Buffer.alloc(statSync(file).size)),
  'a truncated file': file => truncateSync(file, Math.floor(statSync(file).size / 2)),
  'a damaged middle': file => {
    const size = statSync(file).size
    truncateSync(file, 8192)
    truncateSync(file, size)
  },
}

for (const [name, damage] of Object.entries(DAMAGES)) {
  t.test(`${name} at the start`, async t => {
    const file = join(t.testdir(), 'store.db')
    const before = open(file)
    await fill(before.store)
    await before.store.close()
    damage(file)

    const { store, warnings } = open(file)
    t.strictSame(await kinds(store), ['corrupt'])
    t.equal(warnings.length, 1, warnings.join('; '))
    t.match(warnings[0], /is damaged .*moved to .*store\.db\.corrupt-/)
    t.equal(movedAside(file).length, 1)
    t.equal(await verdict(store, 'another'), 'new', 'it goes on by itself')
    await fill(store, 'again:')
    t.equal(await verdict(store, 'again:7'), 'early')
    t.strictSame(await kinds(store), [])
    await store.close()
  })

  t.test(`${name} while it is open`, async t => {
    const file = join(t.testdir(), 'store.db')
    const { store, warnings } = open(file)
    await fill(store)
    await checkpoint(file)
    const other = open(file) // It has read nothing yet.
    await other.store.stats()
    damage(file)
    t.strictSame(await kinds(other.store), ['corrupt'])
    t.strictSame(await kinds(store), [], 'the first one has noticed before it read anything')
    t.strictSame(await kinds(other.store), [])
    t.equal(await verdict(store, 'shared'), 'new')
    t.equal(await verdict(other.store, 'shared'), 'early', 'both stores have the same new file')
    t.equal([...warnings, ...other.warnings].filter(text => text.includes('moved to')).length, 1, 'moved aside once')
    await store.close()
    await other.store.close()
  })
}

t.test('the logs go aside with the file', async t => {
  const file = join(t.testdir(), 'store.db')
  writeFileSync(file, 'garbage '.repeat(2000))
  writeFileSync(`${file}-wal`, 'a log')
  writeFileSync(`${file}-shm`, 'shared memory')
  const { store } = open(file)
  await t.rejects(store.greylist(request('a')), failure('corrupt'))
  const asides = readdirSync(join(file, '..')).filter(name => name.includes('.corrupt-'))
  t.match(asides.toSorted(), [/Z$/, /Z-shm$/, /Z-wal$/])
  t.equal(await verdict(store, 'a'), 'new')
  await store.close()
})

t.test('of the damaged files three are kept', async t => {
  const file = join(t.testdir(), 'store.db')
  for (let i = 0; i < 5; i++) {
    writeFileSync(file, `garbage ${i} `.repeat(2000))
    const { store } = open(file)
    await t.rejects(store.greylist(request('a')), failure('corrupt'))
    await store.close()
  }
  t.equal(movedAside(file).length, 3)
})

t.test('a file that is removed or replaced is opened again', async t => {
  const file = join(t.testdir(), 'store.db')
  const { store, warnings } = open(file)
  t.equal(await verdict(store, 'a'), 'new')
  for (const suffix of ['', '-wal', '-shm']) unlinkSync(file + suffix)
  t.equal(await verdict(store, 'a'), 'new')
  t.equal(await verdict(store, 'a'), 'early')
  renameSync(file, `${file}.old`)
  t.equal(await verdict(store, 'a'), 'new')
  t.equal(warnings.length, 2)
  await store.close()
})

t.test('an empty file is an empty store', async t => {
  const file = join(t.testdir({ 'store.db': '' }), 'store.db')
  const { store } = open(file)
  t.equal(await verdict(store, 'a'), 'new')
  await store.close()
})

t.test('rows of another version are absent, and overwritten', async t => {
  const file = join(t.testdir(), 'store.db')
  const { store } = open(file)
  const rate = { limit: 1, per: 60_000 }
  await verdict(store, 'a')
  await store.hit('a', rate)
  const openDatabase = await loadDriver()
  const database = openDatabase(file)
  database.exec('update triplets_1 set version = 2, first = null')
  t.equal(await verdict(store, 'a'), 'new')
  t.equal(await verdict(store, 'a'), 'early')
  database.close()
  await store.close()
})
