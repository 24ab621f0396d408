import fc from 'fast-check'
import t from 'tap'
import { parseParameters } from '../lib/protocol/parameters/parameters.ts'
import { character } from './fixtures/character.ts'
import { shown } from './fixtures/shown.ts'

const ASCII = { utf8: false }
const UTF8 = { utf8: true }

t.test('good', async t => {
  const good: [text: string, parameters: Record<string, string | null>][] = [
    ['', {}],
    ['  \t ', {}],
    ['SIZE=1', { SIZE: '1' }],
    ['size=1 Body=8bitmime SMTPUTF8', { SIZE: '1', BODY: '8bitmime', SMTPUTF8: null }],
    [' A=1   B  ', { A: '1', B: null }],
    ['X-1=!"#$%&\'()*+,-./:;<>?@[\\]^_`{|}~', { 'X-1': '!"#$%&\'()*+,-./:;<>?@[\\]^_`{|}~' }],
    ['1=2', { 1: '2' }],
    ['CONSTRUCTOR TOSTRING=x', { CONSTRUCTOR: null, TOSTRING: 'x' }],
    ['A\t', { A: null }],
  ]
  for (const [text, parameters] of good) {
    const parsed = parseParameters(text, ASCII)
    t.strictSame(parsed.ok && Object.fromEntries(parsed.parameters), parameters, shown(text))
  }
  const unicode = parseParameters('ORCPT=utf-8;jörg@x', UTF8)
  t.equal(unicode.ok && unicode.parameters.get('ORCPT'), 'utf-8;jörg@x')
})

t.test('bad, with the place', async t => {
  const bad: [text: string, keyword: string | null, at: number, problem: RegExp][] = [
    ['=', null, 0, /begins/],
    ['-A', null, 0, /begins/],
    ['A B_C', null, 3, /keyword/],
    ['__proto__', null, 0, /begins/],
    ['A\tB', null, 1, /keyword/],
    ['A\0', null, 1, /keyword/],
    ['ü', null, 0, /begins/],
    ['A=', 'A', 2, /empty/],
    ['A= B', 'A', 2, /empty/],
    ['A=b=c', 'A', 3, /character/],
    ['A=b\0', 'A', 3, /character/],
    ['A=b\tc', 'A', 3, /character/],
    ['A=b\x7f', 'A', 3, /character/],
    ['A=\u0085x', 'A', 2, /well-formed/],
    ['A=\u0080', 'A', 2, /well-formed/],
    ['A=\ud800', 'A', 2, /well-formed/],
    ['A=1 b a=2', 'A', 6, /twice/],
    ['A a', 'A', 2, /twice/],
  ]
  for (const [text, keyword, at, problem] of bad) {
    for (const options of [ASCII, UTF8]) {
      t.match(parseParameters(text, options), { ok: false, error: { keyword, at, problem } }, shown(text))
    }
  }
  t.match(parseParameters('A=ü', ASCII), { ok: false, error: { keyword: 'A', at: 2, nonAscii: true } })
})

t.test('lenient: an equals sign in the value of AUTH, and only there', async t => {
  const lenient = { utf8: false, strictness: 'lenient' } as const
  const parsed = parseParameters('auth=bounce=joe=example.org@list.example SIZE=1', lenient)
  t.strictSame(parsed.ok && Object.fromEntries(parsed.parameters), {
    AUTH: 'bounce=joe=example.org@list.example',
    SIZE: '1',
  })
  t.match(parseParameters('ENVID=a=b', lenient), { ok: false, error: { keyword: 'ENVID', at: 7 } })
  t.match(parseParameters('AUTH=a=b', { utf8: false, strictness: 'strict' }), { ok: false, error: { at: 6 } })
})

t.test('what is printed is read again, and nothing throws', async () => {
  const letters = [...'ABCXYZ019']
  const keyword = fc
    .tuple(fc.constantFrom(...letters), fc.string({ unit: fc.constantFrom(...letters, '-'), maxLength: 8 }))
    .map(pair => pair.join(''))
  const octet = fc.integer({ min: 33, max: 126 }).filter(code => code !== 61)
  const value = fc.string({ unit: octet.map(code => String.fromCharCode(code)), minLength: 1, maxLength: 20 })
  const list = fc.uniqueArray(fc.tuple(keyword, fc.option(value)), { selector: pair => pair[0], maxLength: 8 })
  fc.assert(
    fc.property(list, pairs => {
      const text = pairs.map(([key, v]) => (v === null ? key : `${key}=${v}`)).join(' ')
      const parsed = parseParameters(text, ASCII)
      return parsed.ok && JSON.stringify([...parsed.parameters]) === JSON.stringify(pairs)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: character }), fc.boolean(), (text, utf8) => {
      const parsed = parseParameters(text, { utf8 })
      return parsed.ok || (parsed.error.at >= 0 && parsed.error.at <= text.length)
    }),
  )
})
