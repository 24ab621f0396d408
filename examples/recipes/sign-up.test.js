// A vitest test of a program that sends mail. In Jest, `test` is imported from @jest/globals.

import assert from 'node:assert/strict'
import { reply } from 'mailhandler'
import { catchMail } from 'mailhandler/testing'
import { createTransport } from 'nodemailer'
import { test } from 'vitest'

/** What is to be tested: a program that sends a mail and says if it was taken. */
async function signUp(address, smtp) {
  const mail = { from: 'shop@example.org', to: address, subject: 'Welcome!', text: `Hello ${address}` }
  try {
    await createTransport(smtp).sendMail(mail)
    return 'sent'
  } catch (error) {
    return error.responseCode >= 400 && error.responseCode < 500 ? 'try later' : 'failed'
  }
}

test('who signs up gets a mail', async () => {
  const box = await catchMail()
  assert.equal(await signUp('anna@example.org', { host: '127.0.0.1', port: box.port }), 'sent')
  const mail = await box.waitFor({ to: 'anna@example.org', subject: /welcome/i }, 2000)
  assert.match(mail.text, /^Hello anna/)
  await box.none(100)
  await box.close()
})

test('if the mail server is busy, the user may try later', async () => {
  const box = await catchMail({ misbehave: [{ at: 'RCPT', nth: 1, reply: reply(451, '4.3.0', 'Busy') }] })
  const smtp = { host: '127.0.0.1', port: box.port }
  assert.equal(await signUp('anna@example.org', smtp), 'try later')
  assert.equal(await signUp('anna@example.org', smtp), 'sent')
  await box.close()
})
