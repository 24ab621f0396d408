// The searches against what they stand for, octet by octet, at every alignment in memory.

import fc from 'fast-check'
import t from 'tap'
import { CR, DOT, LF } from '../lib/words/octets.ts'
import { findEndOfData } from '../lib/protocol/mail-data/dot-lines.ts'
import { LineChecker } from '../lib/protocol/mail-data/line-checker.ts'

const line = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('', 'a', 'ab', 'abc', '\x8a', 'a.', ',', 'x'.repeat(20), 'x'.repeat(76)) },
  { weight: 1, arbitrary: fc.constantFrom('.', '..', '.a') },
  { weight: 1, arbitrary: fc.string({ maxLength: 200, unit: fc.constantFrom('a', '.', '\x8d', '\xae', '\n', '\r') }) },
)
const end = fc.oneof(
  { weight: 60, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '\n\r', '\r\r\n', '\r\n\r', '') },
)
const data = fc
  .array(fc.tuple(line, end), { minLength: 1, maxLength: 120, size: 'max' })
  .map(lines => Buffer.from(lines.flat().join(''), 'latin1'))

/** The same octets that many octets behind a word's beginning, among others that look like line ends. */
function aligned(octets: Buffer, offset: number): Buffer {
  const memory = Buffer.alloc(octets.length + 16, '\r\n.')
  octets.copy(memory, offset)
  return memory.subarray(offset, offset + octets.length)
}

/** Dots at the beginning of lines, and where the first CR or LF stands that is no half of a CRLF. */
function model(octets: Buffer): { dots: number[]; odd: number } {
  const dots: number[] = []
  let odd = Infinity
  for (let i = 0; i < octets.length; i++) {
    const crlf = octets[i] === CR && octets[i + 1] === LF
    if (crlf && octets[i + 2] === DOT) dots.push(i + 2)
    if (crlf) i += 1
    else if (octets[i] === LF || (octets[i] === CR && i < octets.length - 1)) odd = Math.min(odd, i)
  }
  return { dots, odd }
}

t.test('every dot that begins a line, and whether a CR or LF stands alone', async t => {
  fc.assert(
    fc.property(data, fc.nat(7), (octets, offset) => {
      const checker = new LineChecker()
      const chunk = aligned(octets, offset)
      const { dots, odd } = model(octets)
      const found: number[] = []
      for (let at = checker.find(chunk, 0); at !== -1; at = checker.find(chunk, at + 1)) {
        if (checker.bare !== odd < at) throw new Error(`bare is ${checker.bare} at ${at}`)
        found.push(at)
      }
      if (checker.bare !== (odd !== Infinity)) throw new Error(`bare is ${checker.bare}`)
      if (found.join() !== dots.join()) throw new Error(`${found.join()} for ${dots.join()}`)
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

t.test('the end of data among short lines', async t => {
  const lines = fc.array(fc.constantFrom('\r\n', '.\r\n', '.\r', '\n', '\r', 'a\r\n', '..\r\n', 'a.\r\n', '.'), {
    maxLength: 80,
    size: 'max',
  })
  fc.assert(
    fc.property(lines, fc.nat(7), (text, offset) => {
      const octets = Buffer.from(text.join(''))
      const chunk = aligned(octets, offset)
      for (let from = 0; from < Math.min(9, octets.length); from++) {
        const expected = octets.indexOf('\r\n.\r\n', from)
        const found = findEndOfData(chunk, from)
        if (found !== (expected === -1 ? -1 : expected + 2)) throw new Error(`${found} from ${from}`)
      }
    }),
    { numRuns: 2000 },
  )
  t.pass()
})
