// A hook that destroys its handler has ended the session: nobody further is asked, and no message begins.

import { once } from 'node:events'
import t from 'tap'
import { SmtpHandler, type SmtpHandlerOptions } from '../lib/index.ts'
import { converse } from '../lib/testing/index.ts'

/** A conversation up to RCPT, whose handler is destroyed by `destroys` in `onData`. */
async function talk(options: (handler: () => SmtpHandler) => SmtpHandlerOptions, last: string): Promise<void> {
  const handler: SmtpHandler = new SmtpHandler({ name: 'mx', ...options(() => handler) })
  const c = converse(handler)
  const closed = once(handler, 'close')
  await c.expect(220)
  for (const line of ['EHLO c', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>']) await c.command(line, 250)
  c.write(`${last}\r\n`)
  await closed
  await new Promise(setImmediate)
}

for (const last of ['DATA', 'BDAT 0 LAST', 'BDAT 3\r\nabc']) {
  t.test(`${last}: no message begins`, async t => {
    const asked: string[] = []
    await talk(
      handler => ({
        onData: () => void handler().destroy(),
        onMessage: () => void asked.push('onMessage'),
        onClose: () => void asked.push('onClose'),
        handleError: error => void asked.push(error.message),
      }),
      last,
    )
    t.strictSame(asked, ['onClose'])
  })

  t.test(`${last}: policies and deliveries behind it are not asked`, async t => {
    const asked: string[] = []
    await talk(
      handler => ({
        policies: [{ onData: () => void handler().destroy() }, { onData: () => void asked.push('policy') }],
        onData: () => void asked.push('handler'),
        delivery: { onData: () => void asked.push('delivery'), onMessage: () => void asked.push('onMessage') },
        handleError: error => void asked.push(error.message),
      }),
      last,
    )
    t.strictSame(asked, [])
  })
}
