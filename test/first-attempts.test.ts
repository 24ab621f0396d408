// One client that makes first attempts without end, each with another sender or recipient: it must not fill the store.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { greylist, greylistChannel, type GreylistDecidedEvent } from '../lib/greylist.ts'
import { FirstAttempts, MOST_FIRST_ATTEMPTS } from '../lib/policies/greylist/first-attempts.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Delivery } from '../lib/smtp/hooks.ts'
import { memoryStore } from '../lib/stores.ts'
import { converse } from '../lib/testing/conversation.ts'
import { FakeClock } from './fixtures/fake-clock.ts'

const HOUR = 3_600_000
const AT_ONCE = 1000

t.test('attempts are free again after an hour, a part of them sooner', async t => {
  const clock = new FakeClock()
  const attempts = new FirstAttempts(clock)
  attempts.note('192.0.2.1', MOST_FIRST_ATTEMPTS - 1)
  t.notOk(attempts.isExhausted('192.0.2.1'))
  attempts.note('192.0.2.1', 0)
  t.notOk(attempts.isExhausted('192.0.2.1'))
  attempts.note('192.0.2.1', 1)
  t.ok(attempts.isExhausted('192.0.2.1'))
  t.notOk(attempts.isExhausted('192.0.2.2'), 'another address')
  attempts.note('2001:db8::1', MOST_FIRST_ATTEMPTS)
  t.ok(attempts.isExhausted('2001:db8::2'), 'another address of the same /64')
  attempts.note(null, MOST_FIRST_ATTEMPTS)
  t.notOk(attempts.isExhausted(null), 'a client without an address is not counted')
  await clock.tick(HOUR / 2)
  t.notOk(attempts.isExhausted('192.0.2.1'))
  attempts.note('192.0.2.1', MOST_FIRST_ATTEMPTS / 2)
  t.ok(attempts.isExhausted('192.0.2.1'))
  await clock.tick(HOUR)
  attempts.note('192.0.2.1', MOST_FIRST_ATTEMPTS - 1)
  t.notOk(attempts.isExhausted('192.0.2.1'))
})

t.test('past them a client waits, and leaves no entry; others are served as before', async t => {
  const clock = new FakeClock()
  const store = memoryStore({ clock: { now: () => clock.wallTime() } })
  const reasons: (string | null | undefined)[] = []
  const note = (event: unknown): void => {
    reasons.push((event as GreylistDecidedEvent).decisions[0]?.reason)
  }
  subscribe(greylistChannel.name, note)
  t.teardown(() => void unsubscribe(greylistChannel.name, note))
  const policies = [greylist({ store, hold: 'all', decideAt: 'data', clock })]
  const delivery: Delivery = { onMessage: message => void message.resume() }
  const say = async (sender: string, address: string, recipients: number): Promise<string> => {
    const client = { address, port: 4711 }
    const c = converse(new SmtpHandler({ name: 'mx.example.net', client, clock, policies, delivery }))
    await c.expect(220)
    await c.command('EHLO mail.example.org', 250)
    await c.command(`MAIL FROM:<${sender}>`, 250)
    for (let i = 0; i < recipients; i++) await c.command(`RCPT TO:<anna+${i}@example.net>`, 250)
    const { lines, code, status } = await c.command('DATA')
    c.reset()
    return `${code} ${status} ${lines.join()}`
  }
  for (let sent = 0; sent < MOST_FIRST_ATTEMPTS; sent += AT_ONCE) {
    t.match(await say(`${String.fromCodePoint(97 + sent / AT_ONCE)}@example.org`, '192.0.2.1', AT_ONCE), /^451 4.7.1 /)
  }
  t.equal((await store.stats()).unconfirmed, MOST_FIRST_ATTEMPTS)
  reasons.length = 0
  t.match(await say('z@example.org', '192.0.2.1', AT_ONCE), /^451 4.3.0 /)
  t.strictSame(reasons, ['the client has made too many first attempts in the last hour'])
  t.equal((await store.stats()).unconfirmed, MOST_FIRST_ATTEMPTS)
  t.match(await say('z@example.org', '198.51.100.1', 1), /^451 4.7.1 /)
  t.equal((await store.stats()).unconfirmed, MOST_FIRST_ATTEMPTS + 1)
  await clock.tick(HOUR)
  t.match(await say('z@example.org', '198.51.100.1', 1), /^354 /, 'who waited passes')
  t.match(await say('z@example.org', '192.0.2.1', 1), /^451 4.7.1 /)
})
