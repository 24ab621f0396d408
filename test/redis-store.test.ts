import { Redis } from 'ioredis'
import t from 'tap'
import { redisStore, type RedisClient, type Store } from '../lib/stores.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'
import { failure } from './fixtures/store-failure.ts'
import { request, timed, verdict } from './fixtures/stores.ts'

const SALT = 'a salt for the tests only'

/** A client whose commands are answered by the test. */
function answering(call: (command: string, args: readonly (string | number)[]) => Promise<unknown>): RedisClient {
  return { call: (command, ...args) => call(command, args) }
}

function over(client: RedisClient, change: object = {}): Store {
  return redisStore({ client, salt: SALT, onWarning: () => {}, ...change })
}

t.test("the server's errors, by kind", async t => {
  const kinds = {
    'OOM command not allowed when used memory > maxmemory': 'full',
    "READONLY You can't write against a read only replica.": 'readonly',
    'MISCONF Redis is configured to save RDB snapshots': 'readonly',
    'BUSY Redis is busy running a script.': 'busy',
    'LOADING Redis is loading the dataset in memory': 'down',
    'MOVED 3999 127.0.0.1:6381': 'down',
    'NOAUTH Authentication required.': 'down',
    'Command timed out': 'timeout',
    'Socket timeout. Expecting data, but did not receive any in 1000ms.': 'timeout',
    'Connection is closed.': 'down',
    "Stream isn't writeable and enableOfflineQueue options is false": 'down',
  } as const
  for (const [message, kind] of Object.entries(kinds)) {
    const store = over(answering(() => Promise.reject(new Error(message))))
    await t.rejects(store.known(['a']), { ...failure(kind), message: `Redis: ${message}` })
  }
})

t.test('a client without limits of its own: calls end by their deadline, and only so many wait', async t => {
  const sent: string[] = []
  const store = over(
    answering(command => {
      sent.push(command)
      return new Promise(() => {})
    }),
    { timeout: 50, maxWaiting: 10 },
  )
  const calls = Array.from({ length: 15 }, () => timed(store.known(['a'])))
  const kinds = (await Promise.all(calls)).map(({ kind }) => kind)
  t.strictSame(new Set(kinds), new Set(['busy', 'timeout']))
  t.equal(sent.length, 10)
  await store.close()
})

t.test('options that make no sense are refused', t => {
  const client = answering(async () => null)
  const salt = SALT
  const url = 'redis://127.0.0.1'
  for (const options of [
    { salt },
    { salt, url, client },
    { url, salt: undefined as unknown as string },
    { salt: 'short', url },
    { salt, url, maxWaiting: 0 },
    { salt, url, timeout: 0 },
  ]) {
    t.throws(() => redisStore(options), { code: 'ERR_OPTION' })
  }
  t.end()
})

t.test('a server that would not drop the right entries is warned of, once', { skip: skipped() }, async t => {
  const server = await startRedis()
  t.teardown(() => server.remove())
  const told = async (): Promise<string[]> => {
    const warnings: string[] = []
    const store = redisStore({
      url: server.url,
      salt: SALT,
      timeout: 20_000,
      onWarning: text => void warnings.push(text),
    })
    for (let i = 0; i < 3; i++) await verdict(store, 'a')
    await store.stats() // The answer to an earlier command has come.
    await store.close()
    return warnings
  }
  t.match(await told(), [/maxmemory 0 and maxmemory-policy noeviction: set a limit and volatile-ttl/])
  await server.command('CONFIG SET maxmemory 100mb')
  t.match(await told(), [/maxmemory-policy noeviction/])
  await server.command('CONFIG SET maxmemory-policy volatile-ttl')
  t.strictSame(await told(), [])
})

t.test("a client of one's own is used, and not closed", { skip: skipped() }, async t => {
  const server = await startRedis()
  t.teardown(() => server.remove())
  const client = new Redis(server.url)
  const store = over(client as RedisClient, { prefix: 'mine:', timeout: 20_000 })
  t.equal(await verdict(store, 'a'), 'new')
  await store.close()
  t.match(await client.keys('*'), [/^mine:\{[\w-]{14}\}:[\w-]{14}$/])
  t.equal(await client.ping(), 'PONG')
  client.disconnect()
})

t.test('what is in the server: digests, texts in clear or none, and a time to live', { skip: skipped() }, async t => {
  const server = await startRedis()
  t.teardown(() => server.remove())
  const client = new Redis(server.url)
  for (const privacy of [false, true]) {
    const store = redisStore({ url: server.url, salt: SALT, privacy, timeout: 20_000, onWarning: () => {} })
    await store.greylist({ ...request('net:192.0.2.0/24'), reason: 'no reverse name' })
    const [key = ''] = await client.keys('*')
    const value = await client.get(key)
    if (privacy) t.match(value, /^1\t\d+\t\d+\t\d+\t\t1\t0\t\t\t$/)
    else t.match(value, /^1\t\d+\t\d+\t\d+\t\t1\t0\tnet:192\.0\.2\.0\/24\texample\.org\tno reverse name$/)
    const ttl = await client.pttl(key)
    t.ok(ttl > 86_000_000 && ttl <= 86_400_001, String(ttl))
    await client.flushall()
    await store.close()
  }
  client.disconnect()
})

function skipped(): string | false {
  return redisServer === null && 'no redis-server: .ci/install-clients'
}
