// Redis at its maxmemory with volatile-ttl: strangers push out strangers, never what has passed.

import t from 'tap'
import { defaultRules, redisStore, type GreylistRequest } from '../lib/stores.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'

const SALT = 'a salt for the tests only'
const KNOWN = 300
const DAY = 86_400_000

if (redisServer === null) t.plan(0, 'no redis-server: .ci/install-clients')
else {
  t.test('a flood of first sights leaves what has passed, what is counted and what is known', async t => {
    const server = await startRedis('--maxmemory', '6mb', '--maxmemory-policy', 'volatile-ttl')
    t.teardown(() => server.remove())
    const warnings: string[] = []
    const store = redisStore({
      url: server.url,
      salt: SALT,
      timeout: 20_000,
      onWarning: text => void warnings.push(text),
    })
    t.teardown(() => store.close())
    const request = (client: string): GreylistRequest => {
      return { clients: [{ key: client }], sender: 'a@example.org', recipients: ['b@example.net'], rules: defaultRules }
    }
    const last = Date.now() - 3_600_000
    const times = { first: last - 60_000, last, expires: last + 36 * DAY, attempts: 2, waited: 60_000 }
    const triplet = { kind: 'triplet', sender: 'a@example.org', recipient: 'b@example.net', ...times } as const
    for (let i = 0; i < KNOWN; i++) await store.put({ ...triplet, client: `net:known${i}` })
    await store.know('a correspondent', 60 * DAY)

    const flood = 40_000
    let next = 0
    const loop = async (): Promise<void> => {
      for (let i = next++; i < flood; i = next++) await store.greylist(request(`net:stranger${i}`))
    }
    await Promise.all(Array.from({ length: 200 }, loop))
    const { unconfirmed, passed, octets } = await store.stats()
    t.equal(passed, KNOWN)
    t.ok(unconfirmed < flood / 2, `only ${unconfirmed} of ${flood} that wait are left`)
    t.ok(octets! < 7 * 2 ** 20, `${octets} octets`)
    for (const i of [0, KNOWN - 1]) {
      t.equal((await store.greylist(request(`net:known${i}`))).recipients[0]!.verdict, 'known')
    }
    t.strictSame(await store.known(['a correspondent']), [true])
    t.strictSame(warnings, [])
  })
}
