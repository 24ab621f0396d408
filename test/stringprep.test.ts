// SASLprep against another implementation of it, for each code point and for random texts.

import reference from '@mongodb-js/saslprep'
import fc from 'fast-check'
import t from 'tap'
import { stringprep } from '../lib/sasl/stringprep.ts'

function expected(text: string, allowUnassigned: boolean): string | null {
  try {
    return reference(text, { allowUnassigned })
  } catch (error) {
    if (error instanceof TypeError) return '' // nothing is left of it
    return null
  }
}

const WHOLE = [
  [0, 0x107ff],
  [0x1d000, 0x1dfff],
  [0xe0000, 0xe01ff],
] as const

/** The code points where tables of RFC 3454 have their ends, and a sample of the rest. */
function* sample(): Generator<number> {
  for (const [first, last] of WHOLE) for (let c = first; c <= last; c++) yield c
  for (let c = 0x10800; c < 0x30000; c += 13) yield c
  for (let c = 0x30000; c <= 0x10ffff; c += 97) yield c
  for (let plane = 1; plane <= 16; plane++) {
    for (const low of [0, 1, 0xa6d6, 0xa6d7, 0xfffc, 0xfffd, 0xfffe, 0xffff]) yield plane * 0x10000 + low
  }
}

t.test('each code point: alone, stored and asked for, and among characters of either direction', t => {
  const wrong: string[] = []
  let many = 0
  for (const c of sample()) {
    const each = String.fromCodePoint(c)
    for (const [text, allowUnassigned] of [
      [each, false],
      [`1${each}1`, true],
      [`\u05d0${each}\u05d0`, true],
    ] as const) {
      many++
      if (stringprep(text, allowUnassigned) !== expected(text, allowUnassigned)) wrong.push(c.toString(16))
    }
  }
  t.strictSame(wrong, [])
  t.ok(many > 200_000)
  t.end()
})

t.test('random texts', t => {
  const character = fc.oneof(
    fc.integer({ min: 0, max: 0x7ff }),
    fc.integer({ min: 0x1e00, max: 0x2100 }),
    fc.integer({ min: 0xfb00, max: 0xffff }),
    fc.integer({ min: 0, max: 0x10_ffff }),
  )
  const text = fc.array(character, { maxLength: 12 }).map(all => all.map(c => String.fromCodePoint(c)).join(''))
  fc.assert(
    fc.property(text, fc.boolean(), (each, allow) => stringprep(each, allow) === expected(each, allow)),
    { numRuns: 20_000 },
  )
  t.end()
})
