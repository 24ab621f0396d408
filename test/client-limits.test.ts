import fc from 'fast-check'
import t from 'tap'
import { type Admission, clientLimits } from '../lib/server/client-limits.ts'

const stopped = (): { time: number; now(): number } => ({
  time: 0,
  now() {
    return this.time
  },
})

const release = (admission: Admission): void => {
  if (admission.refused !== undefined) throw new Error(`refused: ${admission.refused}`)
  admission.release()
}

t.test('all clients together', async t => {
  const limits = clientLimits({ maxConnections: 2, clock: stopped() })
  const first = limits.admit('192.0.2.1')
  release(limits.admit('192.0.2.2'))
  t.equal(limits.admit('192.0.2.3').refused, undefined)
  t.equal(limits.admit('192.0.2.4').refused, 'connections')
  release(first)
  release(first)
  t.equal(limits.admit('192.0.2.4').refused, undefined, 'a place is free again')
  t.equal(limits.admit('192.0.2.5').refused, 'connections', 'releasing twice frees one place')
})

t.test('one client: an IPv4 address or an IPv6 /64', async t => {
  const table: [string, string, boolean][] = [
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '::ffff:192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['2001:db8::1', '2001:DB8:0:0:ffff::', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['fe80::1%eth0', 'fe80::2', true],
    ['', '', true],
    ['/run/a', '/run/b', false],
  ]
  for (const [one, other, same] of table) {
    const limits = clientLimits({ perClient: { connections: 1 }, clock: stopped() })
    const held = limits.admit(one)
    t.equal(limits.admit(other).refused, same ? 'perClient' : undefined, `${one} ${other}`)
    release(held)
    t.equal(limits.admit(one).refused, undefined)
  }
})

t.test('an exempt client counts among all, and not by itself', async t => {
  const limits = clientLimits({ maxConnections: 3, perClient: { connections: 1, perMinute: 1 }, clock: stopped() })
  const held = limits.admit('192.0.2.1', true)
  t.equal(limits.admit('192.0.2.1', true).refused, undefined)
  t.equal(limits.admit('192.0.2.1').refused, undefined, 'nothing was counted for it')
  t.equal(limits.admit('192.0.2.1', true).refused, 'connections')
  release(held)
  t.strictSame(limits.counts(), { connections: 2, clients: 1 })
})

t.test('the rate of one client', async t => {
  const clock = stopped()
  const limits = clientLimits({ perClient: { perMinute: 3 }, clock })
  for (let i = 0; i < 3; i++) release(limits.admit('192.0.2.1'))
  t.equal(limits.admit('192.0.2.1').refused, 'rate')
  t.equal(limits.admit('192.0.2.2').refused, undefined)
  clock.time = 19_999
  t.equal(limits.admit('192.0.2.1').refused, 'rate')
  clock.time = 20_000
  t.equal(limits.admit('192.0.2.1').refused, undefined, 'a third of a minute later, one more')
  t.equal(limits.admit('192.0.2.1').refused, 'rate')
  clock.time = 10_000
  t.equal(limits.admit('192.0.2.1').refused, 'rate', 'a clock set back gives nothing')
  clock.time = 20_001
  t.equal(limits.admit('192.0.2.1').refused, 'rate', 'nor when it is back where it was')
})

t.test('a connection that lasts does not hide the rate', async t => {
  const clock = stopped()
  const limits = clientLimits({ perClient: { perMinute: 2 }, clock })
  limits.admit('192.0.2.1')
  release(limits.admit('192.0.2.1'))
  t.equal(limits.admit('192.0.2.1').refused, 'rate')
})

t.test('clients are forgotten', async t => {
  const clock = stopped()
  const limits = clientLimits({ clock })
  const held = limits.admit('192.0.2.1')
  for (let i = 0; i < 500; i++) release(limits.admit(`198.51.${i >> 8}.${i & 255}`))
  t.same(limits.counts(), { connections: 1, clients: 501 })
  clock.time = 59_999
  limits.admit('192.0.2.1')
  t.equal(limits.counts().clients, 501)
  clock.time = 60_000
  limits.admit('192.0.2.1')
  t.same(limits.counts(), { connections: 3, clients: 1 }, 'all whose minute is over, at the next call')
  release(held)
  t.same(limits.counts(), { connections: 2, clients: 1 })
})

t.test('refused ones leave nothing behind', async t => {
  const limits = clientLimits({ maxConnections: 1, clock: stopped() })
  limits.admit('192.0.2.1')
  for (let i = 0; i < 100; i++) limits.admit(`198.51.100.${i}`)
  t.equal(limits.counts().clients, 1)
})

t.test('a bound on what is remembered', async t => {
  const limits = clientLimits({ perClient: { perMinute: 1 }, maxRemembered: 10, clock: stopped() })
  for (let i = 0; i < 100; i++) release(limits.admit(`198.51.100.${i}`))
  t.equal(limits.counts().clients, 10)
  t.equal(limits.admit('198.51.100.99').refused, 'rate')
  t.equal(limits.admit('198.51.100.0').refused, undefined, 'the one that left first')
})

t.test('limits that are off, defaults, and wrong ones', async t => {
  const free = clientLimits({ maxConnections: Infinity, perClient: { connections: Infinity, perMinute: Infinity } })
  for (let i = 0; i < 2000; i++) if (free.admit('192.0.2.1').refused !== undefined) t.fail('refused')
  t.equal(free.counts().connections, 2000)
  const usual = clientLimits({ clock: stopped() })
  const results = Array.from({ length: 51 }, () => usual.admit('192.0.2.1').refused)
  t.same(results.slice(49), [undefined, 'perClient'])
  for (const wrong of [0, -1, 1.5, Number.NaN, '5' as unknown as number]) {
    t.throws(() => clientLimits({ maxConnections: wrong }), { code: 'ERR_OPTION', message: /maxConnections/ })
    t.throws(() => clientLimits({ perClient: { connections: wrong } }), { code: 'ERR_OPTION', message: /perClient/ })
    t.throws(() => clientLimits({ perClient: { perMinute: wrong } }), { code: 'ERR_OPTION', message: /perMinute/ })
    t.throws(() => clientLimits({ maxRemembered: wrong }), { code: 'ERR_OPTION', message: /maxRemembered/ })
  }
})

t.test('counts agree with a plain model, and go back to nothing', async () => {
  const step = fc.record({
    address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'),
    wait: fc.nat(30_000),
    drop: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const clock = stopped()
      const limits = clientLimits({ maxConnections: 4, perClient: { connections: 2, perMinute: 5 }, clock })
      const held: { client: string; admission: Admission }[] = []
      for (const { address, wait, drop } of steps) {
        clock.time += wait
        const client = address.startsWith('2') ? 'v6' : address
        if (drop) {
          const oldest = held.shift()
          if (oldest !== undefined) release(oldest.admission)
          continue
        }
        const mine = held.filter(one => one.client === client).length
        const admission = limits.admit(address)
        const wanted = held.length >= 4 ? 'connections' : mine >= 2 ? 'perClient' : undefined
        if (admission.refused !== wanted && !(wanted === undefined && admission.refused === 'rate')) return false
        if (admission.refused === undefined) held.push({ client, admission })
        if (limits.counts().connections !== held.length) return false
      }
      for (const { admission } of held) release(admission)
      clock.time += 60_000
      release(limits.admit('203.0.113.1'))
      return limits.counts().connections === 0 && limits.counts().clients === 1
    }),
  )
})
