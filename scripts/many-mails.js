// `node scripts/many-mails.js [COUNT]`: sends so many mails to `mailhandler catch` while its page is open in Chromium, and says
// what the page and the process need. Run `npm run build` first.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createTransport } from 'nodemailer'
import { chromium } from 'playwright-core'

const COUNT = Number(process.argv[2] ?? 10_000)
const main = new URL('../dist/lib/cli/main.js', import.meta.url).pathname
const words = ['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0', '--size', '64MiB']
const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
const [, port, url] = await new Promise(resolve => {
  let output = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text
    const match = /mail on \S+:(\d+),[^]*page is (\S+)\n/.exec(output)
    if (match !== null) resolve(match)
  })
})
const memory = () => {
  const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
  return `${Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024)} MiB`
}
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
const page = await browser.newPage()
await page.goto(url)
await page.getByRole('status').getByText('0 mails').waitFor()
const timed = async (what, work) => {
  const start = performance.now()
  await work()
  console.log(`${what}: ${Math.round(performance.now() - start)} ms`)
}
console.log(`memory at the start: ${memory()}`)
const transport = createTransport({
  host: '127.0.0.1',
  port: Number(port),
  pool: true,
  maxConnections: 5,
  maxMessages: 1000,
})
await timed(`${COUNT} mails sent`, async () => {
  let next = 0
  const send = async () => {
    while (next < COUNT) {
      const number = next++
      const text = `Mail number ${number}\n`.repeat(100)
      await transport.sendMail({
        from: 'bob@example.org',
        to: 'anna@example.org',
        subject: `Mail ${number}`,
        text,
        html: `<p>${text}</p>`,
      })
    }
  }
  await Promise.all(Array.from({ length: 20 }, send))
})
transport.close()
const { total, octets, dropped } = await (await fetch(new URL('/api/mails', url))).json()
console.log(`kept: ${total} mails, ${Math.round(octets / 2 ** 20)} MiB, ${dropped} pushed out; memory ${memory()}`)
await timed('the last mail is shown', () => page.locator('#rows button', { hasText: `Mail ${COUNT - 1}` }).waitFor())
await timed('a search is shown', async () => {
  await page.getByRole('searchbox').fill(`mail ${COUNT - 10}`)
  await page.getByRole('status').getByText(/^1 of/).waitFor()
})
await timed('a mail is opened', async () => {
  await page.locator('#rows button').first().click()
  await page.locator('#part', { hasText: `Mail number ${COUNT - 10}` }).waitFor()
})
await page.getByRole('searchbox').fill('')
await timed('500 rows are shown', async () => {
  for (const rows of [200, 300, 400, 500]) {
    await page.getByRole('button', { name: 'Older' }).click()
    await page
      .locator('#rows button')
      .nth(rows - 1)
      .waitFor()
  }
})
const heap = await page.evaluate(() => Math.round((performance.memory?.usedJSHeapSize ?? 0) / 2 ** 20))
console.log(`the page: ${await page.locator('#rows button').count()} rows, ${heap} MiB of JavaScript`)
await browser.close()
child.kill('SIGTERM')
