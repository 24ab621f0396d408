import fc from 'fast-check'
import t from 'tap'
import { printable } from '../lib/words/printable.ts'
import { character } from './fixtures/character.ts'

const CASES: readonly [text: string, shown: string][] = [
  ['', ''],
  ['plain text, ünïcode, 日本語, 😀', 'plain text, ünïcode, 日本語, 😀'],
  ['a\r\nb', 'a\\x0d\\x0ab'],
  ['\0\t\x1b[2J\x7f', '\\x00\\x09\\x1b[2J\\x7f'],
  ['\x85\x9b', '\\x85\\x9b'],
  ['\u2028\u2029', '\\u2028\\u2029'],
  ['\u202eabc\u2066\u2069\u061c\u200f\ufeff', '\\u202eabc\\u2066\\u2069\\u061c\\u200f\\ufeff'],
  ['\ud800x\udc00', '\\ud800x\\udc00'],
  ['\u{e0001}', '\\u{e0001}'],
  ['\\x0d', '\\x0d'],
]
for (const [text, shown] of CASES) t.equal(printable(text), shown, shown)

t.equal(printable('abcdef', 6), 'abcdef')
t.equal(printable('abcdefg', 6), 'abcde…')
t.equal(printable('ab\r\ncd', 6), 'ab…', 'an escape is not cut')
t.equal(printable('abcd😀e', 6), 'abcd…', 'a pair is not cut')
t.equal(printable('x'.repeat(2000)).length, 1000)

t.test('one printable line, no longer than it may be, and left alone the second time', t => {
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, max) => {
      const shown = printable(text, max)
      return (
        shown.length <= max &&
        !/[\p{C}\p{Zl}\p{Zp}]/u.test(shown.replace(/[\p{Cn}\p{Co}]/gu, '')) &&
        printable(shown, max) === shown
      )
    }),
  )
  t.end()
})

t.test('reads no more of a text than it shows', t => {
  const begun = process.cpuUsage()
  printable('\r'.repeat(2 ** 22), 100)
  t.ok(process.cpuUsage(begun).user < 300_000)
  t.end()
})
