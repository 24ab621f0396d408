// What the finders do for mail data of some shapes, counted instead of timed: native searches and the octets that they pass,
// octets that are copied or looked at four at a time, stops, and octets that are left to be looked at one by one. A number
// that grows is a slower finder; after a change of its constants on purpose, and a benchmark, correct the table.

import t from 'tap'
import { DotFinder, LineFinder, type Finder } from '../lib/protocol/mail-data/finders.ts'
import { FOUR_AT_ONCE } from '../lib/protocol/mail-data/four-octets.ts'

const KIB = 64

/** Lines until there are so many KiB of them. */
function lines(make: (i: number) => string, kib = KIB): Buffer {
  const parts: string[] = []
  for (let i = 0, length = 0; length < kib * 1024; i++) {
    const line = `${make(i)}\r\n`
    parts.push(line)
    length += line.length
  }
  const aligned = Buffer.from(new ArrayBuffer(parts.join('').length))
  aligned.write(parts.join(''), 'latin1')
  return aligned
}

const SHAPES: Readonly<Record<string, Buffer>> = {
  base64: lines(() => 'x'.repeat(76)),
  'equal lines of 24 octets': lines(() => 'x'.repeat(22)),
  'equal lines of 23 octets': lines(() => 'x'.repeat(21)),
  text: lines(i => 'x'.repeat((i * 37) % 79)),
  'lines of 150 to 170 octets': lines(i => 'x'.repeat(148 + ((i * 7) % 21))),
  'lines of 998 octets': lines(() => 'x'.repeat(998)),
  'lines of 400 to 998 octets': lines(i => 'x'.repeat(400 + ((i * 37) % 599))),
  'base64 between lines of text': lines(i => 'x'.repeat(i % 40 < 30 ? 76 : (i * 37) % 79)),
  'a dot in each line': lines(i => `${'x'.repeat((i * 37) % 79)}.x`),
  'a dot at each 50th line': lines(i => (i % 50 === 49 ? '.x' : 'x'.repeat(76))),
  'a bare LF at each 50th line': lines(i => (i % 50 === 49 ? 'a\nb' : 'x'.repeat(76))),
  'a bare CR at each 50th line': lines(i => (i % 50 === 49 ? 'a\rb' : 'x'.repeat(76))),
  'equal lines of 25 octets': lines(() => 'x'.repeat(23)),
  'equal lines of 64 octets, 256 KiB': lines(() => 'x'.repeat(62), 256),
  'a line of 40 octets behind 33 of 32': lines(i => 'x'.repeat(i % 300 === 33 ? 38 : 30)),
  'lines of 160 and 150 octets': lines(i => 'x'.repeat(i % 2 === 0 ? 158 : 148)),
  'lines of 161 and 150 octets': lines(i => 'x'.repeat(i % 2 === 0 ? 159 : 148)),
  'a dot at each 10th of equal lines': lines(i => `${i % 10 === 9 ? '.' : 'x'}${'x'.repeat(75)}`),
  'a bare CR in each 50th of equal lines': lines(
    i => `${'x'.repeat(40)}${i % 50 === 49 ? '\r' : 'x'}${'x'.repeat(35)}`,
  ),
  'a bare LF in each 50th of equal lines': lines(
    i => `${'x'.repeat(40)}${i % 50 === 49 ? '\n' : 'x'}${'x'.repeat(35)}`,
  ),
  'a bare CR in the place of a line end': lines(i => (i % 50 === 49 ? `${'x'.repeat(76)}\rx` : 'x'.repeat(76))),
  'a bare LF in the place of a line end': lines(i => (i % 50 === 49 ? `${'x'.repeat(77)}\n` : 'x'.repeat(76))),
  'no line end': Buffer.from('x'.repeat(KIB * 1024)),
  'dots, then CRs': Buffer.from(`....${'\r'.repeat(KIB * 1024)}`),
  'dots, then lines of an octet': lines(i => (i === 0 ? 'x....' : 'a')),
  'dots, then lines of 6 octets': lines(i => (i === 0 ? 'x....' : 'abcdef')),
  'three dots, then lines of an octet': lines(i => (i === 0 ? 'x...' : 'a')),
}

/** Counts what a finder has done while `run` was called. */
function work(run: () => { stops: number; left: number }): readonly number[] {
  let [searches, searched, copied, words] = [0, 0, 0, 0]
  const { indexOf, copy } = Buffer.prototype
  const Words = globalThis.Int32Array
  Buffer.prototype.indexOf = function (this: Buffer, value: never, from = 0): number {
    const found = indexOf.call(this, value, from)
    searches += 1
    searched += (found === -1 ? this.length : found) - from
    return found
  }
  Buffer.prototype.copy = function (this: Buffer, ...values: Parameters<Buffer['copy']>): number {
    const octets = copy.apply(this, values)
    copied += octets
    return octets
  }
  globalThis.Int32Array = new Proxy(Words, {
    construct(target, values: [never]) {
      const made = new target(...values)
      words += made.length
      return made
    },
  })
  try {
    const { stops, left } = run()
    return [searches, searched, copied, words, stops, left]
  } finally {
    Object.assign(Buffer.prototype, { indexOf, copy })
    globalThis.Int32Array = Words
  }
}

/** Searches all of the data as a scanner does. */
function search(finder: Finder, octets: Buffer): { stops: number; left: number } {
  let [stops, left] = [0, 0]
  for (let at = 0; at < octets.length;) {
    const stop = finder.find(octets, at)
    at = Math.max(stop + 1, finder.until)
    stops += 1
    left += Math.min(at, octets.length) - Math.min(stop, octets.length)
  }
  return { stops, left }
}

/** Searches, octets searched, octets copied, words, stops, octets left. */
const WORK: Readonly<Record<string, { readonly lines: readonly number[]; readonly dots: readonly number[] }>> = {
  base64: { lines: [20, 131181, 65208, 0, 1, 0], dots: [1, 65598, 0, 0, 1, 0] },
  'equal lines of 24 octets': { lines: [20, 131073, 65424, 0, 1, 0], dots: [1, 65544, 0, 0, 1, 0] },
  'equal lines of 23 octets': { lines: [100, 1513, 0, 16194, 1, 0], dots: [1, 65550, 0, 0, 1, 0] },
  text: { lines: [98, 3740, 0, 15905, 1, 0], dots: [1, 65536, 0, 0, 1, 0] },
  'lines of 150 to 170 octets': { lines: [116, 17091, 0, 14254, 1, 0], dots: [1, 65619, 0, 0, 1, 0] },
  'lines of 998 octets': { lines: [20, 131985, 61000, 0, 1, 0], dots: [1, 66000, 0, 0, 1, 0] },
  'lines of 400 to 998 octets': { lines: [192, 130965, 0, 0, 1, 0], dots: [1, 65625, 0, 0, 1, 0] },
  'base64 between lines of text': { lines: [164, 35139, 13884, 11999, 1, 0], dots: [1, 65575, 0, 0, 1, 0] },
  'a dot in each line': { lines: [154, 4730, 0, 19675, 20, 19], dots: [100, 65406, 0, 0, 20, 19] },
  'a dot at each 50th line': { lines: [126, 68766, 32292, 8329, 18, 17], dots: [18, 65571, 0, 0, 18, 17] },
  'a bare LF at each 50th line': { lines: [137, 39476, 17940, 12405, 18, 34], dots: [1, 65605, 0, 0, 1, 0] },
  'a bare CR at each 50th line': { lines: [195, 131017, 62712, 0, 35, 68], dots: [1, 65605, 0, 0, 1, 0] },
  'equal lines of 25 octets': { lines: [20, 131085, 65425, 0, 1, 0], dots: [1, 65550, 0, 0, 1, 0] },
  'equal lines of 64 octets, 256 KiB': { lines: [32, 524264, 261632, 0, 1, 0], dots: [1, 262144, 0, 0, 1, 0] },
  'a line of 40 octets behind 33 of 32': { lines: [116, 73668, 35680, 7168, 1, 0], dots: [1, 65560, 0, 0, 1, 0] },
  'lines of 160 and 150 octets': { lines: [94, 12006, 0, 14878, 1, 0], dots: [1, 65570, 0, 0, 1, 0] },
  'lines of 161 and 150 octets': { lines: [118, 16426, 0, 14336, 1, 0], dots: [1, 65621, 0, 0, 1, 0] },
  'a dot at each 10th of equal lines': { lines: [508, 71595, 22932, 41748, 85, 84], dots: [85, 65514, 0, 0, 85, 84] },
  'a bare CR in each 50th of equal lines': { lines: [188, 153649, 84162, 0, 33, 608], dots: [1, 65598, 0, 0, 1, 0] },
  'a bare LF in each 50th of equal lines': { lines: [140, 81115, 43524, 8192, 17, 352], dots: [1, 65598, 0, 0, 1, 0] },
  'a bare CR in the place of a line end': { lines: [188, 130919, 61542, 0, 33, 64], dots: [1, 65552, 0, 0, 1, 0] },
  'a bare LF in the place of a line end': { lines: [140, 67951, 31590, 8192, 17, 640], dots: [1, 65552, 0, 0, 1, 0] },
  'no line end': { lines: [2, 131072, 0, 0, 1, 0], dots: [1, 65536, 0, 0, 1, 0] },
  'dots, then CRs': { lines: [2, 65544, 0, 0, 1, 65536], dots: [5, 49153, 0, 0, 2, 16384] },
  'dots, then lines of an octet': { lines: [98, 152, 0, 16351, 1, 0], dots: [5, 49149, 0, 0, 2, 16384] },
  'dots, then lines of 6 octets': { lines: [100, 475, 0, 16320, 1, 0], dots: [5, 49156, 0, 0, 2, 16384] },
  'three dots, then lines of an octet': { lines: [100, 121, 0, 16351, 1, 0], dots: [4, 65535, 0, 0, 1, 0] },
}

for (const [name, octets] of Object.entries(SHAPES)) {
  t.test(name, { skip: !FOUR_AT_ONCE }, t => {
    t.strictSame(
      work(() => search(new LineFinder(), octets)),
      WORK[name]?.lines,
      'lines',
    )
    t.strictSame(
      work(() => search(new DotFinder(), octets)),
      WORK[name]?.dots,
      'dots',
    )
    t.end()
  })
}

/** Dots, then octets of which each 100th is sampled: so many of them are CRs. */
const sampled = (crs: number): Buffer => {
  const octets = Buffer.from(`x....${'x'.repeat(3199)}`)
  for (let i = 1; i <= crs; i++) octets[4 + 100 * i] = 13
  return octets
}

t.test('DotFinder leaves octets to be looked at if 4 of 32 are CRs', t => {
  const finder = new DotFinder()
  t.equal(finder.until, 0)
  t.equal(finder.find(sampled(3), 0), 3204)
  t.equal(finder.until, 0)
  t.equal(finder.find(sampled(4), 0), 4)
  t.equal(finder.until, 4 + 16_384)
  t.equal(finder.find(Buffer.from('a'), 0), 1)
  t.equal(finder.until, 0, 'nothing is left of the chunk before')
  t.end()
})

t.test('a CRLF before the place where a search begins is not looked at', t => {
  for (const [text, from] of [['a\r\n.b', 3], ['a\r\n.b', 2]] as const) t.equal(new DotFinder().find(Buffer.from(text), from), text.length) // prettier-ignore
  t.equal(new DotFinder().find(Buffer.from('a\r\n.b'), 1), 3)
  t.end()
})

t.test('LineFinder leaves nothing of the chunk before', t => {
  const finder = new LineFinder()
  t.equal(finder.until, 0)
  t.equal(finder.find(Buffer.from('aaaa\raaaa'), 0), 4)
  t.equal(finder.until, 9)
  t.equal(finder.find(Buffer.from('aaaaaaaaaaaaaaaaaa'), 0), 18)
  t.equal(finder.until, 0)
  t.end()
})
