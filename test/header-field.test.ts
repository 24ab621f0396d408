import fc from 'fast-check'
import t from 'tap'
import { headerFields } from '../lib/protocol/header/header-field.ts'

t.equal(headerFields({ 'X-A': 'one', 'X-B': '' }), 'X-A: one\r\nX-B:\r\n')
t.equal(
  headerFields([
    ['R', '1'],
    ['R', ' 2\t'],
  ]),
  'R: 1\r\nR: 2\r\n',
)
t.equal(headerFields({ R: '  2' }), 'R: 2\r\n')
const x = (length: number): string => 'x'.repeat(length)
t.equal(headerFields({ N: `${x(73)} y` }), `N: ${x(73)} y\r\n`, 'a line of 78 octets')
t.equal(headerFields({ N: `y ${x(74)}` }), `N: y\r\n ${x(74)}\r\n`, 'a line that would have 79')
t.equal(headerFields({ N: `y ${x(75)} y` }), `N: y\r\n ${x(75)} y\r\n`, 'a second line of 78 octets')
t.equal(headerFields({ N: `y ${x(76)} y` }), `N: y\r\n ${x(76)}\r\n y\r\n`, 'a second line that would have 79')
t.equal(headerFields({ S: 'grüße' }), 'S: grüße\r\n')

for (const name of ['', 'a b', 'a:', 'a\r\nB', 'ä', 'a\0']) {
  t.throws(() => headerFields([[name, 'v']]), { code: 'ERR_HEADER' }, JSON.stringify(name))
}
for (const value of ['a\r\nB: c', 'a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'x'.repeat(998)]) {
  t.throws(() => headerFields({ N: value }), { code: 'ERR_HEADER' }, JSON.stringify(value).slice(0, 30))
}
t.equal(headerFields({ N: 'x'.repeat(995) }), `N: ${'x'.repeat(995)}\r\n`)
t.equal(headerFields({ N: 'x'.repeat(997) }), `N:\r\n ${'x'.repeat(997)}\r\n`)

t.test('folds at blanks to 78 octets, and unfolds to what it was', t => {
  const word = fc.string({ minLength: 1, maxLength: 100 }).map(s => s.replace(/[^!-~]/g, 'ü'))
  const blank = fc.constantFrom(' ', '  ', '\t', ' \t ')
  fc.assert(
    fc.property(fc.array(fc.tuple(word, blank), { maxLength: 40 }), parts => {
      const value = parts
        .map(([w, b]) => w + b)
        .join('')
        .replace(/[ \t]+$/, '')
      const field = headerFields({ Name: value })
      const lines = field.slice(0, -2).split('\r\n')
      t.equal(field.replace(/\r\n(?=[ \t])/g, ''), `${`Name: ${value}`.trimEnd()}\r\n`)
      for (const line of lines) {
        const words = line
          .replace(/^Name:/, '')
          .trim()
          .split(/[ \t]+/)
        if (Buffer.byteLength(line) > 78 && words.length > 1) return false
        if (line.trim() === '') return false
      }
      return true
    }),
    { numRuns: 200 },
  )
  t.end()
})

t.test('is linear in blanks', t => {
  const before = process.cpuUsage()
  t.throws(() => headerFields({ N: `a${' '.repeat(200_000)}b` }), { code: 'ERR_HEADER' })
  // An expression that backtracks would take seconds; the processor's time, so that a busy machine changes nothing.
  t.ok(process.cpuUsage(before).user < 500_000)
  t.end()
})
