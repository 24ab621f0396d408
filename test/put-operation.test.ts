// What cannot be put into a store says why, before the store is asked.

import t from 'tap'
import { memoryStore, type PutEntry } from '../lib/stores.ts'

const client = {
  kind: 'client',
  client: 'net:192.0.2.0/24',
  passes: 1,
  last: 1000,
  expires: 9_000_000_000_000,
} as const
const triplet = {
  kind: 'triplet',
  client: 'net:192.0.2.0/24',
  sender: 'anna@example.net',
  recipient: 'bob@example.org',
  first: 1000,
  last: 2000,
  attempts: 2,
  waited: null,
  expires: 9_000_000_000_000,
} as const

t.test('times, counts and ids', async t => {
  const store = memoryStore()
  const cases: [object, RegExp][] = [
    [{ ...client, expires: -1 }, /times are whole numbers of milliseconds since 1970/],
    [{ ...client, last: 1.5 }, /times are whole numbers/],
    [{ ...client, passes: -1 }, /passes is a whole number/],
    [{ ...triplet, first: 3000 }, /first not after last/],
    [{ ...triplet, attempts: 0.5 }, /attempts and waited are whole numbers/],
    [{ ...triplet, waited: -5 }, /attempts and waited are whole numbers/],
    [{ kind: 'known', id: 'xyz', expires: 1 }, /the id is not one of scan/],
    [{ kind: 'known', id: 'abcd', expires: 1 }, /the id is not one of scan/],
    [{ kind: 'known', id: 'abcd', expires: Number.NaN }, /times are whole numbers/],
  ]
  for (const [entry, message] of cases) {
    await t.rejects(store.put(entry as PutEntry, { timeout: 1000 }), { message }, String(message))
  }
  t.equal(await store.put(client, { timeout: 1000 }), true)
  t.equal(await store.put(client, { timeout: 1000 }), false, 'as new as what is there')
  t.equal(await store.put(triplet, { timeout: 1000 }), true)
  t.equal(await store.put({ kind: 'rate', id: 'ab', expires: 1 } as unknown as PutEntry, { timeout: 1000 }), false)
  await store.close()
})
