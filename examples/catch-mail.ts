// A test of a program that sends mail, in five lines. Run it with `node --test`, compiled or on Node 24; in vitest the import is from 'vitest'.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catchMail } from 'mailhandler/testing'
import { createTransport } from 'nodemailer'

// What is to be tested: any program that sends mail to a port that the test chooses.
async function signUp(address: string, smtp: { host: string; port: number }): Promise<void> {
  const mail = { from: 'shop@example.org', to: address, subject: 'Welcome!', text: `Hello ${address}` }
  await createTransport(smtp).sendMail(mail)
}

test('who signs up gets a mail', async () => {
  await using box = await catchMail()
  await signUp('anna@example.org', { host: '127.0.0.1', port: box.port })
  const mail = await box.waitFor({ to: 'anna@example.org', subject: /welcome/i })
  assert.match(mail.text ?? '', /^Hello anna/)
  await box.none()
})
