// What an error says: what was given, and what to do.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { traceFields } from '../lib/filters/trace-fields.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { reply } from '../lib/words/reply.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { watched } from './fixtures/hooks.ts'

t.test('replies', t => {
  t.throws(() => reply('550 no' as never), {
    message: `"550 no" is not a reply code (200 to 559); write reply(250, 'OK')`,
  })
  t.throws(() => reply('550' as never, 'no'), { code: 'ERR_REPLY', message: /^"550" is not a reply code/ })
  t.throws(() => new SmtpError('no' as never), {
    code: 'ERR_REPLY',
    message: 'an SmtpError takes a reply, not "no"; give reply(550, …)',
  })
  t.end()
})

t.test('hooks and filters', async t => {
  const table: [unknown, string][] = [
    [{ onRcptTo: () => '550 no' }, 'onRcptTo returned the string "550 no"; return reply(550, …) or nothing'],
    [{ onRcptTo: async () => 451 }, 'onRcptTo returned the number 451; return reply(451, …) or nothing'],
    [{ onMessage: () => 'OK' }, 'onMessage returned the string "OK"; return reply(250, …) or nothing'],
    [{ filters: [() => {}], onMessage() {} }, 'filters[0] returned undefined; return the stream that it makes'],
  ]
  for (const [options, message] of table) {
    const { handler, errors } = watched({ onMessage() {}, ...(options as SmtpHandlerOptions) } as SmtpHandlerOptions)
    const c = await begin(handler)
    await c.command('MAIL FROM:<a@client.example>', 250)
    const { code } = await c.command('RCPT TO:<b@example.org>')
    if (code === 250) await deliver(c, 451)
    else t.equal(code, 451)
    await quit(c)
    t.match(errors, [{ message }])
  }
})

t.test('the stack of a hook that throws is printed, and its cause', async t => {
  const program = String.raw`
    import { SmtpError, SmtpHandler, reply } from ${JSON.stringify(new URL('../lib/index.js', import.meta.url).href)}
    const handler = new SmtpHandler({
      unlawfulPipelining: 'allow',
      onMailFrom: function checkName() {
        return undefined.name
      },
      onRcptTo: function askDisk() {
        const cause = Object.assign(new Error('ENOENT: no such file'), { path: '/lists/senders' })
        throw new SmtpError(reply(451, '4.3.0', 'Later'), { cause })
      },
    })
    handler.resume().end('HELO c\r\nMAIL FROM:<a@b>\r\nQUIT\r\n')
    const other = new SmtpHandler({ unlawfulPipelining: 'allow', onHelo: handler.onRcptTo })
    other.resume().end('HELO c\r\nQUIT\r\n')
  `
  const { stderr } = await promisify(execFile)(...bareNode(['--input-type=module', '-e', program]))
  t.match(stderr, /TypeError: Cannot read properties of undefined \(reading 'name'\)\n +at .*checkName/)
  t.match(
    stderr,
    /SmtpError: 451 Later\n +at .*askDisk[^]*caused by: Error: ENOENT: no such file\n[^]*path: '\/lists\/senders'/,
  )
})

t.test('two messages of a session have names of their own, in Received too', async t => {
  const ids: string[] = []
  const { handler } = watched({
    onMessage(message, session) {
      message.resume()
      const received = new Map(Array.from(traceFields('mx.test')(session) as [string, string][])).get('Received') ?? ''
      t.ok(received.includes(` id ${session.envelope.id}`), received)
      ids.push(session.envelope.id)
    },
  })
  const c = await begin(handler)
  for (let i = 0; i < 2; i++) {
    await address(c)
    await deliver(c, 250)
  }
  await quit(c)
  t.equal(new Set(ids).size, 2)
})
