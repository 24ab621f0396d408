import t, { type Test } from 'tap'
import fc from 'fast-check'
import { LineCutter, type CutLine, type LineRules } from '../lib/stream/line-cutter.ts'
import { memoryHeld } from './fixtures/memory.ts'

/** A line, or the name of what is wrong with it in angle brackets. */
const show = ({ line, problem }: CutLine) => line ?? `<${problem}>`

const STRICT: LineRules = { acceptsBareLF: false, authLimit: 0 }
const LENIENT: LineRules = { acceptsBareLF: true, authLimit: 0 }

function cut(chunks: readonly Buffer[], limit = 2048, cutter: LineCutter = new LineCutter(STRICT)): string[] {
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

function check(t: Test, wire: Buffer, lines: readonly string[], limit?: number, rules: LineRules = STRICT): void {
  const name = JSON.stringify(wire.toString('latin1'))
  t.same(cut([wire], limit, new LineCutter(rules)), lines, `${name} whole`)
  t.same(cut(byOctet(wire), limit, new LineCutter(rules)), lines, `${name} octet by octet`)
  for (let i = 1; i < wire.length; i++) {
    const parts = [wire.subarray(0, i), wire.subarray(i)]
    t.same(cut(parts, limit, new LineCutter(rules)), lines, `${name} cut at ${i}`)
  }
}

t.test('lines, and what is wrong with invalid ones', async t => {
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

t.test('an LF ends a line if bare ones are accepted; CRs right before it belong to it', async t => {
  const cases: readonly [wire: string, ...lines: string[]][] = [
    ['a\nb\r\nc\n', 'a', 'b', 'c'],
    ['\n\r\n', '', ''],
    ['a\r\r\nb\r\r\r\n', 'a', 'b'],
    ['a\rb\n', '<bare-cr>'],
    ['a\rb\r\nc\n', '<bare-cr>', 'c'],
    ['\ra\n', '<bare-cr>'],
    ['a\0\n', '<nul>'],
    ['\xff\n', '<not-utf8>'],
    ['\xc3\xbc\n', 'ü'],
    ['\xc3\xbc\r\r\n', 'ü'],
  ]
  for (const [wire, ...lines] of cases) check(t, octets(wire), lines, 2048, LENIENT)
})

t.test('a line is too long as soon as it has as many octets as it may; the rest is skipped', async t => {
  check(t, octets('12345678'), ['<too-long>'], 8)
  check(t, octets('1234567'), [], 8)
  check(t, octets('123456789\r\nNOOP\r\n'), ['<too-long>', 'NOOP'], 8)
  const endless = Buffer.alloc(8 + 65_536, 'a')
  t.same(cut([endless], 8), ['<too-long>'])
  for (const size of [1, 1000, 100_000]) {
    const cutter = new LineCutter(STRICT)
    const chunks = Array.from({ length: Math.ceil((endless.length + 1) / size) }, () => Buffer.alloc(size, 'a'))
    t.same(cut(chunks, 8, cutter).slice(0, 2), ['<too-long>', '<endless>'], `in pieces of ${size}`)
  }
})

t.test('an AUTH command may be longer', async t => {
  const rules = { acceptsBareLF: false, authLimit: 12 }
  check(
    t,
    octets('auth 12345\r\nAUTH 123456\r\nNOOP 123\r\nNOOP\r\n'),
    ['auth 12345', '<too-long>', '<too-long>', 'NOOP'],
    8,
    rules,
  )
  check(t, octets('AUTHOR 789\r\n'), ['<too-long>'], 8, rules)
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

t.test('the verb of an invalid line', async t => {
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
      const cutter = new LineCutter(STRICT)
      let result: CutLine | null = null
      for (const chunk of [octets(wire.slice(0, i)), octets(wire.slice(i))]) {
        for (let offset = 0; offset < chunk.length; result ??= cutter.result) offset = cutter.cut(chunk, offset, 8)
      }
      t.match(result, { line: null, verb }, `${JSON.stringify(wire)} cut at ${i}`)
    }
  }
})

t.test('unfinished: while part of a line has come in', async t => {
  const cutter = new LineCutter(STRICT)
  t.notOk(cutter.unfinished)
  cut([octets('NO')], 8, cutter)
  t.ok(cutter.unfinished)
  cut([octets('OP THAT IS TOO LONG')], 8, cutter)
  t.ok(cutter.unfinished, 'while it is skipped')
  t.same(cut([octets('\r\n')], 8, cutter), [])
  t.notOk(cutter.unfinished)
})

t.test('two cutters do not mix', async t => {
  const [one, other] = [new LineCutter(STRICT), new LineCutter(STRICT)]
  cut([octets('AUTH sec')], 100, one)
  t.same(cut([octets('\n'), octets('NOOP\r\n')], 100, other), ['<bare-newline>', 'NOOP'])
  t.same(cut([octets('ret\r\n')], 100, one), ['AUTH secret'])
})

t.test('a line is not its chunk: what comes later does not change it', async t => {
  const cutter = new LineCutter(STRICT)
  const chunk = octets('NO')
  cut([chunk], 100, cutter)
  chunk.fill('X')
  t.same(cut([octets('OP\r\n')], 100, cutter), ['NOOP'])
})

t.test('an endless line costs neither memory nor time', async t => {
  const cutter = new LineCutter(STRICT)
  const chunk = Buffer.alloc(65_536, 'a')
  const before = memoryHeld()
  for (let i = 0; i < 2048; i++) cutter.cut(chunk, 0, 2048)
  for (let i = 0; i < 200_000; i++) cutter.cut(chunk.subarray(0, 1), 0, 2048)
  t.ok(memoryHeld() - before < 2 ** 20)
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
          .filter(line => line.endsWith('\n') || line.length >= 12)
          .map(line => {
            if (line.length > 12 || !line.endsWith('\n')) return '<too-long>'
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
