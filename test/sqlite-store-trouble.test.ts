// A full disk, a read-only one, a frozen process with the lock, kill -9: errors by the deadline, and it comes back.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sqliteStore, type Store } from '../lib/stores.ts'
import type { Database } from '../lib/stores/sqlite/driver.ts'
import { canMount, smallDisk } from './fixtures/small-disk.ts'
import { failure } from './fixtures/store-failure.ts'
import { request, timed, verdict } from './fixtures/stores.ts'

const CHILD = join(import.meta.dirname, 'fixtures', 'store-children.js')
/** For tests that need a disk of their own. */
const MOUNTED = canMount() ? {} : { skip: 'only root can mount a tmpfs' }
const SALT = 'a salt for the tests only'

function child(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

function open(file: string, timeout = 20_000): Store {
  return sqliteStore({ file, salt: SALT, window: 0, timeout, onWarning: () => {} })
}

/** Makes first sights until one fails; how many were acknowledged, and the kind of the failure. */
async function untilFailure(store: Store, prefix: string): Promise<{ readonly count: number; readonly kind: string }> {
  for (let count = 0; ; count++) {
    try {
      await store.greylist(request(`${prefix}${count}`))
    } catch (error) {
      return { count, kind: (error as { kind: string }).kind }
    }
  }
}

/** How many of the first sights are there. */
async function found(store: Store, prefix: string, count: number): Promise<number> {
  const again = await Promise.all(Array.from({ length: count }, (_, i) => verdict(store, `${prefix}${i}`)))
  return again.filter(verdict => verdict === 'early').length
}

t.test('disk full: an error, all that was acknowledged is there, and it comes back', MOUNTED, async t => {
  const disk = smallDisk(4096)
  t.teardown(() => disk.remove())
  const file = join(disk.folder, 'store.db')
  const store = open(file)
  await verdict(store, 'before')
  disk.fill(128 * 1024)
  const { count, kind } = await untilFailure(store, 'net:')
  t.equal(kind, 'full')
  t.ok(count > 10, `${count} were acknowledged`)
  const again = await timed(store.greylist(request('while it is full')))
  t.equal(again.kind, 'full')
  disk.empty()
  t.equal(await verdict(store, 'before'), 'early')
  t.equal(await verdict(store, 'after'), 'new', 'it comes back by itself')
  t.equal(await found(store, 'net:', count), count)
  await store.close()
  const later = open(file)
  t.equal(await found(later, 'net:', count), count)
  await later.close()
})

t.test('disk full at the start', MOUNTED, async t => {
  const disk = smallDisk(1024)
  t.teardown(() => disk.remove())
  disk.fill()
  const store = open(join(disk.folder, 'store.db'))
  const { kind } = await timed(store.greylist(request('a')))
  t.ok(kind === 'full' || kind === 'down', String(kind))
  disk.empty()
  t.equal(await verdict(store, 'a'), 'new')
  await store.close()
})

/**
 * Why a statement with RETURNING is never run by get() outside of a transaction: get() stops after the first row and
 * drops the error of the commit. Counts rows that were reported as inserted, and those that are there.
 */
function insertUntilFull(database: Database, method: 'get' | 'all'): { reported: number; there: number } {
  database.exec('pragma journal_mode = wal; create table t (k, v)')
  const insert = database.prepare('insert into t values (?, ?) returning k')
  let reported = 0
  for (let failures = 0, i = 0; i < 3000 && failures < 3; i++) {
    try {
      const result = insert[method](i, 'x'.repeat(1000))
      if (result !== undefined) reported++
    } catch {
      failures++
    }
  }
  const { there } = database.prepare('select count(*) there from t').get() as { there: number }
  return { reported, there }
}

t.test('get() with RETURNING swallows the error of the commit; all() does not', MOUNTED, async t => {
  const { DatabaseSync } = await import('@photostructure/sqlite')
  for (const method of ['all', 'get'] as const) {
    const disk = smallDisk(1024)
    t.teardown(() => disk.remove())
    const database = new DatabaseSync(join(disk.folder, 'trap.db')) as unknown as Database
    const { reported, there } = insertUntilFull(database, method)
    database.close()
    t.comment(`${method}(): ${reported} reported, ${there} there`)
    if (method === 'all') t.equal(reported, there)
    else t.ok(reported > there)
  }
})

t.test('read-only: an error, and it comes back', MOUNTED, async t => {
  const disk = smallDisk(4096)
  t.teardown(() => disk.remove())
  const file = join(disk.folder, 'store.db')
  const first = open(file)
  await verdict(first, 'a')
  await first.close()
  disk.readOnly(true)
  const store = open(file)
  await t.rejects(store.greylist(request('a')), failure('readonly'))
  await t.rejects(store.greylist(request('a')), failure('readonly'))
  const fresh = open(join(disk.folder, 'another.db'))
  await t.rejects(fresh.greylist(request('a')), failure('readonly'))
  disk.readOnly(false)
  t.equal(await verdict(store, 'a'), 'early')
  t.equal(await verdict(fresh, 'a'), 'new')
  await Promise.all([store.close(), fresh.close()])
})

t.test('a folder that is missing: an error, and it comes back', async t => {
  const folder = join(t.testdir(), 'later')
  const store = open(join(folder, 'store.db'))
  await t.rejects(store.greylist(request('a')), failure('down'))
  mkdirSync(folder)
  t.equal(await verdict(store, 'a'), 'new')
  const withSalt = sqliteStore({ file: join(folder, 'missing', 'store.db'), timeout: 20_000 })
  await t.rejects(withSalt.greylist(request('a')), failure('down'), 'its salt cannot be made')
  mkdirSync(join(folder, 'missing'))
  t.equal(await verdict(withSalt, 'a'), 'new')
  await Promise.all([store.close(), withSalt.close()])
})

t.test('a frozen process with the lock: errors by the deadline, and it comes back', async t => {
  const file = join(t.testdir(), 'store.db')
  const store = open(file, 300)
  const ready = open(file)
  await verdict(ready, 'a')
  await timed(store.stats())
  const holder = child('lock', file)
  t.teardown(() => holder.kill('SIGKILL'))
  await once(holder.stdout!, 'data')
  holder.kill('SIGSTOP')
  let slowest = 0
  const kinds = new Set<string | null>()
  for (let i = 0; i < 10; i++) {
    const calls = Array.from({ length: 20 }, (_, j) => timed(store.greylist(request(`${i} ${j}`))))
    for (const { took, kind } of await Promise.all(calls)) {
      slowest = Math.max(slowest, took)
      kinds.add(kind)
    }
  }
  t.strictSame(
    [...kinds].filter(kind => kind !== 'busy' && kind !== 'timeout'),
    [],
    'each call failed',
  )
  t.ok(slowest < 5000, `the slowest took ${slowest.toFixed()} ms`) // 20 calls that wait behind each other: 6 s
  holder.kill('SIGCONT')
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  t.equal(await verdict(ready, 'a'), 'early')
  t.equal((await timed(store.greylist(request('a'), { timeout: 10_000 }))).kind, null)
  await Promise.all([store.close(), ready.close()])
})

for (const how of ['exit', 'close']) {
  t.test(`${how} while SQLite waits for a lock: the process ends as it wants to`, async t => {
    const file = join(t.testdir(), 'store.db')
    const store = open(file)
    await verdict(store, 'a')
    await store.close()
    const holder = child('lock', file)
    t.teardown(() => holder.kill('SIGKILL'))
    await once(holder.stdout!, 'data')
    const [code, signal] = await once(child(how, file), 'close')
    t.equal(signal, null)
    t.equal(code, 0)
  })
}

t.test('kill -9 of a writer: all that was acknowledged is there', async t => {
  const folder = t.testdir()
  const file = join(folder, 'store.db')
  const acknowledged: number[] = []
  for (const [after, wait] of [
    [1, 0],
    [500, 1],
    [2000, 7],
  ] as const) {
    acknowledged.push(...(await killed(child('write', file), after, wait)))
  }
  const store = sqliteStore({ file, timeout: 20_000 })
  const seen = new Set<string>()
  for await (const entry of store.scan()) if (entry.kind === 'triplet') seen.add(entry.client ?? '')
  await store.close()
  t.ok(acknowledged.length >= 2501, `${acknowledged.length} acknowledged`)
  t.strictSame(
    acknowledged.filter(i => !seen.has(`net:${i}`)),
    [],
  )
})

/** Lets a child acknowledge so many lines, kills it a little later, and answers with all whole lines. */
function killed(writer: ChildProcess, after: number, wait: number): Promise<number[]> {
  return new Promise(resolve => {
    let lines: string[] = ['']
    writer.stdout!.setEncoding('latin1').on('data', (text: string) => {
      const enough = lines.length > after
      lines = [...lines.slice(0, -1), ...(lines.at(-1) + text).split('\n')]
      if (!enough && lines.length > after) setTimeout(() => writer.kill('SIGKILL'), wait)
    })
    writer.once('close', () => resolve(lines.slice(0, -1).map(Number)))
  })
}
