import t, { type Test } from 'tap'
import fc from 'fast-check'
import { DataScanner, type DataScannerOptions } from '../lib/protocol/mail-data/data-scanner.ts'

interface Scanned {
  readonly data: string
  /** What follows the end of data; null where there is no end. */
  readonly rest: string | null
  readonly bare: boolean
}

const MODES: readonly DataScannerOptions[] = [
  { unstuff: false, strict: false },
  { unstuff: true, strict: false },
  { unstuff: false, strict: true },
  { unstuff: true, strict: true },
]

function scan(chunks: readonly Buffer[], options: DataScannerOptions): Scanned {
  const scanner = new DataScanner(options)
  const pieces: Buffer[] = []
  const rest: Buffer[] = []
  for (const chunk of chunks) {
    const before = Buffer.from(chunk)
    const next = scanner.ended ? 0 : scanner.scan(chunk, 0, piece => pieces.push(Buffer.from(piece)))
    if (!chunk.equals(before)) throw new Error('the chunk was written to')
    if (scanner.ended) rest.push(chunk.subarray(next))
  }
  return {
    data: Buffer.concat(pieces).toString('latin1'),
    rest: scanner.ended ? Buffer.concat(rest).toString('latin1') : null,
    bare: scanner.bare,
  }
}

/** The same by the book, on the whole text at once: what a scanner must agree with. */
function scanByTheBook(text: string, { unstuff, strict }: DataScannerOptions): Scanned {
  const end = `\r\n${text}`.indexOf('\r\n.\r\n')
  let data = end === -1 ? text : text.slice(0, end)
  // The line end before an unfinished end of data is data; the dot, and the CR behind it, are not until more is known.
  if (end === -1) data = data.replace(/(^|\r\n)\.\r?$/, '$1')
  const seen = end === -1 ? text : text.slice(0, end + 3)
  return {
    data: unstuff ? data.replace(/(^|\r\n)\./g, '$1') : data,
    rest: end === -1 ? null : text.slice(end + 3),
    bare: strict && /(?<!\r)\n|\r(?!\n|$)/.test(seen),
  }
}

const octets = (text: string) => Buffer.from(text, 'latin1')
const byOctet = (bytes: Buffer) => [...bytes].map(octet => Buffer.from([octet]))

function check(t: Test, text: string): void {
  const bytes = octets(text)
  for (const options of MODES) {
    const expected = scanByTheBook(text, options)
    const name = `${JSON.stringify(text)} ${JSON.stringify(options)}`
    t.same(scan([bytes], options), expected, `${name} whole`)
    t.same(scan(byOctet(bytes), options), expected, `${name} octet by octet`)
    for (let i = 1; i < bytes.length; i++) {
      t.same(scan([bytes.subarray(0, i), bytes.subarray(i)], options), expected, `${name} cut at ${i}`)
    }
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
  for (const [text, data, rest] of cases) {
    t.same(scan([octets(text)], MODES[0]!), { data, rest, bare: false }, JSON.stringify(text))
    check(t, text)
  }
})

t.test('transparency is removed, from dots that CRLF precedes and no others', async t => {
  const unstuffed = (text: string) => scan([octets(text)], MODES[1]!).data
  t.equal(unstuffed('..\r\n...\r\n.a\r\n.\r\n'), '.\r\n..\r\na\r\n')
  t.equal(unstuffed('a\n..b\r\n.\r\n'), 'a\n..b\r\n')
  t.equal(unstuffed('a\r..b\r\n.\r\n'), 'a\r..b\r\n')
  t.equal(unstuffed('a\r\n.\rX\r\n.\r\n'), 'a\r\n\rX\r\n', 'CRLF.CR X keeps its CR')
})

t.test('bare CR and LF are noticed, wherever the cut falls', async t => {
  for (const text of ['a\nb\r\n.\r\n', 'a\rb\r\n.\r\n', '\n', '\r\r\n', '\r\n\n', 'a\r\n.\n.\r\n', '\r\n.\rX', '.\n']) {
    check(t, text)
  }
})

t.test('long lines of every kind', async t => {
  const lines = ['x'.repeat(76), `..${'x'.repeat(78)}`, 'Prose. With dots.', 'a', '..', '', '.x', '\r', '\n']
  for (const line of lines) {
    const text = `${`${line}\r\n`.repeat(40)}.\r\nNOOP\r\n`
    for (const options of MODES) {
      const expected = scanByTheBook(text, options)
      const bytes = octets(text)
      t.same(scan([bytes], options), expected)
      for (let i = 1; i < bytes.length; i++) {
        const cut = scan([bytes.subarray(0, i), bytes.subarray(i)], options)
        if (cut.data !== expected.data || cut.rest !== expected.rest || cut.bare !== expected.bare)
          t.fail(`cut at ${i}`)
      }
    }
  }
})

t.test('any octets in any chunks', async t => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '.',
      '\r',
      '\n',
      '\r\n.',
      '\r\n.\r\n',
      '..\r\n',
      'a',
      'a\r\n',
      'x'.repeat(70),
      '\0',
      '\xff',
    ),
    fc.string({ maxLength: 40 }),
  )
  const text = fc.array(piece, { maxLength: 60 }).map(pieces => pieces.join(''))
  const cuts = fc.array(fc.nat(400), { maxLength: 12 })
  fc.assert(
    fc.property(text, cuts, (text, cuts) => {
      const bytes = octets(text)
      const edges = [...cuts.filter(cut => cut < bytes.length), 0, bytes.length].toSorted((a, b) => a - b)
      const chunks = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
      const normal = bytes.toString('latin1')
      for (const options of MODES) {
        const expected = scanByTheBook(normal, options)
        const got = scan(chunks, options)
        if (JSON.stringify(got) !== JSON.stringify(expected)) {
          throw new Error(`${JSON.stringify(options)}: ${JSON.stringify(got)} for ${JSON.stringify(expected)}`)
        }
      }
    }),
    { numRuns: 4000 },
  )
  t.pass('agrees with the book')
})

t.test('lines of one length, with what does not belong there', async t => {
  const length = fc.integer({ min: 24, max: 100 })
  const spoils = fc.array(
    fc.tuple(fc.nat(9999), fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n.\r\n', '\0')),
    {
      maxLength: 5,
    },
  )
  fc.assert(
    fc.property(length, fc.integer({ min: 1, max: 120 }), spoils, fc.nat(9999), (length, count, spoils, cut) => {
      const bytes = octets(`${`${'x'.repeat(length - 2)}\r\n`.repeat(count)}.\r\nNOOP\r\n`)
      for (const [at, what] of spoils) bytes.write(what, at % bytes.length, 'latin1')
      const text = bytes.toString('latin1')
      const chunks = [bytes.subarray(0, cut % bytes.length), bytes.subarray(cut % bytes.length)]
      for (const options of MODES) {
        const expected = JSON.stringify(scanByTheBook(text, options))
        for (const each of [[bytes], chunks]) {
          const got = JSON.stringify(scan(each, options))
          if (got !== expected) throw new Error(`${JSON.stringify(options)}: ${got} for ${expected}`)
        }
      }
    }),
    { numRuns: 3000 },
  )
  t.pass('agrees with the book')
})
