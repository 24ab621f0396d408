import t from 'tap'
import { NulDots } from '../lib/protocol/mail-data/nul-dots.ts'

const FOUND = ['.\0\r\n', '\0.\r\n', '\0\0.\0\r\n', 'a\r\n.\0\r\n', 'a\0\r\n\0.\r\nb', '\r\n.\0\0\n', '.\r\0\n']
const NOT_FOUND = [
  'a\r\r.\0\r\n',
  '\na\r.\0\n',
  '.\r\n',
  '..\0\r\n',
  '.a\0\r\n',
  '\0\r\n.\r\n',
  'a.\0\r\n',
  '.\0',
  '\0\r\n',
  '.\0a\r\n',
  '',
]

function find(text: string, ...cuts: readonly number[]): boolean {
  const dots = new NulDots()
  const octets = Buffer.from(text)
  return [...cuts, octets.length].some((end, i) => dots.find(octets.subarray(cuts[i - 1] ?? 0, end)))
}

t.test('found, or not, at every two cuts', t => {
  for (const [texts, wanted] of [
    [FOUND, true],
    [NOT_FOUND, false],
  ] as const) {
    // prettier-ignore
    for (const text of texts) {
      for (let one = 0; one <= text.length; one++) {
        for (let two = one; two <= text.length; two++) t.equal(find(text, one, two), wanted, `${JSON.stringify(text)} at ${one} and ${two}`)
      }
    }
  }
  t.end()
})

t.test('a line without NULs ends what the line before has had', t => {
  for (const end of ['\n', 'x\n']) {
    const dots = new NulDots()
    t.equal(dots.find(Buffer.from('.')), false)
    t.equal(dots.find(Buffer.from(end)), false)
    t.equal(dots.find(Buffer.from('\0\n')), false)
  }
  t.end()
})
