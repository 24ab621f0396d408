import t, { type Test } from 'tap'
import { hostName, resolver, type DnsResolver } from '../lib/dns.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { FakeDns } from './fixtures/fake-dns.ts'

async function start(t: Test): Promise<{ server: FakeDns; dns: DnsResolver }> {
  const server = await new FakeDns().listen()
  const dns = resolver({ servers: [server.address], timeout: 10_000 })
  t.teardown(() => {
    dns.close()
    server.close()
  })
  return { server, dns }
}

const POINTER = '1.2.0.192.in-addr.arpa'

t.test('a name that points back', async t => {
  const { server, dns } = await start(t)
  server.say(POINTER, 'PTR', 'Host.Example.org')
  server.say('host.example.org', 'A', '192.0.2.9', '192.0.2.1')
  const confirmed = { kind: 'confirmed', name: 'host.example.org' } as const
  t.strictSame(await hostName(dns, '192.0.2.1', { timeout: 10_000 }), confirmed)
  t.strictSame(await hostName(dns, '::ffff:192.0.2.1', { timeout: 10_000 }), confirmed)
})

t.test('IPv6, in any spelling', async t => {
  const { server, dns } = await start(t)
  const pointer = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'
  server.say(pointer, 'PTR', 'six.example.org')
  server.say('six.example.org', 'AAAA', '20010db8000000000000000000000001')
  const found = await hostName(dns, '2001:0DB8:0:0::0001', { timeout: 10_000 })
  t.strictSame(found, { kind: 'confirmed', name: 'six.example.org' })
})

t.test('names that point elsewhere, nowhere, or are none', async t => {
  const { server, dns } = await start(t)
  server.say(POINTER, 'PTR', 'liar.example.org', 'missing.example.org', 'localhost')
  server.say('liar.example.org', 'A', '198.51.100.1')
  t.strictSame(await hostName(dns, '192.0.2.1', { timeout: 10_000 }), {
    kind: 'unconfirmed',
    names: ['liar.example.org', 'missing.example.org'],
  })
  t.equal(server.asked('localhost'), 0)
  t.strictSame(await hostName(dns, '198.51.100.7', { timeout: 10_000 }), { kind: 'none' })
  t.strictSame(await hostName(dns, '/run/socket'), { kind: 'none' })
})

t.test('the first that points back, of five at the most', async t => {
  const { server, dns } = await start(t)
  const names = Array.from({ length: 50 }, (_, i) => `n${i}.example.org`)
  server.say(POINTER, 'PTR', ...names)
  server.say('n3.example.org', 'A', '192.0.2.1')
  server.say('n9.example.org', 'A', '192.0.2.1')
  t.strictSame(await hostName(dns, '192.0.2.1', { timeout: 10_000 }), { kind: 'confirmed', name: 'n3.example.org' })
  t.equal(server.questions.filter(({ type }) => type === 'A').length, 5)
})

t.test('an answer that is missing is told from a name that is', async t => {
  const { server, dns } = await start(t)
  server.answers.set(`${POINTER} PTR`, { error: 'SERVFAIL' })
  t.strictSame(await hostName(dns, '192.0.2.1', { timeout: 10_000 }), { kind: 'unknown', names: [], code: 'ESERVFAIL' })
  server.say(POINTER, 'PTR', 'liar.example.org', 'slow.example.org')
  server.say('liar.example.org', 'A', '198.51.100.1')
  server.answers.set('slow.example.org A', 'silence')
  const names = ['liar.example.org', 'slow.example.org']
  // One deadline for both questions: a second is over when the first is answered.
  const clock = new FakeClock()
  const timeouts: unknown[] = []
  const asking: DnsResolver = {
    async resolve(name, type, options) {
      timeouts.push(options?.timeout)
      const answer = await dns.resolve(name, type, options)
      if (type === 'PTR') await clock.tick(1000)
      return answer
    },
    close() {},
  }
  const found = await hostName(asking, '192.0.2.1', { timeout: 2000, clock })
  t.strictSame(found, { kind: 'unknown', names, code: 'ETIMEOUT' })
  t.strictSame(timeouts, [2000, 1000, 1000])
})
