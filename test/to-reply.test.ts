import fc from 'fast-check'
import t from 'tap'
import { ReplyReader } from '../lib/client/reply-reader.ts'
import { toReply } from '../lib/protocol/replies/to-reply.ts'
import { character } from './fixtures/character.ts'

t.test('codes', async t => {
  const codes: [received: number, sent: number][] = [
    [200, 200],
    [250, 250],
    [259, 259],
    [354, 354],
    [421, 421],
    [550, 550],
    [559, 559],
    [260, 451],
    [299, 451],
    [360, 451],
    [460, 451],
    [499, 451],
    [560, 554],
    [599, 554],
    [0, 451],
    [99, 451],
    [150, 451],
    [600, 451],
    [777, 451],
    [999, 451],
    [1250, 451],
    [2500, 451],
  ]
  for (const [code, sent] of codes) {
    const reply = toReply({ code, status: null, lines: ['text'] })
    t.equal(reply.toString(), `${sent} text\r\n`, String(code))
  }
})

t.test('the enhanced status code is kept if it agrees with the code that is sent', async t => {
  const cases: [code: number, status: string | null, wire: string][] = [
    [250, '2.1.5', '250 2.1.5 x\r\n'],
    [550, '5.1.1', '550 5.1.1 x\r\n'],
    [550, '4.1.1', '550 x\r\n'],
    [599, '5.1.1', '554 5.1.1 x\r\n'],
    [499, '4.1.1', '451 4.1.1 x\r\n'],
    [299, '2.1.1', '451 x\r\n'],
    [354, '2.0.0', '354 x\r\n'],
    [200, '2.0.0', '200 2.0.0 x\r\n'],
  ]
  for (const [code, status, wire] of cases) t.equal(toReply({ code, status, lines: ['x'] }).toString(), wire)
})

t.test('controls are removed', async t => {
  const lines = ['a\0b\tc\r\nd', '\x7f\x80\x9f\u2028\u2029', 'é\u202e']
  t.strictSame(toReply({ code: 250, status: null, lines }).lines, ['abcd', '', 'é\u202e'])
})

t.test('lines are cut at 512 octets, never within a character', async t => {
  const cut = (text: string, status: string | null = null) => toReply({ code: 550, status, lines: ['short', text] })
  t.equal(cut('x'.repeat(506)).lines[1], 'x'.repeat(506))
  t.equal(cut('x'.repeat(507)).lines[1], 'x'.repeat(506))
  t.equal(cut('x'.repeat(507), '5.1.1').lines[1], 'x'.repeat(500))
  t.equal(cut(`${'x'.repeat(505)}é`).lines[1], 'x'.repeat(505))
  t.equal(cut(`${'x'.repeat(504)}éé`).lines[1], `${'x'.repeat(504)}é`)
  t.equal(cut(`${'x'.repeat(503)}😀`).lines[1], 'x'.repeat(503))
  t.equal(cut(`${'x'.repeat(502)}😀y`).lines[1], `${'x'.repeat(502)}😀`)
})

t.test('whatever a server sends becomes a reply', async () => {
  const text = fc.string({ unit: character, maxLength: 700 }).map(text => text.replaceAll(/[\r\n]/g, ''))
  const code = fc.integer({ min: 0, max: 999 }).map(code => String(code).padStart(3, '0'))
  const status = fc.constantFrom('', '2.0.0 ', '4.999.999 ', '5.1.1 ')
  fc.assert(
    fc.property(code, status, fc.array(text, { minLength: 1, maxLength: 5 }), (code, status, texts) => {
      const reader = new ReplyReader()
      texts.forEach((text, i) =>
        reader.push(Buffer.from(`${code}${i < texts.length - 1 ? '-' : ' '}${status}${text}\r\n`)),
      )
      const reply = toReply(reader.next()!)
      const positive = reply.positive === /^[23][0-5]/.test(code)
      // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
      const clean = !reply.lines.some(line => /[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(line))
      const short = reply
        .toString()
        .split('\r\n')
        .every(line => Buffer.byteLength(line) <= 510)
      return positive && clean && short && reply.lines.length === texts.length
    }),
  )
})
