// The page of `mailhandler catch` for those without a mouse, on a narrow screen, in the dark; and with hostile values.

import { createTransport } from 'nodemailer'
import type { Page } from 'playwright-core'
import t from 'tap'
import { button, openCatcher, row } from './fixtures/catch-page.ts'
import { MAIL } from './fixtures/catcher.ts'
import { eventually } from './fixtures/daemon.ts'
import { accessibilityProblems, noChromium, startChromium } from './fixtures/chromium.ts'

const skip = noChromium()
const browser = skip === false ? await startChromium() : null
t.teardown(() => browser?.close())

const focused = (page: Page): Promise<string> => page.evaluate<string>('document.activeElement.textContent')

t.test('with the keyboard alone', { skip }, async t => {
  const { catcher, page, complaints } = await openCatcher(t, browser!)
  await page.getByText('No mail has come yet.').waitFor()
  for (const subject of ['One', 'Two', 'Three']) await catcher.send({ ...MAIL, subject })
  await page.getByRole('status').getByText('3 mails').waitFor()
  await page.getByRole('searchbox').focus()
  for (const _ of [1, 2]) await page.keyboard.press('Tab') // past "Delete all mails"
  t.match(await focused(page), /^Three/, 'the list is one stop')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  t.match(await focused(page), /^One/)
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Two' }).waitFor()
  await catcher.send({ ...MAIL, subject: 'Four' })
  await row(page, 'Four').waitFor()
  t.match(await focused(page), /^Two/, 'a new mail does not take the focus away')
  await page.keyboard.press('Home')
  t.match(await focused(page), /^Four/)
  await page.keyboard.press('End')
  t.match(await focused(page), /^One/)
  await page.keyboard.press('Tab')
  t.equal(await focused(page), 'Text', 'then comes what was chosen')
  await page.route('**/api/mails/*', async route => {
    const response = await route.fetch()
    // The answer comes after the list was loaded again: its rows are others.
    if (route.request().method() === 'DELETE') await row(page, 'Two').waitFor({ state: 'detached' })
    await route.fulfill({ response })
  })
  await button(page, 'Delete').focus()
  await page.keyboard.press('Enter')
  await row(page, 'Two').waitFor({ state: 'detached' })
  await eventually(async () => (await focused(page)).startsWith('One'), 'the next one has not got the focus')
  await page.getByRole('searchbox').fill('zebra')
  await page.getByText('No mail has all of these words.').waitFor()
  t.strictSame(await accessibilityProblems(page), [])
  t.strictSame(complaints, [])
})

t.test('the views have only what works in them', { skip }, async t => {
  const { catcher, page } = await openCatcher(t, browser!)
  await catcher.send()
  await button(page, 'Sessions').click()
  await page.getByRole('status').getByText('1 session', { exact: true }).waitFor()
  t.equal(await page.getByRole('searchbox').isVisible(), false)
  t.equal(await button(page, 'Delete all mails').isVisible(), false)
  await button(page, 'Misbehaviour').click()
  await page.getByLabel('no AUTH for anybody').check()
  await button(page, 'Apply').click()
  await page.getByText('1 rule.').waitFor()
  await page.reload()
  await page.getByText('1 rule.').waitFor()
  await button(page, 'Misbehaviour').click()
  t.equal(await page.getByLabel('no AUTH for anybody').isChecked(), true, 'a rule that is on is shown as on')
  await button(page, 'Behave well').click()
  await button(page, 'Mails').click()
  t.equal(await page.getByRole('searchbox').isVisible(), true)
})

t.test('narrow and dark: one thing at a time', { skip }, async t => {
  const options = { viewport: { width: 360, height: 640 }, colorScheme: 'dark' } as const
  const { catcher, page, complaints } = await openCatcher(t, browser!, options)
  const long = 'a-very-long-word-without-a-space'.repeat(8)
  await catcher.send({ ...MAIL, subject: long, text: long, html: `<p>${long}</p>`, headers: { 'X-Long': long } })
  await row(page, 'a-very').click()
  await page.getByRole('heading', { name: 'a-very' }).waitFor()
  t.equal(await row(page, 'a-very').isVisible(), false)
  for (const part of ['Text', 'HTML', 'Source', 'Headers', 'Dialogue']) {
    await button(page, part).click()
    await page.locator('#part').waitFor()
    const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    t.ok(wide <= 0, `${part} fits the screen: ${wide}`)
  }
  t.strictSame(await accessibilityProblems(page), [])
  await button(page, 'Back to the list').click()
  t.match(await focused(page), /^a-very/)
  t.equal(await button(page, 'Back to the list').isVisible(), false)
  t.strictSame(await accessibilityProblems(page), [])
  t.strictSame(complaints, [])
})

t.test('values that a stranger chose are text, and look like what they are', { skip }, async t => {
  const { catcher, page, complaints } = await openCatcher(t, browser!)
  const evil = '<img src=x onerror="document.title=1">\u202Etxt.exe'
  const to = Array.from({ length: 30 }, (_, i) => `user${i}@example.org`)
  await catcher.send({
    ...MAIL,
    from: { name: evil, address: 'a@example.org' },
    to,
    subject: evil,
    headers: { 'X-Evil': evil },
    attachments: [{ filename: `a${evil}`, content: 'x' }],
  })
  const shown = row(page, '[U+202E]txt.exe')
  await shown.waitFor()
  t.match(await shown.textContent(), 'user19@example.org and 10 more')
  await shown.click()
  await page.getByRole('heading', { name: '[U+202E]txt.exe' }).waitFor()
  for (const part of ['Headers', 'Attachments (1)']) {
    await button(page, part).click()
    await page.getByRole('cell', { name: '[U+202E]' }).first().waitFor()
  }
  t.equal(await page.title(), 'Caught mail')
  t.strictSame(complaints, [])
})

t.test('more pages than the server tells', { skip }, async t => {
  const { catcher, page } = await openCatcher(t, browser!)
  const streams = new AbortController()
  for (let i = 0; i < 19; i++) await fetch(new URL('/api/events', catcher.url), { signal: streams.signal })
  const late = await page.context().newPage()
  await late.goto(catcher.url)
  await late.getByText('No mail has come yet.').waitFor()
  await catcher.send()
  await row(late, 'Welcome').waitFor() // it looks by itself
  streams.abort()
  await late.getByRole('status').getByText('1 mail').waitFor()
})

t.test('more mails than the list shows', { skip }, async t => {
  const { catcher, page } = await openCatcher(t, browser!)
  const transport = createTransport({ host: '127.0.0.1', port: catcher.smtpPort, pool: true, maxMessages: Infinity })
  for (let i = 0; i < 510; i++) await transport.sendMail({ ...MAIL, subject: `No. ${i}.` })
  transport.close()
  await page.getByRole('status').getByText('510 mails').waitFor()
  for (let shown = 100; shown < 500; shown += 100) {
    await button(page, 'Older').click()
    await page
      .locator('#rows li')
      .nth(shown + 99)
      .waitFor()
  }
  await page.getByText('The newest 500 are here. Search for older ones.').waitFor()
  t.equal(await button(page, 'Older').isVisible(), false)
  await page.getByRole('searchbox').fill('"no. 3."')
  await row(page, 'No. 3.').waitFor()
  await page.getByRole('status').getByText('1 of 510 mails').waitFor()
})
