// What is formatted is parsed back the same, for those that have no such test of their own: replies, SASL's names and
// messages, the places of TOML keys, what the stores keep, dates; and a configuration of anything. (Paths, parameters, xtext,
// XCLIENT, PROXY, Received, base64, DNS and the values of stores have theirs.)

import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { locateKeys } from '../lib/cli/config/locate.ts'
import { ConfigError } from '../lib/cli/config/problems.ts'
import { ReplyReader } from '../lib/client/reply-reader.ts'
import { formatDateTime, parseDateTime } from '../lib/protocol/parameters/date-time.ts'
import { readClientFinal, readClientFirst } from '../lib/smtp/auth/scram-messages.ts'
import { memoryStore, sqliteStore, type Store } from '../lib/stores.ts'
import { reply } from '../lib/index.ts'

/** A text of characters of a pattern. */
const text = (pattern: RegExp, maxLength = 20): fc.Arbitrary<string> =>
  fc.stringMatching(pattern).map(s => s.slice(0, maxLength))

t.test('replies, cut anywhere', async t => {
  const code = fc.integer({ min: 200, max: 559 }).filter(each => /^[2-5][0-5]\d$/.test(String(each)))
  const status = fc.option(fc.tuple(fc.nat(999), fc.nat(999)))
  const lines = fc.array(text(/^[!-~][ -~ä€]*$/), { minLength: 1, maxLength: 4 })
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(code, status, lines, cuts, (code, status, lines, cuts) => {
      const enhanced =
        status === null || (code >= 300 && code < 400) ? [] : [`${String(code)[0]}.${status[0]}.${status[1]}`]
      fc.pre(enhanced.length > 0 || lines.every(line => !/^[245]\.\d/.test(line)))
      const octets = Buffer.from(String(reply(code, ...enhanced, ...lines)))
      const reader = new ReplyReader()
      for (let at = 0, i = 0; at < octets.length; i++) {
        const size = cuts[i % cuts.length]!
        reader.push(octets.subarray(at, at + size))
        at += size
      }
      const got = reader.next()!
      return (
        got.code === code &&
        got.status === (enhanced[0] ?? null) &&
        got.lines.join('\n') === lines.join('\n') &&
        !reader.unfinished
      )
    }),
  )
  t.pass()
})

const escapeName = (name: string): string => name.replaceAll('=', '=3D').replaceAll(',', '=2C')

t.test('the messages of SCRAM', async t => {
  const name = text(/^[!-~ä€]+$/)
  const nonce = text(/^[!-+\--~]+$/, 100).filter(each => each !== '')
  fc.assert(
    fc.property(fc.option(name), name, nonce, (authzid, user, nonce) => {
      fc.pre(user !== '' && authzid !== '')
      const header = `n,${authzid === null ? '' : `a=${escapeName(authzid)}`},`
      const bare = `n=${escapeName(user)},r=${nonce}`
      const read = readClientFirst(header + bare)
      return JSON.stringify(read) === JSON.stringify({ header, authzid: authzid ?? '', user, nonce, bare })
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), nonce, fc.uint8Array({ maxLength: 40 }), (binding, nonce, proof) => {
      const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64')
      const withoutProof = `c=${base64(binding)},r=${nonce}`
      const read = readClientFinal(`${withoutProof},p=${base64(proof)}`)
      return (
        read !== null &&
        read.nonce === nonce &&
        read.withoutProof === withoutProof &&
        read.binding.equals(binding) &&
        read.proof.equals(proof)
      )
    }),
  )
  t.pass()
})

t.test('TOML: each key of a file is found in its line', async t => {
  const key = text(/^[A-Za-z0-9_-]+$/, 8).filter(each => each !== '')
  const value = fc.oneof(fc.integer({ min: -1e9, max: 1e9 }), fc.boolean(), text(/^[ -~ä€\n"'\\#[\]=]*$/))
  const flat = fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true })
  const table = fc.dictionary(key, fc.oneof(value, flat), { maxKeys: 5, noNullPrototype: true })
  fc.assert(
    fc.property(table, config => {
      const toml = stringify(config)
      const locate = locateKeys(toml)
      const lines = toml.split('\n')
      const isAt = (path: readonly string[]): boolean => {
        const place = locate(path)
        return place !== null && lines[place.line - 1]!.slice(place.column - 1).includes(path.at(-1)!)
      }
      return Object.entries(config).every(([key, value]) =>
        typeof value === 'object' ? Object.keys(value).every(inner => isAt([key, inner])) : isAt([key]),
      )
    }),
  )
  t.pass()
})

/** Puts entries and compares what a scan gives. */
async function keeps(make: () => Store): Promise<void> {
  const time = fc.integer({ min: 1, max: 2 ** 41 })
  const name = text(/^[!-~ä€]+$/).filter(each => each !== '')
  const entry = fc.record({
    client: name,
    sender: name,
    recipient: name,
    first: time,
    more: fc.nat(1e6),
    attempts: fc.integer({ min: 1, max: 1e6 }),
    waited: fc.option(fc.nat(1e6)),
  })
  await fc.assert(
    fc.asyncProperty(entry, async ({ client, sender, recipient, first, more, attempts, waited }) => {
      const last = first + more
      const expires = Date.now() + 1e9
      const put = {
        kind: 'triplet',
        client,
        sender: `${sender}@example.net`,
        recipient: `${recipient}@example.org`,
        first,
        last: Math.min(last, Date.now()),
        attempts,
        waited,
        expires,
      } as const
      fc.pre(put.first <= put.last)
      const store = make()
      await store.put(put, { timeout: 10_000 })
      const found = []
      for await (const each of store.scan()) found.push(each)
      await store.close()
      const [got] = found
      const same =
        found.length === 1 &&
        got?.kind === 'triplet' &&
        got.client === client &&
        got.first === first &&
        got.last === put.last &&
        got.attempts === attempts &&
        got.waited === waited &&
        got.expires === expires
      if (!same) throw new Error(JSON.stringify({ put, found }))
    }),
    { numRuns: 30 },
  )
}

t.test('entries of a store', async t => {
  let number = 0
  const folder = t.testdir()
  await keeps(() => memoryStore())
  await keeps(() => sqliteStore({ file: join(folder, `${number++}.db`) }))
  t.pass()
})

t.test('dates and times, and whatever is like one', t => {
  const date = fc.date({
    min: new Date('0000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  })
  fc.assert(fc.property(date, date => parseDateTime(formatDateTime(date))?.getTime() === date.getTime()))
  const two = fc.nat(99).map(n => String(n).padStart(2, '0'))
  const zone = fc.oneof(
    fc.constantFrom('Z', 'z', '', '+23:59', '-23:59'),
    fc.tuple(two, two).map(([h, m]) => `-${h}:${m}`),
  )
  const like = fc
    .tuple(fc.constantFrom('0000', '9999', '2026', '1600'), two, two, two, two, two, zone)
    .map(([year, month, day, h, m, s, zone]) => `${year}-${month}-${day}T${h}:${m}:${s}${zone}`)
  fc.assert(
    fc.property(fc.oneof(like, fc.string()), text => {
      const read = parseDateTime(text)
      return read === null || parseDateTime(formatDateTime(read))?.getTime() === read.getTime()
    }),
    { numRuns: 2000 },
  )
  for (const text of ['9999-12-31T23:59:59-00:01', '0000-01-01T00:00:00+00:01'])
    t.equal(parseDateTime(text), null, text)
  t.end()
})

t.test('a configuration, whatever it is: a configuration or its problems', t => {
  const key = fc.constantFrom(
    'listen',
    'maildir',
    'upstream',
    'size',
    'greylisting',
    'limits.errors',
    'tls.cert',
    'a',
    'b c',
  )
  const value = fc.oneof(
    fc.constantFrom(
      '1',
      'true',
      '"x"',
      '[1, "x"]',
      '{ a = 1 }',
      '1979-05-27',
      'nan',
      '0x1f',
      "'''x'''",
      '-1',
      '"\\u0000"',
    ),
    fc.string({ maxLength: 12 }),
  )
  const line = fc.oneof(
    fc.tuple(key, value).map(([key, value]) => `${key} = ${value}`),
    fc.constantFrom('[limits]', '[[policy]]', '[tls]', '[__proto__]', '[[listen]]', '["a.b"]', '# x'),
    fc.string({ maxLength: 20 }),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), lines => {
      try {
        return loadConfig(null, lines.join('\n')).file === null
      } catch (error) {
        return error instanceof ConfigError && error.message.length > 0
      }
    }),
    { numRuns: 500 },
  )
  t.end()
})
