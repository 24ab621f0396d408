// The scanners of mail data against the rules, for every way to cut the data into chunks.

import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ChunkScanner, DataScanner, type ScannerOptions } from '../lib/protocol/mail-data/scanners.ts'
import { scanChunks, scanData, unstuff, type Scanned } from './fixtures/mail-data-model.ts'

const MODES = (['reject', 'normalize', 'allow'] as const).flatMap(bareNewline => [
  { unstuff: true, bareNewline },
  { unstuff: false, bareNewline },
])

const octets = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Collects pieces as text, and throws if one comes after what is rejected. */
function collector(scanner: { readonly bare: boolean }): { text: string; emit: (piece: Buffer) => void } {
  const collected = {
    text: '',
    emit(piece: Buffer) {
      if (scanner.bare) throw new Error('emitted after the offence')
      if (piece.length === 0) throw new Error('an empty piece')
      collected.text += piece.toString('latin1')
    },
  }
  return collected
}

/** Throws unless the dots of transparency in what was emitted have been counted. */
function checkStuffing(stuffing: number, emitted: string, options: ScannerOptions): void {
  const expected = options.unstuff ? 0 : emitted.length - unstuff(emitted).length
  if (stuffing !== expected) throw new Error(`${stuffing} dots counted, not ${expected}: ${JSON.stringify(emitted)}`)
}

function data(chunks: readonly Buffer[], options: ScannerOptions): Scanned {
  const scanner = new DataScanner(options)
  const pieces = collector(scanner)
  let rest = ''
  for (const chunk of chunks) {
    const before = Buffer.from(chunk)
    const next = scanner.ended ? 0 : scanner.scan(chunk, 0, pieces.emit)
    if (!chunk.equals(before)) throw new Error('the chunk was written to')
    if (!scanner.ended && next !== chunk.length) throw new Error(`took ${next} of ${chunk.length}`)
    rest += chunk.toString('latin1', scanner.ended ? next : chunk.length)
  }
  checkStuffing(scanner.stuffing, pieces.text, options)
  return { data: pieces.text, rest: scanner.ended ? rest : null, bare: scanner.bare }
}

function chunked(chunks: readonly Buffer[], options: ScannerOptions, whole: boolean): Scanned {
  const scanner = new ChunkScanner(options)
  const pieces = collector(scanner)
  for (const chunk of chunks) scanner.take(chunk, pieces.emit)
  if (whole) scanner.end(pieces.emit)
  checkStuffing(scanner.stuffing, pieces.text, options)
  return { data: pieces.text, rest: null, bare: scanner.bare }
}

/** Throws unless the scanners do with the chunks what the model does with their text. */
function compare(chunks: readonly Buffer[]): void {
  const text = Buffer.concat(chunks).toString('latin1')
  for (const options of MODES) {
    same(data(chunks, options), scanData(text, options), 'DATA', options)
    for (const whole of [false, true]) {
      same(chunked(chunks, options, whole), scanChunks(text, options, whole), `BDAT ${whole}`, options)
    }
  }

  function same(got: Scanned, expected: Scanned, way: string, options: ScannerOptions): void {
    const [found, wanted] = [JSON.stringify(got), JSON.stringify(expected)]
    if (found === wanted) return
    const input = JSON.stringify(chunks.map(chunk => chunk.toString('latin1')))
    throw new Error(`${way} ${JSON.stringify(options)} ${input}: ${found}, not ${wanted}`)
  }
}

/** Compares the text whole, octet by octet, and cut in two and in three at every place. */
function compareCuts(text: string): void {
  const bytes = octets(text)
  compare([bytes])
  compare([...bytes].map(octet => Buffer.from([octet])))
  for (let i = 1; i < bytes.length; i++) {
    compare([bytes.subarray(0, i), bytes.subarray(i)])
    if (i + 1 < bytes.length) compare([bytes.subarray(0, i), bytes.subarray(i, i + 1), bytes.subarray(i + 1)])
  }
}

type Case = readonly [wire: string, unstuffed: string, raw: string]

function table(t: Test, cases: readonly Case[], scan: (wire: string, options: ScannerOptions) => string): void {
  for (const [wire, unstuffed, raw] of cases) {
    t.equal(scan(wire, { unstuff: true, bareNewline: 'normalize' }), unstuffed, JSON.stringify(wire))
    t.equal(scan(wire, { unstuff: false, bareNewline: 'normalize' }), raw, `raw ${JSON.stringify(wire)}`)
    compareCuts(wire)
  }
}

t.test('only CRLF.CRLF ends mail data', async t => {
  const cases: readonly [text: string, data: string, rest: string | null][] = [
    ['.\r\n', '', ''],
    ['a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'],
    ['\r\n.\r\n.\r\n', '\r\n', '.\r\n'],
    ['a\n.\n.\r\n', 'a\n.\n.\r\n', null],
    ['a\n.\r\nb', 'a\n.\r\nb', null],
    ['a\r\n.\nb', 'a\r\n.\nb', null],
    ['a\r.\rb', 'a\r.\rb', null],
    ['a\r.\r\nb', 'a\r.\r\nb', null],
    ['a\r\n.\rb', 'a\r\n.\rb', null],
    ['a\r\n.\0\r\nb', 'a\r\n.\0\r\nb', null],
    ['a\r\n..\r\n.\r\nb', 'a\r\n..\r\n', 'b'],
    ['a\r\r\n.\r\nb', 'a\r\r\n', 'b'],
    ['a\r\n.\r\r\n.\r\nb', 'a\r\n.\r\r\n', 'b'],
  ]
  for (const [text, expected, rest] of cases) {
    const got = data([octets(text)], { unstuff: false, bareNewline: 'allow' })
    t.same(got, { data: expected, rest, bare: false }, JSON.stringify(text))
    compareCuts(text)
  }
})

t.test('normalize, DATA', async t => {
  const cases: readonly Case[] = [
    // newlines
    ['a\nb\r\n.\r\n', 'a\r\nb\r\n', 'a\r\nb\r\n'],
    ['a\r\r\nb\r\n.\r\n', 'a\r\nb\r\n', 'a\r\nb\r\n'],
    ['a\r\r\r\n\n\r\n.\r\n', 'a\r\n\r\n\r\n', 'a\r\n\r\n\r\n'],
    ['Subject: a\rBcc: evil\r\n.\r\n', 'Subject: a Bcc: evil\r\n', 'Subject: a Bcc: evil\r\n'],
    ['a\r\rb\r\n.\r\n', 'a  b\r\n', 'a  b\r\n'],
    ['a\n\rb\r\n.\r\n', 'a\r\n b\r\n', 'a\r\n b\r\n'],
    // dots behind a bare LF: one of two is transparency, a single one is content
    ['a\n..x\r\n.\r\n', 'a\r\n.x\r\n', 'a\r\n..x\r\n'],
    ['a\n...x\r\n.\r\n', 'a\r\n..x\r\n', 'a\r\n...x\r\n'],
    ['a\n.x\r\n.\r\n', 'a\r\n.x\r\n', 'a\r\n..x\r\n'],
    ['a\n.\nb\r\n.\r\n', 'a\r\n.\r\nb\r\n', 'a\r\n..\r\nb\r\n'],
    ['a\n.\r\nb\r\n.\r\n', 'a\r\n.\r\nb\r\n', 'a\r\n..\r\nb\r\n'],
    ['a\n..\r\nb\r\n.\r\n', 'a\r\n.\r\nb\r\n', 'a\r\n..\r\nb\r\n'],
    ['a\n.\rb\r\n.\r\n', 'a\r\n. b\r\n', 'a\r\n.. b\r\n'],
    // dots behind CRLF, also that of CR CR LF: transparency, whatever follows
    ['a\r\n.x\r\n.\r\n', 'a\r\nx\r\n', 'a\r\n.x\r\n'],
    ['a\r\r\n.x\r\n.\r\n', 'a\r\nx\r\n', 'a\r\n.x\r\n'],
    ['a\r\n.\nb\r\n.\r\n', 'a\r\n\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\n.\r\r\nb\r\n.\r\n', 'a\r\n\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\n.\rb\r\n.\r\n', 'a\r\n b\r\n', 'a\r\n b\r\n'],
    ['a\r.x\r\n.\r\n', 'a .x\r\n', 'a .x\r\n'],
  ]
  table(t, cases, (wire, options) => data([octets(wire)], options).data)
})

t.test('normalize, BDAT: no dot is transparency', async t => {
  const cases: readonly Case[] = [
    ['a\nb', 'a\r\nb', 'a\r\nb'],
    ['a\r\r\nb\r', 'a\r\nb ', 'a\r\nb '],
    ['a\rb\r\r', 'a b  ', 'a b  '],
    ['.a\n..b\r\n.\r\n', '.a\r\n..b\r\n.\r\n', '..a\r\n...b\r\n..\r\n'],
    ['\n.\n', '\r\n.\r\n', '\r\n..\r\n'],
  ]
  table(t, cases, (wire, options) => chunked([octets(wire)], options, true).data)
})

t.test('reject: nothing from the offending octet on', async t => {
  const cases: readonly [wire: string, unstuffed: string, raw: string][] = [
    ['a\nb\r\n.\r\n', 'a', 'a'],
    ['a\rb\r\n.\r\n', 'a', 'a'],
    ['a\r\r\nb\r\n.\r\n', 'a', 'a'],
    ['a\r\n\n.\r\n.\r\n', 'a\r\n', 'a\r\n'],
    ['..a\r\n.\n\r\n.\r\n', '.a\r\n', '..a\r\n.'],
    ['a\r\n.\rb\r\n.\r\n', 'a\r\n', 'a\r\n.'],
    ['\n\r\n.\r\n', '', ''],
  ]
  for (const [wire, unstuffed, raw] of cases) {
    for (const [unstuff, expected] of [
      [true, unstuffed],
      [false, raw],
    ] as const) {
      const got = data([octets(`${wire}NOOP`)], { unstuff, bareNewline: 'reject' })
      t.same(got, { data: expected, rest: 'NOOP', bare: true }, JSON.stringify(wire))
    }
    compareCuts(wire)
  }
  t.same(chunked([octets('a\r')], { unstuff: true, bareNewline: 'reject' }, true), {
    data: 'a',
    rest: null,
    bare: true,
  })
})

t.test('every sequence that some server takes for an end, plain and stuffed, at every cut', async t => {
  const ends = [
    '\n.\n',
    '\n.\r\n',
    '\r\n.\n',
    '\r.\r',
    '\r.\r\n',
    '\r\n.\r',
    '\n\0.\r\n',
    '\r\n.\0\r\n',
    '\r\n\0.\r\n',
    '\r\r\n.\r\r\n',
  ]
  for (const end of ends.flatMap(end => [end, end.replace('.', '..')])) {
    const wire = `a${end}MAIL FROM:<evil@x>\r\n.b\r\n.\r\nNOOP\r\n`
    compareCuts(wire)
    for (const { unstuff, bareNewline } of MODES) {
      const { rest } = data([octets(wire)], { unstuff, bareNewline })
      t.equal(rest, 'NOOP\r\n', `${JSON.stringify(end)} ${bareNewline}`)
    }
  }
})

/** The octets in memory at any alignment, among others that look like line ends. */
function aligned(bytes: Buffer, offset: number): Buffer {
  const memory = Buffer.alloc(bytes.length + 16, '\r\n.')
  bytes.copy(memory, offset)
  return memory.subarray(offset, offset + bytes.length)
}

function cutAt(bytes: Buffer, cuts: readonly number[], offset: number): Buffer[] {
  const edges = [...cuts.map(cut => cut % (bytes.length + 1)), 0, bytes.length].toSorted((a, b) => a - b)
  return edges.slice(1).map((edge, i) => aligned(bytes.subarray(edges[i], edge), (offset + i) % 8))
}

const short = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\0', ' ', '\r\n', '\r\n.'), {
  maxLength: 24,
  size: 'max',
})
const cuts = fc.array(fc.nat(), { maxLength: 8 })

t.test('any short data, at any cut', async t => {
  fc.assert(
    fc.property(short, cuts, fc.nat(7), (parts, cuts, offset) => {
      const bytes = octets(parts.join(''))
      compare(cutAt(bytes, cuts, offset))
      compare([...bytes].map(octet => Buffer.from([octet])))
    }),
    { numRuns: 3000 },
  )
  t.pass()
})

t.test('normalized data is clean, and raw output is its stuffed form', async t => {
  fc.assert(
    fc.property(short, parts => {
      const chunk = octets(`${parts.join('')}\r\n.\r\n`)
      const plain = data([chunk], { unstuff: true, bareNewline: 'normalize' }).data
      const raw = data([chunk], { unstuff: false, bareNewline: 'normalize' }).data
      if (/(?<!\r)\n|\r(?!\n)/.test(plain + raw)) throw new Error('a bare newline')
      if (unstuff(raw) !== plain) throw new Error(`${JSON.stringify(raw)} is not stuffed ${JSON.stringify(plain)}`)
      if (`\r\n${raw}`.includes('\r\n.\r\n')) throw new Error(`an end of data in ${JSON.stringify(raw)}`)
    }),
    { numRuns: 3000 },
  )
  t.pass()
})

const line = fc.oneof(
  fc.constantFrom('', 'a', '.', '..', '..x', '.x', 'x'.repeat(76), `..${'x'.repeat(76)}`, 'Prose. With dots.'),
  fc.string({ maxLength: 120, unit: fc.constantFrom('a', '.', '\x8d', '\xae', ' ') }),
  fc.constantFrom('\r', '\r\r', '\0', `${'x'.repeat(600)}\r${'x'.repeat(600)}`),
)
const end = fc.oneof(
  { weight: 20, arbitrary: fc.constant('\r\n') },
  { weight: 2, arbitrary: fc.constantFrom('\n', '\r\r\n', '\r', '\n\r') },
)
const lines = fc
  .array(fc.tuple(line, end, fc.constantFrom(1, 1, 2, 3, 40, 400)), { maxLength: 20, size: 'max' })
  .map(all =>
    all
      .map(([line, end, times]) => `${line}${end}`.repeat(times))
      .join('')
      .replaceAll(/\r{1000,}/g, '\r'),
  )

t.test('many lines of every kind, at any cut', async t => {
  fc.assert(
    fc.property(lines, fc.boolean(), cuts, fc.nat(7), (text, ended, cuts, offset) =>
      compare(cutAt(octets(ended ? `${text}.\r\nNOOP` : text), cuts, offset)),
    ),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('lines of one length, with what does not belong there', async t => {
  const odd = fc.tuple(fc.nat(), fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n.\r\n', '\0'))
  const text = fc.tuple(fc.integer({ min: 24, max: 100 }), fc.integer({ min: 1, max: 120 }))
  fc.assert(
    fc.property(text, fc.array(odd, { maxLength: 4 }), cuts, fc.nat(7), ([length, count], odds, cuts, offset) => {
      const bytes = octets(`${`${'x'.repeat(length - 2)}\r\n`.repeat(count)}.\r\nNOOP\r\n`)
      for (const [at, what] of odds) bytes.write(what, at % bytes.length, 'latin1')
      compare(cutAt(bytes, cuts, offset))
    }),
    { numRuns: 1000 },
  )
  t.pass()
})

t.test('a chunk that is all mail data is passed on as it is', async t => {
  const chunks = ['no dots\r\n'.repeat(9), `${'x'.repeat(76)}\r\n`.repeat(900), 'half a line', ' goes on\r\nhere']
  for (const options of MODES) {
    const scanners = [new DataScanner(options), new ChunkScanner(options)]
    for (const chunk of chunks.map(octets)) {
      for (const scanner of scanners) {
        const pieces: Buffer[] = []
        scanner.scan(chunk, 0, piece => pieces.push(piece))
        t.equal(pieces.length, 1)
        t.equal(pieces[0], chunk)
      }
    }
  }
  const binary = new ChunkScanner({ unstuff: true, bareNewline: 'allow' })
  for (const chunk of ['\r', '\n.\n\0\r\n', '.\r'].map(octets)) binary.take(chunk, piece => t.equal(piece, chunk))
})

t.test('at most 1000 CRs are held for one line end', async t => {
  for (const [crs, text] of [
    [999, '\r\n'],
    [1000, '\r\n'],
    [1001, ' \r\n'],
    [5000, `${' '.repeat(4000)}\r\n`],
  ] as const) {
    const wire = `${'\r'.repeat(crs)}\n`
    for (const chunks of [[octets(wire)], [...octets(wire)].map(octet => Buffer.from([octet]))]) {
      t.equal(chunked(chunks, { unstuff: true, bareNewline: 'normalize' }, true).data, text)
    }
  }
  t.equal(
    chunked([octets('\r'.repeat(3000))], { unstuff: true, bareNewline: 'normalize' }, true).data,
    ' '.repeat(3000),
  )
})

t.test('no shape of mail data is searched again and again', async t => {
  const long = 'x'.repeat(600)
  const shapes = [
    '\n',
    '\r',
    '..\r\n',
    '\n.',
    `${long}\n`,
    `${long}\r`,
    `${long}\n\n`,
    `${long}\r\n..`,
    `${long}\r${long}\r\n`,
  ]
  for (const shape of shapes) {
    const chunk = octets(shape.repeat(2 ** 21 / shape.length))
    for (const options of MODES) {
      const begun = process.cpuUsage()
      for (const scanner of [new DataScanner(options), new ChunkScanner(options)]) scanner.scan(chunk, 0, () => {})
      const { user } = process.cpuUsage(begun)
      t.ok(user < 2_000_000, `${JSON.stringify(shape.slice(-9))} ${JSON.stringify(options)}: ${user} µs for 4 MiB`)
    }
  }
})
