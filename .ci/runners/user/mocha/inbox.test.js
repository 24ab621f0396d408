import assert from 'node:assert/strict'
import { reply, SmtpHandler } from 'mailhandler'
import { converse } from 'mailhandler/testing'

it('nobody but anna', async () => {
  let octets = ''
  const c = converse(
    new SmtpHandler({
      onRcptTo({ address }) {
        if (address !== 'anna@example.org') return reply(550, '5.1.1', 'No such user here')
      },
      async onMessage(message) {
        for await (const chunk of message) octets += chunk
      },
    }),
  )
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<bob@example.com>', 250)
  await c.command('RCPT TO:<carl@example.org>', '550 5.1.1 …')
  await c.command('RCPT TO:<anna@example.org>', 250)
  await c.command('DATA', 354)
  await c.data('Subject: hello\r\n\r\nHello.\r\n')
  await c.expect(250)
  await c.command('QUIT', 221)
  await c.closed()
  assert.match(octets, /\r\nHello\.\r\n$/)
})
