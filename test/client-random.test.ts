// Sessions between a client and a handler, at random: what is sent, how the octets are cut, and where the line breaks.
// What was acknowledged has arrived, nothing that arrived is part of a message, and every promise settles.

import { Readable, Transform, type Duplex } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { SmtpClient } from '../lib/client.ts'
import { SmtpHandler } from '../lib/index.ts'
import { connect, duplexPair } from '../lib/testing/index.ts'

interface Plan {
  /** Sizes of the pieces, in turn. */
  readonly cuts: readonly number[]
  /** Octets from the server, and to it, after which the connection is reset; null: never. */
  readonly breakAt: number | null
  readonly direction: 'in' | 'out'
  readonly mails: readonly { readonly text: string; readonly way: 'data' | 'bdat'; readonly recipients: number }[]
  readonly pipelining: boolean
}

/** Cuts what passes into pieces of these sizes, in turns of their own, and breaks after so many octets. */
function cutter(cuts: readonly number[], breakAt: number | null, onBreak: () => void): Transform {
  let turn = 0
  let octets = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const step = (from: number): void => {
        if (from >= chunk.length) return done()
        const size = cuts[turn++ % cuts.length]!
        const piece = chunk.subarray(from, from + size)
        octets += piece.length
        if (breakAt !== null && octets > breakAt) return onBreak()
        this.push(piece)
        setImmediate(step, from + size)
      }
      step(0)
    },
  })
}

/** A connection whose octets are cut both ways. */
function cutConnection(socket: Duplex, plan: Plan): Duplex {
  const [near, far] = duplexPair()
  const reset = (): void => {
    near.destroy()
    far.destroy()
    socket.destroy()
  }
  for (const stream of [near, far, socket]) stream.on('error', () => {})
  const at = (direction: Plan['direction']) => (plan.direction === direction ? plan.breakAt : null)
  far.pipe(cutter(plan.cuts, at('out'), reset)).pipe(socket)
  socket.pipe(cutter(plan.cuts, at('in'), reset)).pipe(far)
  return near
}

async function run(plan: Plan): Promise<string | null> {
  const arrived: string[] = []
  const handler = new SmtpHandler({
    name: 'mx.example',
    async onMessage(message) {
      let text = ''
      for await (const chunk of message) text += (chunk as Buffer).toString('latin1')
      arrived.push(text)
    },
    handleError() {},
  })
  const client = new SmtpClient({ name: 'c.example', tls: { mode: 'never' }, pipelining: plan.pipelining })
  const socket = cutConnection(connect(handler), plan)
  socket.pipe(client).pipe(socket)
  const sent: Promise<unknown>[] = []
  const acknowledged: string[] = []
  for (const { text, way, recipients } of plan.mails) {
    sent.push(client.mail('a@b'))
    for (let i = 0; i < recipients; i++) sent.push(client.rcpt(`${i}@b`))
    const source = Readable.from([Buffer.from(text, 'latin1')])
    const message = way === 'data' ? client.data(source) : client.bdat(source)
    sent.push(
      message.then(([reply]) => {
        if (reply?.code === 250)
          acknowledged.push(text === '' || text.endsWith('\r\n') || way === 'bdat' ? text : `${text}\r\n`)
      }),
    )
  }
  sent.push(client.quit())
  const settled = await Promise.race([
    Promise.allSettled(sent),
    new Promise(resolve => setTimeout(resolve, 60_000, null).unref()),
  ])
  client.destroy()
  socket.destroy()
  if (settled === null) return 'a promise did not settle'
  const known = new Set(plan.mails.flatMap(({ text }) => [text, `${text}\r\n`]))
  if (arrived.some(text => !known.has(text))) return `a part arrived: ${JSON.stringify(arrived)}`
  const left = [...arrived]
  for (const text of acknowledged) {
    const at = left.indexOf(text)
    if (at < 0) return `lost: ${JSON.stringify(text)}`
    left.splice(at, 1)
  }
  if (plan.breakAt === null && acknowledged.length !== plan.mails.length) return 'not everything was acknowledged'
  return null
}

const line = fc.constantFrom('', '.', '..', 'x', '.x', 'Subject: y', 'é', 'QUIT', 'x'.repeat(900))
const text = fc
  .tuple(fc.array(line, { maxLength: 6 }), fc.boolean())
  .map(([lines, ended]) => (lines.length === 0 ? '' : lines.join('\r\n') + (ended ? '\r\n' : '')))
const plan: fc.Arbitrary<Plan> = fc.record({
  cuts: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }),
  breakAt: fc.option(fc.integer({ min: 0, max: 700 })),
  direction: fc.constantFrom('in', 'out'),
  mails: fc.array(
    fc.record({ text, way: fc.constantFrom('data', 'bdat'), recipients: fc.integer({ min: 1, max: 3 }) }),
    { minLength: 1, maxLength: 3 },
  ),
  pipelining: fc.boolean(),
})

t.test('whatever is cut and breaks', async t => {
  await fc.assert(
    fc.asyncProperty(plan, async plan => {
      const problem = await run(plan)
      if (problem !== null) throw new Error(problem)
    }),
    { numRuns: 150 },
  )
  t.pass('nothing was lost, nothing was cut short')
})
