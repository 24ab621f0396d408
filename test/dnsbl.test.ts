import t, { type Test } from 'tap'
import { dnsbl, resolver, type Dnsbl, type DnsblOptions, type DnsblZone, type DnsResolver } from '../lib/dns.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { FakeDns } from './fixtures/fake-dns.ts'

interface Started {
  readonly server: FakeDns
  readonly dns: DnsResolver
  readonly lists: Dnsbl
}

async function start(
  t: Test,
  zones: readonly (string | DnsblZone)[],
  options: Partial<DnsblOptions> = {},
  clock?: FakeClock,
): Promise<Started> {
  const server = await new FakeDns().listen()
  const dns = resolver({ servers: [server.address], timeout: 10_000, cacheSize: 1, clock })
  t.teardown(() => {
    dns.close()
    server.close()
  })
  return { server, dns, lists: dnsbl({ zones, resolver: dns, timeout: 10_000, ...options }) }
}

t.test('listed in some, not in others', async t => {
  const zones = [
    'bad.example',
    { zone: 'worse.example', weight: 3 },
    { zone: 'good.example', weight: -5 },
    'clean.example',
  ]
  const { server, lists } = await start(t, zones)
  server.say('1.2.0.192.bad.example', 'A', '127.0.0.2')
  server.say('1.2.0.192.worse.example', 'A', '127.0.0.4', '127.0.0.10')
  server.say('1.2.0.192.good.example', 'A', '127.0.5.2')
  t.strictSame(await lists.lookup('192.0.2.1'), {
    score: -1,
    listings: [
      { zone: 'bad.example', code: '127.0.0.2', weight: 1 },
      { zone: 'worse.example', code: '127.0.0.4', weight: 3 },
      { zone: 'good.example', code: '127.0.5.2', weight: -5 },
    ],
    unknown: [],
  })
  t.strictSame(await lists.lookup('192.0.2.2'), { score: 0, listings: [], unknown: [] })
  t.strictSame(await lists.lookup('/run/socket'), { score: 0, listings: [], unknown: [] })
})

t.test('IPv6 by its digits', async t => {
  const { server, lists } = await start(t, ['bad.example'])
  const digits = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'
  server.say(`${digits}.bad.example`, 'A', '127.0.0.2')
  t.equal((await lists.lookup('2001:db8::1')).score, 1)
})

t.test('codes have weights of their own; the heaviest of a zone counts', async t => {
  const codes = { '127.0.0.10': 0.5, '127.0.0.*': 2, '127.0.*.3': -4 }
  const { server, lists } = await start(t, [{ zone: 'zen.example', codes }])
  const weigh = async (...found: readonly string[]): Promise<number> => {
    server.say('1.2.0.192.zen.example', 'A', ...found)
    await lists.lookup('198.51.100.1') // Out of the cache.
    return (await lists.lookup('192.0.2.1')).score
  }
  t.equal(await weigh('127.0.0.10'), 0.5)
  t.equal(await weigh('127.0.0.4'), 2)
  t.equal(await weigh('127.0.0.10', '127.0.0.2'), 2)
  t.equal(await weigh('127.0.9.3', '127.0.0.2'), -4)
  t.equal(await weigh('127.1.0.1'), 0, 'a code that is not there is no listing')
})

t.test('errors are no listings', async t => {
  const { server, lists } = await start(t, ['bad.example'])
  for (const code of ['127.255.255.254', '127.255.255.255', '127.0.0.1', '192.0.2.80', '10.0.0.1']) {
    server.say('1.2.0.192.bad.example', 'A', code)
    server.say('1.100.51.198.bad.example', 'A', '127.0.0.2') // In between, so that the zone is not left out.
    t.strictSame(await lists.lookup('192.0.2.1'), { score: 0, listings: [], unknown: ['bad.example'] }, code)
    t.equal((await lists.lookup('198.51.100.1')).score, 1)
  }
  for (const answer of [{ error: 'SERVFAIL' }, { error: 'REFUSED' }] as const) {
    server.answers.set('1.2.0.192.bad.example A', answer)
    t.strictSame((await lists.lookup('192.0.2.1')).unknown, ['bad.example'])
    await lists.lookup('198.51.100.1')
  }
})

t.test('after three failures a zone is left out for a minute', async t => {
  const clock = new FakeClock()
  const changes: string[] = []
  const onZone = (zone: string, leftOut: boolean): void => void changes.push(`${zone} ${leftOut}`)
  const { server, lists } = await start(t, ['dead.example', 'bad.example'], { clock, onZone })
  let host = 0
  const next = (): Promise<{ readonly unknown: readonly string[] }> => lists.lookup(`192.0.2.${++host}`)
  const isDead = ({ name }: { readonly name: string }): boolean => name.endsWith('dead.example')
  const asked = (): number => new Set(server.questions.filter(isDead).map(({ name }) => name)).size
  for (let i = 1; i < 250; i++) server.answers.set(`${i}.2.0.192.dead.example A`, { error: 'SERVFAIL' })
  for (let i = 0; i < 10; i++) t.strictSame((await next()).unknown, ['dead.example'])
  t.equal(asked(), 3)
  t.strictSame(changes, ['dead.example true'])
  await clock.tick(59_999)
  await next()
  t.equal(asked(), 3)
  await clock.tick(1)
  await next()
  await next()
  t.equal(asked(), 4, 'one failure is enough to leave it out again')
  await clock.tick(60_000)
  server.answers.clear()
  t.strictSame((await next()).unknown, [])
  t.strictSame((await next()).unknown, [])
  t.equal(asked(), 6)
  t.strictSame(changes, ['dead.example true', 'dead.example false'])
})

t.test('silence: the answer comes by the deadline; a caller that gives up is no failure', async t => {
  const clock = new FakeClock()
  const { server, dns, lists } = await start(t, ['dead.example', 'bad.example'], { timeout: 200 }, clock)
  server.otherwise = 'silence'
  /** Looks up with the answer of bad.example in the cache, so that only the other one is waited for. */
  const lookUp = async (host: number) => {
    server.say(`${host}.2.0.192.bad.example`, 'A', '127.0.0.2')
    t.equal((await dns.resolve(`${host}.2.0.192.bad.example`, 'A')).kind, 'found')
    let isThere = false
    const answer = lists.lookup(`192.0.2.${host}`).finally(() => (isThere = true))
    await clock.tick(199)
    t.notOk(isThere)
    await clock.tick(1)
    t.ok(isThere)
    return answer
  }
  t.match(await lookUp(1), { score: 1, unknown: ['dead.example'] })
  for (let i = 0; i < 5; i++) await lists.lookup('192.0.2.3', { signal: AbortSignal.abort() })
  t.equal((await lookUp(5)).score, 1, 'the zone is still asked')
})

t.test('options that make no sense are refused', t => {
  const dns = resolver()
  for (const zone of [
    'no zone',
    { zone: '' },
    { zone: 'a.example', weight: Number.NaN },
    { zone: 'a.example', codes: { '127.0.0': 1 } },
    { zone: 'a.example', codes: { '127.0.0.x': 1 } },
    { zone: 'a.example', codes: { '127.0.0.2': 'much' as unknown as number } },
  ]) {
    t.throws(() => dnsbl({ zones: [zone], resolver: dns }), { code: 'ERR_OPTION' }, JSON.stringify(zone))
  }
  t.end()
})
