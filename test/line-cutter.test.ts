import t, { type Test } from 'tap'
import fc from 'fast-check'
import { LineCutter, type CutLine } from '../lib/stream/line-cutter.ts'
import { octetsHeld } from './fixtures/memory.ts'

/** A line, or the name of what is wrong with it in angle brackets. */
const show = ({ line, problem }: CutLine) => line ?? `<${problem}>`

function cut(chunks: readonly Buffer[], limit = 2048, cutter: LineCutter = new LineCutter()): string[] {
  const lines: string[] = []
  for (const chunk of chunks) {
    let offset = 0
    while (offset < chunk.length) {
      const next = cutter.cut(chunk, offset, limit)
      if (next <= offset) throw new Error('no progress')
      offset = next
      if (cutter.result !== null) lines.push(show(cutter.result))
    }
  }
  return lines
}

const octets = (text: string) => Buffer.from(text, 'latin1')
const byOctet = (bytes: Buffer) => [...bytes].map(octet => Buffer.from([octet]))

function check(t: Test, wire: Buffer, lines: readonly string[], limit?: number): void {
  const name = JSON.stringify(wire.toString('latin1'))
  t.same(cut([wire], limit), lines, `${name} whole`)
  t.same(cut(byOctet(wire), limit), lines, `${name} octet by octet`)
  for (let i = 1; i < wire.length; i++) {
    t.same(cut([wire.subarray(0, i), wire.subarray(i)], limit), lines, `${name} cut at ${i}`)
  }
}

t.test('lines, and what is none', async t => {
  const cases: readonly [wire: string, ...lines: string[]][] = [
    ['NOOP\r\n', 'NOOP'],
    ['\r\n', ''],
    ['\r\n\r\n', '', ''],
    ['a\r\nb\r\nc', 'a', 'b'],
    [' a \t\r\n', ' a \t'],
    ['\n', '<bare-newline>'],
    ['\n\n', '<bare-newline>', '<bare-newline>'],
    ['a\r\n\nb\r\n', 'a', '<bare-newline>', 'b'],
    ['a\n', '<bare-newline>'],
    ['a\nb\r\n', '<bare-newline>', 'b'],
    ['a\rb\r\n', '<bare-newline>'],
    ['a\r\r\n', '<bare-newline>'],
    ['\r\r\n', '<bare-newline>'],
    ['\ra\r\n', '<bare-newline>'],
    ['\rb\nc\r\n', '<bare-newline>', 'c'],
    ['a\0b\r\n', '<nul>'],
    ['\0\r\n', '<nul>'],
    ['\xff\r\n', '<not-utf8>'],
    ['\xc3\r\nb\r\n', '<not-utf8>', 'b'],
    ['\xc0\xaf\r\n', '<not-utf8>'],
    ['\xed\xa0\x80\r\n', '<not-utf8>'],
    ['\x01\x7f\r\n', '\x01\x7f'],
  ]
  for (const [wire, ...lines] of cases) check(t, octets(wire), lines)
  check(t, Buffer.from('VRFY Jürgen 😀\r\n'), ['VRFY Jürgen 😀'])
  check(t, Buffer.from('\ufeffNOOP\r\n'), ['\ufeffNOOP'])
})

t.test('the limit counts CRLF', async t => {
  check(
    t,
    octets('123456\r\n1234567\r\n12345678901234567890\r\n12\r\n'),
    ['123456', '<too-long>', '<too-long>', '12'],
    8,
  )
  check(t, octets('1234567\nb\r\n'), ['<bare-newline>', 'b'], 8)
  check(t, octets('12345678\n\r\n'), ['<too-long>', ''], 8)
})

t.test('the verb of a line that is none', async t => {
  for (const [wire, verb] of [
    ['BDAT 12345678\r\n', 'BDAT'],
    ['bdat\n', 'BDAT'],
    ['Bdat\0\r\n', 'BDAT'],
    ['BDAT\xff\r\n', 'BDAT'],
    [' BDAT\n', ''],
    ['ABCDEFGHIJKLMN\r\n', 'ABCDEFGH'],
    ['\n', ''],
  ] as const) {
    for (let i = 0; i < wire.length; i++) {
      const cutter = new LineCutter()
      cut([octets(wire.slice(0, i)), octets(wire.slice(i, -1))], 8, cutter)
      cutter.cut(octets('\n'), 0, 8)
      t.match(cutter.result, { line: null, verb }, `${JSON.stringify(wire)} cut at ${i}`)
    }
  }
})

t.test('unfinished: while part of a line has come in', async t => {
  const cutter = new LineCutter()
  t.notOk(cutter.unfinished)
  cut([octets('NO')], 8, cutter)
  t.ok(cutter.unfinished)
  cut([octets('OP THAT IS TOO LONG')], 8, cutter)
  t.ok(cutter.unfinished)
  t.same(cut([octets('\r\n')], 8, cutter), ['<too-long>'])
  t.notOk(cutter.unfinished)
})

t.test('two cutters do not mix', async t => {
  const [one, other] = [new LineCutter(), new LineCutter()]
  cut([octets('AUTH sec')], 100, one)
  t.same(cut([octets('\n'), octets('NOOP\r\n')], 100, other), ['<bare-newline>', 'NOOP'])
  t.same(cut([octets('ret\r\n')], 100, one), ['AUTH secret'])
})

t.test('a line is not its chunk: what comes later does not change it', async t => {
  const cutter = new LineCutter()
  const chunk = octets('NO')
  cut([chunk], 100, cutter)
  chunk.fill('X')
  t.same(cut([octets('OP\r\n')], 100, cutter), ['NOOP'])
})

t.test('an endless line costs neither memory nor time', async t => {
  const cutter = new LineCutter()
  const chunk = Buffer.alloc(65_536, 'a')
  const before = octetsHeld()
  for (let i = 0; i < 2048; i++) cutter.cut(chunk, 0, 2048)
  for (let i = 0; i < 200_000; i++) cutter.cut(chunk.subarray(0, 1), 0, 2048)
  t.ok(octetsHeld() - before < 2 ** 20)
  t.same(cut([octets('\r\nNOOP\r\n')], 2048, cutter), ['<too-long>', 'NOOP'])
})

t.test('any octets, at any chunking, as the whole of them', async t => {
  const octet = fc.constantFrom('a', 'b', '\r', '\n', '\0', ' ', '\xe9')
  fc.assert(
    fc.property(
      fc.array(octet, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
      (text, sizes) => {
        const wire = Buffer.from(text.join(''), 'latin1')
        const chunks: Buffer[] = []
        for (let at = 0, i = 0; at < wire.length; at += sizes[i++ % sizes.length]!) {
          chunks.push(wire.subarray(at, at + sizes[i % sizes.length]!))
        }
        const expected = wire
          .toString('latin1')
          .split(/(?<=\n)/)
          .filter(line => line.endsWith('\n'))
          .map(line => {
            if (line.length > 12) return '<too-long>'
            if (!/^[^\r\n]*\r\n$/.test(line)) return '<bare-newline>'
            if (line.includes('\0')) return '<nul>'
            // oxlint-disable-next-line no-control-regex -- the end of ASCII is what it looks for
            return /[^\x00-\x7f]/.test(line) ? '<not-utf8>' : line.slice(0, -2)
          })
        t.strictSame(cut(chunks, 12), expected)
        return true
      },
    ),
    { numRuns: 500 },
  )
})
