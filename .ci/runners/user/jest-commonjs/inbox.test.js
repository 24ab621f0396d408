const { reply, SmtpHandler } = require('mailhandler')
const { converse } = require('mailhandler/testing')

test('nobody but anna', async () => {
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
  expect(octets).toMatch(/\r\nHello\.\r\n$/)
})

test.each(['client', 'dns', 'maildir', 'relay', 'server', 'stores'])('mailhandler/%s can be loaded', entry => {
  expect(Object.keys(require(`mailhandler/${entry}`)).length).toBeGreaterThan(0)
})
