import t from 'tap'
import { redisStore } from '../lib/stores.ts'
import { storeContract } from '../lib/testing/index.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'

const SALT = 'a salt for the tests only'

if (redisServer === null) t.plan(0, 'no redis-server: .ci/install-clients')
else {
  const server = await startRedis()
  t.teardown(() => server.remove())
  let fixtures = 0
  storeContract((name, run) => t.test(name, run), {
    shared: true,
    decisions: 20_000,
    fixture() {
      const prefix = `[test*]${fixtures++}:`
      const settings = { url: server.url, salt: SALT, prefix }
      return {
        open: options => redisStore({ ...settings, timeout: 20_000, onWarning: () => {}, ...options }),
        child: {
          module: new URL('./fixtures/redis-child.js', import.meta.url).href,
          argument: JSON.stringify(settings),
        },
      }
    },
  })
}
