// suspicion() when DNS is slow, silent or broken: nobody waits before RCPT, nobody waits longer than the deadline, and what
// is kept and asked stays bounded.

import t from 'tap'
import { resolver, type DnsAnswer, type DnsResolver } from '../lib/dns.ts'
import type { SpfCheck, SuspicionOptions } from '../lib/greylist.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { watchProcess } from './fixtures/hooks.ts'
import { heapHeld } from './fixtures/memory.ts'
import { sayGood, startDns, startPlays, startSession } from './fixtures/suspects.ts'

watchProcess(t)

/** An SPF check that asks one question after the other. */
const asksMuch: SpfCheck = async ({ domain, resolver }) => {
  for (let i = 0; i < 30; i++) await resolver.resolve(`${i}.${domain}`, 'TXT')
  return { result: 'temperror', domain, mechanism: null, prefix: null }
}

/** A resolver that gives no answer before the deadline, by a clock. */
function silent(clock: FakeClock, asked: string[] = [], timeouts: number[] = []): DnsResolver {
  return {
    resolve(name, type, { timeout = Infinity, signal } = {}) {
      asked.push(`${type} ${name}`)
      timeouts.push(timeout)
      return new Promise<DnsAnswer<never>>(resolve => {
        const end = (code: string): void => {
          clock.clear(timer)
          resolve({ kind: 'unknown', code })
        }
        const timer = clock.after(timeout, () => end('ETIMEOUT'))
        signal?.addEventListener('abort', () => end('ECANCELLED'))
      })
    },
    close() {},
  }
}

t.test('the look-ups begin with the connection; the first to wait for them is RCPT, until the deadline', async t => {
  const clock = new FakeClock()
  const asked: string[] = []
  const options: SuspicionOptions = {
    resolver: silent(clock, asked),
    clock,
    blockLists: ['bl.example'],
    allowLists: ['wl.example'],
  }
  const { c, notes } = startSession(options)
  await c.expect(220)
  t.strictSame(asked.toSorted(), ['A 1.2.0.192.bl.example', 'A 1.2.0.192.wl.example', 'PTR 1.2.0.192.in-addr.arpa'])
  await c.command('EHLO mail.example.org', 250)
  t.equal(asked.at(-1), 'A mail.example.org')
  await clock.tick(1500)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.send('RCPT TO:<anna@example.net>')
  await clock.tick(499)
  t.equal(notes.length, 0)
  await clock.tick(1)
  await c.expect(250)
  t.match(notes, [
    {
      suspicious: true,
      signs: [
        { sign: 'noReverseName', supposed: true },
        { sign: 'heloMismatch', supposed: true },
      ],
    },
  ])
  await c.command('QUIT', 221)
  await settle()
  t.equal(clock.timers, 0)
})

t.test('SPF has the time from MAIL on, also if it ignores its resolver', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  const clock = new FakeClock()
  const { c, notes } = startSession({ resolver: dns, clock, spf: () => new Promise(() => {}) })
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  // An equal question has its answer when the policy has it. The clock does not wait for a socket.
  await dns.resolve('1.2.0.192.in-addr.arpa', 'PTR')
  await dns.resolve('mail.example.org', 'A')
  await settle()
  await clock.tick(10_000)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.send('RCPT TO:<anna@example.net>')
  await clock.tick(1999)
  t.equal(notes.length, 0)
  await clock.tick(1)
  await c.expect(250)
  t.match(notes, [{ spf: { result: 'temperror' }, signs: [{ sign: 'spfNone', supposed: true }], suspicious: false }])
  await c.command('QUIT', 221)
})

t.test('what SPF asks has the time that is left', async t => {
  const clock = new FakeClock()
  const timeouts: number[] = []
  const spf: SpfCheck = async ({ domain, resolver }) => {
    await resolver.resolve(domain, 'TXT', { timeout: 1500 })
    await resolver.resolve(domain, 'TXT')
    await resolver.resolve(domain, 'TXT')
    return { result: 'pass', domain, mechanism: null, prefix: null }
  }
  const { c, notes } = startSession({ resolver: silent(clock, [], timeouts), clock, spf })
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  timeouts.length = 0
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.send('RCPT TO:<anna@example.net>')
  await clock.tick(2000)
  await c.expect(250)
  t.strictSame(timeouts, [1500, 500, 0])
  t.equal(notes.length, 1)
  await c.command('QUIT', 221)
})

t.test('a client that says another name and sender each time has one look-up of each under way', async t => {
  const clock = new FakeClock()
  const asked: string[] = []
  const spf: SpfCheck = async ({ domain, resolver }) => {
    await resolver.resolve(domain, 'TXT')
    return { result: 'none', domain, mechanism: null, prefix: null }
  }
  const { c, notes } = startSession({ resolver: silent(clock, asked), clock, spf })
  await c.expect(220)
  for (let i = 0; i < 40; i++) await c.command(`EHLO ${i}.example.org`, 250)
  for (let i = 0; i < 40; i++) {
    await c.command(`MAIL FROM:<bob@${i}.example.org>`, 250)
    await c.command('RSET', 250)
  }
  t.strictSame(asked, ['PTR 1.2.0.192.in-addr.arpa', 'A 0.example.org', 'TXT 0.example.org'])
  await c.command('MAIL FROM:<bob@last.example.org>', 250)
  await c.send('RCPT TO:<anna@example.net>')
  await clock.tick(2000)
  t.strictSame(asked.slice(-2).toSorted(), ['A 39.example.org', 'TXT last.example.org'], 'what is said now is asked')
  await clock.tick(2000)
  await c.expect(250)
  t.match(notes, [{ spf: { domain: 'last.example.org' } }])
  await c.command('QUIT', 221)
  await settle()
  t.equal(clock.timers, 0)
})

t.test('a client that leaves ends its look-ups', async t => {
  const clock = new FakeClock()
  const { c, notes } = startSession({ resolver: silent(clock), clock, spf: () => new Promise(() => {}) })
  await c.expect(220)
  await c.command('EHLO mail.example.org', 250)
  await c.command('MAIL FROM:<bob@example.org>', 250)
  await c.send('RCPT TO:<anna@example.net>')
  await settle()
  c.reset()
  await c.closed()
  await settle()
  t.equal(clock.timers, 1, 'only that of an SPF that ignores the signal')
  await clock.tick(2000)
  t.strictSame([clock.timers, notes.length], [0, 0])
})

t.test('no answer from a list weighs nothing; after three failures it is left out for 60 s', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  server.answers.set('1.2.0.192.bl.example A', { error: 'SERVFAIL' })
  const clock = new FakeClock()
  const told: string[] = []
  const options: SuspicionOptions = {
    resolver: dns,
    clock,
    blockLists: ['bl.example'],
    onZone: (zone, leftOut) => void told.push(`${zone} ${leftOut}`),
  }
  const play = startPlays(options)
  for (let i = 0; i < 4; i++) t.strictSame((await play())?.signs, [])
  t.equal(server.asked('1.2.0.192.bl.example'), 3)
  t.strictSame(told, ['bl.example true'])
  server.say('1.2.0.192.bl.example', 'A', '127.0.0.2')
  await clock.tick(59_999)
  t.strictSame((await play())?.signs, [])
  await clock.tick(1)
  t.match((await play())?.signs, [{ sign: 'listed' }])
  t.strictSame(told, ['bl.example true', 'bl.example false'])
})

t.test('1,000 sessions under a dead resolver', async t => {
  const { server } = await startDns(t)
  server.otherwise = 'silence'
  const timeout = 1000
  const inFlight = 200
  const dns = resolver({ servers: [server.address], timeout, maxInFlight: inFlight })
  t.teardown(() => dns.close())
  const play = startPlays({ resolver: dns, timeout, blockLists: ['bl.example'], spf: asksMuch })
  await play('198.51.100.1') // loads what is loaded once
  const asked = server.asked()
  const held = heapHeld()
  const started = performance.now()
  const plays = Array.from({ length: 1000 }, (_, i) => play(`192.0.${i >> 8}.${i & 255}`))
  await new Promise(resolve => setTimeout(resolve, timeout / 2))
  const growth = (heapHeld() - held) / 2 ** 20
  const notes = await Promise.all(plays)
  const took = performance.now() - started
  t.ok(notes.every(note => note?.suspicious === true))
  t.ok(notes.every(note => note?.signs.every(({ supposed }) => supposed === true)))
  const questions = server.asked() - asked
  t.comment(`${took.toFixed()} ms, ${growth.toFixed(1)} MiB while they wait, ${questions} questions`)
  t.ok(took < timeout + 25_000, 'the deadline, and what 1,000 sessions take by themselves; 30 questions take 45 s')
  // Each that may be under way, and its repetition; of those that come later, once these have ended, all sessions have the same.
  t.ok(questions <= inFlight * 3, `${questions} questions`)
  t.ok(growth < 100, 'memory')
})
