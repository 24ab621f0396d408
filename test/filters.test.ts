// Filters between the client and onMessage, where something of the user's throws: it fails the message, and nothing else.

import { PassThrough, Transform } from 'node:stream'
import t from 'tap'
import type { Filter } from '../lib/smtp/hooks.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/index.ts'

type Taker = NonNullable<SmtpHandlerOptions['onMessage']>

function fault(): never {
  throw new Error('a fault of the user')
}
const never = () => new Promise<void>(() => {})

/** Sends one mail through `filters` to `onMessage`; resolves with its reply and with what was reported. */
async function send(filters: readonly Filter[], onMessage: Taker): Promise<{ said: string; errors: string[] }> {
  const errors: string[] = []
  const handleError = (error: Error) => void errors.push(error.message)
  const c = converse(new SmtpHandler({ filters, onMessage, handleError }))
  await c.expect(220)
  for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
  await c.command('DATA', 354)
  await c.data(`${'x'.repeat(998)}\r\n`.repeat(10))
  const { code } = await c.expect()
  await c.command('NOOP', 250)
  return { said: String(code), errors }
}

const now: Filter = () => new PassThrough()
const later: Filter = () =>
  new Transform({ transform: (chunk, _encoding, done) => void setImmediate(done, null, chunk) })
const throwing: Filter = () => new Transform({ transform: fault })

t.test('a listener that throws behind filters fails the message', async t => {
  const listening =
    (event: string, listener: () => unknown, raw = false): Taker =>
    message => {
      const stream = raw ? message.raw() : message
      stream.on(event, listener)
      if (event === 'end') stream.resume()
      return never()
    }
  const rejecting = async () => fault()
  const takers: Record<string, Taker> = {
    data: listening('data', fault),
    'data, async': listening('data', rejecting),
    readable: listening('readable', fault),
    end: listening('end', fault),
    'raw, data': listening('data', fault, true),
    'raw, data, async': listening('data', rejecting, true),
    'raw, end': listening('end', fault, true),
    'data, taken for good': message =>
      new Promise(resolve => {
        message.on('data', fault).on('error', () => {})
        message.on('close', resolve)
      }),
  }
  for (const filters of [[now], [later], [later, now]]) {
    for (const [name, taker] of Object.entries(takers)) {
      t.strictSame(await send(filters, taker), { said: '451', errors: ['a fault of the user'] }, name)
    }
  }
})

t.test('a filter that throws fails the message', async t => {
  const read: Taker = async message => {
    for await (const _ of message);
  }
  for (const filters of [[throwing], [later, throwing]]) {
    t.strictSame(await send(filters, read), { said: '451', errors: ['a fault of the user'] })
  }
})

t.test('where one filter cannot be made, those before it are closed, whatever they fail with', async t => {
  const made = new PassThrough({ destroy: (_error, done) => done(new Error('not closed in order')) })
  t.strictSame(await send([() => made, fault], never), { said: '451', errors: ['a fault of the user'] })
  t.ok(made.destroyed)
})
