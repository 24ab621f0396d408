import t from 'tap'
import { hasControls, isAscii, isAtom, isNonAscii, needsUtf8, stray } from '../lib/protocol/addresses/characters.ts'
import { shown } from './fixtures/shown.ts'

t.test('atoms and ASCII', async t => {
  for (const text of ['a', 'Z9', "!#$%&'*+-/=?^_`{|}~"]) t.equal(isAtom(text), true, text)
  for (const text of ['', 'a b', 'a.b', '@', 'ü', '\x7f', '\0']) t.equal(isAtom(text), false, shown(text))
  for (const text of ['', 'a', '\0\x7f']) t.equal(isAscii(text), true, shown(text))
  for (const text of ['\x80', 'aü']) t.equal(isAscii(text), false, shown(text))
  for (const text of ['\x1f', '\x7f', '\x9f', '\u2028', 'a\u2029']) t.equal(hasControls(text), true, shown(text))
  for (const text of ['', ' ~', '\xa0', '\u2027\u202a']) t.equal(hasControls(text), false, shown(text))
})

t.test('well-formed characters beyond ASCII: the first and the last of each range', async t => {
  const good: [text: string, at: number][] = [
    ['\xa0', 0],
    ['\u2027', 0],
    ['\u202a', 0],
    ['\ud7ff', 0],
    ['\ue000', 0],
    ['\uffff', 0],
  ]
  for (const pair of ['\ud800\udc00', '\ud800\udfff', '\udbff\udc00', '\udbff\udfff']) good.push([pair, 0], [pair, 1])
  for (const [text, at] of good) t.equal(isNonAscii(text, at), true, `${shown(text)} at ${at}`)
  const bad: [text: string, at: number][] = [
    ['~', 0],
    ['\x80', 0],
    ['\x9f', 0],
    ['\u2028', 0],
    ['\u2029', 0],
    ['\ud800', 0],
    ['\udbff', 0],
    ['\udc00', 0],
    ['\udfff', 0],
    ['\ud800\udbff', 0],
    ['\ud800\ue000', 0],
    ['\ud7ff\udc00', 1],
    ['\udc00\udc00', 1],
    ['', 0],
  ]
  for (const [text, at] of bad) t.equal(isNonAscii(text, at), false, `${shown(text)} at ${at}`)
})

t.test('what is said of a character in the wrong place', async t => {
  const table: [text: string, problem: RegExp][] = [
    ['', /ends too early/],
    ['\x1f', /control/],
    ['\x7f', /control/],
    ['\x9f', /control/],
    [' ', /a space/],
    ['(', /comments/],
    ['~', /a character/],
    ['\xa0', /non-ASCII characters are not allowed/],
    ['ü', /non-ASCII characters are not allowed/],
    ['\ud800', /not well-formed/],
    ['\u2028', /not well-formed/],
  ]
  for (const [text, problem] of table) t.match(stray(text, 0, 'path'), { part: 'path', at: 0, problem }, shown(text))
  t.match(needsUtf8('ü', 0, 'domain'), { part: 'domain', at: 0, problem: /need SMTPUTF8/, nonAscii: true })
  t.strictSame(needsUtf8('\ud800', 0, 'domain'), stray('\ud800', 0, 'domain'))
})
