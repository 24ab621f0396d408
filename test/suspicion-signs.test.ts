// Signs of suspicion, as a function of what is known: each with and without.

import t from 'tap'
import type { HostName } from '../lib/dns/host-name.ts'
import { isNameOf, isOurs, readHelo } from '../lib/policies/suspicion/helo.ts'
import { refusal } from '../lib/policies/suspicion/refusal.ts'
import { certain, findSigns, scoreOf, type Facts } from '../lib/policies/suspicion/signs.ts'
import type { Sign, SpfOutcome, SpfResult } from '../lib/policies/suspicion/verdict.ts'
import { resolveWeights, SUSPICION_WEIGHTS } from '../lib/policies/suspicion/weights.ts'

const NAME = 'mail.example.org'

/** A mail server that does everything right. */
const GOOD: Facts = {
  address: '192.0.2.1',
  hostName: { kind: 'confirmed', name: NAME },
  helo: NAME,
  heloAddress: 'same',
  own: new Set(['mx.example.net', '198.51.100.1']),
  lists: { score: 0, listings: [], unknown: [] },
  spf: { result: 'pass', domain: 'example.org', mechanism: 'ip4:192.0.2.1', prefix: 32 },
  isNullSender: false,
  talkedEarly: false,
  lacksTls: false,
}

function signs(change: Partial<Facts>): readonly Sign[] {
  return findSigns({ ...GOOD, ...change }, SUSPICION_WEIGHTS)
}

/** `noReverseName`, or `noReverseName?` if it is supposed. */
function names(change: Partial<Facts>): string {
  return signs(change)
    .map(({ sign, supposed }) => (supposed === true ? `${sign}?` : sign))
    .join(' ')
}

function spf(result: SpfResult): SpfOutcome {
  return { result, domain: 'example.org', mechanism: null, prefix: null }
}

t.test('a good client has none', t => {
  t.equal(names({}), '')
  t.equal(names({ lists: null, spf: null }), '')
  t.end()
})

t.test('the name of the address', t => {
  const table: readonly (readonly [HostName, string])[] = [
    [{ kind: 'none' }, 'noReverseName'],
    [{ kind: 'unconfirmed', names: [] }, 'noReverseName'],
    [{ kind: 'unknown', names: [], code: 'ETIMEOUT' }, 'noReverseName?'],
    [{ kind: 'unconfirmed', names: [NAME] }, 'unconfirmedName'],
    [{ kind: 'unknown', names: [NAME], code: 'ESERVFAIL' }, 'unconfirmedName?'],
    [{ kind: 'confirmed', name: 'host-192-0-2-1.example.org' }, 'dynamicName'],
    [{ kind: 'confirmed', name: 'p7.dyn.example.org' }, 'dynamicName'],
    [{ kind: 'unconfirmed', names: [NAME, 'c-192-0-2-1.example.org'] }, 'unconfirmedName dynamicName'],
    [{ kind: 'confirmed', name: NAME }, ''],
  ]
  for (const [hostName, expected] of table) t.equal(names({ hostName }), expected, JSON.stringify(hostName))
  t.strictSame(signs({ hostName: { kind: 'unconfirmed', names: [NAME] } }), [
    { sign: 'unconfirmedName', weight: 2, detail: NAME },
  ])
  t.strictSame(signs({ hostName: { kind: 'unknown', names: [], code: 'EBUSY' } }), [
    { sign: 'noReverseName', weight: 3, supposed: true },
  ])
  t.end()
})

t.test('HELO that does not fit', t => {
  const unnamed: HostName = { kind: 'unconfirmed', names: ['x.example.com'] }
  const unsure: HostName = { kind: 'unknown', names: ['x.example.com'], code: 'ETIMEOUT' }
  const table: readonly (readonly [Partial<Facts>, string])[] = [
    [{ helo: NAME, heloAddress: 'same' }, ''],
    [{ helo: 'out-7.example.org', heloAddress: 'other' }, ''], // the same organisation as the confirmed name
    [{ helo: 'MAIL.Example.ORG', heloAddress: 'other' }, ''],
    [{ helo: 'other.example.com', heloAddress: 'same' }, ''],
    [{ helo: 'other.example.com', heloAddress: 'other' }, 'heloMismatch'],
    [{ helo: 'other.example.com', heloAddress: 'unknown' }, 'heloMismatch?'],
    [{ helo: 'mail.example.org', heloAddress: 'other', hostName: unnamed }, 'unconfirmedName heloMismatch'],
    [{ helo: 'mail.example.org', heloAddress: 'other', hostName: unsure }, 'unconfirmedName? heloMismatch?'],
    [{ helo: '[192.0.2.1]', heloAddress: null }, ''],
    [{ helo: '[192.0.2.2]', heloAddress: null }, 'heloMismatch'],
    [{ helo: '192.0.2.1', heloAddress: null }, 'heloMismatch'],
    [{ helo: 'localhost', heloAddress: null }, 'heloMismatch'],
    [{ helo: '_srv.example.org', heloAddress: null }, 'heloMismatch'],
    [{ helo: '', heloAddress: null }, 'heloMismatch'],
    [{ helo: '[IPv6:2001:db8:0::1]', heloAddress: null, address: '2001:db8::1' }, ''],
  ]
  for (const [change, expected] of table) t.equal(names(change), expected, JSON.stringify(change))
  t.strictSame(signs({ helo: 'PC7', heloAddress: null }), [{ sign: 'heloMismatch', weight: 1, detail: 'PC7' }])
  t.end()
})

t.test('HELO that is our own name or address', t => {
  for (const helo of ['mx.example.net', 'MX.example.NET', '[198.51.100.1]', '198.51.100.1']) {
    t.strictSame(signs({ helo, heloAddress: 'other' }), [{ sign: 'heloOurs', weight: 4, detail: helo }])
  }
  t.equal(names({ helo: 'example.net', heloAddress: 'other' }), 'heloMismatch')
  t.end()
})

t.test('lists: for each point; below one point nearly listed; no answer, no sign', t => {
  const listing = (weight: number) => ({ zone: 'bl.example', code: '127.0.0.2', weight })
  const listed = (...weights: readonly number[]) =>
    signs({
      lists: {
        score: weights.reduce((sum, each) => sum + each, 0),
        listings: weights.map(listing),
        unknown: ['dead.example'],
      },
    })
  t.strictSame(listed(), [])
  t.strictSame(listed(1), [{ sign: 'listed', weight: 3, detail: 'bl.example (127.0.0.2)' }])
  t.match(listed(1, 2), [{ sign: 'listed', weight: 9, detail: 'bl.example (127.0.0.2), bl.example (127.0.0.2)' }])
  t.strictSame(listed(0.5), [{ sign: 'nearlyListed', weight: 1.5, detail: 'bl.example (127.0.0.2)' }])
  t.match(listed(3, -2), [{ sign: 'listed', weight: 3, detail: 'bl.example (127.0.0.2)' }])
  t.strictSame(listed(1, -1), [])
  t.strictSame(listed(-2), [])
  t.end()
})

t.test('SPF', t => {
  const table: readonly (readonly [SpfResult, string, string])[] = [
    ['pass', '', ''],
    ['neutral', '', ''],
    ['fail', 'spfFail', 'spfFail'],
    ['softfail', 'spfSoftfail', 'spfSoftfail'],
    ['none', 'spfNone', ''],
    ['permerror', 'spfNone', ''],
    ['temperror', 'spfNone?', ''],
  ]
  for (const [result, expected, bounce] of table) {
    t.equal(names({ spf: spf(result) }), expected, result)
    t.equal(names({ spf: spf(result), isNullSender: true }), bounce, `${result} of <>`)
  }
  t.end()
})

t.test('early talker, no TLS', t => {
  t.strictSame(signs({ talkedEarly: true }), [{ sign: 'earlyTalker', weight: 3 }])
  t.strictSame(signs({ lacksTls: true }), [{ sign: 'noTls', weight: 1 }])
  t.end()
})

t.test('weights', t => {
  const weights = resolveWeights({ noTls: 0, earlyTalker: 0.1, spfNone: 0.2 })
  const found = findSigns({ ...GOOD, lacksTls: true, talkedEarly: true, spf: spf('temperror') }, weights)
  t.strictSame(
    found.map(({ sign, weight }) => [sign, weight]),
    [
      ['spfNone', 0.2],
      ['earlyTalker', 0.1],
    ],
    'weight 0 turns a sign off',
  )
  t.equal(scoreOf(found), 0.3)
  t.equal(scoreOf(certain(found)), 0.1)
  t.equal(resolveWeights().noReverseName, 3)
  for (const bad of [{ noTls: -1 }, { noTls: NaN }, { noTls: '1' }, { none: 1 }, 7]) {
    t.throws(() => resolveWeights(bad as never), { code: 'ERR_OPTION' }, JSON.stringify(bad))
  }
  t.end()
})

t.test('the refusal names the signs that are certain, in our words alone', t => {
  const { code, status, lines } = refusal([
    { sign: 'noReverseName', weight: 3, supposed: true },
    { sign: 'heloOurs', weight: 4, detail: 'mx.example.net\r\n220 evil' },
    { sign: 'listed', weight: 3, detail: 'bl.example' },
  ])
  t.strictSame([code, status, lines], [550, '5.7.1', ['Refused: HELO is our name, address is on DNS block lists']])
  const all = Object.keys(SUSPICION_WEIGHTS).map(sign => ({ sign, weight: 1 }) as Sign)
  t.ok(refusal(all).toString().length <= 512)
  t.end()
})

t.test('HELO names', t => {
  t.strictSame(readHelo('Mail.Example.org'), { kind: 'name', name: 'mail.example.org' })
  t.strictSame(readHelo('bücher.example'), { kind: 'name', name: 'xn--bcher-kva.example' })
  t.strictSame(readHelo('[::ffff:192.0.2.1]'), { kind: 'other' })
  t.strictSame(readHelo('::ffff:192.0.2.1'), { kind: 'address', address: '192.0.2.1' })
  t.strictSame(readHelo('[x-tag:y]'), { kind: 'other' })
  t.equal(isOurs({ kind: 'other' }, { has: () => true }), false)
  t.equal(isNameOf('a.example.co.uk', 'b.example.co.uk'), true)
  t.equal(isNameOf('a.co.uk', 'b.co.uk'), false)
  t.equal(isNameOf('ec2-3-8.eu-west-2.compute.amazonaws.com', 'ec2-3-9.eu-west-2.compute.amazonaws.com'), false)
  t.equal(isNameOf('mail.example.org', null), false)
  t.end()
})
