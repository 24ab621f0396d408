// A test of one's own hooks: in memory, without a port and a network. Run it with `node --test`, or as it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reply, SmtpHandler } from 'mailhandler'
import { converse, playTranscript } from 'mailhandler/testing'

// What is to be tested: mail for anna, and for nobody else.
const mails: string[] = []
const makeHandler = () =>
  new SmtpHandler({
    name: 'mx.example.org',
    onRcptTo(recipient) {
      if (recipient.address !== 'anna@example.org') return reply(550, '5.1.1', 'No such user here')
    },
    async onMessage(message) {
      let text = ''
      for await (const chunk of message) text += String(chunk)
      mails.push(text)
    },
  })

test('mail for anna is taken', async () => {
  const client = converse(makeHandler())
  await client.expect('220 mx.example.org ESMTP')
  await client.command('EHLO client.example', 250)
  await client.command('MAIL FROM:<bob@example.com>', 250)
  await client.command('RCPT TO:<carl@example.org>', '550 5.1.1 …')
  await client.command('RCPT TO:<anna@example.org>', /^250 /)
  await client.command('DATA', 354)
  await client.data('Subject: hello\r\n\r\n.Hello.\r\n')
  await client.expect(250)
  await client.command('QUIT', 221)
  await client.closed()
  assert.deepEqual(mails, ['Subject: hello\r\n\r\n.Hello.\r\n'])
})

test('a session in writing', async () => {
  await playTranscript(
    `S: 220 mx.example.org ESMTP
     C: HELO client.example
     S: 250 mx.example.org
     C: RCPT TO:<anna@example.org>
     S: 503 5.5.1 …
     C: QUIT
     S: 221 2.0.0 …
     S: <closes>`,
    makeHandler,
  )
})
