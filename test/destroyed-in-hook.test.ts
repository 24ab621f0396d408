// A hook that destroys its handler has ended the session: nobody further is asked, and no message begins.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
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

const MESSAGES = ['DATA', 'BDAT 0 LAST', 'BDAT 3\r\nabc', 'BDAT 3 LAST\r\nabc'] as const

for (const last of MESSAGES) {
  t.test(`${last}: a filter`, async t => {
    const asked: string[] = []
    const made: PassThrough[] = []
    const filter = (act: () => void) => () => {
      act()
      made.push(new PassThrough())
      return made.at(-1)!
    }
    await talk(
      handler => ({
        filters: [
          filter(() => {}),
          filter(() => void handler().destroy()),
          filter(() => void asked.push('the filter behind it')),
        ],
        onMessage: () => void asked.push('onMessage'),
        handleError: error => void asked.push(error.message),
      }),
      last,
    )
    t.strictSame(asked, [])
    t.strictSame(
      made.map(({ destroyed }) => destroyed),
      [true, true],
      'those that were made are destroyed',
    )
  })

  t.test(`${last}: a subscriber that hears of the message`, async t => {
    const asked: string[] = []
    let destroy = (): void => {}
    const hear = (): void => destroy()
    subscribe('mailhandler:message', hear)
    t.teardown(() => unsubscribe('mailhandler:message', hear))
    await talk(handler => {
      destroy = () => void handler().destroy()
      return {
        filters: [() => (asked.push('a filter'), new PassThrough())],
        onMessage: () => void asked.push('onMessage'),
        handleError: error => void asked.push(error.message),
      }
    }, last)
    t.strictSame(asked, [])
  })
}

t.test('offer(): no reply to EHLO', async t => {
  const asked: string[] = []
  const handler: SmtpHandler = new SmtpHandler({
    name: 'mx',
    delivery: {
      offer: (_session, offer) => (handler.destroy(), offer),
      onMessage: () => void asked.push('onMessage'),
      onClose: () => void asked.push('onClose'),
    },
    handleError: error => void asked.push(error.message),
  })
  const c = converse(handler)
  await c.expect(220)
  c.write('EHLO c\r\n')
  await c.closed()
  t.equal(c.unread, 0)
  t.strictSame(asked, ['onClose'])
})

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
