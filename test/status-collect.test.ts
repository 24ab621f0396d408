// What the status page is told: decisions, waits and passes of real sessions, masked, counted and bounded.

import t from 'tap'
import { publishFailure } from '../lib/policies/diagnostics.ts'
import { MOST_SHOWN } from '../lib/cli/status/batch.ts'
import { StatusBook, type StatusState } from '../lib/cli/status/book.ts'
import { collectStatus, type CollectOptions } from '../lib/cli/status/collect.ts'
import type { StatusBatch } from '../lib/cli/status/facts.ts'
import { shownBy } from '../lib/cli/status/mask.ts'
import { channels } from '../lib/smtp/diagnostics.ts'
import { connectionChannel } from '../lib/server/diagnostics.ts'
import { allowRecipients } from '../lib/policies/allow-recipients.ts'
import { suspicionChannel } from '../lib/policies/suspicion/diagnostics.ts'
import type { Session } from '../lib/smtp/session.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { reply } from '../lib/words/reply.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError } from '../lib/stores/store-error.ts'
import { DAY, MINUTE, World, type WorldOptions } from './fixtures/greylisting.ts'
import type { Test } from 'tap'

/** A server that is collected from; `state` gives what a page would show. */
function watched(t: Test, options: WorldOptions = {}, more: Partial<CollectOptions> = {}) {
  const world = new World(options)
  const { clock } = world
  const book = new StatusBook({ window: DAY, clock })
  const batches: StatusBatch[] = []
  const tell = (batch: StatusBatch): void => {
    batches.push(batch)
    book.add(1, batch)
  }
  t.teardown(collectStatus({ mask: true, stats: () => null, clock, tell, ...more }))
  const state = async (): Promise<StatusState> => {
    await clock.tick(250)
    return book.state()
  }
  return { world, clock, book, batches, state }
}

t.test('a client waits, comes too early, passes, and its message is accepted', async t => {
  const { world, state } = watched(t)
  await world.send()
  const first = await state()
  t.match(first, { sessions: 0, waiting: 1, sums: { ruleDeferred: 1, accepted: 0 } })
  t.match(first.waits, [
    { client: '192.0.2.7', sender: '…@example.net', recipient: '…@example.org', attempts: 1, observed: false },
  ])
  t.equal(first.waits[0]!.until - first.waits[0]!.since, MINUTE)
  await world.later(10_000)
  t.match((await state()).waits, [{ attempts: 2 }])
  await world.later(MINUTE)
  const last = await state()
  t.equal(last.waiting, 0)
  t.match(last.passes, [{ attempts: 3, sender: '…@example.net' }])
  t.ok(last.passes[0]!.after >= MINUTE + 10_000)
  t.match(last.decisions, [
    { outcome: 'accepted', rule: 'delivery', reason: /^250/ },
    { outcome: 'passes', rule: 'greylist', reason: 'retry after the delay' },
    { outcome: 'waits', rule: 'greylist', reason: 'retry too early' },
    { outcome: 'waits', rule: 'greylist', reason: 'first attempt' },
  ])
  t.strictSame(
    last.rules.map(({ name, outcome, count }) => `${name} ${outcome} ${count}`),
    [
      'greylist passes: retry after the delay 1',
      'greylist waits: first attempt 1',
      'greylist waits: retry too early 1',
    ],
  )
  t.match(last.sums, { accepted: 1, ruleDeferred: 2 })
  t.ok(last.store.answered)
})

t.test('known and allowed clients, <>, and those that are left alone, with the reason', async t => {
  const { world, state } = watched(t)
  await world.send()
  await world.later(MINUTE)
  await world.send()
  t.match((await state()).decisions[1], { outcome: 'passes', reason: 'has passed before' })
  await world.send({ sender: '' })
  t.match((await state()).decisions[0], { outcome: 'waits', sender: '<>' })
  await world.send({ client: '127.0.0.1' })
  t.match((await state()).decisions[1], { outcome: 'passes', reason: 'local client', client: '127.0.0.1' })

  const before: Policy[] = [{ onConnect: session => void (session.trusted = 'friend of joe@example.org') }]
  const trusted = watched(t, { before })
  await trusted.world.send()
  t.match((await trusted.state()).decisions[1], { reason: 'trusted client; friend of …@example.org' })
})

t.test('in observe mode nobody waits: it says would wait', async t => {
  const { world, state } = watched(t, { mode: 'observe' })
  await world.send()
  const { decisions, waits, rules, sums } = await state()
  t.match(decisions, [{ outcome: 'accepted' }, { outcome: 'would wait' }])
  t.match(waits, [{ observed: true }])
  t.match(rules, [{ outcome: 'would wait: first attempt' }])
  t.equal(sums.ruleDeferred, 0)
})

t.test('refusals at every step name the client, and whom it named', async t => {
  const refusing = (hook: string): Policy[] => [
    { name: 'strict', [hook]: () => reply(550, '5.7.1', 'No <joe@x.example>') },
  ]
  const seen: [hook: string, outcome: string, sender: string, recipient: string][] = [
    ['onData', 'refused at DATA', '…@example.net', '…@example.org'],
    ['onRcptTo', 'refused at RCPT', '…@example.net', '…@example.org'],
  ]
  for (const [hook, outcome, sender, recipient] of seen) {
    const { world, state } = watched(t, { before: refusing(hook) })
    await world.send({ client: '127.0.0.1' })
    const { decisions, rules, sums } = await state()
    const row = decisions.find(({ rule }) => rule === 'strict')
    t.match(row, { outcome: 'refused', reason: '550 5.7.1 No <…@x.example>', sender, recipient }, hook)
    t.match(
      rules.find(({ name }) => name === 'strict'),
      { outcome },
      hook,
    )
    t.equal(sums.ruleRefused, 1)
  }
  const { world, state } = watched(t, { before: [allowRecipients(['example.com'])] })
  await world.send({ to: ['a@example.org', 'b@example.org'] })
  t.equal((await state()).sums.ruleRefused, 2)
})

t.test('a refusal before a transaction, by events alone', async t => {
  const { world, state } = watched(t)
  const { session } = await world.send({ client: '127.0.0.1' })
  const strange = { session, policy: 'strict', reply: reply(421, '4.7.0', 'Later') }
  channels.refusal.publish({ ...strange, hook: 'onConnect' })
  channels.command.publish({ session, verb: 'MAIL', argument: 'FROM:<eve@evil.example> SIZE=1' })
  channels.refusal.publish({ ...strange, hook: 'onMailFrom' })
  const bare = { client: { address: null }, envelope: null } as unknown as Session
  channels.refusal.publish({ ...strange, session: bare, hook: 'onConnect' })
  channels.command.publish({ session, verb: 'RCPT', argument: null })
  channels.refusal.publish({ ...strange, hook: 'onSomething' })
  const { decisions, rules } = await state()
  t.match(decisions.slice(0, 4), [
    { outcome: 'deferred', sender: '', recipient: '' },
    { outcome: 'deferred', client: 'unknown', sender: '', recipient: '' },
    { outcome: 'deferred', sender: '…@evil.example', recipient: '' },
    { outcome: 'deferred', sender: '', recipient: '' },
  ])
  const outcomes = rules.filter(({ name }) => name === 'strict').map(({ outcome }) => outcome)
  t.strictSame(outcomes, ['deferred at connection', 'deferred at MAIL', 'deferred at onSomething'])
})

t.test('messages that are refused or lost; the rule that refused is named once', async t => {
  const behind: Policy[] = [{ name: 'scanner', onData: () => undefined }]
  const { world, state } = watched(t, { behind })
  const mail = { client: '127.0.0.1', to: ['a@example.org', 'b@example.org'], verdict: reply(550, '5.6.0', 'No') }
  const { session, envelope } = await world.send(mail)
  const { decisions, sums } = await state()
  t.match(decisions[0], { outcome: 'refused', rule: 'handler', reason: '550 5.6.0 No (2 recipients)' })
  t.equal(decisions.filter(({ outcome }) => outcome === 'refused').length, 1)
  t.match(sums, { refused: 1, ruleRefused: 1 })
  channels.transaction.publish({ session, envelope: envelope!, octets: 0, milliseconds: 1, verdict: [] })
  t.match((await state()).decisions[0], { outcome: 'lost', rule: 'delivery' })
})

t.test('signs, connections, sessions', async t => {
  const { world, state, book } = watched(t)
  const { session, envelope } = await world.send()
  const sign = (name: 'noTls' | 'listed') => ({ sign: name, weight: 1 })
  const suspicion = { score: 2, signs: [sign('noTls'), sign('listed')], suspicious: false }
  suspicionChannel.publish({ session, envelope: envelope!, suspicion, refused: false })
  suspicionChannel.publish({
    session,
    envelope: envelope!,
    suspicion: { ...suspicion, signs: [sign('listed')] },
    refused: false,
  })
  const end = { address: '192.0.2.1', port: 1 }
  const event = { client: end, local: end, proxy: null, refusal: null, error: null }
  connectionChannel.publish({ ...event, event: 'accepted' })
  connectionChannel.publish({ ...event, event: 'refused', refusal: 'shutdown' })
  channels.session.publish({ event: 'start', session })
  const now = await state()
  t.strictSame(now.signs, [
    { name: 'listed', count: 2 },
    { name: 'noTls', count: 1 },
  ])
  t.equal(now.sums.connectionRefused, 1)
  t.equal(now.sessions, 1)
  book.forget(1)
  book.forget(2)
  t.equal(book.state().sessions, 0, 'a process that ended has no sessions')
})

t.test('the store: counts, failures, and what no one can count', async t => {
  let answer: () => Promise<never> | null = () => null
  const { world, clock, state } = watched(t, { onStoreError: 'accept' }, { stats: () => answer() })
  await clock.tick(1000)
  t.equal((await state()).store.entries, null)
  const entries = { unconfirmed: 1, passed: 2, clients: 3, rates: 4, known: 5, octets: null }
  answer = () => Promise.resolve(entries) as Promise<never>
  await clock.tick(30_000)
  t.match((await state()).store, { entries, failed: null })
  answer = () => Promise.reject(new Error('no file of joe@example.org'))
  await clock.tick(30_000)
  const { store, sums } = await state()
  t.match(store, { entries, failed: { error: 'no file of …@example.org' } })
  t.equal(sums.storeFailed, 1)
  const { session } = await world.send()
  publishFailure('rateLimit', session, new StoreError('down', 'gone'))
  t.equal((await state()).sums.storeFailed, 2)
})

t.test('a store that fails a decision', async t => {
  const store = {
    ...circuitBreaker(memoryStore()),
    greylist: () => Promise.reject(new StoreError('down', 'it is down')),
  }
  for (const [onStoreError, outcome] of [
    ['accept', 'passes'],
    ['defer', 'waits'],
  ] as const) {
    const { world, state } = watched(t, { store, onStoreError })
    await world.send()
    const { decisions, waiting, sums } = await state()
    t.match(
      decisions.find(({ rule }) => rule === 'greylist'),
      { outcome, reason: /^no answer from the store; / },
    )
    t.equal(waiting, 0)
    t.equal(sums.storeFailed, 1)
  }
})

t.test('what is too much is left out, the newest stays', async t => {
  const { world, state, batches } = watched(t)
  const to = Array.from({ length: 60 }, (_, i) => `user${i}@example.org`)
  for (let i = 0; i < 5; i++) await world.send({ to, sender: `s${i}@example.net` })
  const { decisions, waits, waiting, rules } = await state()
  t.equal(decisions.length, MOST_SHOWN)
  t.equal(waits.length, MOST_SHOWN)
  t.equal(batches.at(-1)!.decisions.length, MOST_SHOWN)
  t.equal(waiting, 200)
  t.match(rules, [{ count: 300 }])
  const { session } = await world.send({ client: '127.0.0.1' })
  for (let i = 0; i < 150; i++) {
    channels.refusal.publish({ session, hook: 'onHelo', policy: `p${i}`, reply: reply(550, '5.7.1', 'No') })
  }
  t.equal((await state()).rules.length, 100)
  const many = watched(t, { decideAt: 'data' })
  await many.world.send({ to })
  t.equal((await many.state()).decisions.length, 20, 'recipients of one decision')
})

t.test('an hour later the counts are gone; a wait goes with its window', async t => {
  const { world, clock, state } = watched(t)
  await world.send()
  t.equal((await state()).minutes.at(-1)!.ruleDeferred, 1)
  await clock.tick(59 * MINUTE)
  const later = await state()
  t.equal(later.minutes.length, 60)
  t.equal(later.minutes[0]!.ruleDeferred, 1)
  await clock.tick(MINUTE)
  const gone = await state()
  t.equal(gone.sums.ruleDeferred, 0)
  t.strictSame(gone.rules, [])
  t.equal(gone.waiting, 1)
  for (let i = 0; i < 100; i++) {
    await clock.tick(MINUTE)
    await world.send({ client: '127.0.0.1' })
  }
  t.equal((await state()).sums.accepted, 60)
  await clock.tick(DAY)
  t.equal((await state()).waiting, 0)
})

t.test('local parts are masked wherever an address is, and kept on request', t => {
  const { address, text } = shownBy({ mask: true })
  t.equal(address('joe@example.org'), '…@example.org')
  t.equal(address('"a@b c"@example.org'), '…@example.org')
  t.equal(address('postmaster'), '…')
  t.equal(address(''), '<>')
  t.equal(
    text('550 <joe@example.org>: no, ask eve@x.example;"j. d"@y.example'),
    '550 <…@example.org>: no, ask …@x.example;…@y.example',
  )
  t.equal(text('"a\\"b"@x.example'), '…@x.example')
  t.equal(text('a\u001bb'), 'a\\x1bb')
  t.notMatch(text(`${'<a@b> '.repeat(665)}x secret`.padEnd(3996, 's') + 'secret@example.org'), 'secr')
  const start = performance.now()
  t.equal(text('"'.repeat(100_000)), '…')
  t.equal(text('@'.repeat(3000)), '…@')
  t.ok(performance.now() - start < 3000)
  const kept = shownBy({ mask: false })
  t.equal(kept.address('joe@example.org'), 'joe@example.org')
  t.equal(kept.text('no joe@example.org\n'), 'no joe@example.org\\x0a')
  t.end()
})
