// Makes the picture of docs/catch.md with Chromium: part of `npm run pictures`. What it shows is made up.

import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createTransport } from 'nodemailer'
import { readCatchOptions } from '../dist/lib/cli/catch/catch-options.js'
import { startCatcher } from '../dist/lib/cli/catch/catcher.js'
import { readCommandLine } from '../dist/lib/cli/command-line.js'
import { loadParser } from '../dist/lib/testing/catch/parse-mail.js'
import { openPage, startChromium } from '../dist/test/fixtures/chromium.js'

const PATH = fileURLToPath(new URL('../docs/pictures/catch.png', import.meta.url))
const LARGEST = 100_000
const MAILS = [
  ['Your invoice 2026-0117', 'carl@example.org', 'Please find your invoice attached.', 'invoice.pdf'],
  ['Reset your password', 'bob@example.org', 'Follow this link within an hour.'],
  ['Your order has left our house', 'dora@example.org', 'It comes on Thursday.'],
  ['Welcome to the shop, Anna!', 'anna@example.org', 'Hello Anna, good to have you with us.'],
]

const settings = readCatchOptions(readCommandLine(['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0']))
const { smtp, page: url, close } = await startCatcher(settings, await loadParser('the picture'))
const transport = createTransport({ host: '127.0.0.1', port: Number(/\d+$/.exec(smtp)) })
for (const [subject, to, text, filename] of MAILS) {
  const attachments = filename === undefined ? [] : [{ filename, content: 'PDF' }]
  await transport.sendMail({
    from: 'The Shop <shop@example.com>',
    to,
    subject,
    text,
    html: `<p>${text}</p>`,
    attachments,
  })
}
const browser = await startChromium()
const page = await openPage(await browser.newContext({ colorScheme: 'light', viewport: { width: 900, height: 480 } }))
await page.goto(url)
await page.locator('#rows button').first().click()
await page.getByRole('button', { name: 'Dialogue' }).click()
await page.locator('.dialogue').waitFor()
await page.screenshot({ path: PATH })
const { size } = statSync(PATH)
console.log(`${PATH}: ${size} octets`)
if (size > LARGEST) process.exitCode = 1
await browser.close()
await close()
