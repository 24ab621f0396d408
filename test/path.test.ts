import fc from 'fast-check'
import t from 'tap'
import type { GrammarOptions, PathError, PathPart } from '../lib/protocol/addresses/characters.ts'
import { NULL_MAILBOX } from '../lib/protocol/addresses/mailbox.ts'
import {
  formatForwardPath,
  formatReversePath,
  type ParsedPath,
  parseForwardPath,
  parseReversePath,
} from '../lib/protocol/addresses/path.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

const STRICT: GrammarOptions = { utf8: false, strictness: 'strict' }
const LENIENT: GrammarOptions = { utf8: false, strictness: 'lenient' }
const INTEROPERABLE: GrammarOptions = { utf8: false, strictness: 'interoperable' }
const MODE = fc.constantFrom('strict' as const, 'interoperable' as const, 'lenient' as const)
const UTF8: GrammarOptions = { utf8: true, strictness: 'strict' }

const L64 = 'l'.repeat(64)
const label = (n: number): string => 'd'.repeat(n)
const D255 = [label(63), label(63), label(63), label(63)].join('.')
const D189 = [label(63), label(63), label(61)].join('.')

function errorOf(parsed: ParsedPath): PathError {
  if (parsed.ok) throw new Error(`accepted ${parsed.mailbox.address}`)
  return parsed.error
}

t.test('good in every mode', async t => {
  const good: [path: string, localPart: string, domain: string][] = [
    ['user@example.org', 'user', 'example.org'],
    ['User.Name+tag@Example.ORG', 'User.Name+tag', 'Example.ORG'],
    ["!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~", 'example.org'],
    ['a@b', 'a', 'b'],
    ['a@b.c', 'a', 'b.c'],
    ['a@1.2-3.4', 'a', '1.2-3.4'],
    ['a@xn--bcher-kva.example', 'a', 'xn--bcher-kva.example'],
    ['"a b"@c.d', '"a b"', 'c.d'],
    ['"a@b"@c.d', '"a@b"', 'c.d'],
    ['"a\\"b\\\\"@c.d', '"a\\"b\\\\"', 'c.d'],
    ['"<a>,:;()"@c.d', '"<a>,:;()"', 'c.d'],
    ['""@c.d', '""', 'c.d'],
    ['".a..b."@c.d', '".a..b."', 'c.d'],
    [`${L64}@${D189}`, L64, D189],
    [`a@${label(63)}.x`, 'a', `${label(63)}.x`],
  ]
  for (const [path, localPart, domain] of good) {
    for (const options of [STRICT, INTEROPERABLE, LENIENT, UTF8]) {
      const mailbox = { address: path, localPart, domain, literal: null, nonAscii: false }
      const expected = { ok: true, mailbox, parameters: 'SIZE=1', parametersAt: 7 + path.length + 1 }
      t.strictSame(parseReversePath(`From:<${path}> SIZE=1`, options), expected, path)
      const to = { ok: true, mailbox, parameters: '', parametersAt: 5 + path.length }
      t.strictSame(parseForwardPath(`tO:<${path}>`, options), to, path)
    }
  }
})

t.test('address literals', async t => {
  const literals: [literal: string, family: number, address: string][] = [
    ['192.0.2.1', 4, '192.0.2.1'],
    ['IPv6:2001:db8::1', 6, '2001:db8::1'],
    ['ipv6:2001:DB8::A', 6, '2001:db8::a'],
    ['IPv6:::', 6, '::'],
    ['IPv6:::ffff:192.0.2.1', 6, '::ffff:192.0.2.1'],
    ['IPv6:1:2:3:4:5:6:7:8', 6, '1:2:3:4:5:6:7:8'],
  ]
  for (const [literal, family, address] of literals) {
    const parsed = parseForwardPath(`TO:<a@[${literal}]>`, STRICT)
    t.strictSame(parsed.ok && parsed.mailbox.literal, { family, address }, literal)
    t.equal(parsed.ok && parsed.mailbox.domain, `[${literal}]`)
  }
})

t.test('the null path and Postmaster', async t => {
  const none = { ok: true, mailbox: NULL_MAILBOX, parameters: '', parametersAt: 7 }
  t.strictSame(parseReversePath('FROM:<>', STRICT), none)
  t.match(parseReversePath('FROM:<> BODY=8BITMIME', STRICT), { ok: true, parameters: 'BODY=8BITMIME', parametersAt: 8 })
  for (const name of ['Postmaster', 'postmaster', 'POSTMASTER']) {
    const mailbox = { address: name, localPart: name, domain: '', literal: null, nonAscii: false }
    t.match(parseForwardPath(`TO:<${name}>`, STRICT), { ok: true, mailbox })
    t.match(parseForwardPath(`TO: ${name} NOTIFY=NEVER`, LENIENT), { ok: true, mailbox, parameters: 'NOTIFY=NEVER' })
  }
  t.match(parseForwardPath('TO:<postmaster@a.b>', STRICT), { ok: true, mailbox: { domain: 'a.b' } })
  t.match(parseForwardPath('TO:<postmasters@a.b>', STRICT), { ok: true, mailbox: { localPart: 'postmasters' } })
})

t.test('source routes are dropped', async t => {
  t.match(parseReversePath('FROM:<@a,@b.c:user@d.e> X', STRICT), {
    ok: true,
    mailbox: { address: 'user@d.e', localPart: 'user', domain: 'd.e' },
    parameters: 'X',
  })
  t.match(parseForwardPath('TO:<@a:Postmaster>', STRICT), { ok: true, mailbox: { address: 'Postmaster', domain: '' } })
})

t.test('bad, with the part and the place', async t => {
  const bad: [argument: string, part: PathPart, at: number, problem: RegExp][] = [
    ['', 'keyword', 0, /missing/],
    ['<a@b>', 'keyword', 0, /missing/],
    ['TO:<a@b>', 'keyword', 0, /missing/],
    ['FROM :<a@b>', 'keyword', 0, /missing/],
    ['XFROM:<a@b>', 'keyword', 0, /missing/],
    ['FROM:', 'path', 5, /brackets/],
    ['FROM:a@b', 'path', 5, /brackets/],
    ['FROM: <a@b>', 'path', 5, /space/],
    ['FROM:<a@b', 'path', 9, /closing/],
    ['FROM:<a@b> ', 'parameters', -1, /never/],
    ['FROM:<a@b>SIZE=1', 'parameters', 10, /character/],
    ['FROM:<a@b>>', 'parameters', 10, /character/],
    ['FROM:<a@b>\0', 'parameters', 10, /control/],
    ['FROM:<<a@b>>', 'local-part', 6, /character/],
    ['FROM:<a>', 'domain', 7, /missing/],
    ['FROM:<a', 'domain', 7, /missing/],
    ['FROM:<a@>', 'domain', 8, /empty/],
    ['FROM:<a@ b>', 'domain', 8, /empty/],
    ['FROM:<a@!>', 'domain', 8, /character/],
    ['FROM:<@b>', 'route', 8, /character/],
    ['FROM:<@b:@c>', 'local-part', 9, /empty/],
    ['FROM:<@b;c@d>', 'route', 8, /character/],
    ['FROM:<@b:>', 'local-part', 9, /character/],
    ['FROM:<@a,b:c@d>', 'route', 9, /character/],
    ['FROM:<@a_b:c@d>', 'route', 8, /character/],
    ['FROM:<@[192.0.2.1]:c@d>', 'route', 7, /character/],
    ['FROM:<@-a:c@d>', 'route', 7, /hyphen/],
    ['FROM:<@a.:c@d>', 'route', 8, /dot/],
    ['FROM:<.a@b>', 'local-part', 6, /dot/],
    ['FROM:<a.@b>', 'local-part', 7, /dot/],
    ['FROM:<a..b@c>', 'local-part', 8, /dot/],
    ['FROM:<a b@c>', 'local-part', 7, /space/],
    ['FROM:< a@c>', 'local-part', 6, /space/],
    ['FROM:<a(x)@c>', 'local-part', 7, /comment/],
    ['FROM:<a@(x)c>', 'domain', 8, /comment/],
    ['FROM:<a@c(x)>', 'domain', 9, /comment/],
    ['FROM:<a\0b@c>', 'local-part', 7, /control/],
    ['FROM:<a@b\0>', 'domain', 9, /control/],
    ['FROM:<a@b\x7f>', 'domain', 9, /control/],
    ['FROM:<a@b >', 'domain', 9, /space/],
    ['FROM:<a@b@c>', 'domain', 9, /character/],
    ['FROM:<"a"b@c>', 'local-part', 9, /character/],
    ['FROM:<"a@c>', 'local-part', 11, /early/],
    ['FROM:<"a\tb"@c>', 'local-part', 8, /control/],
    ['FROM:<"a\x1fb"@c>', 'local-part', 8, /control/],
    ['FROM:<"a\x7fb"@c>', 'local-part', 8, /control/],
    ['FROM:<"a\\\x01"@c>', 'local-part', 9, /control/],
    ['FROM:<"a\\', 'local-part', 9, /early/],
    ['FROM:<a@.b>', 'domain', 8, /dot/],
    ['FROM:<a@b.>', 'domain', 9, /dot/],
    ['FROM:<a@b..c>', 'domain', 10, /dot/],
    ['FROM:<a@-b>', 'domain', 8, /hyphen/],
    ['FROM:<a@b-.c>', 'domain', 9, /hyphen/],
    ['FROM:<a@b_c>', 'domain', 9, /character/],
    [`FROM:<a@x.${label(64)}>`, 'domain', 10, /label/],
    [`FROM:<a@${D255}.x>`, 'domain', 8, /255/],
    [`FROM:<${L64}x@b>`, 'local-part', 6, /64/],
    [`FROM:<${L64}@${D189}x>`, 'path', 5, /256/],
    [`FROM:<@x:${L64}@${D189}>`, 'path', 5, /256/],
    ['FROM:<a@[192.0.2.1>', 'literal', 8, /brackets/],
    ['FROM:<a@[192.0.2.1x', 'literal', 8, /brackets/],
    ['FROM:<a@[192.0.2.01]>', 'literal', 8, /brackets/],
    ['FROM:<a@[192.0.2.256]>', 'literal', 8, /brackets/],
    ['FROM:<a@[192.0.2]>', 'literal', 8, /brackets/],
    ['FROM:<a@[2001:db8::1]>', 'literal', 8, /brackets/],
    ['FROM:<a@[IPv6:1::2::3]>', 'literal', 8, /brackets/],
    ['FROM:<a@[IPv6:fe80::1%eth0]>', 'literal', 8, /brackets/],
    ['FROM:<a@[tag:content]>', 'literal', 8, /brackets/],
    ['FROM:<a@[]>', 'literal', 8, /brackets/],
    ['FROM:<a@[192.0.2.1]x>', 'path', 19, /character/],
    ['FROM:<Postmaster>', 'domain', 16, /missing/],
  ]
  for (const [argument, part, at, problem] of bad) {
    const parsed = parseReversePath(argument, STRICT)
    if (at < 0) {
      t.match(parsed, { ok: true, parameters: '' }, 'a space at the end is no error')
      continue
    }
    const error = errorOf(parsed)
    t.strictSame([error.part, error.at], [part, at], shown(argument))
    t.match(error.problem, problem, shown(argument))
  }
  t.match(errorOf(parseForwardPath('TO:<>', STRICT)), { part: 'path', at: 4, problem: /empty/ })
  t.match(errorOf(parseForwardPath('FROM:<a@b>', STRICT)), { part: 'keyword', at: 0 })
  t.match(errorOf(parseForwardPath('XTO:<a@b>', STRICT)), { part: 'keyword', at: 0 })
})

t.test('interoperable: white space behind the colon, and lengths', async t => {
  const l255 = 'l'.repeat(255)
  const D253 = D255.slice(2)
  const good: [argument: string, address: string, parameters: string][] = [
    ['FROM: <a@b>', 'a@b', ''],
    ['FROM:\t <a@b> SIZE=1', 'a@b', 'SIZE=1'],
    ['FROM: <>', '', ''],
    [`FROM:<${L64}x@b>`, `${L64}x@b`, ''],
    [`FROM:<${l255}@b>`, `${l255}@b`, ''],
    [`FROM:<"${'l'.repeat(253)}"@b>`, `"${'l'.repeat(253)}"@b`, ''],
    [`FROM:<${l255}@${label(63)}.${label(63)}.${label(63)}.${label(62)}>`, '', ''],
  ]
  t.equal(good.at(-1)![0].length, 'FROM:'.length + 512)
  for (const [argument, address, parameters] of good) {
    const mailbox = address === '' ? {} : { address }
    t.match(parseReversePath(argument, INTEROPERABLE), { ok: true, mailbox, parameters }, shown(argument))
    t.notOk(parseReversePath(argument, STRICT).ok, shown(argument))
  }
  const bad: [argument: string, part: PathPart, at: number, problem: RegExp][] = [
    [`FROM:<${l255}l@b>`, 'local-part', 6, /255/],
    [`FROM:<"${'l'.repeat(254)}"@b>`, 'local-part', 6, /255/],
    [`FROM:<${l255}@${D253}.x>`, 'path', 5, /512/],
    ['FROM:a@b', 'path', 5, /brackets/],
    ['FROM: a@b', 'path', 6, /brackets/],
    ['FROM:< a@b>', 'local-part', 6, /space/],
    ['FROM:<a..b@c>', 'local-part', 8, /dot/],
    ['FROM:<a@b_c>', 'domain', 9, /character/],
  ]
  for (const [argument, part, at, problem] of bad) {
    t.match(errorOf(parseReversePath(argument, INTEROPERABLE)), { part, at, problem }, shown(argument))
  }
  t.match(errorOf(parseReversePath(`FROM:<${'ü'.repeat(128)}@b>`, { ...UTF8, strictness: 'interoperable' })), {
    problem: /255/,
  })
  t.match(errorOf(parseReversePath('FROM:\t<a@b>', STRICT)), { part: 'path', at: 5, problem: /space/ })
  t.match(errorOf(parseForwardPath('TO:<abuse>', INTEROPERABLE)), { part: 'domain', at: 9, problem: /missing/ })
})

t.test('lenient: abuse and root without a domain', async t => {
  for (const argument of ['TO:<abuse>', 'TO: abuse', 'TO:<Abuse>', 'TO:<root>', 'TO:Root']) {
    t.match(parseForwardPath(argument, LENIENT), { ok: true, mailbox: { localPart: /^(?:abuse|root)$/i, domain: '' } })
  }
  for (const argument of ['TO:<abuser>', 'TO:<roots>', 'TO:<bob>', 'TO:<abuse'])
    t.notOk(parseForwardPath(argument, LENIENT).ok)
  t.notOk(parseReversePath('FROM:<abuse>', LENIENT).ok)
  t.match(parseForwardPath('TO:<abuse@b>', LENIENT), { ok: true, mailbox: { domain: 'b' } })
})

t.test('lenient: what senders do wrong', async t => {
  const long = 'l'.repeat(255)
  const good: [argument: string, address: string, parameters: string][] = [
    ['FROM: <a@b>', 'a@b', ''],
    ['FROM:  <a@b> SIZE=1', 'a@b', 'SIZE=1'],
    ['FROM:a@b', 'a@b', ''],
    ['FROM: a@b SIZE=1', 'a@b', 'SIZE=1'],
    ['FROM:a@[192.0.2.1] SIZE=1', 'a@[192.0.2.1]', 'SIZE=1'],
    ['FROM:<.a..b.@c>', '.a..b.@c', ''],
    ['FROM:<a@b_c._d>', 'a@b_c._d', ''],
    [`FROM:<${long}@${D255}>`, `${long}@${D255}`, ''],
    ['FROM: <>', '', ''],
  ]
  for (const [argument, address, parameters] of good) {
    t.match(parseReversePath(argument, LENIENT), { ok: true, mailbox: { address }, parameters }, shown(argument))
  }
  const bad: [argument: string, part: PathPart, at: number][] = [
    ['FROM:', 'local-part', 5],
    ['FROM: ', 'local-part', 6],
    ['FROM:a@b>', 'domain', 8],
    ['FROM:<a@b', 'path', 9],
    ['FROM:a@[192.0.2.1]x', 'path', 18],
    ['FROM:< a@b>', 'local-part', 6],
    ['FROM:<a@b.>', 'domain', 9],
    ['FROM:<a b@c>', 'local-part', 7],
    [`FROM:<${long}l@b>`, 'local-part', 6],
  ]
  for (const [argument, part, at] of bad) {
    t.match(errorOf(parseReversePath(argument, LENIENT)), { part, at }, shown(argument))
  }
})

t.test('UTF-8', async t => {
  for (const address of ['jörg@example.org', '用户@例え.jp', '"ü b"@bücher.example', '😀@x', 'a@faß.de']) {
    const parsed = parseReversePath(`FROM:<${address}> SMTPUTF8`, UTF8)
    t.match(parsed, { ok: true, mailbox: { address, nonAscii: true }, parameters: 'SMTPUTF8' }, address)
    const at = address.search(/[^ -~]/)
    const part = at < address.lastIndexOf('@') ? 'local-part' : 'domain'
    t.match(errorOf(parseReversePath(`FROM:<${address}>`, STRICT)), { part, at: 6 + at, nonAscii: true }, address)
  }
  const bad: [address: string, part: PathPart, at: number][] = [
    ['a\ud800@b', 'local-part', 7],
    ['a\udc00@b', 'local-part', 7],
    ['"\ud800"@b', 'local-part', 7],
    ['a@b\udfff', 'domain', 9],
    ['a@b\u2028', 'domain', 9],
    ['"a\u0085"@b', 'local-part', 8],
    [`a@${'ü.'.repeat(5000)}`, 'domain', 8],
    ['a\u0085@b', 'local-part', 7],
    ['a\u2028@b', 'local-part', 7],
    ['"\\ü"@b', 'local-part', 8],
    ['a@x。y', 'domain', 8], // an ideographic full stop would make two labels of it
    ['a@ｅxample', 'domain', 8], // full-width letters would make another domain of it
    ['a@bü\u00adcher', 'domain', 8], // a soft hyphen would be dropped
    ['a@\u200b', 'domain', 8],
    [`a@${'ü'.repeat(60)}`, 'domain', 8],
    [`${'ü'.repeat(33)}@b`, 'local-part', 6],
    [`a@${`${'ü'.repeat(30)}.`.repeat(4)}ü${'ü'.repeat(30)}`, 'domain', 8],
  ]
  for (const [address, part, at] of bad) {
    const error = errorOf(parseReversePath(`FROM:<${address}>`, UTF8))
    t.strictSame([error.part, error.at, error.nonAscii], [part, at, undefined], shown(address))
  }
  t.notOk(errorOf(parseReversePath('FROM:<\ud800@b>', STRICT)).nonAscii, 'a lone surrogate is no better with SMTPUTF8')
  t.ok(parseReversePath(`FROM:<${'ü'.repeat(32)}@b>`, UTF8).ok, '64 octets')
})

t.test('any string: a result, never a throw, and an offset inside', async () => {
  const bits = [
    'FROM:',
    'TO:',
    '<',
    '>',
    '@',
    ',',
    ':',
    ' ',
    '.',
    '-',
    '"',
    '\\',
    '[',
    ']',
    'IPv6:',
    '1',
    'a',
    'ü',
    '\0',
  ]
  const soup = fc.array(fc.oneof(fc.constantFrom(...bits), fc.string({ unit: character })), { maxLength: 12 })
  const anything = fc.oneof(
    fc.string({ unit: character }),
    soup.map(list => `FROM:<${list.join('')}`),
    fc.string({ unit: 'grapheme' }),
  )
  fc.assert(
    fc.property(anything, fc.boolean(), MODE, (argument, utf8, strictness) => {
      for (const parse of [parseReversePath, parseForwardPath]) {
        const parsed = parse(argument, { utf8, strictness })
        if (!parsed.ok) {
          if (!(parsed.error.at >= 0 && parsed.error.at <= argument.length)) return false
          continue
        }
        // What is accepted can be put into a command again as it is.
        const { address } = parsed.mailbox
        // oxlint-disable-next-line no-control-regex -- none of them may come through
        if (/[\x00-\x1f\x7f-\x9f]/.test(address) || /\p{Surrogate}/u.test(address)) return false
        const format = parse === parseReversePath ? formatReversePath : formatForwardPath
        const again = parse(format(address, { utf8, strictness }), { utf8, strictness })
        if (!again.ok || again.mailbox.address !== address) return false
      }
      return true
    }),
    { numRuns: 3000 },
  )
})

t.test('paths are formatted', async t => {
  const both = ['a@b.c', '"a b"@c.d', '"a@b\\"c"@[IPv6:::1]', 'User@[192.0.2.1]', '""@b']
  for (const address of both) {
    t.equal(formatReversePath(address, STRICT), `FROM:<${address}>`)
    t.equal(formatForwardPath(address, STRICT), `TO:<${address}>`)
  }
  t.equal(formatReversePath('', STRICT), 'FROM:<>')
  t.equal(formatForwardPath('Postmaster', STRICT), 'TO:<Postmaster>')
  t.equal(formatForwardPath('jörg@b', UTF8), 'TO:<jörg@b>')
  t.equal(formatForwardPath('a..b@c_d', LENIENT), 'TO:<a..b@c_d>')
})

t.test('an address that is none is refused', async t => {
  const refused = [
    'a',
    'a@',
    '@b',
    'a b@c',
    'a@b>',
    'a@b> SIZE=1',
    'a@b> <c@d',
    '@route:a@b',
    'a@b\r\nDATA',
    'a@b\n',
    'a\0@b',
    '"a\r\nb"@c',
    'jörg@b',
    'a..b@c',
    '<a@b',
    ' a@b',
    ' ',
  ]
  for (const address of refused) {
    t.throws(() => formatReversePath(address, STRICT), { code: 'ERR_OPTION' }, shown(address))
    t.throws(() => formatForwardPath(address, STRICT), { code: 'ERR_OPTION' }, shown(address))
  }
  for (const address of ['a@b> SIZE=1', ' a@b', '@r:a@b', '>']) {
    t.throws(() => formatReversePath(address, LENIENT), { code: 'ERR_OPTION' }, shown(address))
  }
  t.throws(() => formatReversePath('Postmaster', STRICT), { code: 'ERR_OPTION' })
  t.throws(() => formatForwardPath('', STRICT), { code: 'ERR_OPTION' })
})

t.test('any text: refused, or a path that is read as the same address', async () => {
  const part = fc.oneof(
    fc.constantFrom('a', '@', '>', '<', ' ', '"', '\\', '\r\n', '@x:', '[', '.'),
    fc.string({ unit: character }),
  )
  const text = fc.array(part, { maxLength: 8 }).map(parts => parts.join(''))
  fc.assert(
    fc.property(text, fc.boolean(), MODE, (address, utf8, strictness) => {
      let argument: string
      try {
        argument = formatReversePath(address, { utf8, strictness })
      } catch (error) {
        return (error as { code?: string }).code === 'ERR_OPTION'
      }
      const parsed = parseReversePath(argument, { utf8, strictness })
      return parsed.ok && parsed.mailbox.address === address && parsed.parameters === '' && !/\p{Cc}/u.test(argument)
    }),
    { numRuns: 2000 },
  )
})

t.test('the quick way for usual paths says what the grammar says', t => {
  const piece = fc.constantFrom('a', 'B', '7', '-', '_', '.', '+', '=', 'xn--', 'é', '"', 'co', '[', '<', ' ')
  const text = fc.array(piece, { minLength: 1, maxLength: 12 }).map(pieces => pieces.join(''))
  const long = fc.constantFrom('x'.repeat(63), 'x'.repeat(64), 'x'.repeat(65))
  const part = fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: long })
  const options = fc.record({ utf8: fc.boolean(), strictness: MODE })
  const behind = fc.constantFrom('', ' SIZE=1', 'x', ' ')
  fc.assert(
    fc.property(part, part, fc.boolean(), behind, options, (local, domain, dotted, rest, grammar) => {
      const mailbox = `${local}@${dotted ? `${domain}.example` : domain}`
      const quick = parseForwardPath(`TO:<${mailbox}>${rest}`, grammar)
      // A source route takes the long way, and is dropped. [RFC 5321 §4.1.1.3]
      const long = parseForwardPath(`TO:<@r:${mailbox}>${rest}`, grammar)
      if (quick.ok) t.match(long.ok && { ...long, parametersAt: long.parametersAt - 3 }, quick)
      else t.notOk(long.ok)
    }),
    { numRuns: 2000 },
  )
  t.end()
})
