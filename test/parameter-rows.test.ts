import fc from 'fast-check'
import t from 'tap'
import { parseDateTime } from '../lib/protocol/parameters/date-time.ts'
import type { Extension } from '../lib/protocol/parameters/parameter-rows.ts'
import { type MailParameters, parseMailParameters } from '../lib/protocol/parameters/mail-parameters.ts'
import { parseParameters } from '../lib/protocol/parameters/parameters.ts'
import { parseRcptParameters, type RcptParameters } from '../lib/protocol/parameters/rcpt-parameters.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

const ALL: ReadonlySet<Extension> = new Set<Extension>([
  'SIZE',
  '8BITMIME',
  'BINARYMIME',
  'SMTPUTF8',
  'DSN',
  'AUTH',
  'REQUIRETLS',
  'MT-PRIORITY',
  'DELIVERBY',
  'FUTURERELEASE',
  'RRVS',
])
const without = (...extensions: Extension[]): Set<Extension> => new Set([...ALL].filter(e => !extensions.includes(e)))

function split(text: string): ReadonlyMap<string, string | null> {
  const parsed = parseParameters(text, { utf8: true })
  if (!parsed.ok) throw new Error(parsed.error.problem)
  return parsed.parameters
}

t.test('MAIL: good', async t => {
  const good: [text: string, parameters: MailParameters][] = [
    ['', {}],
    ['SIZE=0', { size: 0 }],
    ['SIZE=99999999999999999999', { size: 1e20 }],
    ['BODY=7bit', { body: '7BIT' }],
    ['BODY=8BITMIME SMTPUTF8', { body: '8BITMIME', smtputf8: true }],
    ['BODY=BINARYMIME', { body: 'BINARYMIME' }],
    ['RET=full ENVID=QQ+2B314+20x', { ret: 'FULL', envid: 'QQ+314 x' }],
    ['RET=HDRS', { ret: 'HDRS' }],
    [`ENVID=${'x'.repeat(100)}`, { envid: 'x'.repeat(100) }],
    ['AUTH=<>', { auth: '' }],
    ['AUTH=+3C+3E', { auth: '' }],
    ['AUTH=e+3Dmc2@example.com', { auth: 'e=mc2@example.com' }],
    ['AUTH=j+C3+B6rg@example.com', { auth: 'jörg@example.com' }],
    ['REQUIRETLS', { requiretls: true }],
    ['MT-PRIORITY=-9', { mtPriority: -9 }],
    ['MT-PRIORITY=0', { mtPriority: 0 }],
    ['MT-PRIORITY=9', { mtPriority: 9 }],
    ['BY=120;R', { deliverBy: { seconds: 120, mode: 'R', trace: false } }],
    ['BY=-1;nt', { deliverBy: { seconds: -1, mode: 'N', trace: true } }],
    ['BY=+000000001;RT', { deliverBy: { seconds: 1, mode: 'R', trace: true } }],
    ['BY=-0;N', { deliverBy: { seconds: 0, mode: 'N', trace: false } }],
    ['HOLDFOR=86400', { holdFor: 86400 }],
    ['HOLDUNTIL=2026-11-22T07:00:00Z', { holdUntil: new Date('2026-11-22T07:00:00Z') }],
  ]
  for (const [text, parameters] of good) {
    t.strictSame(parseMailParameters(split(text), ALL), { ok: true, parameters }, shown(text))
  }
})

t.test('RCPT: good', async t => {
  const since = new Date('2014-04-03T23:01:00Z')
  const good: [text: string, parameters: RcptParameters][] = [
    ['', {}],
    ['NOTIFY=never', { notify: ['NEVER'] }],
    ['NOTIFY=SUCCESS,Failure,DELAY', { notify: ['SUCCESS', 'FAILURE', 'DELAY'] }],
    ['NOTIFY=DELAY,DELAY', { notify: ['DELAY'] }],
    ['ORCPT=rfc822;a+2Bb@c.d', { orcpt: { type: 'rfc822', address: 'a+b@c.d' } }],
    ['ORCPT=UTF-8;j\\x{F6}rg@x', { orcpt: { type: 'utf-8', address: 'jörg@x' } }],
    ['ORCPT=utf-8;jörg@x', { orcpt: { type: 'utf-8', address: 'jörg@x' } }],
    ['ORCPT=x400;/C+3DDE/', { orcpt: { type: 'x400', address: '/C=DE/' } }],
    [`ORCPT=a;${'x'.repeat(498)}`, { orcpt: { type: 'a', address: 'x'.repeat(498) } }],
    ['RRVS=2014-04-03T23:01:00Z', { rrvs: { since, action: null } }],
    ['RRVS=2014-04-04T01:01:00+02:00;c', { rrvs: { since, action: 'C' } }],
    ['RRVS=2014-04-03T23:01:00Z;R', { rrvs: { since, action: 'R' } }],
  ]
  for (const [text, parameters] of good) {
    t.strictSame(parseRcptParameters(split(text), ALL), { ok: true, parameters }, shown(text))
  }
})

t.test('values that are wrong', async t => {
  const mail = [
    'SIZE SIZE=x SIZE=-1 SIZE=1e3 SIZE=0x10 SIZE=123456789012345678901',
    'BODY BODY=8BIT SMTPUTF8=1 RET RET=ALL ENVID ENVID=a+0A ENVID=+C3+BC ENVID=a+C3+BC ENVID=+C3+BCa ENVID=+zz',
    'AUTH AUTH=x AUTH=<a@b> AUTH=a@b+0D+0A AUTH=a@b+20 REQUIRETLS=YES',
    'MT-PRIORITY MT-PRIORITY=10 MT-PRIORITY=-0 MT-PRIORITY=+1 MT-PRIORITY=01',
    'BY BY=1 BY=1;X BY=0;R BY=-1;R BY=1234567890;N BY=1;NTT BY=;N',
    'HOLDFOR HOLDFOR=1234567890 HOLDFOR=-1 HOLDUNTIL HOLDUNTIL=tomorrow HOLDUNTIL=2026-02-30T00:00:00Z',
  ]
  for (const text of [...mail.join(' ').split(' '), `ENVID=${'x'.repeat(101)}`]) {
    const keyword = text.split('=')[0]
    t.match(parseMailParameters(split(text), ALL), { ok: false, error: { kind: 'syntax', keyword } }, shown(text))
  }
  const rcpt = [
    'NOTIFY NOTIFY=NEVER,SUCCESS NOTIFY=X NOTIFY=SUCCESS, NOTIFY=,',
    'ORCPT ORCPT=rfc822 ORCPT=rfc822; ORCPT=;a ORCPT=a@b;c ORCPT=rfc822;+0A ORCPT=rfc822;ü ORCPT=rfc822;+C3+BC ORCPT=utf-8;+2B',
    'RRVS RRVS=2014 RRVS=2014-04-03T23:01:00Z;X RRVS=2014-04-03T23:01:00Z; RRVS=C;2014-04-03T23:01:00Z',
  ]
  for (const text of [...rcpt.join(' ').split(' '), `ORCPT=a;${'x'.repeat(499)}`]) {
    const keyword = text.split('=')[0]
    t.match(parseRcptParameters(split(text), ALL), { ok: false, error: { kind: 'syntax', keyword } }, shown(text))
  }
  const both = split('HOLDFOR=1 HOLDUNTIL=2026-11-22T07:00:00Z')
  t.match(parseMailParameters(both, ALL), { ok: false, error: { kind: 'syntax', keyword: 'HOLDUNTIL' } })
})

t.test('lenient: AUTH takes a path, and is unknown if it is no mailbox', async t => {
  const auth = (text: string) => parseMailParameters(new Map([['AUTH', text]]), ALL, 'lenient')
  for (const text of ['joe@example.org', '<joe@example.org>', '+3Cjoe@example.org+3E']) {
    t.strictSame(auth(text), { ok: true, parameters: { auth: 'joe@example.org' } }, text)
  }
  t.strictSame(auth('a=b@example.org'), { ok: true, parameters: { auth: 'a=b@example.org' } }, 'no xtext')
  for (const text of ['<>', 'joe', 'joe <joe@example.org>', 'x<joe@example.org>', '<joe@example.org>x', '<>x', '']) {
    t.strictSame(auth(text), { ok: true, parameters: { auth: '' } }, shown(text))
  }
})

t.test('a value that cannot be told from none is refused', async t => {
  t.match(parseMailParameters(new Map([['ENVID', '']]), ALL), { ok: false, error: { keyword: 'ENVID' } })
})

t.test('what was not offered is unknown', async t => {
  const rows: [text: string, extension: Extension][] = [
    ['SIZE=1', 'SIZE'],
    ['BODY=BINARYMIME', 'BINARYMIME'],
    ['SMTPUTF8', 'SMTPUTF8'],
    ['RET=FULL', 'DSN'],
    ['ENVID=x', 'DSN'],
    ['AUTH=<>', 'AUTH'],
    ['REQUIRETLS', 'REQUIRETLS'],
    ['MT-PRIORITY=1', 'MT-PRIORITY'],
    ['BY=1;R', 'DELIVERBY'],
    ['HOLDFOR=1', 'FUTURERELEASE'],
    ['HOLDUNTIL=2026-11-22T07:00:00Z', 'FUTURERELEASE'],
  ]
  for (const [text, extension] of rows) {
    const keyword = text.split('=')[0]
    t.ok(parseMailParameters(split(text), ALL).ok)
    t.match(parseMailParameters(split(text), without(extension)), { error: { kind: 'unknown', keyword } }, text)
    t.match(parseRcptParameters(split(text), ALL), { error: { kind: 'unknown', keyword } }, `RCPT ${text}`)
  }
  for (const text of ['NOTIFY=NEVER', 'ORCPT=rfc822;a@b']) {
    t.match(parseRcptParameters(split(text), without('DSN')), { error: { kind: 'unknown' } }, text)
    t.match(parseMailParameters(split(text), ALL), { error: { kind: 'unknown' } }, `MAIL ${text}`)
  }
  t.match(parseRcptParameters(split('RRVS=2014-04-03T23:01:00Z'), without('RRVS')), { error: { kind: 'unknown' } })
  t.match(parseMailParameters(split('BODY=8BITMIME'), without('8BITMIME', 'BINARYMIME')), {
    error: { kind: 'unknown' },
  })
  t.match(parseMailParameters(split('AUTH=j+C3+B6rg@x'), without('SMTPUTF8')), { error: { kind: 'syntax' } })
  t.match(parseRcptParameters(split('ORCPT=utf-8;jörg@x'), without('SMTPUTF8')), { error: { kind: 'syntax' } })
  for (const text of ['CONSTRUCTOR', 'TOSTRING=1', 'X=1']) {
    t.match(parseMailParameters(split(text), ALL), { error: { kind: 'unknown', keyword: text.split('=')[0] } })
  }
})

t.test('date-time', async t => {
  const good: [text: string, iso: string][] = [
    ['1985-04-12T23:20:50.52Z', '1985-04-12T23:20:50.520Z'],
    ['1985-04-12T23:20:50.5Z', '1985-04-12T23:20:50.500Z'],
    ['1985-04-12T23:20:50.123999999Z', '1985-04-12T23:20:50.123Z'],
    ['1996-12-19t16:39:57-08:00', '1996-12-20T00:39:57.000Z'],
    ['2026-11-26T05:30:00+05:30', '2026-11-26T00:00:00.000Z'],
    ['2026-11-26T23:59:00+23:59', '2026-11-26T00:00:00.000Z'],
    ['1990-12-31T23:59:60Z', '1990-12-31T23:59:59.000Z'],
    ['2024-02-29T00:00:00+00:00', '2024-02-29T00:00:00.000Z'],
  ]
  for (const [text, iso] of good) t.equal(parseDateTime(text)?.toISOString(), iso)
  const bad = '2023-02-29T00:00:00Z 2023-13-01T00:00:00Z 2023-00-01T00:00:00Z 2023-01-00T00:00:00Z 2023-01-01T24:00:00Z'
  const more = '2023-01-01T00:60:00Z 2023-01-01T00:00:61Z 2023-01-01T00:00:00 2023-01-01 2023-01-01T00:00:00+24:00 x'
  const around =
    '2023-01-01T00:00:00+00:60 x2023-01-01T00:00:00Z 2023-01-01T00:00:00Zx 2023-01-01T00:00:00.1234567890Z 2023-01-01T00:00:00.Z'
  for (const text of `${bad} ${more} ${around}`.split(' ')) t.equal(parseDateTime(text), null, text)
  const date = fc.date({
    min: new Date('0000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  })
  fc.assert(fc.property(date, d => parseDateTime(d.toISOString())?.getTime() === d.getTime()))
})

t.test('no value throws', async () => {
  const keywords =
    'SIZE BODY SMTPUTF8 RET ENVID AUTH REQUIRETLS MT-PRIORITY BY HOLDFOR HOLDUNTIL NOTIFY ORCPT RRVS __proto__'
  const entry = fc.tuple(fc.constantFrom(...keywords.split(' ')), fc.option(fc.string({ unit: character })))
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), entries => {
      const given = new Map(entries)
      return 'ok' in parseMailParameters(given, ALL) && 'ok' in parseRcptParameters(given, ALL)
    }),
  )
})
