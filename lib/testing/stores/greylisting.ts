// What every store does for `greylist` and `accept`.

import assert from 'node:assert/strict'
import type { Store } from '../../stores/store.ts'
import { attempt, RULES, verdict, type Bench, type Cases } from './fixture.ts'

const HOUR = 3_600_000

async function firstRetryKnown(bench: Bench): Promise<void> {
  const store = await bench.open()
  const { clock } = bench
  const start = clock.now()
  const said = async (): Promise<unknown> => (await store.greylist(attempt('c'))).recipients[0]
  assert.deepEqual(await said(), { verdict: 'new', wait: 1000, first: start, attempts: 1 })
  clock.move(999)
  assert.deepEqual(await said(), { verdict: 'early', wait: 1, first: start, attempts: 2 })
  clock.move(1)
  assert.deepEqual(await said(), { verdict: 'pass', wait: 0, first: start, attempts: 3 })
  clock.move(1)
  assert.deepEqual(await said(), { verdict: 'known', wait: 0, first: start, attempts: 4 })
}

async function tripletIsAllThree(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.greylist(attempt('c'))
  bench.clock.move(1000)
  assert.equal(await verdict(store, attempt('other')), 'new')
  assert.equal(await verdict(store, attempt('c', 'carl@example.net')), 'new')
  assert.equal(await verdict(store, attempt('c', undefined, { sender: 'eve@example.org' })), 'new')
  assert.equal(await verdict(store, attempt('c', undefined, { sender: '' })), 'new')
  assert.equal(await verdict(store, attempt('c')), 'pass')
}

async function waitsAreNeitherCutNorRestarted(bench: Bench): Promise<void> {
  const store = await bench.open()
  const { wait } = (await store.greylist(attempt('c'))).recipients[0]!
  for (let passed = 100; passed < 1000; passed += 100) {
    bench.clock.move(100)
    const again = (await store.greylist(attempt('c'))).recipients[0]!
    assert.deepEqual([again.verdict, again.wait], ['early', wait - passed])
  }
  bench.clock.move(100)
  assert.equal(await verdict(store, attempt('c')), 'pass')
}

async function restartsOnlyIfTheRulesSaySo(bench: Bench): Promise<void> {
  const store = await bench.open()
  const request = attempt('c', undefined, { rules: { ...RULES, restartWithin: 500 } })
  assert.equal(await verdict(store, request), 'new')
  bench.clock.move(499)
  assert.deepEqual((await store.greylist(request)).recipients[0], {
    verdict: 'early',
    wait: 1000,
    first: bench.clock.now(),
    attempts: 2,
  })
  bench.clock.move(999)
  assert.equal(await verdict(store, request), 'early')
  bench.clock.move(1)
  assert.equal(await verdict(store, request), 'pass')
}

async function recordsAllRecipients(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.greylist(attempt('c', 'anna@example.net'))
  bench.clock.move(1000)
  const recipients = ['carl@example.net', 'anna@example.net', 'carl@example.net', 'dora@example.net']
  const result = await store.greylist(attempt('c', undefined, { recipients }))
  const said = result.recipients.map(each => `${each.verdict} ${each.attempts}`)
  assert.deepEqual(said, ['new 1', 'pass 2', 'new 1', 'new 1'])
  bench.clock.move(1000)
  const again = await store.greylist(attempt('c', undefined, { recipients }))
  const verdicts = again.recipients.map(each => each.verdict)
  assert.deepEqual(verdicts, ['pass', 'known', 'pass', 'pass'])
}

async function manyRecipients(bench: Bench): Promise<void> {
  const store = await bench.open()
  const recipients = Array.from({ length: 1000 }, (_, i) => `user${i}@example.net`)
  const request = attempt(['name:example.org', 'net:192.0.2.0/24'], undefined, { recipients })
  const all = async (): Promise<Set<string>> => {
    const { recipients } = await store.greylist(request, { timeout: 5000 })
    assert.equal(recipients.length, 1000)
    return new Set(recipients.map(each => each.verdict))
  }
  assert.deepEqual(await all(), new Set(['new']))
  bench.clock.move(1000)
  assert.deepEqual(await all(), new Set(['pass']))
}

async function forgetsAndRenews(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.greylist(attempt('late'))
  bench.clock.move(RULES.window)
  assert.equal(await verdict(store, attempt('late')), 'pass', 'at the end of the window')
  await store.greylist(attempt('too late'))
  bench.clock.move(RULES.window + 1)
  assert.equal(await verdict(store, attempt('too late')), 'new')
  assert.equal(await verdict(store, attempt('late')), 'known')
  for (let i = 0; i < 3; i++) {
    bench.clock.move(RULES.life)
    assert.equal(await verdict(store, attempt('late')), 'known', 'each use renews it')
  }
  bench.clock.move(RULES.life + 1)
  assert.equal(await verdict(store, attempt('late')), 'new')
}

async function looksUnderAllClientKeys(bench: Bench): Promise<void> {
  const store = await bench.open()
  assert.equal(await verdict(store, attempt('net:192.0.2.0/24')), 'new')
  bench.clock.move(600)
  const both = attempt(['name:example.org', 'net:192.0.2.0/24'])
  assert.equal(await verdict(store, both), 'early', 'a name that comes late does not begin the wait again')
  bench.clock.move(400)
  const elsewhere = attempt(['name:example.org', 'net:198.51.100.0/24'])
  assert.equal(await verdict(store, elsewhere), 'pass', 'the pool retries from another network')
  assert.equal(await verdict(store, attempt('net:198.51.100.0/24')), 'known', 'recorded under each key')
  assert.equal(await verdict(store, attempt('net:192.0.2.0/24')), 'pass')
  assert.equal(await verdict(store, attempt('net:203.0.113.0/24')), 'new')
}

/** Sends a message of one triplet until it is accepted. */
async function accepted(store: Store, bench: Bench, recipient: string, change = {}): Promise<boolean> {
  const request = attempt('c', recipient, change)
  await store.greylist(request)
  bench.clock.move(1000)
  assert.ok(['pass', 'known', 'allowed'].includes(await verdict(store, request)))
  return store.accept(request)
}

async function allowsAfterAcceptedMessages(bench: Bench): Promise<void> {
  const store = await bench.open()
  const stranger = attempt('c', 'zoe@example.net')
  assert.equal(await accepted(store, bench, 'anna@example.net'), true)
  assert.equal(await accepted(store, bench, 'carl@example.net'), false, 'too soon after the first')
  bench.clock.move(600_000)
  assert.equal(await accepted(store, bench, 'anna@example.net'), false, 'a triplet counts once')
  assert.equal(await verdict(store, stranger), 'new')
  assert.equal(await accepted(store, bench, 'carl@example.net'), true, 'it has not counted yet')
  assert.deepEqual(await store.greylist(stranger), {
    recipients: [{ verdict: 'allowed', wait: 0, first: bench.clock.now(), attempts: 1 }],
    allowedBy: 'c',
  })
  bench.clock.move(RULES.life)
  assert.equal(await verdict(store, stranger), 'allowed', 'each use renews it')
  bench.clock.move(RULES.life + 1)
  assert.equal(await verdict(store, stranger), 'new')
}

async function waitingDoesNotAllow(bench: Bench): Promise<void> {
  const store = await bench.open()
  for (const recipient of ['a@example.net', 'b@example.net', 'c@example.net']) {
    const request = attempt('c', recipient)
    await store.greylist(request)
    assert.equal(await store.accept(request), false, 'it has not passed')
    bench.clock.move(1000)
    assert.equal(await verdict(store, request), 'pass')
    bench.clock.move(HOUR / 2) // Passed, but never accepted.
  }
  assert.equal(await verdict(store, attempt('c', 'zoe@example.net')), 'new')
}

async function someKeysNeverAllow(bench: Bench): Promise<void> {
  const store = await bench.open()
  const clients = [{ key: 'c', autoAllow: false }]
  for (const recipient of ['a@example.net', 'b@example.net', 'c@example.net']) {
    assert.equal(await accepted(store, bench, recipient, { clients }), false)
    bench.clock.move(600_000)
  }
  assert.equal(await verdict(store, attempt('c', 'zoe@example.net', { clients })), 'new')
  const off = { rules: { ...RULES, autoAllow: null } }
  assert.equal(await accepted(store, bench, 'd@example.net', off), false)
}

async function allowedByOneKeyOnly(bench: Bench): Promise<void> {
  const store = await bench.open()
  await accepted(store, bench, 'a@example.net')
  bench.clock.move(600_000)
  await accepted(store, bench, 'b@example.net')
  const both = attempt(['x', 'c'], 'zoe@example.net')
  assert.equal((await store.greylist(both)).allowedBy, 'c')
  const refused = { clients: [{ key: 'x' }, { key: 'c', autoAllow: false }] }
  const result = await store.greylist(attempt('c', 'zoe@example.net', refused))
  assert.deepEqual([result.allowedBy, result.recipients[0]?.verdict], [null, 'new'])
}

async function futureCountsAsNew(bench: Bench): Promise<void> {
  const store = await bench.open()
  await store.greylist(attempt('waits'))
  await store.greylist(attempt('passed'))
  bench.clock.move(1000)
  assert.equal(await verdict(store, attempt('passed')), 'pass')
  bench.clock.move(-HOUR)
  for (const client of ['waits', 'passed']) {
    const { verdict, wait } = (await store.greylist(attempt(client))).recipients[0]!
    assert.deepEqual([verdict, wait], ['new', RULES.delay], client)
  }
  bench.clock.move(1000)
  for (const client of ['waits', 'passed']) assert.equal(await verdict(store, attempt(client)), 'pass')
}

/** @internal */
export const greylistingCases: Cases = {
  'a first sight, a retry too early, one in time, a known triplet': firstRetryKnown,
  'a triplet is client, sender and recipient': tripletIsAllThree,
  'a retry too early neither shortens nor restarts a wait': waitsAreNeitherCutNorRestarted,
  'a retry too early restarts the wait if the rules say so': restartsOnlyIfTheRulesSaySo,
  'all recipients of an attempt are recorded': recordsAllRecipients,
  'a thousand recipients at once': manyRecipients,
  'entries are forgotten in time, and use renews them': forgetsAndRenews,
  'an attempt is looked up and recorded under all client keys': looksUnderAllClientKeys,
  'a client is allowed after accepted messages, far enough apart': allowsAfterAcceptedMessages,
  'without an accepted message nothing counts': waitingDoesNotAllow,
  'a key that must not allow never does': someKeysNeverAllow,
  'one allowed key is enough': allowedByOneKeyOnly,
  'an entry from the future counts as new': futureCountsAsNew,
}
