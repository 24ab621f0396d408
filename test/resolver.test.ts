import t, { type Test } from 'tap'
import { resolver, type DnsResolver, type ResolverOptions } from '../lib/dns.ts'
import { isAskable, isHostName, pointerName, reversedAddress } from '../lib/dns/names.ts'
import { TtlCache } from '../lib/dns/ttl-cache.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { FakeDns } from './fixtures/fake-dns.ts'

/** A fake server, and a resolver that asks it. */
async function start(t: Test, options: ResolverOptions = {}): Promise<{ server: FakeDns; dns: DnsResolver }> {
  const server = await new FakeDns().listen()
  const dns = resolver({ servers: [server.address], timeout: 10_000, ...options })
  t.teardown(() => {
    dns.close()
    server.close()
  })
  return { server, dns }
}

t.test('each type of records', async t => {
  const { server, dns } = await start(t)
  server.say('example.org', 'A', '192.0.2.1', '192.0.2.2')
  server.say('example.org', 'AAAA', '20010db8000000000000000000000001')
  server.say('example.org', 'MX', '10 mx.example.org', '20 backup.example.org')
  server.say('example.org', 'NS', 'ns.example.org')
  server.say('example.org', 'TXT', 'v=spf1 -all', 'x'.repeat(300))
  server.say('1.2.0.192.in-addr.arpa', 'PTR', 'host.example.org')
  const records = async (name: string, type: 'A' | 'AAAA' | 'MX' | 'NS' | 'TXT' | 'PTR'): Promise<unknown> => {
    const answer = await dns.resolve(name, type)
    return answer.kind === 'found' ? answer.records : answer
  }
  t.strictSame(await records('Example.ORG.', 'A'), ['192.0.2.1', '192.0.2.2'])
  t.strictSame(await records('example.org', 'AAAA'), ['2001:db8::1'])
  t.strictSame(await records('example.org', 'MX'), [
    { exchange: 'mx.example.org', priority: 10 },
    { exchange: 'backup.example.org', priority: 20 },
  ])
  t.strictSame(await records('example.org', 'NS'), ['ns.example.org'])
  t.strictSame(await records('example.org', 'TXT'), ['v=spf1 -all', 'x'.repeat(300)])
  t.strictSame(await records('1.2.0.192.in-addr.arpa', 'PTR'), ['host.example.org'])
})

t.test('"none" is sure; everything else is unknown', async t => {
  const { server, dns } = await start(t)
  t.strictSame(await dns.resolve('no-name.example', 'A'), { kind: 'none' })
  server.answers.set('no-record.example A', { records: [] })
  t.strictSame(await dns.resolve('no-record.example', 'A'), { kind: 'none' })
  const codes = { SERVFAIL: 'ESERVFAIL', REFUSED: 'EREFUSED', FORMERR: 'EFORMERR', NOTIMP: 'ENOTIMP' } as const
  for (const [error, code] of Object.entries(codes)) {
    server.answers.set(`${error.toLowerCase()}.example A`, { error: error as keyof typeof codes })
    t.strictSame(await dns.resolve(`${error.toLowerCase()}.example`, 'A'), { kind: 'unknown', code })
  }
  server.answers.set('garbage.example A', 'garbage')
  t.match(await dns.resolve('garbage.example', 'A', { timeout: 500 }), { kind: 'unknown' })
})

t.test('a name that cannot exist is not asked for', async t => {
  const { server, dns } = await start(t)
  for (const name of ['', '.', 'a..b', 'x'.repeat(64), `${'a.'.repeat(127)}b`, 'sp ace.example', 'ü.example']) {
    t.strictSame(await dns.resolve(name, 'A'), { kind: 'none' }, JSON.stringify(name))
  }
  t.equal(server.asked(), 0)
})

t.test('an answer comes by the deadline, whatever node:dns does', async t => {
  const clock = new FakeClock()
  const { server, dns } = await start(t, { clock })
  server.otherwise = 'silence'
  const answers: unknown[] = []
  void dns.resolve('a.example', 'A').then(answer => answers.push(answer))
  void dns.resolve('b.example', 'A', { timeout: 20 }).then(answer => answers.push(answer))
  await clock.tick(19)
  t.strictSame(answers, [])
  await clock.tick(1)
  t.strictSame(answers, [{ kind: 'unknown', code: 'ETIMEOUT' }])
  await clock.tick(9979)
  t.equal(answers.length, 1)
  await clock.tick(1)
  t.strictSame(answers[1], { kind: 'unknown', code: 'ETIMEOUT' })
  t.match(await dns.resolve('c.example', 'A', { timeout: 0 }), { kind: 'unknown', code: 'ETIMEOUT' })
})

t.test('a caller may give up, and a resolver may be closed', async t => {
  const { server, dns } = await start(t)
  server.otherwise = 'silence'
  const controller = new AbortController()
  const asked = dns.resolve('a.example', 'A', { signal: controller.signal })
  controller.abort()
  t.strictSame(await asked, { kind: 'unknown', code: 'ECANCELLED' })
  t.strictSame(await dns.resolve('b.example', 'A', { signal: controller.signal }), {
    kind: 'unknown',
    code: 'ECANCELLED',
  })
  const other = dns.resolve('c.example', 'A')
  dns.close()
  t.strictSame(await other, { kind: 'unknown', code: 'ECANCELLED' })
})

t.test('equal questions under way are one; each asker has a deadline of its own', async t => {
  const { server, dns } = await start(t)
  server.answers.set('a.example A', { records: ['192.0.2.1'], delay: 100 })
  const patient = Array.from({ length: 100 }, (_, i) => dns.resolve(i % 2 === 0 ? 'a.example' : 'A.Example', 'A'))
  const impatient = dns.resolve('a.example', 'A', { timeout: 10 })
  t.strictSame(await impatient, { kind: 'unknown', code: 'ETIMEOUT' })
  for (const answer of await Promise.all(patient)) t.strictSame(answer, { kind: 'found', records: ['192.0.2.1'] })
  t.equal(server.asked(), 1)
})

t.test('answers are kept for their TTL, failures are not', async t => {
  const clock = new FakeClock()
  const { server, dns } = await start(t, { clock })
  server.answers.set('a.example A', { records: ['192.0.2.1'], ttl: 30 })
  server.say('a.example', 'TXT', 'text')
  server.answers.set('bad.example A', { error: 'SERVFAIL' })
  const ask = async (): Promise<void> => {
    await dns.resolve('a.example', 'A')
    await dns.resolve('a.example', 'TXT')
    await dns.resolve('none.example', 'A')
  }
  await ask()
  await ask()
  t.equal(server.asked(), 3)
  await clock.tick(30_000)
  await ask()
  t.equal(server.asked('a.example'), 3, 'an address: as long as it says')
  t.equal(server.asked('none.example'), 1)
  await clock.tick(30_000)
  await ask()
  t.equal(server.asked('none.example'), 2, 'no name: a minute')
  await clock.tick(240_000)
  await ask()
  t.equal(server.questions.filter(({ type }) => type === 'TXT').length, 2, 'other records: five minutes')
  const before = server.asked()
  await dns.resolve('bad.example', 'A')
  const once = server.asked() - before
  await dns.resolve('bad.example', 'A')
  t.equal(server.asked() - before, 2 * once)
})

t.test('what is kept is bounded, in number and in size', async t => {
  const { server, dns } = await start(t, { cacheSize: 2 })
  server.otherwise = { records: ['192.0.2.1'] }
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await dns.resolve(`${name}.example`, 'A')
  t.equal(server.asked('a.example'), 1)
  t.equal(server.asked('b.example'), 2, 'it was used longest ago')
  server.otherwise = { records: Array.from({ length: 3 }, () => 'x'.repeat(1400)) }
  const big = [await dns.resolve('big.example', 'TXT'), await dns.resolve('big.example', 'TXT')]
  t.match(big, [{ kind: 'found' }, { kind: 'found' }])
  t.equal(server.asked('big.example'), 2)
})

t.test(
  '1,000 sessions under a dead name server: none waits longer than its deadline, few questions are out',
  async t => {
    const clock = new FakeClock()
    const { server, dns } = await start(t, { clock, maxInFlight: 50 })
    server.otherwise = 'silence'
    const codes: string[] = []
    for (let i = 0; i < 1000; i++) {
      void dns
        .resolve(`${i}.example`, 'A')
        .then(answer => codes.push(answer.kind === 'unknown' ? answer.code : answer.kind))
    }
    await clock.tick(9999)
    t.strictSame(new Set(codes), new Set(['EBUSY']), 'unknown at once')
    t.equal(codes.length, 950)
    await clock.tick(1)
    t.strictSame(codes.slice(950), Array<string>(50).fill('ETIMEOUT'))
    t.ok(new Set(server.questions.map(({ name }) => name)).size <= 50)
  },
)

t.test('names', t => {
  t.equal(reversedAddress('192.0.2.1'), '1.2.0.192')
  t.equal(reversedAddress('::ffff:192.0.2.1'), '1.2.0.192')
  const digits = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'
  t.equal(reversedAddress('2001:db8::1'), digits)
  t.equal(reversedAddress('example.org'), null)
  t.equal(pointerName('192.0.2.1'), '1.2.0.192.in-addr.arpa')
  t.equal(pointerName('2001:db8::1'), `${digits}.ip6.arpa`)
  t.equal(pointerName(''), null)
  for (const name of ['a.example', 'x_y.example', '1-2.example']) t.ok(isHostName(name), name)
  for (const name of ['localhost', 'a..example', 'a b.example', 'a\\.b.example', 'a.example\r\n'])
    t.notOk(isHostName(name))
  t.ok(isAskable('org'))
  t.end()
})

t.test('a cache', t => {
  const cache = new TtlCache<number>(2)
  cache.set('a', 1, 100)
  t.equal(cache.get('a', 99), 1)
  t.equal(cache.get('a', 100), undefined)
  t.equal(cache.size, 0)
  cache.set('a', 1, 100)
  cache.set('b', 2, 100)
  cache.get('a', 0)
  cache.set('c', 3, 100)
  t.strictSame([cache.get('a', 0), cache.get('b', 0), cache.get('c', 0)], [1, undefined, 3])
  cache.clear()
  t.equal(cache.size, 0)
  t.end()
})

t.test('options that make no sense are refused', t => {
  for (const options of [
    { servers: [] },
    { servers: ['no address'] },
    { timeout: 0 },
    { maxInFlight: 0 },
    { cacheSize: -1 },
    { server: '127.0.0.1' } as ResolverOptions,
  ]) {
    t.throws(() => resolver(options), { code: 'ERR_OPTION' }, JSON.stringify(options))
  }
  t.ok(resolver())
  t.end()
})
