// What formats parameters, beside what parses them.

import fc from 'fast-check'
import t from 'tap'
import { formatMailParameters, parseMailParameters } from '../lib/protocol/parameters/mail-parameters.ts'
import type { MailParameters } from '../lib/protocol/parameters/mail-parameters.ts'
import type { Extension } from '../lib/protocol/parameters/parameter-rows.ts'
import { parseParameters } from '../lib/protocol/parameters/parameters.ts'
import { formatRcptParameters, parseRcptParameters } from '../lib/protocol/parameters/rcpt-parameters.ts'
import type { Notify, RcptParameters } from '../lib/protocol/parameters/rcpt-parameters.ts'
import { hasControls } from '../lib/protocol/addresses/characters.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

const WITHOUT_UTF8: readonly Extension[] = [
  'SIZE',
  '8BITMIME',
  'BINARYMIME',
  'DSN',
  'AUTH',
  'REQUIRETLS',
  'MT-PRIORITY',
  'DELIVERBY',
  'FUTURERELEASE',
  'RRVS',
]
const ALL: ReadonlySet<Extension> = new Set<Extension>([...WITHOUT_UTF8, 'SMTPUTF8'])

const formatMail = (parameters: object): string => formatMailParameters(parameters as MailParameters, ALL)
const formatRcpt = (parameters: object): string => formatRcptParameters(parameters as RcptParameters, ALL)

function parse(text: string, of: 'MAIL' | 'RCPT'): object {
  const given = parseParameters(text, { utf8: false })
  if (!given.ok) throw new Error(given.error.problem)
  const parsed = (of === 'MAIL' ? parseMailParameters : parseRcptParameters)(given.parameters, ALL)
  if (!parsed.ok) throw new Error(parsed.error.problem)
  return parsed.parameters
}

t.test('MAIL', async t => {
  const table: [MailParameters, string][] = [
    [{}, ''],
    [{ size: 0 }, 'SIZE=0'],
    [{ smtputf8: true, body: '8BITMIME', size: 12 }, 'SIZE=12 BODY=8BITMIME SMTPUTF8'],
    [{ ret: 'HDRS', envid: 'a+b =c' }, 'RET=HDRS ENVID=a+2Bb+20+3Dc'],
    [{ auth: '' }, 'AUTH=<>'],
    [{ auth: '"a b"@example.org' }, 'AUTH="a+20b"@example.org'],
    [{ auth: 'jörg@example.org' }, 'AUTH=j+C3+B6rg@example.org'],
    [{ requiretls: true, mtPriority: -9 }, 'REQUIRETLS MT-PRIORITY=-9'],
    [{ deliverBy: { seconds: -120, mode: 'N', trace: true } }, 'BY=-120;NT'],
    [{ holdFor: 60 }, 'HOLDFOR=60'],
    [{ holdUntil: new Date('2026-11-25T10:00:00Z') }, 'HOLDUNTIL=2026-11-25T10:00:00Z'],
    [{ holdUntil: new Date('2026-11-25T10:00:00.007Z') }, 'HOLDUNTIL=2026-11-25T10:00:00.007Z'],
  ]
  for (const [parameters, text] of table) {
    t.equal(formatMail(parameters), text)
    t.strictSame(parse(text, 'MAIL'), parameters)
  }
  t.equal(formatMail({ size: undefined }), '')
})

t.test('RCPT', async t => {
  const since = new Date('2026-11-25T10:00:00Z')
  const table: [RcptParameters, string][] = [
    [{}, ''],
    [{ notify: ['NEVER'] }, 'NOTIFY=NEVER'],
    [{ notify: ['DELAY', 'FAILURE'] }, 'NOTIFY=DELAY,FAILURE'],
    [{ orcpt: { type: 'rfc822', address: 'a+b@c' } }, 'ORCPT=rfc822;a+2Bb@c'],
    [{ orcpt: { type: 'utf-8', address: 'jörg@c' } }, 'ORCPT=utf-8;j\\x{F6}rg@c'],
    [{ rrvs: { since, action: null } }, 'RRVS=2026-11-25T10:00:00Z'],
    [{ rrvs: { since, action: 'R' } }, 'RRVS=2026-11-25T10:00:00Z;R'],
  ]
  for (const [parameters, text] of table) {
    t.equal(formatRcpt(parameters), text)
    t.strictSame(parse(text, 'RCPT'), parameters)
  }
})

t.test('what cannot be written is refused', async t => {
  const mail: object[] = [
    { size: -1 },
    { size: 1.5 },
    { size: NaN },
    { size: 1e21 },
    { size: '1 BODY=7BIT' },
    { body: 'BINARY' },
    { body: '7bit' },
    { ret: 'FULL\r\nRSET' },
    { smtputf8: false },
    { envid: '' },
    { envid: 'a\r\nb' },
    { envid: 'ü' },
    { envid: ' '.repeat(34) },
    { auth: 'no mailbox' },
    { auth: 'a@b.c\0' },
    { mtPriority: 10 },
    { mtPriority: -0 },
    { deliverBy: { seconds: 0, mode: 'R', trace: false } },
    { deliverBy: { seconds: 1, mode: 'R' } },
    { deliverBy: { seconds: 1, mode: 'R;X', trace: false } },
    { deliverBy: null },
    { holdFor: 1e9 },
    { holdFor: 1, holdUntil: new Date(0) },
    { holdUntil: new Date(NaN) },
    { holdUntil: new Date(8.64e15) },
    { toString: 'x' },
    { sise: 1 },
  ]
  const rcpt: object[] = [
    { notify: [] },
    { notify: ['NEVER', 'DELAY'] },
    { notify: ['DELAY', 'DELAY'] },
    { notify: ['DELAY ORCPT=x'] },
    { orcpt: { type: '', address: 'a' } },
    { orcpt: { type: 'a=b', address: 'a' } },
    { orcpt: { type: 'RFC822', address: 'a' } },
    { orcpt: { type: 'rfc822;x', address: 'a' } },
    { orcpt: { type: 'rfc822', address: '' } },
    { orcpt: { type: 'rfc822', address: 'ü' } },
    { orcpt: { type: 'rfc822', address: 'a\r\nDATA' } },
    { orcpt: { type: 'utf-8', address: 'a\u2028' } },
    { orcpt: { type: 'utf-8', address: '\ud800' } },
    { orcpt: { type: 'rfc822', address: 'x'.repeat(500) } },
    { rrvs: { since: 'x', action: null } },
    { rrvs: { since: new Date(0), action: 'X' } },
  ]
  for (const each of mail) t.throws(() => formatMail(each), { code: 'ERR_OPTION' }, shown(JSON.stringify(each)))
  for (const each of rcpt) t.throws(() => formatRcpt(each), { code: 'ERR_OPTION' }, shown(JSON.stringify(each)))
})

t.test('the error says what is wrong with which value', async t => {
  const table: [object, RegExp][] = [
    [{ ret: 'ALL' }, /^parameter ret: RET takes FULL or HDRS$/],
    [{ ret: 'ü' }, /^parameter ret: non-ASCII characters need SMTPUTF8$/],
    [{ holdUntil: new Date(NaN) }, /^parameter holdUntil: Invalid time value$/],
    [{ body: '7bit' }, /^parameter body cannot be written$/],
    [{ sise: 1 }, /^there is no parameter "sise"$/],
  ]
  for (const [each, message] of table) t.throws(() => formatMail(each), { code: 'ERR_OPTION', message })
})

t.test('only what was offered is written', async t => {
  const offered = (...extensions: Extension[]): ReadonlySet<Extension> => new Set(extensions)
  const mail =
    (parameters: MailParameters, ...extensions: Extension[]) =>
    () =>
      formatMailParameters(parameters, offered(...extensions))
  t.throws(mail({ size: 1 }), { code: 'ERR_NOT_OFFERED', message: /offer SIZE$/ })
  t.throws(mail({ body: '8BITMIME' }, 'SIZE'), { code: 'ERR_NOT_OFFERED', message: /offer 8BITMIME or BINARYMIME$/ })
  t.throws(mail({ body: 'BINARYMIME' }, '8BITMIME'), { code: 'ERR_NOT_OFFERED', message: /offer BINARYMIME$/ })
  t.equal(mail({ body: 'BINARYMIME' }, 'BINARYMIME')(), 'BODY=BINARYMIME')
  t.throws(mail({ auth: 'jörg@example.org' }, 'AUTH'), { code: 'ERR_OPTION' }, 'an address that needs SMTPUTF8')
  t.throws(() => formatRcptParameters({ notify: ['NEVER'] }, offered('RRVS')), { code: 'ERR_NOT_OFFERED' })
})

/** Records as programs make them, with a prototype. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { noNullPrototype: true })
const notNothing = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const date = fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
const binary = fc.string({ unit: character, maxLength: 30 })
const printableAscii = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map(c => String.fromCharCode(c)) })

/** The object without its undefined fields. */
function compact(parameters: object): object {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined))
}

const mailParameters = record({
  size: notNothing(fc.nat({ max: Number.MAX_SAFE_INTEGER })),
  body: notNothing(fc.constantFrom('7BIT', '8BITMIME', 'BINARYMIME')),
  smtputf8: notNothing(fc.constant(true)),
  ret: notNothing(fc.constantFrom('FULL', 'HDRS')),
  envid: notNothing(printableAscii.filter(text => text !== '' && text.length < 34)),
  auth: notNothing(fc.constantFrom('', 'a@b.c', '"a b"@[192.0.2.1]', 'é@b.c')),
  requiretls: notNothing(fc.constant(true)),
  mtPriority: notNothing(fc.integer({ min: -9, max: 9 })),
  deliverBy: notNothing(
    fc.oneof(
      record({ seconds: fc.integer({ min: 1, max: 999_999_999 }), mode: fc.constant('R'), trace: fc.boolean() }),
      record({ seconds: fc.integer({ min: -999, max: 999 }), mode: fc.constant('N'), trace: fc.boolean() }),
    ),
  ),
  holdUntil: notNothing(date),
})

const rcptParameters = record({
  notify: notNothing(
    fc.oneof(
      fc.constant(['NEVER']),
      fc.uniqueArray(fc.constantFrom<Notify>('SUCCESS', 'FAILURE', 'DELAY'), { minLength: 1 }),
    ),
  ),
  orcpt: notNothing(
    fc.oneof(
      record({ type: fc.constant('rfc822'), address: printableAscii.filter(text => text !== '') }),
      record({
        type: fc.constant('utf-8'),
        address: binary.filter(text => text !== '' && !hasControls(text) && !/\p{Cs}/u.test(text)),
      }),
    ),
  ),
  rrvs: notNothing(record({ since: date, action: fc.constantFrom('C', 'R', null) })),
})

t.test('parse(format(x)) is x', async t => {
  fc.assert(
    fc.property(mailParameters, x => t.strictSame(parse(formatMail(x), 'MAIL'), compact(x)) || true),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(rcptParameters, x => t.strictSame(parse(formatRcpt(x), 'RCPT'), compact(x)) || true),
    { numRuns: 300 },
  )
})

t.test('any text in any field: refused, or read again as it was', async () => {
  const nasty = fc.oneof(binary, fc.constantFrom('a\r\nDATA', 'a b', 'a=b', '\0', 'FULL SIZE=1', 'x;y'))
  const check = (format: (x: object) => string, of: 'MAIL' | 'RCPT') => (x: object) => {
    let text: string
    try {
      text = format(x)
    } catch (error) {
      return (error as { code?: string }).code === 'ERR_OPTION'
    }
    return /^[!-~ ]*$/.test(text) && JSON.stringify(parse(text, of)) === JSON.stringify(x)
  }
  const mailField = fc.constantFrom('size', 'body', 'smtputf8', 'ret', 'envid', 'auth', 'mtPriority', 'holdFor', 'x')
  fc.assert(fc.property(mailField, nasty, (field, text) => check(formatMail, 'MAIL')({ [field]: text })))
  const orcpt = record({ type: fc.oneof(nasty, fc.constantFrom('rfc822', 'utf-8')), address: nasty })
  fc.assert(fc.property(orcpt, orcpt => check(formatRcpt, 'RCPT')({ orcpt })))
  fc.assert(fc.property(fc.array(nasty), notify => check(formatRcpt, 'RCPT')({ notify })))
})
