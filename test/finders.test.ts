// The finders against a search octet by octet, at every alignment in memory.

import fc from 'fast-check'
import t from 'tap'
import { DotFinder, LineFinder, type Finder } from '../lib/protocol/mail-data/finders.ts'
import { CR, DOT, LF } from '../lib/words/octets.ts'

const line = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      '',
      'a',
      'ab',
      'abc',
      '\x8a',
      'a.',
      ',',
      'x'.repeat(20),
      'x'.repeat(76),
      `.${'x'.repeat(75)}`,
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('.', '..', '.a') },
  { weight: 1, arbitrary: fc.string({ maxLength: 200, unit: fc.constantFrom('a', '.', '\x8d', '\xae', '\n', '\r') }) },
)
const end = fc.oneof(
  { weight: 60, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '\n\r', '\r\r\n', '\r\n\r', '') },
)
const data = fc
  .array(fc.tuple(line, end, fc.constantFrom(1, 1, 1, 30)), { minLength: 1, maxLength: 60, size: 'max' })
  .map(lines => Buffer.from(lines.map(([line, end, times]) => `${line}${end}`.repeat(times)).join(''), 'latin1'))

/** The same octets so many octets behind the beginning of a word, among others that look like line ends. */
function aligned(octets: Buffer, offset: number): Buffer {
  const memory = Buffer.alloc(octets.length + 16, '\r\n.')
  octets.copy(memory, offset)
  return memory.subarray(offset, offset + octets.length)
}

/** The first dot that begins a line from `from` on, and the first CR or LF that is not half of a CRLF. */
function model(octets: Buffer, from: number): { dot: number; bare: number } {
  let bare = octets.length
  for (let i = from; i < octets.length; i++) {
    const crlf = octets[i] === CR && octets[i + 1] === LF
    if (crlf && octets[i + 2] === DOT) return { dot: i + 2, bare }
    if (crlf) i += 1
    else if (octets[i] === LF || octets[i] === CR) bare = Math.min(bare, i)
  }
  return { dot: octets.length, bare }
}

/** Searches all of the data as a scanner does, and checks each result with `check`. */
function search(finder: Finder, octets: Buffer, check: (from: number, stop: number) => void): void {
  for (let at = 0; at < octets.length;) {
    const stop = finder.find(octets, at)
    if (stop < at || stop > octets.length) throw new Error(`${stop} from ${at}`)
    check(at, stop)
    at = Math.max(stop + 1, finder.until)
  }
}

t.test('LineFinder finds each dot that begins a line and each bare CR or LF', async t => {
  fc.assert(
    fc.property(data, fc.nat(7), (octets, offset) => {
      const finder = new LineFinder()
      const chunk = aligned(octets, offset)
      search(finder, chunk, (from, stop) => {
        const { dot, bare } = model(chunk, from)
        const care = Math.min(dot, bare)
        // It may stop before the octet, if all up to that are to be looked at.
        if (stop !== care && (stop > care || finder.until <= care)) throw new Error(`${stop} from ${from}, not ${care}`)
      })
    }),
    { numRuns: 1500 },
  )
  t.pass()
})

t.test('DotFinder finds each dot that begins a line', async t => {
  fc.assert(
    fc.property(data, fc.nat(7), (octets, offset) => {
      const finder = new DotFinder()
      const chunk = aligned(octets, offset)
      search(finder, chunk, (from, stop) => {
        const { dot } = model(chunk, from)
        if (stop !== dot && (stop > dot || finder.until <= stop)) throw new Error(`${stop} from ${from}, not ${dot}`)
      })
    }),
    { numRuns: 1500 },
  )
  t.pass()
})

t.test('DotFinder lets octets be looked at one by one if a native search would stop at most of them', async t => {
  const finder = new DotFinder()
  const chunk = Buffer.from(`....${'\r'.repeat(10_000)}`)
  t.equal(finder.find(chunk, 0), 3)
  t.ok(finder.until > chunk.length)
  t.equal(finder.find(Buffer.from(`a....${'text\r\n'.repeat(10_000)}`), 0), 60_005)
  t.equal(finder.until, 0)
})
