import t from 'tap'
import { NulDots } from '../lib/protocol/mail-data/nul-dots.ts'

const FOUND = ['.\0\r\n', '\0.\r\n', '\0\0.\0\r\n', 'a\r\n.\0\r\n', 'a\0\r\n\0.\r\nb', '\r\n.\0\0\n', '.\r\0\n']
const NOT_FOUND = ['.\r\n', '..\0\r\n', '.a\0\r\n', '\0\r\n.\r\n', 'a.\0\r\n', '.\0', '\0\r\n', '.\0a\r\n', '']

function find(text: string, cut: number): boolean {
  const dots = new NulDots()
  const octets = Buffer.from(text)
  return dots.find(octets.subarray(0, cut)) || dots.find(octets.subarray(cut))
}

t.test('found, or not, at every cut', t => {
  for (const [texts, wanted] of [
    [FOUND, true],
    [NOT_FOUND, false],
  ] as const) {
    // prettier-ignore
    for (const text of texts) {
      for (let cut = 0; cut <= text.length; cut++) t.equal(find(text, cut), wanted, `${JSON.stringify(text)} at ${cut}`)
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
