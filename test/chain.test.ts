// Streams before the handler that are no sockets: the end of the input is not the end of the session.

import { PassThrough, pipeline, Readable } from 'node:stream'
import t from 'tap'
import through2 from 'through2'
import { reply, SmtpHandler } from '../lib/index.ts'
import { converse, duplexPair } from '../lib/testing/index.ts'

const ENVELOPE = 'HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n'
const MAIL = 'Hello.\r\n.\r\nQUIT\r\n'

/** A handler whose verdict takes a while, longer than its input takes to end. */
function makeHandler(): SmtpHandler {
  return new SmtpHandler({
    unlawfulPipelining: 'allow',
    async onMessage(message) {
      for await (const _ of message);
      await new Promise(resolve => setTimeout(resolve, 50))
      return reply(250, '2.0.0', 'Late, but here')
    },
  })
}

for (const [name, link] of [
  ['PassThrough', () => new PassThrough()],
  ['through2', () => through2() as unknown as PassThrough],
] as const) {
  t.test(`${name} on both sides, and a client that ends its direction early`, async t => {
    const [client, socket] = duplexPair()
    const handler = makeHandler()
    const ended = new Promise(resolve => pipeline([socket, link(), handler, link(), socket], resolve))
    const c = converse(client)
    await c.expect(220)
    c.write(ENVELOPE)
    for (const code of [250, 250, 250, 354]) await c.expect(code)
    c.write(MAIL)
    c.end()
    await c.expect('250 2.0.0 Late, but here')
    await c.expect(221)
    await c.closed()
    t.equal((await ended) ?? null, null)
    t.equal(handler.destroyed, true)
  })

  t.test(`${name} on both sides, and a reset`, async t => {
    const [client, socket] = duplexPair()
    const handler = makeHandler()
    const ended = new Promise(resolve => pipeline([socket, link(), handler, link(), socket], resolve))
    const closed = new Promise(resolve => handler.once('close', resolve))
    const c = converse(client)
    await c.expect(220)
    c.write(ENVELOPE)
    for (const code of [250, 250, 250, 354]) await c.expect(code)
    c.reset()
    await closed
    t.match(await ended, { code: /.+/ })
  })
}

t.test('a recorded session is read to its last reply', async t => {
  const replies: Buffer[] = []
  const handler = Readable.from([ENVELOPE, MAIL]).pipe(makeHandler())
  for await (const chunk of handler) replies.push(chunk as Buffer)
  t.match(Buffer.concat(replies).toString(), /\r\n250 2\.0\.0 Late, but here\r\n221 /)
})
