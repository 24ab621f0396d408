// Redis stopped, frozen, loading, full, read-only, flushed, restarted under load: errors by the deadline, and it comes back.

import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { redisStore, type Store } from '../lib/stores.ts'
import { heapHeld } from './fixtures/memory.ts'
import { redisServer, startRedis, type RedisServer } from './fixtures/redis.ts'
import { failure } from './fixtures/store-failure.ts'
import { request, timed, verdict } from './fixtures/stores.ts'

const SALT = 'a salt for the tests only'
/** Milliseconds: the limit of a call is 300, and the machine of the tests may be very busy. Without one it is for ever. */
const LIMIT = 5000
/** For tests of what a call says: a busy machine must not make it say that its time is over. */
const PATIENT = { timeout: LIMIT - 1000 }

if (redisServer === null) t.plan(0, 'no redis-server: .ci/install-clients')

/** A server and a store on it, for one test. */
async function start(
  t: Test,
  own: { readonly timeout?: number } = {},
  ...options: readonly string[]
): Promise<{ server: RedisServer; store: Store }> {
  const server = await startRedis(...options)
  const store = redisStore({ url: server.url, salt: SALT, onWarning: () => {}, ...own })
  t.teardown(async () => {
    await store.close()
    await server.remove()
  })
  await succeeds(store, 'warm')
  return { server, store }
}

/** Repeats a call until it succeeds; the test's timeout is the limit. */
async function succeeds(store: Store, client: string): Promise<string> {
  for (;;) {
    const said = await verdict(store, client).catch(() => null)
    if (said !== null) return said
    await pause(20)
  }
}

interface Rounds {
  /** The kinds of errors. */
  readonly kinds: Set<string | null>
  /** Milliseconds of the slowest call. */
  readonly slowest: number
  /** Milliseconds of the slowest call of the round in which that took the least: the machine may be busy in others. */
  readonly quickest: number
}

/** Makes rounds of 20 calls. */
async function rounds(store: Store, count: number, wait = 10): Promise<Rounds> {
  const kinds = new Set<string | null>()
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const calls = Array.from({ length: 20 }, (_, j) => timed(store.greylist(request(`${i} ${j}`))))
    const ended = await Promise.all(calls)
    for (const { kind } of ended) kinds.add(kind)
    times.push(Math.max(...ended.map(({ took }) => took)))
    await pause(wait)
  }
  return { kinds, slowest: Math.max(...times), quickest: Math.min(...times) }
}

t.test('stopped: calls fail at once, and it comes back', async t => {
  const { server, store } = await start(t, PATIENT)
  await server.kill()
  await pause(50)
  const { kinds, quickest } = await rounds(store, 10)
  t.strictSame(kinds, new Set(['down']))
  t.ok(quickest < 200, `the slowest of the quickest round took ${quickest.toFixed()} ms`)
  await server.start()
  t.equal(await succeeds(store, 'warm'), 'new', 'it kept nothing, and begins cold')
})

t.test('not there at the start: the same', async t => {
  const { server } = await start(t)
  await server.kill()
  const store = redisStore({ url: server.url, salt: SALT, onWarning: () => {}, ...PATIENT })
  t.teardown(() => store.close())
  const { kinds, slowest } = await rounds(store, 5)
  t.strictSame(kinds, new Set(['down']))
  t.ok(slowest < LIMIT, `the slowest took ${slowest.toFixed()} ms`)
  await server.start()
  t.equal(await succeeds(store, 'a'), 'new')
})

t.test('frozen: calls fail by their deadline, memory is flat, and it comes back', async t => {
  const { server, store } = await start(t)
  server.process.kill('SIGSTOP')
  t.teardown(() => void server.process.kill('SIGCONT'))
  const { kinds, slowest } = await rounds(store, 5)
  t.strictSame(
    [...kinds].filter(kind => kind !== 'timeout' && kind !== 'down'),
    [],
  )
  t.ok(slowest < LIMIT, `the slowest took ${slowest.toFixed()} ms`)
  const heaps: number[] = []
  for (let i = 0; i < 6; i++) {
    await Promise.all(Array.from({ length: 1000 }, (_, j) => timed(store.greylist(request(`flood ${i} ${j}`)))))
    await pause(500)
    heaps.push(heapHeld())
  }
  const grown = (heaps[5]! - heaps[1]!) / 2 ** 20
  t.ok(grown < 2, `${grown.toFixed(1)} MiB more after 4,000 calls more`)
  server.process.kill('SIGCONT')
  t.match(await succeeds(store, 'warm'), /^(?:early|new)$/)
})

t.test('loading its data: calls fail at once, and then all is there', async t => {
  const { server, store } = await start(t, {}, '--enable-debug-command', 'yes', '--dbfilename', 'test.rdb')
  await server.command('DEBUG POPULATE 1500')
  t.equal(await server.command('SAVE'), '+OK')
  await server.kill()
  await server.start('--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024')
  const { kinds, slowest } = await rounds(store, 3)
  t.ok(kinds.has('down'), [...kinds].join())
  t.ok(slowest < LIMIT, `the slowest took ${slowest.toFixed()} ms`)
  t.equal(await succeeds(store, 'warm'), 'early')
})

t.test('full: an error, and it comes back', async t => {
  const { server, store } = await start(t, PATIENT)
  await server.command('CONFIG SET maxmemory 1mb')
  await t.rejects(store.greylist(request('a')), failure('full'))
  await t.rejects(store.hit('a', { limit: 1, per: 1000 }), failure('full'))
  t.strictSame(await store.known(['a']), [false], 'what only reads goes on')
  await server.command('CONFIG SET maxmemory 0')
  t.equal(await succeeds(store, 'a'), 'new')
})

t.test('a replica: an error, and it comes back when it is a primary', async t => {
  const { server, store } = await start(t, PATIENT)
  await server.command('REPLICAOF 127.0.0.1 1')
  const { kind } = await timed(store.greylist(request('a')))
  t.equal(kind, 'readonly')
  const { slowest } = await rounds(store, 5)
  t.ok(slowest < LIMIT, `the slowest took ${slowest.toFixed()} ms`)
  await server.command('REPLICAOF NO ONE')
  t.equal(await succeeds(store, 'warm'), 'early')
})

t.test('flushed: it begins cold; scripts flushed: nothing is seen of it', async t => {
  const { server, store } = await start(t, PATIENT)
  t.equal(await verdict(store, 'warm'), 'early')
  await server.command('SCRIPT FLUSH')
  t.equal(await verdict(store, 'warm'), 'early')
  await server.command('FLUSHALL')
  t.equal(await verdict(store, 'warm'), 'new')
})

t.test('a value of another version or of another program counts as absent', async t => {
  const { server, store } = await start(t, PATIENT)
  const overwriteAll = `"for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('SET', key, '2 something') end"`
  await store.know('k', 60_000)
  await store.hit('r', { limit: 1, per: 60_000 })
  await server.command(`EVAL ${overwriteAll} 0`)
  t.equal(await verdict(store, 'warm'), 'new')
  t.equal(await verdict(store, 'warm'), 'early')
  t.strictSame(await store.known(['k']), [false])
  t.equal((await store.hit('r', { limit: 1, per: 60_000 })).allowed, true)
})

t.test('restarted under load: no call waits longer than its limit', async t => {
  const { server, store } = await start(t)
  const stop = new AbortController()
  const times: number[] = []
  let failed = 0
  const loop = async (i: number): Promise<void> => {
    while (!stop.signal.aborted) {
      const { took, kind } = await timed(store.greylist(request(`client ${i}`)))
      times.push(took)
      if (kind !== null) {
        failed++
        await pause(5)
      }
    }
  }
  const loops = Array.from({ length: 50 }, (_, i) => loop(i))
  for (let i = 0; i < 3; i++) {
    await pause(300)
    await server.kill()
    await pause(200)
    await server.start()
  }
  await succeeds(store, 'after')
  stop.abort()
  await Promise.all(loops)
  const slowest = Math.max(...times)
  t.ok(failed > 0, `${failed} of ${times.length} calls failed`)
  t.ok(slowest < LIMIT, `the slowest took ${slowest.toFixed()} ms`)
})
