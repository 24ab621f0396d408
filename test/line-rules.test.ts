// The tables of the scanner of mail data, and what its rules must not do.

import t from 'tap'
import { tableOf, type LineRules } from '../lib/protocol/mail-data/line-rules.ts'
import { LineScanner } from '../lib/protocol/mail-data/line-scanner.ts'
import { CR, DOT, LF } from '../lib/words/octets.ts'

const RULES: readonly LineRules[] = [true, false].flatMap(endOfData =>
  (['keep', 'drop', 'double'] as const).flatMap(dots =>
    (['reject', 'normalize', 'allow'] as const).map(bareNewline => ({ endOfData, dots, bareNewline })),
  ),
)

t.test('each set of rules has a table of its own, once', t => {
  t.equal(new Set(RULES.map(tableOf)).size, RULES.length)
  for (const rules of RULES) t.equal(tableOf(rules), tableOf({ ...rules }))
  t.end()
})

t.test('a table has a cell for each octet of each state', t => {
  for (const rules of RULES) {
    const table = tableOf(rules)
    t.equal(table.length, 8 * 256)
    for (let row = 0; row < 8; row++) {
      const other = table[256 * row + 0x61]
      const differs = Array.from({ length: 256 }, (_, octet) => octet).filter(each => table[256 * row + each] !== other)
      t.ok(
        differs.every(octet => octet === DOT || octet === CR || octet === LF),
        JSON.stringify({ rules, row, differs }),
      )
    }
  }
  t.end()
})

const whole = (scanner: LineScanner, ...chunks: readonly string[]): string => {
  const pieces: string[] = []
  for (const chunk of chunks)
    scanner.scan(Buffer.from(chunk, 'latin1'), 0, piece => pieces.push(piece.toString('latin1')))
  scanner.end(piece => pieces.push(piece.toString('latin1')))
  return pieces.join('')
}

t.test('what follows a dot and a bare CR is no half of a line end', t => {
  for (const dots of ['keep', 'drop', 'double'] as const) {
    for (const octet of ['.', 'x']) {
      const scanner = new LineScanner({ endOfData: true, dots, bareNewline: 'reject' })
      whole(scanner, `a\r\n.\r${octet}\n.\r\n`)
      t.equal(scanner.ended, false, `${dots}, ${octet}`)
      t.equal(scanner.bare, true)
    }
  }
  t.end()
})

t.test('the most that can come of a stretch: CRs that were held, then an LF for each octet', t => {
  const scanner = new LineScanner({ endOfData: false, dots: 'keep', bareNewline: 'normalize' })
  const dense = 'a\n'.repeat(40_000)
  const got = whole(scanner, dense, `a${'\r'.repeat(999)}`, `b${'\n'.repeat(40_000)}`)
  t.equal(got, `${dense.replaceAll('\n', '\r\n')}a${' '.repeat(999)}b${'\r\n'.repeat(40_000)}`)
  t.end()
})

t.test('the end is judged once', t => {
  const scanner = new LineScanner({ endOfData: false, dots: 'keep', bareNewline: 'normalize' })
  t.equal(whole(scanner, 'a\r'), 'a ')
  t.equal(whole(scanner), '')
  t.end()
})

t.test('rules by which no octet needs care: what is taken is the rest of the chunk', async t => {
  const scanner = new LineScanner({ endOfData: false, dots: 'keep', bareNewline: 'allow' })
  const pieces: string[] = []
  const chunk = Buffer.from('..a\rb\n.\r\n')
  t.equal(
    scanner.scan(chunk, 2, piece => void pieces.push(piece.toString())),
    chunk.length,
  )
  t.strictSame(pieces, ['a\rb\n.\r\n'])
})
