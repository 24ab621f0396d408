// suspicion() in sessions: each sign with and without, the note, the refusal, who is not judged.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import {
  suspicion,
  suspicionKey,
  SUSPICION_WEIGHTS,
  type SpfCheck,
  type SpfRequest,
  type SpfResult,
  type SuspicionEvent,
  type SuspicionOptions,
} from '../lib/greylist.ts'
import { resolveSuspicion } from '../lib/policies/suspicion/options.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/conversation.ts'
import { connect } from '../lib/testing/duplex-pair.ts'
import { reply } from '../lib/words/reply.ts'
import { certificate } from './fixtures/certificates.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { watchProcess } from './fixtures/hooks.ts'
import { readText } from './fixtures/repository.ts'
import { ADDRESS, judge, sayGood, startDns, startSession } from './fixtures/suspects.ts'

watchProcess(t)

const saying =
  (result: SpfResult, asked: SpfRequest[] = []): SpfCheck =>
  async request => {
    asked.push(request)
    return { result, domain: request.domain, mechanism: null, prefix: null }
  }

t.test('a good client: no sign, its name, nothing refused', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const { note, code, session } = await judge({ resolver: dns })
  t.strictSame(note, { score: 0, signs: [], suspicious: false, hostName: 'mail.example.org' })
  t.equal(code, 250)
  t.equal(session.client.name, 'mail.example.org')
})

t.test('the name of the address', async t => {
  const { server, dns } = await startDns(t)
  const unnamed = await judge({ resolver: dns })
  t.equal(unnamed.signs, 'noReverseName heloMismatch')
  t.notOk('hostName' in unnamed.note!)
  server.say('2.2.0.192.in-addr.arpa', 'PTR', 'mail.example.org')
  server.say('mail.example.org', 'A', ADDRESS)
  const client = { address: '192.0.2.2', port: 1 }
  const unconfirmed = await judge({ resolver: dns }, { client })
  t.equal(unconfirmed.signs, 'unconfirmedName heloMismatch')
  t.equal(unconfirmed.note?.suspicious, true)
  t.equal(unconfirmed.note?.hostName, undefined)
  t.equal(unconfirmed.session.client.name, null)
  server.say('3.2.0.192.in-addr.arpa', 'PTR', 'p3.dyn.example.org')
  server.say('p3.dyn.example.org', 'A', '192.0.2.3')
  const dynamic = await judge({ resolver: dns }, { client: { address: '192.0.2.3', port: 1 } })
  t.equal(dynamic.signs, 'dynamicName')
  t.strictSame([dynamic.note?.score, dynamic.note?.suspicious], [2, false], 'one light sign is below the threshold')
})

t.test('HELO: its own name, another, ours', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  server.say('other.example.com', 'A', ADDRESS)
  server.say('wrong.example.com', 'A', '198.51.100.7')
  const table: readonly (readonly [string, string])[] = [
    ['other.example.com', ''],
    ['wrong.example.com', 'heloMismatch'],
    ['none.example.com', 'heloMismatch'],
    ['[192.0.2.1]', ''],
    ['pc', 'heloMismatch'],
    ['MX.example.net', 'heloOurs'],
    ['example.net', 'heloOurs'],
    ['[203.0.113.9]', 'heloOurs'],
    ['203.0.113.9', 'heloOurs'],
  ]
  for (const [helo, signs] of table) {
    const options: SuspicionOptions = { resolver: dns, ownNames: ['Example.net', '203.0.113.9'] }
    t.equal((await judge(options, { helo })).signs, signs, helo)
  }
  t.equal((await judge({ resolver: dns }, { helo: 'example.net' })).signs, 'heloMismatch', 'not ours unless it is told')
})

t.test('HELO: several addresses, IPv6, no answer', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  server.say('two.example.com', 'A', '198.51.100.7', ADDRESS)
  t.equal((await judge({ resolver: dns }, { helo: 'two.example.com' })).signs, '')
  server.answers.set('broken.example.com A', { error: 'SERVFAIL' })
  t.strictSame((await judge({ resolver: dns }, { helo: 'broken.example.com' })).note?.signs, [
    { sign: 'heloMismatch', weight: 1, detail: 'broken.example.com', supposed: true },
  ])
  const address = '2001:db8::1'
  const octets = '20010db8000000000000000000000001'
  server.say(`${[...octets].toReversed().join('.')}.ip6.arpa`, 'PTR', 'six.example.org')
  server.say('six.example.org', 'AAAA', octets)
  server.say('other.example.com', 'AAAA', octets)
  const six = await judge({ resolver: dns }, { helo: 'other.example.com', client: { address, port: 1 } })
  t.strictSame([six.signs, six.note?.hostName], ['', 'six.example.org'])
})

t.test('lists', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  t.equal((await judge({ resolver: dns, blockLists: ['clean.example', 'near.example'] })).signs, '')
  server.say('1.2.0.192.near2.example', 'A', '127.0.0.3')
  const near = await judge({ resolver: dns, blockLists: [{ zone: 'near2.example', weight: 0.5 }] })
  t.strictSame(near.note?.signs, [{ sign: 'nearlyListed', weight: 1.5, detail: 'near2.example (127.0.0.3)' }])
  server.say('1.2.0.192.bad.example', 'A', '127.0.0.2')
  const bad = await judge({ resolver: dns, blockLists: ['bad.example'] })
  t.strictSame(bad.note?.signs, [{ sign: 'listed', weight: 3, detail: 'bad.example (127.0.0.2)' }])
  t.equal(bad.note?.suspicious, true)
})

t.test('a list of good addresses is an early pass: nothing else is waited for, nothing else counts', async t => {
  const { server, dns } = await startDns(t)
  server.otherwise = 'silence'
  server.say('1.2.0.192.white.example', 'A', '127.0.5.2')
  const options: SuspicionOptions = {
    resolver: dns,
    allowLists: [{ zone: 'white.example', codes: { '127.0.*.2': 1 } }],
    blockLists: ['silent.example'],
    spf: () => new Promise(() => {}),
    timeout: 60_000,
  }
  const { note, code } = await judge(options, { helo: 'mx.example.net' })
  t.strictSame(note, { score: 0, signs: [], suspicious: false, goodList: 'white.example' })
  t.equal(code, 250)
  server.otherwise = { error: 'NXDOMAIN' }
  server.say('1.2.0.192.grey.example', 'A', '127.0.5.0')
  const other = { ...options, allowLists: [{ zone: 'grey.example', codes: { '127.0.*.2': 1 } }], timeout: 500 }
  t.match((await judge(other)).note, { suspicious: true, goodList: undefined }, 'a code that is not given')
})

t.test('SPF: what it is asked, and what it says', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const asked: SpfRequest[] = []
  const { note } = await judge({ resolver: dns, spf: saying('pass', asked) }, { sender: 'Bob@Example.ORG' })
  t.match(asked, [
    {
      address: ADDRESS,
      helo: 'mail.example.org',
      sender: 'Bob@example.org',
      domain: 'example.org',
      serverName: 'mx.example.net',
    },
  ])
  t.strictSame(note?.spf, { result: 'pass', domain: 'example.org', mechanism: null, prefix: null })
  asked.length = 0
  await judge({ resolver: dns, spf: saying('none', asked) }, { sender: '' })
  t.match(asked, [{ sender: '', domain: 'mail.example.org' }])
  const results: readonly (readonly [SpfResult, string])[] = [
    ['fail', 'spfFail'],
    ['softfail', 'spfSoftfail'],
    ['none', 'spfNone'],
    ['neutral', ''],
  ]
  for (const [result, signs] of results) {
    t.equal((await judge({ resolver: dns, spf: saying(result) })).signs, signs, result)
  }
  const failing = await judge({ resolver: dns, spf: () => Promise.reject(new Error('boom')) })
  t.strictSame(failing.note?.signs, [{ sign: 'spfNone', weight: 1, detail: 'example.org', supposed: true }])
  const throwing = (): never => {
    throw new Error('boom')
  }
  t.equal((await judge({ resolver: dns, spf: throwing })).note?.spf?.result, 'temperror')
})

t.test('SPF of each transaction; what the connection showed is asked once', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const asked: SpfRequest[] = []
  const { c, notes } = startSession({ resolver: dns, spf: saying('softfail', asked) })
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  for (const sender of ['a@example.org', 'a@example.org', 'b@example.com']) {
    await c.command(`MAIL FROM:<${sender}>`, 250)
    await c.command('RCPT TO:<anna@example.net>', 250)
    await c.command('RCPT TO:<bert@example.net>', 250)
    await c.command('RSET', 250)
  }
  await c.command('QUIT', 221)
  t.strictSame(
    asked.map(({ sender }) => sender),
    ['a@example.org', 'b@example.com'],
  )
  t.strictSame(
    notes.map(note => note?.spf?.domain),
    ['example.org', 'example.org', 'example.org', 'example.org', 'example.com', 'example.com'],
  )
  t.equal(server.asked('1.2.0.192.in-addr.arpa'), 1)
})

t.test('no TLS where it was offered', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const tls = certificate()
  const play = async (isOffered: boolean): Promise<string> => {
    const { handler, notes } = startSession({ resolver: dns }, isOffered ? { tls } : {})
    const c = converse(connect(handler))
    await c.expect(220)
    await c.command('EHLO mail.example.org', 250)
    await c.command('MAIL FROM:<bob@example.org>', 250)
    await c.command('RCPT TO:<anna@example.net>', 250)
    await c.command('QUIT', 221)
    return (notes[0]?.signs ?? []).map(({ sign }) => sign).join()
  }
  t.equal(await play(true), 'noTls')
  t.equal(await play(false), '')
})

t.test('early talker: more give themselves away while the greeting waits', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  for (const greetingDelay of [0, 5000]) {
    const clock = new FakeClock()
    // More time than the test lets pass: the answers of DNS may take more turns than it waits.
    const { c, notes } = startSession({ resolver: dns, greetingDelay, clock, timeout: 60_000 })
    await settle()
    c.write('EHLO mail.example.org\r\n')
    await settle()
    if (greetingDelay > 0) {
      await clock.tick(4999)
      t.equal(c.replies.length, 0, 'no greeting before its time')
      await clock.tick(1)
    }
    await c.expect(220)
    await c.expect(250)
    await c.command('MAIL FROM:<bob@example.org>', 250)
    await c.command('RCPT TO:<anna@example.net>', 250)
    await c.command('QUIT', 221)
    t.strictSame(
      notes[0]?.signs,
      greetingDelay > 0 ? [{ sign: 'earlyTalker', weight: 3 }] : [],
      `delay of ${greetingDelay} ms`,
    )
  }
})

t.test('a client that is trusted does not wait for the greeting', async t => {
  const { dns } = await startDns(t)
  const policies: Policy[] = [{ onConnect: session => void (session.trusted = 'a friend') }]
  const clock = new FakeClock()
  const { c } = startSession({ resolver: dns, greetingDelay: 5000, clock }, { policies })
  await c.expect(220)
  await c.command('QUIT', 221)
  t.equal(clock.timers, 0)
})

t.test('reject: 550 from that score on, for recipients that are not trusted', async t => {
  const { dns } = await startDns(t)
  const options: SuspicionOptions = { resolver: dns, reject: 5 }
  const below = await judge(options)
  t.strictSame([below.code, below.note?.score], [250, 4])
  const { handler, c, notes } = startSession(options, {
    policies: [{ onRcptTo: each => void (each.trusted = each.localPart === 'postmaster' ? 'always' : null) }],
  })
  await c.expect(220)
  await c.command('EHLO mx.example.net', 250)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  const refused = 'Refused: no reverse DNS name, HELO is our name'
  await c.command('RCPT TO:<anna@example.net>', `550 5.7.1 ${refused}`)
  await c.command('RCPT TO:<postmaster>', 250)
  await c.command('QUIT', 221)
  t.equal(notes.length, 1, 'the policy behind is asked for the trusted recipient alone')
  t.match(handler.session.notes.get(suspicionKey), { score: 7, suspicious: true })
})

t.test('a refusal never rests on an answer that is missing', async t => {
  const { server, dns } = await startDns(t)
  server.otherwise = { error: 'SERVFAIL' }
  const { code, note } = await judge({ resolver: dns, reject: 3.5 })
  t.strictSame([code, note?.score, note?.suspicious], [250, 4, true])
  t.ok(note?.signs.every(({ supposed }) => supposed === true))
})

t.test('who is not judged: trusted, on this machine, without an address, authenticated', async t => {
  const { server, dns } = await startDns(t)
  const trusting: Policy = { onConnect: session => void (session.trusted = 'a friend') }
  t.equal((await judge({ resolver: dns }, { policies: [trusting] })).note, undefined)
  for (const address of ['127.0.0.1', '::1', '127.9.9.9']) {
    t.equal((await judge({ resolver: dns }, { client: { address, port: 1 } })).note, undefined, address)
  }
  t.equal((await judge({ resolver: dns }, { client: {} })).note, undefined)
  t.equal(server.asked(), 0)
  const { c, notes } = startSession(
    { resolver: dns },
    { auth: { insecure: true }, onAuth: async () => reply(235, '2.7.0', 'In') },
  )
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.command('RCPT TO:<anna@example.net>', 250)
  await c.command('RSET', 250)
  await c.command(`AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`, 235)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.command('RCPT TO:<anna@example.net>', 250)
  await c.command('QUIT', 221)
  t.strictSame(
    notes.map(note => note?.suspicious),
    [true, undefined],
  )
})

t.test('XCLIENT: the client behind the proxy is judged, by the HELO that the proxy tells', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const { c, notes } = startSession(
    { resolver: dns },
    { client: { address: '203.0.113.1', port: 1 }, xclient: ['203.0.113.1'] },
  )
  await c.expect(220)
  await c.command('EHLO proxy.example.net', 250)
  await c.command(`XCLIENT ADDR=${ADDRESS} HELO=mail.example.org`, 220)
  await c.command('EHLO mail.example.org', 250)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.command('RCPT TO:<anna@example.net>', 250)
  await c.command('QUIT', 221)
  t.strictSame(notes, [{ score: 0, signs: [], suspicious: false, hostName: 'mail.example.org' }])
})

t.test('a client with the address of this server is not judged; one that is trusted no more is', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const own = startSession({ resolver: dns }, { client: { address: '203.0.113.1', port: 1 }, xclient: ['203.0.113.1'] })
  await own.c.expect(220)
  await own.c.command('EHLO proxy.example.net', 250)
  await own.c.command('XCLIENT ADDR=192.0.2.9 DESTADDR=192.0.2.9', 220)
  await own.c.command('EHLO mail.example.org', 250)
  await own.c.command('MAIL FROM:<bob@example.org>', 250)
  await own.c.command('RCPT TO:<anna@example.net>', 250)
  await own.c.command('QUIT', 221)
  t.strictSame(own.notes, [undefined])
  const fickle: Policy = {
    onConnect: session => void (session.trusted = 'at first'),
    onRcptTo: (_, session) => void (session.trusted = null),
  }
  t.strictSame((await judge({ resolver: dns }, { policies: [fickle] })).note?.signs, [])
})

t.test('the table in docs/greylisting.md has the weights', t => {
  const rows = readText('docs/greylisting.md').matchAll(/^\| `(\w+)` \| (\d+)(?: for each point)? \|/gm)
  t.strictSame(Object.fromEntries([...rows].map(([, sign, weight]) => [sign, Number(weight)])), {
    ...SUSPICION_WEIGHTS,
  })
  t.end()
})

t.test('mailhandler:suspicion, once a transaction', async t => {
  const { dns } = await startDns(t)
  const events: SuspicionEvent[] = []
  const listen = (event: unknown): void => void events.push(event as SuspicionEvent)
  subscribe('mailhandler:suspicion', listen)
  t.teardown(() => unsubscribe('mailhandler:suspicion', listen))
  const { handler, c } = startSession({ resolver: dns, reject: 4 })
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.command('RCPT TO:<anna@example.net>', 550)
  await c.command('RCPT TO:<bert@example.net>', 550)
  t.equal(events.length, 1)
  t.match(events[0], { session: handler.session, envelope: handler.session.envelope, refused: true })
  t.match(events[0]?.suspicion, { score: 4, suspicious: true })
  await c.command('QUIT', 221)
})

t.test('options', t => {
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [{ treshold: 3 }, /did you mean threshold/],
    [{ threshold: 0 }, /threshold is a number above 0, not 0/],
    [{ threshold: 5, reject: 5 }, /reject is above threshold/],
    [{ timeout: NaN }, /timeout is a number above 0/],
    [{ greetingDelay: 60_001 }, /greetingDelay .* at most 60000/],
    [{ weights: { listed: 'x' } }, /weights\.listed/],
    [{ blockLists: 'bl.example' }, /lists of zones is a list/],
    [{ ownNames: 'example.org' }, /ownNames is a list/],
    [{ allowLists: ['..'] }, /is no name/],
    [{ spf: true }, /spf is a function, not true/],
    [{ ownNames: ['a b'] }, /"a b" is neither a name nor an address/],
    [{ ownNames: [7] }, /7 is neither/],
    [{ timeout: 0 }, /timeout is a number above 0/],
    [{ greetingDelay: -1 }, /greetingDelay/],
    [{ clock: {} }, /clock is an object/],
  ]
  for (const [options, message] of bad) {
    t.throws(() => suspicion(options as SuspicionOptions), { code: 'ERR_OPTION', message }, String(message))
  }
  t.equal(suspicion().name, 'suspicion')
  const good: SuspicionOptions = {
    reject: null,
    threshold: 0.5,
    timeout: 1,
    greetingDelay: 60_000,
    ownNames: ['bücher.example'],
  }
  t.doesNotThrow(() => new SmtpHandler({ policies: [suspicion(good)] }))
  t.equal(resolveSuspicion({}).resolver, resolveSuspicion({}).resolver, 'one resolver for the process')
  t.end()
})
