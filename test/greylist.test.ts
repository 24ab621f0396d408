// greylist(): who waits, how long, and what is noted of it.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { greylistKey } from '../lib/policies/greylist/decisions.ts'
import { greylistChannel, type GreylistEvent } from '../lib/policies/greylist/diagnostics.ts'
import { greylist } from '../lib/policies/greylist/greylist.ts'
import { greylistFields } from '../lib/policies/greylist/header.ts'
import type { GreylistOptions } from '../lib/policies/greylist/options.ts'
import { suspicionKey, type Suspicion } from '../lib/policies/suspicion/verdict.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { reply } from '../lib/words/reply.ts'
import { DAY, HOUR, MINUTE, SECOND, World, type Mail } from './fixtures/greylisting.ts'

const PASSED = '250 354 250'

t.test('by RFC 6647: 60 s, a window of 24 h, 36 days from the last use', async t => {
  const world = new World()
  const { replies } = await world.send()
  t.strictSame(replies, ['451 4.7.1 Greylisted, try again in 60 seconds'])
  await world.clock.tick(12_345)
  t.strictSame((await world.send()).replies, ['451 4.7.1 Greylisted, try again in 48 seconds'])
  t.equal(await world.later(47_654), '451', 'one millisecond too early')
  t.equal(await world.later(1), PASSED)
  t.equal(await world.later(36 * DAY), PASSED, 'known, and renewed')
  t.equal(await world.later(36 * DAY), PASSED)
  t.equal(await world.later(36 * DAY + 1), '451', 'forgotten')
  t.equal(await world.later(DAY + 1), '451', 'the retry comes too late')
  t.equal(await world.later(DAY), PASSED, 'just in time')
})

t.test('a retry never shortens a wait, and never begins it again', async t => {
  const world = new World()
  await world.send()
  for (let i = 1; i < 60; i++) t.equal(await world.later(SECOND), '451', `${i} s`)
  t.equal(await world.later(SECOND), PASSED)
})

t.test('the triplet: another client, sender or recipient waits', async t => {
  const world = new World()
  await world.send()
  await world.clock.tick(MINUTE)
  for (const other of [{ client: '192.0.3.7' }, { sender: 'carl@example.net' }, { to: ['dora@example.org'] }]) {
    t.equal(await world.codes(other), '451', JSON.stringify(other))
  }
  t.equal(await world.codes({ client: '192.0.2.99', sender: 'ANNA+x@Example.Net', to: ['BOB@example.org'] }), PASSED)
})

t.test('each recipient by itself at RCPT', async t => {
  const world = new World()
  await world.send()
  await world.clock.tick(MINUTE)
  const both = { to: ['bob@example.org', 'dora@example.org'] }
  t.equal(await world.codes(both), `250 451 354 250`)
  t.equal(await world.later(MINUTE, both), '250 250 354 250')
})

t.test('all recipients together at DATA, all recorded in the first round', async t => {
  const world = new World({ decideAt: 'data' })
  const three = { to: ['a@example.org', 'b@example.org', 'c@example.org'] }
  t.equal(await world.codes(three), '250 250 250 451')
  t.equal(await world.later(MINUTE, three), '250 250 250 354 250')
  t.equal(await world.codes({ to: ['a@example.org', 'new@example.org'] }), '250 250 451')
})

t.test('<> is decided at DATA, so that a callback passes', async t => {
  const world = new World()
  t.equal(await world.codes({ sender: '' }), '250 451')
  t.equal(await world.later(MINUTE, { sender: '' }), PASSED)
})

t.test('whom it leaves alone', async t => {
  const marks = {
    client: { onHelo: (session: { trusted: string | null }) => void (session.trusted = 'a partner') },
    recipient: { onRcptTo: (recipient: { trusted: string | null }) => void (recipient.trusted = 'a listed one') },
  }
  const table: [string, World, Mail][] = [
    ['local client', new World(), { client: '127.0.0.1' }],
    ['local client', new World(), { client: '::ffff:127.1.2.3' }],
    ['local client', new World(), { client: '::1' }],
    ['trusted client', new World({ before: [marks.client] }), {}],
    ['trusted recipient', new World({ before: [marks.recipient] }), {}],
    ['postmaster', new World(), { to: ['Postmaster'] }],
    ['postmaster', new World(), { to: ['PostMaster@example.org'] }],
    ['postmaster', new World(), { to: ['abuse@example.org'] }],
    ['sender by option', new World({ senders: { except: ['example.net'] } }), {}],
    ['sender by option', new World({ senders: { only: ['example.com'] } }), {}],
    ['recipient by option', new World({ recipients: { except: ['bob@'] } }), {}],
    ['recipient by option', new World({ recipients: { only: ['.example.org'] } }), {}],
  ]
  for (const [reason, world, mail] of table) {
    for (const decideAt of ['rcpt', 'data'] as const) {
      const { codes, envelope } = await world.send(mail)
      t.equal(codes, PASSED, `${reason} ${decideAt}`)
      t.match(envelope!.notes.get(greylistKey)!.decisions, [{ verdict: 'exempt', reason, waits: false }])
      t.equal((await world.store.stats()).unconfirmed, 0, 'nothing is recorded')
    }
  }
  t.equal(await new World({ recipients: { only: ['example.org'] } }).codes(), '451')
  t.equal(await new World({ senders: { except: ['<>'] } }).codes({ sender: '' }), PASSED)
  t.equal(await new World().codes({ client: null }), '451', 'an address that is not known is no local one')
  t.equal(await new World().codes({ client: '128.0.0.1' }), '451')
})

t.test('observe: decides and counts, holds nothing', async t => {
  const world = new World({ mode: 'observe' })
  const { codes, envelope } = await world.send()
  t.equal(codes, PASSED)
  t.match(envelope!.notes.get(greylistKey), {
    observed: true,
    clients: ['net:192.0.2.0/24'],
    decisions: [{ recipient: 'bob@example.org', verdict: 'new', waits: true, wait: MINUTE, attempts: 1 }],
  })
  t.equal((await world.store.stats()).unconfirmed, 1)
  const enforced = new World({ store: world.store })
  enforced.clock.setWallTime(world.clock.wallTime() + MINUTE)
  await world.clock.tick(MINUTE)
  t.equal(await enforced.codes(), PASSED, 'what was observed counts as the first attempt')
  t.equal(await new World({ mode: 'observe', decideAt: 'data' }).codes(), PASSED)
})

t.test('pools pass once: the confirmed domain is a key beside the network', async t => {
  const pools: [string, Mail[]][] = [
    [
      'Microsoft',
      [
        { client: '40.107.22.54', name: 'mail-db3eur04on2054.outbound.protection.outlook.com' },
        { client: '52.101.65.10', name: 'mail-am0eur02on2010.outbound.protection.outlook.com' },
        { client: '2a01:111:f403:2612::61d', name: 'mail-vi1eur05on2061d.outbound.protection.outlook.com' },
      ],
    ],
    [
      'Google, IPv4 and IPv6 in turn',
      [
        { client: '209.85.218.53', name: 'mail-ej1-f53.google.com' },
        { client: '2a00:1450:4864:20::62f', name: 'mail-ej1-x62f.google.com' },
        { client: '74.125.82.41', name: 'mail-wm1-f41.google.com' },
      ],
    ],
    [
      'SES',
      [
        { client: '54.240.8.62', name: 'a8-62.smtp-out.amazonses.com', sender: '0100018f2a3b4c5d@bounce.example' },
        {
          client: '69.169.224.3',
          name: 'b224-3.smtp-out.eu-central-1.amazonses.com',
          sender: '0100018f2a3b4c99@bounce.example',
        },
        {
          client: '23.251.226.5',
          name: 'e226-5.smtp-out.us-east-2.amazonses.com',
          sender: '0100018f99999999@bounce.example',
        },
      ],
    ],
  ]
  for (const [pool, [first, ...others]] of pools) {
    const world = new World()
    t.equal(await world.codes(first), '451', pool)
    for (const other of others) t.equal(await world.later(MINUTE, other), PASSED, pool)
  }
})

t.test('no stranger gets in by a shared name', async t => {
  const world = new World()
  const zombie = (octet: number): Mail => ({
    client: `198.51.${octet}.7`,
    name: `dsl-198-51-${octet}-7.isp.example`,
  })
  t.equal(await world.codes(zombie(1)), '451')
  t.equal(await world.later(MINUTE, zombie(2)), '451', 'another customer begins anew')
  const vps = (n: number): Mail => ({ client: `203.0.${n}.7`, name: `vps${n}.hoster.example` })
  t.equal(await world.codes(vps(1)), '451')
  t.equal(await world.later(MINUTE, vps(2)), '451')
})

t.test('a name that is looked up late does not start the wait again', async t => {
  const client = { client: '192.0.2.7', name: 'mx1.example.net' }
  const world = new World()
  await world.send(client)
  t.equal(await world.later(MINUTE, { ...client, name: null }), PASSED, 'found by the network')
  const other = new World()
  await other.send({ ...client, name: null })
  t.equal(await other.later(MINUTE, client), PASSED)
})

const judged = (suspicion: Partial<Suspicion>): Policy => ({
  onRcptTo: (_, { notes }) => notes.set(suspicionKey, { score: 0, signs: [], suspicious: false, ...suspicion }),
})
const SIGNS = [
  { sign: 'noReverseName', weight: 2 },
  { sign: 'spfNone', weight: 1 },
] as const

t.test('only the suspicious wait, where a suspicion policy has judged', async t => {
  const fine = new World({ before: [judged({})] })
  const { codes, envelope } = await fine.send()
  t.equal(codes, PASSED)
  t.match(envelope!.notes.get(greylistKey)!.decisions, [{ verdict: 'exempt', reason: 'not suspicious' }])
  t.equal((await fine.store.stats()).unconfirmed, 0)
  t.equal(await new World({ before: [judged({})], hold: 'all' }).codes(), '451')
  const bad = new World({ before: [judged({ signs: SIGNS, score: 3, suspicious: true })] })
  const held = await bad.send()
  t.equal(held.codes, '451')
  t.match(held.envelope!.notes.get(greylistKey)!.decisions, [{ verdict: 'new', reason: 'noReverseName, spfNone' }])
  for await (const entry of bad.store.scan()) t.match(entry, { reason: 'noReverseName, spfNone' })
  t.equal(await bad.later(MINUTE), PASSED)
  t.equal(
    await new World({ before: [judged({ suspicious: true, signs: SIGNS })], decideAt: 'data' }).codes(),
    '250 451',
  )
})

t.test('keys by what the suspicion policy has found', async t => {
  const clients = async (suspicion: Partial<Suspicion>, mail: Mail = {}): Promise<readonly string[]> => {
    const { envelope } = await new World({ hold: 'all', before: [judged(suspicion)] }).send(mail)
    return envelope!.notes.get(greylistKey)!.clients
  }
  const net = 'net:192.0.2.0/24'
  const spf = { result: 'pass', domain: 'example.com', mechanism: 'ip4:192.0.2.0/24', prefix: 24 } as const
  t.strictSame(await clients({ hostName: 'mx.example.net' }), ['name:example.net', net])
  t.strictSame(await clients({ hostName: 'mx.example.net', signs: SIGNS }), [net], 'not with any sign')
  t.strictSame(await clients({ spf }), ['spf:example.com', net])
  for (const other of [
    { result: 'softfail' },
    { mechanism: null },
    { prefix: null },
    { prefix: 8 },
    { mechanism: 'exists:%{i}.example.com', prefix: 32 },
  ] as const) {
    t.strictSame(await clients({ spf: { ...spf, ...other } }), [net], JSON.stringify(other))
  }
})

t.test('auto-allow: 5 accepted messages of different triplets, an hour apart; only a 250 counts', async t => {
  const rounds = async (world: World, extra: Mail): Promise<string> => {
    for (let i = 0; i < 5; i++) {
      const mail = { sender: `s${'abcdefgh'[i]}@example.net`, ...extra }
      await world.send(mail)
      await world.later(MINUTE, mail)
      await world.clock.tick(HOUR)
    }
    return world.codes({ sender: 'somebody@else.example' })
  }
  t.equal(await rounds(new World(), {}), PASSED)
  t.equal(await rounds(new World(), { verdict: reply(550, '5.7.1', 'No') }), '451', 'refused after the dot')
  t.equal(await rounds(new World(), { verdict: reply(451, '4.3.0', 'Later') }), '451')
  t.equal(await rounds(new World({ behind: [{ onRcptTo: () => reply(550, '5.1.1', 'Unknown') }] }), {}), '451')
  t.equal(await rounds(new World({ rules: { autoAllow: null } }), {}), '451')
  t.equal(await rounds(new World(), { lmtp: true }), PASSED)
  t.equal(await rounds(new World(), { lmtp: true, verdict: reply(550, '5.7.1', 'No') }), '451')
})

t.test('nobody auto-allows himself by one triplet or in one hour', async t => {
  const world = new World()
  await world.send()
  for (let i = 0; i < 9; i++) t.equal(await world.later(HOUR, {}), PASSED)
  t.equal(await world.codes({ sender: 'somebody@else.example' }), '451', 'one triplet')
  for (const name of 'abcdefgh') await world.send({ sender: `s${name}@example.net` })
  await world.clock.tick(MINUTE)
  for (const name of 'abcdefgh') await world.send({ sender: `s${name}@example.net` })
  t.equal(await world.codes({ sender: 'somebody.new@else.example' }), '451', 'one hour')
})

t.test('an event for each decision', async t => {
  const events: GreylistEvent[] = []
  const listen = (event: unknown): void => void events.push(event as GreylistEvent)
  subscribe(greylistChannel.name, listen)
  t.teardown(() => unsubscribe(greylistChannel.name, listen))
  const world = new World()
  const { session, envelope } = await world.send({ to: ['bob@example.org', 'postmaster@example.org'] })
  t.match(events, [
    {
      event: 'decided',
      at: 'rcpt',
      observed: false,
      clients: ['net:192.0.2.0/24'],
      decisions: [{ recipient: 'bob@example.org', verdict: 'new', waits: true, wait: MINUTE, age: 0, attempts: 1 }],
    },
    { at: 'rcpt', clients: [], decisions: [{ recipient: 'postmaster@example.org', verdict: 'exempt' }] },
  ])
  t.equal(events[0]!.session, session)
  t.equal(events[0]!.envelope, envelope)
  await world.clock.tick(90 * SECOND)
  await world.send()
  t.match(events.at(-1), { decisions: [{ verdict: 'pass', waits: false, wait: 0, age: 90 * SECOND, attempts: 2 }] })
})

t.test('X-Greylist', async t => {
  const world = new World({ mode: 'observe' })
  const field = async (mail: Mail = {}): Promise<string | undefined> =>
    greylistFields(Object.assign(Object.create(null) as object, await world.send(mail)) as never)[0]?.[1]
  t.equal(await field(), 'would have waited')
  await world.clock.tick(312 * SECOND)
  t.equal(await field(), 'delayed 312 seconds')
  t.equal(await field(), 'passed, known sender')
  t.equal(await field({ to: ['postmaster@example.org'] }), 'passed, postmaster')
  t.strictSame(greylistFields({ envelope: null } as never), [])
})

t.test('presets: the texts, and what is set beside them', async t => {
  t.strictSame((await new World({ preset: 'postgrey' }).send()).replies, [
    '450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/example.org.html',
  ])
  t.strictSame((await new World({ preset: 'kamaelia' }).send()).replies, [
    '250 2.1.5 OK',
    '451 4.7.1 Please try again later',
  ])
  const world = new World({ preset: 'postgrey', rules: { delay: 10 * SECOND }, text: 'Wait {seconds} s at {domain}' })
  t.strictSame((await world.send()).replies, ['450 4.2.0 Wait 10 s at example.org'])
  t.equal(await world.later(10 * SECOND), PASSED)
})

t.test('under the preset postgrey an address gets past greylisting, not its network', async t => {
  for (const [preset, neighbour] of [['postgrey', '450'] as const, ['default', PASSED] as const]) {
    const world = new World({ preset })
    for (let i = 0; i < 5; i++) {
      const to = [`user${i}@example.org`]
      t.notSame(await world.codes({ to }), PASSED)
      t.equal(await world.later(10 * MINUTE, { to }), PASSED)
      await world.clock.tick(HOUR)
    }
    t.equal(await world.codes({ to: ['new@example.org'] }), PASSED, preset)
    t.equal(await world.codes({ client: '192.0.2.8', to: ['new@example.org'] }), neighbour, preset)
  }
})

t.test('options that are wrong', t => {
  const store = memoryStore()
  const table: [object, RegExp][] = [
    [{}, /store is a store, as memoryStore\(\), not undefined/],
    [{ store: {} }, /store is a store/],
    [{ store, delay: 1 }, /delay: there is no such option/],
    [{ store, rules: { dalay: 1 } }, /dalay: there is no such option; did you mean delay/],
    [{ store, rules: { delay: DAY } }, /window is longer than delay/],
    [{ store, preset: 'post' }, /preset is one of default, kamaelia, postgrey, not "post"/],
    [{ store, mode: 'off' }, /mode is one of enforce, observe/],
    [{ store, hold: 'none' }, /hold is one of/],
    [{ store, decideAt: 'mail' }, /decideAt is one of/],
    [{ store, onStoreError: 'panic' }, /onStoreError is one of accept, defer/],
    [{ store, recipients: ['a.example'] }, /recipients is an object/],
    [{ store, recipients: { only: 'a.example' } }, /recipients\.only is a list/],
    [{ store, recipients: { except: ['a b'] } }, /recipients\.except: "a b" is not a domain/],
    [{ store, senders: { exept: [] } }, /senders\.exept: there is no such option; did you mean except/],
    [{ store, text: 'a\r\nb' }, /text is one line/],
    [{ store, text: '{domain}{domain}' }, /text is one line/],
    [{ store, text: 7 }, /text is a text/],
    [{ store, clock: {} }, /clock is an object/],
  ]
  for (const [options, message] of table) {
    t.throws(() => greylist(options as GreylistOptions), { code: 'ERR_OPTION', message }, String(message))
  }
  t.end()
})
