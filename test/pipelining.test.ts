import t from 'tap'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { reply } from '../lib/words/reply.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

const COUNT = 100_000
const NOOPS = Buffer.from(Array.from({ length: COUNT }, (_, i) => `NOOP ${i}\r\n`).join(''))

const numbered = (said: string) => said.match(/(?<= )\d+(?=\r\n)/g)?.map(Number) ?? []
const inOrder = (numbers: readonly number[]) => numbers.every((number, i) => number === i)

async function say(handler: MailHandler, wire: Buffer): Promise<string> {
  const pieces: Buffer[] = []
  handler.on('data', octets => pieces.push(octets as Buffer))
  handler.end(wire)
  await once(handler, 'close')
  return pieces.join('')
}

t.test('100,000 commands in one write: each answered, in order, on a stack that does not grow', async t => {
  let deepest = 0
  let shallowest = Infinity
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = Infinity
  const depth = (i: number) => {
    if (i % 5000 !== 0) return
    const frames = new Error('how deep').stack?.split('\n').length ?? 0
    deepest = Math.max(deepest, frames)
    shallowest = Math.min(shallowest, frames)
  }
  const answers: readonly [string, (i: number) => ReturnType<MailHandler['handleNoop']>][] = [
    ['at once', i => reply(250, String(i))],
    ['by promises', async i => reply(250, String(i))],
    ['a turn later', async i => (i % 1000 === 0 && (await turn()), reply(250, String(i)))],
  ]
  for (const [name, answer] of answers) {
    deepest = 0
    shallowest = Infinity
    const said = await say(
      new MailHandler({
        handleNoop({ argument }) {
          depth(Number(argument))
          return answer(Number(argument))
        },
      }),
      NOOPS,
    )
    const numbers = numbered(said)
    t.equal(numbers.length, COUNT, name)
    t.ok(inOrder(numbers), 'in order')
    t.ok(deepest - shallowest < 40, `between ${shallowest} and ${deepest} frames deep`)
  }
  Error.stackTraceLimit = limit
})

t.test('100,000 lines that are no commands', async t => {
  const said = await say(new MailHandler(), Buffer.from('\0\r\n'.repeat(COUNT)))
  t.equal(said.match(/^500 /gm)?.length, COUNT)
  const prompts = new MailHandler({
    async handleUnknown() {
      for (let i = 0; i < 20_000; i++) await this.prompt(reply(334, String(i)))
      return reply(235, 'done')
    },
  })
  const answers = await say(prompts, Buffer.from(`AUTH\r\n${'x\r\n'.repeat(20_000)}`))
  t.equal(answers.match(/^334 /gm)?.length, 20_000)
  t.match(answers.slice(-20), '235 done')
})

t.test('5,000 messages in one write', async t => {
  const handler = new TakingHandler()
  const said = await say(handler, Buffer.from('DATA\r\nx\r\n.\r\n'.repeat(5000)))
  t.equal(handler.messages.length, 5000)
  t.equal(said.match(/^(354|250) /gm)?.length, 10_000)
})

t.test('nobody reads the replies: commands wait', async t => {
  for (const later of [false, true]) {
    let answered = 0
    const handler = new MailHandler({
      handleNoop() {
        answered++
        const answer = reply(250, 'x'.repeat(400))
        return later ? Promise.resolve(answer) : answer
      },
    })
    handler.write(NOOPS.subarray(0, NOOPS.indexOf('NOOP 20000\r\n')))
    handler.once('readable', () => handler.read(1))
    for (let before = -1; before < answered;) {
      before = answered
      for (let i = 0; i < 100; i++) await turn()
    }
    t.ok(answered < 200, `${answered} commands answered`)
    t.ok(handler.readableLength < 65_536, `${handler.readableLength} octets wait`)
    let octets = 0
    handler.on('data', piece => (octets += (piece as Buffer).length))
    handler.end()
    await once(handler, 'close')
    t.equal(answered, 20_000)
    t.ok(octets > 20_000 * 400)
  }
})
