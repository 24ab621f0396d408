// Kamaelia Grey under the preset `kamaelia`: its decision table entry by entry, and the defects that must not come back.

import t from 'tap'
import { allowRecipients } from '../lib/policies/allow-recipients.ts'
import { allowClients, allowTriples } from '../lib/policies/lists/lists.ts'
import { reply } from '../lib/words/reply.ts'
import { HOUR, SECOND, World, type Mail, type WorldOptions } from './fixtures/greylisting.ts'

const PASSED = '250 354 250'
const HELD = '250 451'
const kamaelia = (options: WorldOptions = {}): World => new World({ preset: 'kamaelia', ...options })

// ── The four times ──

t.test('the timeline of Kamaelia Grey: 0 s, +100 s, +179 s, +3599 s, +1 s, then always', async t => {
  const world = kamaelia()
  const { replies } = await world.send()
  t.strictSame(replies, ['250 2.1.5 OK', '451 4.7.1 Please try again later'], 'at DATA, with its text')
  t.equal(await world.later(100 * SECOND), HELD, 'too soon: the clock begins again')
  t.equal(await world.later(179 * SECOND), HELD, 'too soon again')
  t.equal(await world.later(3599 * SECOND), HELD, 'before min_defer_time: the clock goes on')
  t.equal(await world.later(1 * SECOND), PASSED)
  for (let i = 0; i < 3; i++) t.equal(await world.later(SECOND), PASSED)
})

t.test('too_soon: 180 s', async t => {
  const world = kamaelia()
  await world.send()
  t.equal(await world.later(180 * SECOND), HELD, 'no longer too soon: the clock is kept')
  t.equal(await world.later(3420 * SECOND), PASSED, '3600 s after the first')
  const other = kamaelia()
  await other.send()
  t.equal(await other.later(180 * SECOND - 1), HELD)
  t.equal(await other.later(3420 * SECOND), HELD, 'the clock began again')
  t.equal(await other.later(180 * SECOND), PASSED)
})

t.test('min_defer_time: 3,600 s', async t => {
  const world = kamaelia()
  await world.send()
  t.equal(await world.later(HOUR - 1), HELD)
  t.equal(await world.later(1), PASSED)
})

t.test('max_defer_time: 25,000 s, after that it is a first attempt', async t => {
  const world = kamaelia()
  await world.send()
  t.equal(await world.later(25_000 * SECOND), PASSED)
  const other = kamaelia()
  await other.send()
  t.equal(await other.later(25_000 * SECOND + 1), HELD)
  t.equal(await other.later(HOUR - 1), HELD, 'the clock began again')
  t.equal(await other.later(1), PASSED)
})

t.test('max_grey: 3,000,000 s unused, renewed by each use', async t => {
  const world = kamaelia()
  await world.send()
  await world.later(HOUR)
  t.equal(await world.later(3_000_000 * SECOND), PASSED)
  t.equal(await world.later(3_000_000 * SECOND), PASSED, 'renewed')
  t.equal(await world.later(3_000_000 * SECOND + 1), HELD)
})

t.test('no client is past greylisting by itself', async t => {
  const world = kamaelia()
  for (const letter of 'abcdefg') {
    await world.send({ sender: `${letter}@example.net` })
    t.equal(await world.later(HOUR, { sender: `${letter}@example.net` }), PASSED)
    await world.clock.tick(HOUR)
  }
  t.equal(await world.codes({ sender: 'h@example.net' }), HELD)
})

// ── The order of decisions ──

t.test('1. and 2. allowed senders and networks pass; defect 14: a network is no prefix of a text', async t => {
  const world = kamaelia({ before: [allowClients(['192.168.9.9', '192.168.2.0/24', '10.0.0.0/8'])] })
  for (const client of ['192.168.9.9', '192.168.2.7', '10.255.1.1'])
    t.equal(await world.codes({ client }), PASSED, client)
  for (const client of ['192.168.9.8', '192.168.20.7', '100.1.2.3'])
    t.equal(await world.codes({ client }), HELD, client)
})

t.test('1. and 2. no allowed sender may send to other domains: that was an open relay', async t => {
  const before = [allowClients(['192.168.2.0/24']), allowRecipients(['example.org'])]
  t.equal(await kamaelia({ before }).codes({ client: '192.168.2.7', to: ['x@elsewhere.example'] }), '550')
})

t.test('4. a triple, or a HELO name, network and recipient, passes', async t => {
  const triples = allowTriples({
    triples: ['192.0.2.7 anna@example.net bob@example.org'],
    nonstandard: ['out.facebook.example 66.220.0.0/16 bob@example.org'],
  })
  const world = kamaelia({ before: [triples] })
  t.equal(await world.codes(), PASSED)
  t.equal(await world.codes({ client: '192.0.2.8' }), HELD)
  const facebook = { client: '66.220.144.1', helo: 'out.facebook.example', sender: 'n@facebook.example' }
  t.equal(await world.codes(facebook), PASSED)
  t.equal(await world.codes({ ...facebook, client: '66.22.0.1' }), HELD, 'a network is no prefix of a text')
})

t.test('defect 2: without lists there is greylisting, and an error in a policy is no way past it', async t => {
  t.equal(await kamaelia({ before: [allowTriples({}), allowClients([])] }).codes(), HELD)
  const fails = {
    onRcptTo: () => {
      throw new TypeError('no such attribute')
    },
  }
  t.strictSame((await kamaelia({ before: [fails] }).send()).replies, ['451 4.3.0 Local error, please try again later'])
  t.strictSame((await kamaelia({ behind: [fails] }).send()).replies, ['451 4.3.0 Local error, please try again later'])
})

t.test('3. a domain that is not forwarded for; defect 17: it is refused for good, not deferred for ever', async t => {
  const world = kamaelia({ before: [allowRecipients(['example.org'])] })
  t.strictSame((await world.send({ to: ['x@elsewhere.example'] })).replies, ['550 5.7.1 Relay not permitted'])
  t.equal(await world.codes({ to: ['bob@example.org', 'x@elsewhere.example'] }), '250 550 451', 'the others go on')
})

t.test('defect 21: the domain is what the grammar of paths says it is', async t => {
  const world = kamaelia({ before: [allowRecipients(['example.org', 'localdomain'])] })
  for (const to of [
    'a@example.org@elsewhere.example',
    '"x@example.org"@elsewhere.example',
    'localdomain',
    'example.org',
  ]) {
    t.match(await world.codes({ to: [to] }), /^5\d\d$/, to)
  }
  t.equal(await world.codes({ to: ['"x@elsewhere.example"@example.org'] }), HELD)
  t.equal(await world.codes({ to: ['@a,@b:bob@example.org'] }), HELD, 'a source route is dropped')
})

t.test('defect 15: N recipients need two rounds, not N', async t => {
  const world = kamaelia()
  const three = { to: ['a@example.org', 'b@example.org', 'c@example.org'] }
  t.equal(await world.codes(three), '250 250 250 451')
  t.equal((await world.store.stats()).unconfirmed, 3)
  t.equal(await world.later(HOUR, three), '250 250 250 354 250')
})

t.test('defect 16: a recipient who is left alone does not open the door for the others', async t => {
  const open = {
    onRcptTo: (r: { address: string; trusted: string | null }) =>
      void (r.trusted = r.address.startsWith('open') ? 'listed' : null),
  }
  const mail = { to: ['open@example.org', 'bob@example.org'] }
  t.equal(await kamaelia({ before: [open] }).codes(mail), '250 250 451')
  t.equal(await kamaelia({ before: [open], decideAt: 'rcpt' }).codes(mail), '250 451 354 250', 'each by itself at RCPT')
})

t.test('defect 18: one pool, one sender, one mailbox, however they are written', async t => {
  const ways: [string, Mail, Mail][] = [
    ['the network', { client: '192.0.2.7' }, { client: '192.0.2.200' }],
    ['the network of IPv6', { client: '2001:db8::1' }, { client: '2001:db8::ffff:1' }],
    ['the case of the sender', { sender: 'anna@example.net' }, { sender: 'Anna@EXAMPLE.net' }],
    ['the case of the recipient', { to: ['bob@example.org'] }, { to: ['Bob@Example.ORG'] }],
    ['BATV', { sender: 'prvs=1234abcdef=anna@example.net' }, { sender: 'prvs=1235fedcba=anna@example.net' }],
    ['VERP', { sender: 'l-return-7-bob=example.org@l.example' }, { sender: 'l-return-8-bob=example.org@l.example' }],
    ['an extension', { sender: 'anna+1@example.net' }, { sender: 'anna+2@example.net' }],
  ]
  for (const [what, first, second] of ways) {
    const world = kamaelia()
    t.equal(await world.codes(first), HELD)
    t.equal(await world.later(HOUR, second), PASSED, what)
  }
})

t.test('defect 19: a retry that comes too soon does not begin the wait again, but by option', async t => {
  for (const [restarts, expected] of [
    [false, PASSED],
    [true, HELD],
  ] as const) {
    const world = kamaelia(restarts ? {} : { rules: { restartWithin: 0 } })
    await world.send()
    for (let i = 1; i < 30; i++) await world.later(120 * SECOND)
    t.equal(await world.later(120 * SECOND), expected, 'a retry every two minutes')
  }
})

t.test('defect 20: what is not confirmed goes by itself; <> has no other rules', async t => {
  const world = kamaelia()
  for (let i = 0; i < 100; i++)
    await world.send({ sender: `s${String.fromCharCode(97 + (i % 26), 97 + i / 26)}@example.net` })
  t.equal((await world.store.stats()).unconfirmed, 100)
  await world.clock.tick(25_001 * SECOND)
  t.equal(await world.store.sweep(), 100)
  t.equal((await world.store.stats()).unconfirmed, 0)
  t.equal(await world.codes({ sender: '' }), HELD)
  t.equal(await world.later(HOUR, { sender: '' }), PASSED)
})

t.test('a refusal after the dot is the next server’s own', async t => {
  const world = kamaelia()
  await world.send()
  t.equal(await world.codes({ verdict: reply(550, '5.1.1', 'User unknown') }), HELD)
  await world.clock.tick(HOUR)
  t.strictSame(
    (await world.send({ verdict: reply(550, '5.1.1', 'User unknown') })).replies.at(-1),
    '550 5.1.1 User unknown',
  )
})
