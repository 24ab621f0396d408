import t from 'tap'
import { HeaderMeter } from '../lib/protocol/mail-data/header-meter.ts'

/** All texts of these letters up to a length. */
function texts(letters: string, length: number): string[] {
  if (length === 0) return ['']
  const shorter = texts(letters, length - 1)
  const longest = shorter.filter(text => text.length === length - 1)
  return [...shorter, ...longest.flatMap(text => [...letters].map(letter => text + letter))]
}

/** The octets of the header in what has come so far, and whether it has ended, by the definition. */
function model(text: string, bare: boolean): { readonly octets: number; readonly hasEnded: boolean } {
  const lines = `\n${text}` // the first line may be the empty one
  const at = lines.search(bare ? /\n\r?\n/ : /\n\r\n/)
  if (at !== -1) return { octets: at, hasEnded: true }
  return { octets: text.length - (lines.endsWith('\n\r') ? 1 : 0), hasEnded: false }
}

const TEXTS = texts('\r\na', 6)

for (const bare of [false, true]) {
  t.test(`${bare ? 'bare LF ends a line' : 'CRLF ends a line'}: every short text, at every cut`, async t => {
    for (const text of TEXTS) {
      for (let cuts = 0; cuts < 2 ** Math.max(0, text.length - 1); cuts += 1) {
        const meter = new HeaderMeter(bare)
        let from = 0
        for (let to = 1; to <= text.length; to += 1) {
          if (to < text.length && (cuts & (1 << (to - 1))) === 0) continue
          const octets = meter.measure(Buffer.from(text.slice(from, to)))
          const expected = model(text.slice(0, to), bare)
          if (octets !== expected.octets || meter.hasEnded !== expected.hasEnded) {
            return t.fail(`${JSON.stringify(text)} cut at ${cuts.toString(2)}: ${octets}, not ${expected.octets}`)
          }
          from = to
        }
      }
    }
    t.pass()
  })
}

t.test('an empty piece changes nothing', async t => {
  const meter = new HeaderMeter(false)
  meter.measure(Buffer.from('a: b\r\n'))
  t.equal(meter.measure(Buffer.alloc(0)), 6)
  t.equal(meter.measure(Buffer.from('\r')), 6, 'it may begin the empty line')
  t.equal(meter.measure(Buffer.alloc(0)), 6)
  t.equal(meter.measure(Buffer.from('\n')), 6)
  t.ok(meter.hasEnded)
  t.equal(meter.measure(Buffer.from('body\r\n\r\n')), 6, 'what comes behind is not counted')
})

t.test('a large piece is not kept', async t => {
  const meter = new HeaderMeter(false)
  t.equal(meter.measure(Buffer.from(`${'x'.repeat(100_000)}\r\n`)), 100_002)
  t.equal(meter.measure(Buffer.from('\r\n')), 100_002)
})
