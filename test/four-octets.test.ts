// plainLinesAmong() to the octet: a word that it passes by mistake is mail data that nobody looks at, one that it stops at
// without a reason costs time.

import fc from 'fast-check'
import t from 'tap'
import { FOUR_AT_ONCE, plainLinesAmong, wordAt, wordsOf } from '../lib/protocol/mail-data/four-octets.ts'
import { CR, DOT, LF } from '../lib/words/octets.ts'

/** The offset of the octet that shows that care is needed: what follows a bare CR, a bare LF, a dot that begins a line. */
function shownAt(octets: Uint8Array): number {
  for (let i = 0; i < octets.length; i++) {
    const [before, own] = [octets[i - 1], octets[i]]
    if ((before === CR) !== (own === LF)) return i
    if (own === DOT && before === LF && octets[i - 2] === CR) return i
  }
  return octets.length
}

/** The beginning of the word that shows it, and one less if a CRLF is cut there. */
function expected(octets: Uint8Array): number {
  const at = shownAt(octets)
  const word = at - (at % 4)
  return octets[word - 1] === CR ? word - 1 : word
}

const octet = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      0x61,
      0x8d,
      0x8a,
      0xae,
      0x0e,
      0x0c,
      0x09,
      0x0b,
      0x2d,
      0x2f,
      0x20,
      0x00,
      0xff,
      0x10,
      0x0f,
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(CR, LF, DOT) },
  { weight: 1, arbitrary: fc.nat(255) },
)
const piece = fc.oneof(
  { weight: 5, arbitrary: octet.map(each => [each]) },
  { weight: 3, arbitrary: fc.constant([CR, LF]) },
  { weight: 1, arbitrary: fc.constant([CR, LF, DOT]) },
)
const words = fc
  .array(piece, { minLength: 1, maxLength: 40, size: 'max' })
  .map(pieces => pieces.flat())
  .map(octets => Uint8Array.from([...octets, ...[0x61, 0x61, 0x61].slice(0, -octets.length & 3)]))

const asWords = (octets: Uint8Array): Int32Array => new Int32Array(Uint8Array.from(octets).buffer)

t.test('it is used where the first octet of a word is its lowest', t => {
  t.equal(FOUR_AT_ONCE, Buffer.from(Uint16Array.of(0x0102).buffer)[0] === 2)
  t.end()
})

t.test('the octets up to the first word that shows that care is needed', { skip: !FOUR_AT_ONCE }, t => {
  fc.assert(
    fc.property(words, fc.nat(3), (octets, skipped) => {
      const seen = Uint8Array.from(octets).fill(0x61, 0, skipped)
      const got = plainLinesAmong(asWords(octets), skipped)
      if (got !== expected(seen)) throw new Error(`${got}, not ${expected(seen)}`)
    }),
    { numRuns: 3000 },
  )
  t.end()
})

t.test('each octet, at each place of a word, behind text and behind a line end', { skip: !FOUR_AT_ONCE }, t => {
  for (let own = 0; own < 256; own++) {
    for (let at = 0; at < 4; at++) {
      for (const before of [[], [CR, LF], [CR], [LF], [DOT]]) {
        const octets = Uint8Array.from({ length: 16 }, () => 0x61)
        octets[4 + at] = own
        before.forEach((each, i) => (octets[4 + at - before.length + i] = each))
        const got = plainLinesAmong(asWords(octets), 0)
        if (got !== expected(octets)) t.fail(`${own} at ${at} behind ${before.join()}: ${got}, not ${expected(octets)}`)
      }
    }
  }
  t.equal(plainLinesAmong(new Int32Array(0), 0), 0)
  t.end()
})

t.test('words stand at the places of memory that words have', t => {
  const memory = Buffer.from(Uint8Array.from({ length: 64 }, (_, i) => i))
  for (let begin = 0; begin < 5; begin++) {
    const chunk = memory.subarray(begin)
    for (let offset = 0; offset < 9; offset++) {
      const first = wordAt(chunk, offset)
      t.equal((chunk.byteOffset + first) % 4, 0)
      t.ok(first <= offset && first > offset - 4)
      if (first < -begin) continue
      for (let end = 0; end < 24; end++) {
        const found = wordsOf(chunk, first, end)
        t.equal(found.length, end <= first ? 0 : Math.floor((end - first) / 4))
        if (found.length > 0) t.equal(found.byteOffset, chunk.byteOffset + first)
      }
    }
  }
  t.end()
})
