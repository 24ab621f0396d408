// What DNS answers, whatever it is: found, none or unknown, never an exception; a name is confirmed only by its address,
// and a list lists only by a code of a list.

import fc from 'fast-check'
import t from 'tap'
import { dnsbl, hostName, resolver, type DnsAnswer, type DnsResolver, type DnsType } from '../lib/dns.ts'
import { isHostName } from '../lib/dns/names.ts'
import { FakeDns } from './fixtures/fake-dns.ts'

const octet = fc.nat(255)
const ipv4 = fc.tuple(octet, octet, octet, octet).map(octets => octets.join('.'))
const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const name = fc.tuple(label, label).map(labels => labels.join('.'))
/** One string of a record has 255 octets at the most; what is longer comes in several, which are joined. */
const text = fc.stringMatching(/^[ -~]{1,40}$/).chain(part => fc.integer({ min: 1, max: 12 }).map(n => part.repeat(n)))

t.test('a packet with records is those records', async t => {
  const server = await new FakeDns().listen()
  const dns = resolver({ servers: [server.address], timeout: 20_000, cacheSize: 1 })
  t.teardown(() => (dns.close(), server.close()))
  let number = 0
  const records: Readonly<Record<string, fc.Arbitrary<string>>> = { A: ipv4, PTR: name, NS: name, TXT: text }
  for (const [type, record] of Object.entries(records)) {
    const property = fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 4 }), async said => {
      const asked = `n${number++}.example`
      server.say(asked, type, ...said)
      const answer = await dns.resolve(asked, type as DnsType)
      return answer.kind === 'found' && JSON.stringify(answer.records) === JSON.stringify(said)
    })
    await fc.assert(property, { numRuns: 40 })
  }
  t.pass()
})

t.test('a bent packet is an answer too, and never an exception', async t => {
  const server = await new FakeDns().listen()
  const dns = resolver({ servers: [server.address], timeout: 400, cacheSize: 1 })
  t.teardown(() => (dns.close(), server.close()))
  const change = fc.record({ at: fc.nat(200), octet })
  const bends = fc.record({ changes: fc.array(change, { maxLength: 6 }), end: fc.option(fc.nat(120)) })
  const cases = fc.sample(fc.tuple(fc.constantFrom('A', 'PTR', 'TXT', 'MX'), bends), 60)
  const answers = cases.map(([type, { changes, end }], i) => {
    const bend = (message: Buffer): Buffer => {
      const bent = Buffer.from(message)
      // The id stays: another one is no answer to this question.
      for (const { at, octet } of changes) if (2 + at < bent.length) bent[2 + at] = octet
      return end === null ? bent : bent.subarray(0, 2 + end)
    }
    const records = { A: ['192.0.2.1'], PTR: ['a.example'], TXT: ['x'], MX: ['10 mx.example'] }[type]!
    server.answers.set(`b${i}.example ${type}`, { records, bend })
    return dns.resolve(`b${i}.example`, type as DnsType)
  })
  for (const { kind } of await Promise.all(answers)) t.match(kind, /^(?:found|none|unknown)$/)
})

const garbage = fc.oneof(fc.string({ maxLength: 300 }), name, ipv4, fc.constantFrom('', '.', '-', 'localhost', 'a..b'))
const answer = (record: fc.Arbitrary<string>): fc.Arbitrary<DnsAnswer> =>
  fc.oneof(
    fc.record({ kind: fc.constant('found' as const), records: fc.array(record, { maxLength: 7 }) }),
    fc.constant({ kind: 'none' as const }),
    fc.record({ kind: fc.constant('unknown' as const), code: fc.constantFrom('ESERVFAIL', 'ETIMEOUT', 'EBUSY') }),
  ) as fc.Arbitrary<DnsAnswer>

/** Answers by type, whatever the name. */
function saying(answers: Readonly<Partial<Record<DnsType, DnsAnswer>>>): DnsResolver {
  return {
    resolve: async (_name: string, type: DnsType) => answers[type] ?? { kind: 'none' },
    close() {},
  } as DnsResolver
}

t.test('the name of a client is confirmed by its own address alone', async t => {
  const property = fc.asyncProperty(
    ipv4,
    fc.boolean(),
    answer(garbage),
    answer(garbage),
    async (address, isIts, PTR, other) => {
      const A = isIts && other.kind === 'found' ? { ...other, records: [...other.records, address] } : other
      const got = await hostName(saying({ PTR, A } as Record<DnsType, DnsAnswer>), address)
      const pointsBack = A.kind === 'found' && A.records.includes(address)
      const candidates = PTR.kind === 'found' ? (PTR.records as readonly string[]).map(each => each.toLowerCase()) : []
      if (got.kind === 'confirmed')
        return pointsBack && isHostName(got.name) && candidates.some(each => each.startsWith(got.name))
      if (got.kind === 'none') return PTR.kind === 'none'
      return got.names.length <= 5 && got.names.every(isHostName) && !(pointsBack && got.names.length > 0)
    },
  )
  await fc.assert(property)
  t.pass()
})

t.test('a list lists by the codes of lists alone', async t => {
  const code = fc.oneof(
    garbage,
    fc.tuple(octet, octet, octet).map(rest => `127.${rest.join('.')}`),
  )
  const property = fc.asyncProperty(
    fc.oneof(ipv4, garbage),
    answer(code),
    fc.integer({ min: -9, max: 9 }),
    async (address, A, weight) => {
      const lists = dnsbl({ zones: ['a.example', { zone: 'b.example', weight }], resolver: saying({ A }) })
      const { score, listings, unknown } = await lists.lookup(address)
      const isSum = score === listings.reduce((sum, each) => sum + each.weight, 0)
      return isSum && listings.every(each => each.code.startsWith('127.')) && listings.length + unknown.length <= 2
    },
  )
  await fc.assert(property)
  t.pass()
})
