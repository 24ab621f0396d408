// Lines that begin with dots, against transparency octet by octet, at every alignment in memory.

import fc from 'fast-check'
import t from 'tap'
import { unstuffDense } from '../lib/protocol/mail-data/dense-lines.ts'
import { CR, DOT, LF } from '../lib/words/octets.ts'

const line = fc.constantFrom(
  '..',
  '..',
  '..x',
  '.x',
  '.',
  '...',
  'x',
  '',
  '..\x8d\xae',
  `..${'x'.repeat(76)}`,
  '..abc.',
)
const end = fc.oneof(
  { weight: 80, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '\r\r\n', '\n\r') },
)
const lines = fc
  .array(fc.tuple(line, end), { minLength: 1, maxLength: 200, size: 'max' })
  .map(all => all.flat().join(''))

/** From the middle of a line on, to `stop` or the end of data. */
function model(octets: Buffer, from: number, stop: number): { text: string; ended: boolean; bare: boolean } {
  const kept: number[] = []
  let bare = false
  for (let i = from; i < stop; i++) {
    kept.push(octets[i]!)
    if (octets[i] === CR && octets[i + 1] === LF) {
      kept.push(LF)
      i += 1
      if (octets[i + 1] !== DOT) continue
      if (octets[i + 2] === CR && octets[i + 3] === LF) {
        return { text: Buffer.from(kept).toString('latin1'), ended: true, bare }
      }
      i += 1
    } else if (octets[i] === CR || octets[i] === LF) bare = true
  }
  return { text: Buffer.from(kept).toString('latin1'), ended: false, bare }
}

t.test('the dots that transparency added are removed, and no others', async t => {
  fc.assert(
    fc.property(lines, fc.nat(7), fc.nat(9), (text, offset, from) => {
      const memory = Buffer.alloc(text.length + 16, '\r\n.')
      const chunk = memory.subarray(offset, offset + memory.write(text, offset, 'latin1'))
      let at = from
      while (at < chunk.length - 4) {
        const { data, next, ended, bare } = unstuffDense(chunk, at)
        if (next <= at) throw new Error(`nothing taken at ${at}`)
        const expected = model(chunk, at, next)
        if (data.toString('latin1') !== expected.text)
          throw new Error(`${JSON.stringify(data.toString('latin1'))} at ${at}`)
        if (ended !== expected.ended || bare !== expected.bare) throw new Error(`ended ${ended}, bare ${bare} at ${at}`)
        if (ended && chunk.subarray(next - 5, next).toString() !== '\r\n.\r\n') throw new Error(`ended at ${next}`)
        if (ended) break
        at = next
      }
    }),
    { numRuns: 3000 },
  )
  t.pass()
})
