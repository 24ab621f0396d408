// What stands in a store may be anything: others can write to it. A value is what was written, or unknown: an entry that is
// absent. It is never an exception that keeps a decision from being made.

import fc from 'fast-check'
import { Redis } from 'ioredis'
import { join } from 'node:path'
import t from 'tap'
import { sqliteStore, redisStore, type Store, type StoreEntry } from '../lib/stores.ts'
import { isAbsent } from '../lib/stores/decide.ts'
import { DIGEST_OCTETS } from '../lib/stores/keys.ts'
import type { PutOperation } from '../lib/stores/operations.ts'
import { putArguments, readEntry } from '../lib/stores/redis/values.ts'
import { loadDriver } from '../lib/stores/sqlite/driver.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'
import { verdict } from './fixtures/stores.ts'

const SALT = 'a salt for the tests only'
const RATE = { limit: 1, per: 60_000 }
const NOW = 1_800_000_000_000

/** True if all that is a number could be shown as one, or as a date. */
function isSound(entry: StoreEntry): boolean {
  const numbers = Object.values(entry).filter(value => typeof value === 'number')
  return numbers.every(value => !Number.isNaN(new Date(value).getTime()))
}

const digest = fc.uint8Array({ minLength: DIGEST_OCTETS, maxLength: DIGEST_OCTETS }).map(octets => Buffer.from(octets).toString('latin1')) // prettier-ignore
const time = fc.integer({ min: 0, max: 2 ** 42 })
const note = fc.stringMatching(/^[!-~ä€]{1,20}$/)

t.test('Redis: what is put is read', t => {
  const triplet = fc.record({ first: time, last: time, expires: time, waited: fc.option(time), attempts: time, counted: fc.boolean() }) // prettier-ignore
  const client = fc.record({ passes: time, counted: time, last: time, expires: time })
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('known'), key: digest, until: time }),
    fc.record({ kind: fc.constant('client'), key: digest, record: client, shown: note }),
    fc.record({
      kind: fc.constant('triplet'),
      key: fc.tuple(digest, digest).map(pair => pair.join('')),
      entry: triplet,
      note: fc.record({ client: note, senderDomain: note, reason: note }),
    }),
  ) as fc.Arbitrary<PutOperation>
  fc.assert(
    fc.property(operation, operation => {
      const { key, value } = putArguments(operation, 'p:')
      const read = readEntry(key, value, 2, NOW)
      if (read === null || read.entry.id !== Buffer.from(operation.key, 'latin1').toString('hex')) return false
      if (operation.kind === 'known') return read.entry.kind === 'known' && read.entry.expires === operation.until
      const { counted: _, ...record } = operation.kind === 'client' ? operation.record : operation.entry
      const entry = read.entry as unknown as Readonly<Record<string, unknown>>
      return (
        Object.entries(record).every(([name, value]) => entry[name] === value) && read.isOver === isAbsent(record, NOW)
      )
    }),
  )
  t.end()
})

const field = fc.oneof(
  fc.constantFrom(
    '',
    '1',
    '0',
    '-1',
    '1e999',
    'nan',
    'inf',
    '0x10',
    ' 1',
    '1.5',
    '9'.repeat(400),
    '99999999999999999',
    'x',
  ),
  fc.string({ maxLength: 9 }),
  time.map(String),
)
const value = fc.oneof(
  fc.string({ maxLength: 60 }),
  field,
  fc.array(field, { minLength: 3, maxLength: 11 }).map(fields => ['1', ...fields].join('\t')),
)

t.test('Redis: anything is an entry that can be shown, or none', t => {
  const rest = fc.oneof(fc.constantFrom('a', 'r', 'k', '', 'AAAA'), fc.string({ maxLength: 20 }))
  const key = fc.oneof(
    fc.tuple(digest, rest).map(([own, rest]) => `p:{${Buffer.from(own, 'latin1').toString('base64url')}}:${rest}`),
    fc.string({ maxLength: 40 }),
  )
  fc.assert(
    fc.property(key, value, (key, value) => {
      const read = readEntry(key, value, 2, NOW)
      return read === null || isSound(read.entry)
    }),
    { numRuns: 1000 },
  )
  for (const suffix of ['r', 'k']) t.equal(readEntry(`p:{AAAA}:${suffix}`, 'x', 2, NOW), null)
  t.end()
})

/** Entries of each kind for one client, which has passed. */
async function fill(store: Store): Promise<void> {
  await verdict(store, 'a')
  await store.hit('a', RATE)
  await store.know('a', 1e9)
}

async function* all(store: Store): AsyncGenerator<StoreEntry> {
  yield* store.scan()
}

t.test('SQLite: a column with anything in it is an entry that is absent', async t => {
  const file = join(t.testdir(), 'store.db')
  const store = sqliteStore({ file, salt: SALT, timeout: 20_000, sweepInterval: 0, onWarning: () => {} })
  t.teardown(() => store.close())
  await fill(store)
  const database = (await loadDriver())(file)
  t.teardown(() => database.close())
  const columns = ['first', 'last', 'expires', 'attempts', 'waited']
  for (const garbage of ['x', '', -1, 1.5, 1e300, Buffer.from('1')]) {
    for (const column of columns) {
      database.prepare(`update triplets_1 set ${column} = ?`).run(garbage)
      t.equal(await verdict(store, 'a'), 'new', `${column} ${String(garbage)}`)
      t.equal(await verdict(store, 'a'), 'early')
    }
    database.prepare('update rates_1 set free = ?').run(garbage)
    database.prepare('update known_1 set until = ?').run(garbage)
    t.strictSame(await store.known(['a']), [false])
    for await (const entry of all(store)) t.equal(entry.kind, 'triplet', 'what is absent is not listed')
    t.match(await store.hit('a', RATE), { allowed: true })
    await store.know('a', 1e9)
    t.strictSame(await store.known(['a']), [true])
  }
  database.prepare('insert into clients_1 values (?, 1, ?, ?, ?, ?, ?)').run(Buffer.from('c'), 'x', 'x', 'x', 'x', 'c')
  for await (const entry of all(store)) t.not(entry.kind, 'client')
})

t.test('Redis: a key with anything in it is an entry that is absent', { skip: redisServer === null }, async t => {
  const server = await startRedis()
  t.teardown(() => server.remove())
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  const store = redisStore({ client, salt: SALT, prefix: 'p:', timeout: 20_000, onWarning: () => {} })
  await fill(store)
  for (const garbage of fc
    .sample(value, { numRuns: 30, seed: 14 })
    .concat('nan', 'inf', '1e999', '0x7fffffffffffffff')) {
    for (const key of await client.keys('*')) await client.set(key, garbage)
    for await (const entry of all(store)) t.ok(isSound(entry), `${garbage} ${JSON.stringify(entry)}`)
    t.match(await verdict(store, 'a'), /^(?:new|early|pass|known)$/)
    const { wait } = await store.hit('a', RATE)
    t.ok(Number.isFinite(wait) && wait >= 0 && wait <= 1e6, `${garbage}: ${wait}`)
    t.equal((await store.known(['a'])).length, 1)
  }
})
