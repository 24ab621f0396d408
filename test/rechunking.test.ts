import t from 'tap'
import fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { rechunk } from '../lib/testing/index.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

// Sessions of random commands and binary mail data, cut anywhere: the replies and messages are the same, and right.

interface Turn {
  readonly wire: string
  readonly codes: readonly number[]
  readonly command?: string
  readonly message?: string
  /** The session ends with it. */
  readonly isLast?: boolean
}

const NASTY = [
  '.',
  '\r',
  '\n',
  '\r\n',
  '\r\n.',
  '\r\n..',
  '\n.\n',
  '\0',
  'a',
  'NOOP\r\n',
  '\xff',
  '\xc3\xa9',
  'x'.repeat(300),
]

const data = fc.oneof(
  fc.array(fc.constantFrom(...NASTY), { maxLength: 30 }).map(parts => parts.join('')),
  fc.uint8Array({ maxLength: 300 }).map(octets => Buffer.from(octets).toString('latin1')),
)

const stuffed = (text: string) => text.replace(/(^|\r\n)\./g, '$1..')

const message: fc.Arbitrary<Turn> = data.map(text => {
  const whole = text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`
  return { wire: `DATA\r\n${stuffed(whole)}.\r\n`, codes: [354, 250], command: 'DATA', message: whole }
})

const command: fc.Arbitrary<Turn> = fc
  .constantFrom<readonly [string, number]>(
    ['NOOP', 250],
    ['noop .', 250],
    ['RSET', 250],
    ['MAIL FROM:<a@b>', 250],
    ['RCPT TO:<nobody@b>', 550],
    ['VRFY é', 252],
    ['', 500],
    ['.', 500],
    [`NOOP ${'y'.repeat(100)}`, 250],
  )
  .map(([line, code]) => ({ wire: `${Buffer.from(line).toString('latin1')}\r\n`, codes: [code], command: line }))

const problem: fc.Arbitrary<Turn> = fc
  .constantFrom('\0\r\n', '\xff\r\n', `${'z'.repeat(2100)}\r\n`)
  .map(wire => ({ wire, codes: [500] }))

const bareNewline: fc.Arbitrary<Turn> = fc
  .constantFrom('\n', 'NOOP\n', 'NO\rOP\r\n')
  .map(wire => ({ wire, codes: [500], isLast: true }))

const session = fc.array(
  fc.oneof({ weight: 4, arbitrary: fc.oneof(message, command, problem) }, { weight: 1, arbitrary: bareNewline }),
  { minLength: 1, maxLength: 12 },
)

/** The turns that the session lives to see. */
function lived(turns: readonly Turn[]): readonly Turn[] {
  const last = turns.findIndex(({ isLast }) => isLast === true)
  return last === -1 ? turns : turns.slice(0, last + 1)
}

interface Way {
  readonly chunks: readonly number[]
  readonly delay: 0 | undefined
  readonly slowly: boolean
}

const way: fc.Arbitrary<Way> = fc.record({
  chunks: fc.oneof(
    fc.constant([1]),
    fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 }),
    fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 }),
    fc.constant([1_000_000]),
  ),
  delay: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(0 as const) }),
  slowly: fc.boolean(),
})

async function play(wire: Buffer, { chunks, delay, slowly }: Way) {
  const handler = new TakingHandler({
    choose: body => body.unstuffed(),
    ...(delay === undefined ? {} : { delay }),
  })
  let said = ''
  handler.on('data', octets => (said += String(octets)))
  for (const [i, chunk] of rechunk(wire, chunks).entries()) {
    handler.write(chunk)
    if (slowly && i % 50 === 0) await turn()
  }
  const closed = new Promise(resolve => handler.once('close', resolve))
  handler.end()
  await closed
  return { said, handler }
}

t.test('any session, cut anywhere, exactly', async t => {
  await fc.assert(
    fc.asyncProperty(session, way, async (turns, way) => {
      const wire = Buffer.from(turns.map(turn => turn.wire).join(''), 'latin1')
      const { said, handler } = await play(wire, way)
      const codes = said.match(/^\d{3}(?= )/gm)?.map(Number)
      const expected = [220, ...lived(turns).flatMap(turn => turn.codes)]
      const messages = lived(turns).flatMap(({ message }) => message ?? [])
      const commands = lived(turns).flatMap(({ command }) => command ?? [])
      return (
        JSON.stringify([codes, handler.messages, handler.commands]) ===
          JSON.stringify([expected, messages, commands]) &&
        handler.errors.length === 0 &&
        handler.ends.join() === 'disconnect,result'
      )
    }),
    { numRuns: 600 },
  )
  t.pass()
})

t.test('cut off anywhere: what is whole is taken, what is not is not', async t => {
  await fc.assert(
    fc.asyncProperty(session, way, fc.nat(), async (turns, way, at) => {
      const wire = Buffer.from(turns.map(turn => turn.wire).join(''), 'latin1')
      const length = at % (wire.length + 1)
      const { handler } = await play(wire.subarray(0, length), way)
      let end = 0
      const whole = lived(turns).filter(turn => (end += turn.wire.length) <= length)
      const messages = whole.flatMap(({ message }) => message ?? [])
      return JSON.stringify(handler.messages) === JSON.stringify(messages)
    }),
    { numRuns: 300 },
  )
  t.pass()
})
