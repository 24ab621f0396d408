import t from 'tap'
import { defaultRules, memoryStore, type GreylistRequest, type StoreEntry } from '../lib/stores.ts'

const T0 = 1_700_000_000_000
let now = T0
const clock = { now: () => now }

function request(client: string, recipient = 'to@example.net'): GreylistRequest {
  return { clients: [{ key: client }], sender: 'from@example.org', recipients: [recipient], rules: defaultRules }
}

async function verdict(store: ReturnType<typeof memoryStore>, attempt: GreylistRequest): Promise<string | undefined> {
  return (await store.greylist(attempt)).recipients[0]?.verdict
}

async function entries(store: ReturnType<typeof memoryStore>): Promise<StoreEntry[]> {
  const found: StoreEntry[] = []
  for await (const entry of store.scan()) found.push(entry)
  return found
}

t.beforeEach(() => {
  now = T0
})

t.test('past its cap the unconfirmed entries that were used longest ago go, never passed ones', async t => {
  const store = memoryStore({ clock, limits: { unconfirmed: 10, passed: 5 } })
  await verdict(store, request('good'))
  now += 60_000
  t.equal(await verdict(store, request('good')), 'pass')
  for (let i = 0; i < 100; i++) await verdict(store, request(`stranger ${i}`))
  t.match(await store.stats(), { unconfirmed: 10, passed: 1 })
  t.equal(await verdict(store, request('good')), 'known')
  t.equal(await verdict(store, request('stranger 99')), 'early')
  t.equal(await verdict(store, request('stranger 0')), 'new')
})

t.test('at the cap of passed entries no more are kept, and retries pass all the same', async t => {
  const store = memoryStore({ clock, limits: { passed: 2 } })
  for (const name of ['a', 'b', 'c']) await verdict(store, request(name))
  now += 60_000
  for (const name of ['a', 'b', 'c']) t.equal(await verdict(store, request(name)), 'pass')
  t.match(await store.stats(), { passed: 2, unconfirmed: 1 })
  t.equal(await verdict(store, request('a')), 'known')
  t.equal(await verdict(store, request('c')), 'pass')
  now += defaultRules.window
  t.equal(await verdict(store, request('c')), 'new', 'it was never kept as passed')
})

t.test('rates and known keys are bounded too', async t => {
  const store = memoryStore({ clock, limits: { rates: 10, known: 10 } })
  for (let i = 0; i < 50; i++) {
    await store.hit(`r${i}`, { limit: 5, per: 60_000 })
    await store.know(`k${i}`, 60_000)
  }
  t.match(await store.stats(), { rates: 10, known: 10 })
})

t.test('what has expired goes by itself while others come', async t => {
  const store = memoryStore({ clock })
  for (let i = 0; i < 50; i++) await verdict(store, request(`old ${i}`))
  now += defaultRules.window + 1
  for (let i = 0; i < 50; i++) await verdict(store, request(`fresh ${i}`))
  t.match(await store.stats(), { unconfirmed: 50 })
})

t.test('entries are readable for an administrator, or with privacy not at all', async t => {
  const open = memoryStore({ clock })
  await open.greylist({ ...request('net:192.0.2.0/24'), reason: 'no reverse name\r\n' })
  t.match(await entries(open), [
    {
      kind: 'triplet',
      client: 'net:192.0.2.0/24',
      senderDomain: 'example.org',
      reason: 'no reverse name\\x0d\\x0a',
      id: /^[0-9a-f]{40}$/,
    },
  ])
  t.notMatch(JSON.stringify(await entries(open)), /from@|to@/)
  const closed = memoryStore({ clock, privacy: true })
  await closed.greylist({ ...request('net:192.0.2.0/24'), reason: 'no reverse name' })
  t.match(await entries(closed), [{ client: null, senderDomain: null, reason: null }])
})

t.test('options and arguments that make no sense are refused', async t => {
  t.throws(() => memoryStore({ salt: 'short' }), { code: 'ERR_OPTION' })
  t.throws(() => memoryStore({ timeout: 0 }), { code: 'ERR_OPTION' })
  t.throws(() => memoryStore({ limit: {} } as object), { code: 'ERR_OPTION', message: /did you mean limits\?/ })
  t.throws(() => memoryStore({ limits: { passed: 0 } }), { code: 'ERR_OPTION' })
  const store = memoryStore()
  await t.rejects(store.greylist({ ...request('a'), clients: [] }), { code: 'ERR_OPTION' })
  await t.rejects(store.greylist({ ...request('a'), recipients: [] }), { code: 'ERR_OPTION' })
  await t.rejects(store.hit('a', { limit: 0, per: 1000 }), { code: 'ERR_OPTION' })
  await t.rejects(store.hit('a', { limit: 1, per: 1.5 }), { code: 'ERR_OPTION' })
  await t.rejects(store.know('a', 0), { code: 'ERR_OPTION' })
})
