// The contract suite has to find what is wrong with a store: memory, with one fault each.

import t from 'tap'
import { memoryStore, type GreylistRequest, type Store } from '../lib/stores.ts'
import { storeContract, type StoreContractOptions } from '../lib/testing/index.ts'

/** The names of the cases that fail. */
async function failures(options: StoreContractOptions): Promise<string[]> {
  const cases: [string, () => Promise<void>][] = []
  storeContract((name, run) => cases.push([name, run]), options)
  const failed: string[] = []
  for (const [name, run] of cases) await run().catch(() => failed.push(name))
  return failed
}

type Fault = (store: Store) => Partial<Store>

/** Memory, but for what the fault puts in its place. */
function faulty(fault: Fault): StoreContractOptions {
  const open = (options: Parameters<typeof memoryStore>[0]): Store => {
    const store = memoryStore(options)
    const overrides = fault(store)
    return new Proxy(store, {
      get: (_, name) => {
        const value: unknown = Reflect.get(name in overrides ? overrides : store, name)
        return typeof value === 'function' ? value.bind(store) : value
      },
    })
  }
  return { fixture: () => ({ open }) }
}

function changed(change: (request: GreylistRequest) => Partial<GreylistRequest>): Fault {
  return store => ({
    greylist: (request, options) => store.greylist({ ...request, ...change(request) }, options),
    accept: (request, options) => store.accept({ ...request, ...change(request) }, options),
  })
}

const FAULTS: Record<string, Fault> = {
  'begins the wait again': changed(({ rules }) => ({ rules: { ...rules, restartWithin: rules.delay } })),
  'never begins the wait again': changed(({ rules }) => ({ rules: { ...rules, restartWithin: 0 } })),
  'lets pass a little early': changed(({ rules }) => ({ rules: { ...rules, delay: rules.delay - 1 } })),
  'keeps entries too long': changed(({ rules }) => ({ rules: { ...rules, window: rules.window + 1 } })),
  'knows one client key only': changed(({ clients }) => ({ clients: clients.slice(0, 1) })),
  'knows one recipient only': changed(({ recipients }) => ({ recipients: recipients.map(() => recipients[0]!) })),
  'ignores the sender': changed(() => ({ sender: 'x@example.org' })),
  'never allows': changed(({ rules }) => ({ rules: { ...rules, autoAllow: null } })),
  'allows by any key': changed(({ clients }) => ({ clients: clients.map(({ key }) => ({ key })) })),
  'drops the reason': changed(() => ({ reason: '' })),
  'counts a message at once': store => ({
    accept: (request, options) =>
      store.accept({ ...request, rules: { ...request.rules, autoAllow: { passes: 2, apart: 0 } } }, options),
  }),
  'accepts without counting': () => ({ accept: async () => false }),
  'lets one time too many through': store => ({
    hit: (key, rate, options) => store.hit(key, { ...rate, limit: rate.limit + 1 }, options),
  }),
  'counts looking': store => ({ hit: (key, rate, options) => store.hit(key, { ...rate, cost: 1 }, options) }),
  'forgets known keys': () => ({ know: async () => {} }),
  'knows everybody': () => ({ known: async keys => keys.map(() => true) }),
  'forgets nothing': () => ({ forget: async () => 0 }),
  'puts nothing': () => ({ put: async () => false }),
  'puts over what is newer': store => ({
    put: async (entry, options) => {
      const wasPut = await store.put(entry, options)
      if (!wasPut && 'sender' in entry) await store.forget(entry.client)
      return wasPut || store.put(entry, options)
    },
  }),
  'lengthens what is put': store => ({
    put: (entry, options) => store.put({ ...entry, expires: entry.expires + 1 }, options),
  }),
  'sweeps nothing': () => ({ sweep: async () => 0 }),
  'scans nothing': () => ({ async *scan() {} }),
  'scans all for one client': store => ({ scan: () => store.scan() }),
  'stays open': () => ({ close: async () => {} }),
  'is not atomic': store => {
    const other = memoryStore()
    let turn = 0
    return { greylist: (request, options) => (turn++ % 2 === 0 ? store : other).greylist(request, options) }
  },
}

t.test('memory without a fault passes', async t => {
  t.strictSame(await failures(faulty(() => ({}))), [])
})

for (const [name, fault] of Object.entries(FAULTS)) {
  t.test(`a store that ${name} fails`, async t => {
    const found = await failures(faulty(fault))
    t.not(found.length, 0, found.join(', '))
    t.ok(
      found.some(each => !each.startsWith('agrees with memory')),
      'by a case of its own, not by comparison with memory alone',
    )
  })
}

t.test('stores that claim to share their data but do not fail', async t => {
  const found = await failures({ fixture: () => ({ open: memoryStore }), shared: true, seeds: [] })
  t.match(found.join(', '), /in two stores one is new, two stores share their data.*first sights in two processes/)
})
