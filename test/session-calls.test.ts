// The calls to stores in one session.

import t from 'tap'
import { callsOf, wasAccepted } from '../lib/policies/session-calls.ts'
import type { Session } from '../lib/smtp/session.ts'
import { FakeClock } from '../lib/testing/fake-clock.ts'
import { reply } from '../lib/words/reply.ts'

const session = (): Session => ({}) as Session

t.test('300 ms for all policies of a session together', async t => {
  const clock = new FakeClock()
  const one = session()
  const timeouts: (number | undefined)[] = []
  const take = async (milliseconds: number) => {
    const asked = callsOf(one, clock).ask(async ({ timeout }) => {
      timeouts.push(timeout)
      await new Promise<void>(resolve => void clock.after(milliseconds, resolve))
      return 'answer'
    })
    await clock.tick(milliseconds)
    return asked
  }
  t.strictSame(await take(100), { ok: true, value: 'answer' })
  t.equal(callsOf(one, clock).left, 200)
  t.strictSame(await take(199), { ok: true, value: 'answer' })
  t.match(await take(2), { ok: false, isBusy: false, error: { kind: 'timeout' } })
  t.strictSame(timeouts, [300, 200, 1])
  t.match(await take(1), { ok: false, error: null, reason: /has failed before/ })
  t.equal(callsOf(one, clock).left, Infinity)
  callsOf(one, clock).renew()
  t.equal(callsOf(one, clock).left, 300)
  t.equal(callsOf(session(), clock).left, 300, 'each session has its own')
  t.equal(clock.timers, 0)
})

t.test('time that is used up without a failure: the process was busy while the answer came', async t => {
  let now = 0
  const clock = { now: () => now, wallTime: () => now, after: () => 0, clear() {} }
  const calls = callsOf(session(), clock)
  t.match(await calls.ask(async () => (now += 301)), { ok: true, value: 301 })
  t.equal(calls.left, 0)
  t.match(await calls.ask(async () => 1), { ok: false, error: null, isBusy: true, reason: /has used its time/ })
  calls.renew()
  t.match(await calls.ask(async () => 2), { ok: true, value: 2 })
})

t.test('a call that throws at once, or throws no error', async t => {
  const fail = (cause: unknown) =>
    callsOf(session(), new FakeClock()).ask(() => {
      throw cause
    })
  t.match(await fail(new TypeError('x')), { ok: false, error: TypeError, reason: 'x' })
  t.match(await fail('text'), { ok: false, error: Error, reason: 'text' })
})

t.test('a message that was accepted', t => {
  const [yes, no] = [reply(250, 'OK'), reply(550, 'No')]
  t.equal(wasAccepted({ verdict: [] }), false)
  t.equal(wasAccepted({ verdict: [no] }), false)
  t.equal(wasAccepted({ verdict: [no, yes] }), true)
  t.end()
})
