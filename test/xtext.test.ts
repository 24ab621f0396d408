import fc from 'fast-check'
import t from 'tap'
import {
  type Decoded,
  decodeUtf8Xtext,
  decodeXtext,
  encodeUtf8Xtext,
  encodeXtext,
} from '../lib/protocol/parameters/xtext.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

t.test('xtext', async t => {
  const pairs: [text: string, xtext: string][] = [
    ['', ''],
    ['a@b.c', 'a@b.c'],
    ['a+b=c d', 'a+2Bb+3Dc+20d'],
    ['ü', '+C3+BC'],
    ['!~<>\\', '!~<>\\'],
    ['\ufeffa', '+EF+BB+BFa'], // a byte order mark is a character here
  ]
  for (const [text, xtext] of pairs) {
    t.equal(encodeXtext(text), xtext)
    t.strictSame(decodeXtext(xtext), { ok: true, text })
  }
  const bad: [xtext: string, at: number][] = [
    ['a+2b', 1], // lower case
    ['a+', 1],
    ['a+2', 1],
    ['a+G0', 1],
    ['a=b', 1],
    ['a b', 1],
    ['a\tb', 1],
    ['ü', 0],
    ['\ud800', 0],
    ['a+00', 1],
    ['a+0D+0A', 1],
    ['a+7F', 1],
    ['a+1F', 1],
    ['a\x7f', 1],
    ['+C2+85', 0], // U+0085
    ['+E2+80+A8', 0], // U+2028
    ['+C3', 0],
    ['+C0+80', 0], // NUL, overlong
    ['+ED+A0+80', 0], // a surrogate
  ]
  for (const [xtext, at] of bad) t.match(decodeXtext(xtext), { ok: false, at }, shown(xtext))
  for (const text of ['a\0', '\r', 'a\nb', '\t', '\x7f', '\u0085', '\u2028', '\ud800', 'a\udc00b']) {
    t.throws(() => encodeXtext(text), { code: 'ERR_OPTION' }, shown(text))
    t.throws(() => encodeUtf8Xtext(text), { code: 'ERR_OPTION' }, shown(text))
  }
})

t.test('utf-8-addr-xtext', async t => {
  const pairs: [text: string, xtext: string][] = [
    ['a@b.c', 'a@b.c'],
    ['jörg+x@b', 'j\\x{F6}rg\\x{2B}x@b'],
    ['a b\\=', 'a\\x{20}b\\x{5C}\\x{3D}'],
    ['用😀', '\\x{7528}\\x{1F600}'],
    ['!~', '!~'],
    ['\ud7ff\ue000', '\\x{D7FF}\\x{E000}'],
  ]
  for (const [text, xtext] of pairs) {
    t.equal(encodeUtf8Xtext(text), xtext)
    t.strictSame(decodeUtf8Xtext(xtext, { utf8: false }), { ok: true, text })
  }
  t.strictSame(decodeUtf8Xtext('jör\\x{fc}', { utf8: true }), { ok: true, text: 'jörü' })
  const bad: [xtext: string, at: number][] = [
    ['a+2B', 1],
    ['a=b', 1],
    ['a b', 1],
    ['a\\b', 1],
    ['a\\x{}', 1],
    ['a\\x{2}', 1],
    ['a\\x{2B', 1],
    ['a\\x{61}', 1], // must stand as it is
    ['a\\x{0F6}', 1],
    ['a\\x{D800}', 1],
    ['a\\x{DFFF}', 1],
    ['a\\x{21}', 1],
    ['a\\x{7E}', 1],
    ['a\x7f', 1],
    ['\u0080', 0],
    ['a\\x{110000}', 1],
    ['a\\x{00}', 1],
    ['a\\x{0A}', 1],
    ['a\\x{7F}', 1],
    ['a\\x{85}', 1],
    ['a\\x{2028}', 1],
    ['\ud800', 0],
  ]
  for (const [xtext, at] of bad) {
    for (const utf8 of [false, true]) t.match(decodeUtf8Xtext(xtext, { utf8 }), { ok: false, at }, shown(xtext))
  }
  t.match(decodeUtf8Xtext('ü', { utf8: false }), { ok: false, at: 0 })
  for (const control of ['\\x{00}', '\\x{0A}', '\\x{7F}']) {
    t.match(decodeUtf8Xtext(control, { utf8: false }), { problem: 'it decodes to a control character' }, control)
  }
})

t.test('what is encoded is decoded, and nothing throws', async () => {
  const text = fc.string({ unit: character }).map(s => s.replaceAll(/[\p{Cc}\u2028\u2029]/gu, ''))
  const same = (decoded: Decoded, s: string): boolean => decoded.ok && decoded.text === s
  fc.assert(fc.property(text, s => same(decodeXtext(encodeXtext(s)), s)))
  fc.assert(fc.property(text, s => same(decodeUtf8Xtext(encodeUtf8Xtext(s), { utf8: false }), s)))
  const soup = fc.oneof(
    fc.string({ unit: character }),
    fc.string({ unit: fc.constantFrom('+', '0', 'C', '\\', 'x', '{', '}') }),
  )
  fc.assert(fc.property(soup, s => 'ok' in decodeXtext(s) && 'ok' in decodeUtf8Xtext(s, { utf8: true })))
})
