// The page of `mailhandler catch` in Chromium: it is live, it can be used by everybody, and hostile mail does nothing.

import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { button, openCatcher, row } from './fixtures/catch-page.ts'
import { MAIL } from './fixtures/catcher.ts'
import { accessibilityProblems, noChromium, startChromium } from './fixtures/chromium.ts'

const skip = noChromium()
const browser = skip === false ? await startChromium('evil.example', 'prefetch.example') : null
t.teardown(() => browser?.close())

t.test('a mail appears with its dialogue, and is found, read and deleted', { skip }, async t => {
  const { catcher, page, complaints } = await openCatcher(t, browser!)
  const sent = Date.now()
  await catcher.send({ ...MAIL, attachments: [{ filename: 'notes.txt', content: 'abc' }] })
  await row(page, 'Welcome').waitFor()
  t.comment(`shown after ${Date.now() - sent} ms`)
  await catcher.send({ ...MAIL, subject: 'Other', html: '<p>Only <b>HTML</b></p>' })
  await row(page, 'Other').waitFor()
  await page.getByRole('searchbox').fill('welcome')
  await row(page, 'Other').waitFor({ state: 'detached' })
  await row(page, 'Welcome').click()
  await page.locator('#part', { hasText: 'Hello Anna' }).waitFor()
  await button(page, 'Dialogue').click()
  const dialogue = page.locator('.dialogue')
  await dialogue.waitFor()
  const said = (await dialogue.textContent()) ?? ''
  for (const line of ['220 catch.mailhandler.test', 'EHLO', 'MAIL FROM:<bob@example.org>', '354 ', '250 2.0.0 OK']) {
    t.match(said, line)
  }
  t.strictSame(await accessibilityProblems(page), [])
  await button(page, 'Source').click()
  await page.locator('#part pre', { hasText: 'Subject: Welcome' }).waitFor()
  await button(page, 'Headers').click()
  await page.getByRole('cell', { name: 'Subject' }).waitFor()
  t.strictSame(await accessibilityProblems(page), [])
  await button(page, 'Attachments (1)').click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'notes.txt' }).click(),
  ])
  t.equal(download.suggestedFilename(), 'notes.txt')
  await page.getByRole('searchbox').fill('')
  await row(page, 'Other').click()
  await button(page, 'HTML').click()
  await page.frameLocator('iframe').getByText('Only HTML').waitFor()
  t.strictSame(await accessibilityProblems(page), [])
  await button(page, 'Delete').click()
  await row(page, 'Other').waitFor({ state: 'detached' })
  page.once('dialog', dialog => void dialog.accept())
  await button(page, 'Delete all mails').click()
  await page.getByRole('status').getByText('0 mails').waitFor()
  t.strictSame(complaints, [])
})

t.test('misbehaviour and sessions', { skip }, async t => {
  const { catcher, page, complaints } = await openCatcher(t, browser!)
  await button(page, 'Misbehaviour').click()
  await page.getByLabel('452 at RCPT: the mailbox is full').check()
  await page.getByLabel('Only for this recipient').fill('/^anna@/')
  await button(page, 'Apply').click()
  await page.getByText('The server misbehaves on purpose: 1 rule.').waitFor()
  t.strictSame(await accessibilityProblems(page), [])
  await t.rejects(catcher.send(), { message: /452 4\.2\.2/ })
  await page.getByLabel('Rules, as JSON').fill('[{"at":"RCPT"}]')
  await button(page, 'Apply').click()
  await page.getByRole('alert').getByText('rules[0] has no reply').waitFor()
  await page.getByLabel('Rules, as JSON').fill('{')
  await button(page, 'Apply').click()
  await page.getByRole('alert').getByText('This is not JSON').waitFor()
  await button(page, 'Behave well').click()
  await page.locator('#warning').waitFor({ state: 'hidden' })
  await catcher.send()
  await button(page, 'Sessions').click()
  await page.locator('#rows button').nth(1).click()
  await page.locator('.dialogue', { hasText: '452 4.2.2 Mailbox full' }).waitFor()
  t.strictSame(await accessibilityProblems(page), [])
  // The browser itself tells of the answer 400.
  t.strictSame(
    complaints.filter(each => !each.includes('400 (Bad Request)')),
    [],
  )
})

/** A server that nothing may connect to. */
async function trap(t: Test): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = []
  const server = createServer(socket => {
    seen.push('a connection')
    socket.on('error', () => {}).on('data', chunk => seen.push(chunk.toString()))
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port, seen }
}

function hostileHtml(port: number): string {
  const at = (path: string): string => `http://evil.example:${port}/${path}`
  return `<meta http-equiv="refresh" content="0;url=${at('refresh')}">
<meta http-equiv="x-dns-prefetch-control" content="on"><base href="${at('base/')}">
<link rel="preconnect" href="${at('')}"><link rel="dns-prefetch" href="//prefetch.example">
<link rel="stylesheet" href="${at('css')}"><link rel="prefetch" href="${at('prefetch')}"><link rel="icon" href="${at('icon')}">
<script>parent.document.title = 'owned'; fetch('${at('script')}')</script><script src="${at('src.js')}"></script>
<script type="speculationrules">{"prefetch":[{"urls":["${at('rules')}"]}]}</script>
<style>@import url(${at('import')}); body { background: url(${at('background')}) } @font-face { font-family: x; src: url(${at('font')}) } p { font-family: x }</style>
<img src="${at('image')}" srcset="${at('set')} 2x" onerror="parent.document.title = 'owned'"><img src=x onerror="top.location='${at('top')}'">
<svg xmlns="http://www.w3.org/2000/svg" onload="parent.document.title = 'owned'"><image href="${at('svg')}"/><use href="${at('use#a')}"/><script>parent.document.title = 'owned'</script><foreignObject><iframe src="${at('foreign')}"></iframe></foreignObject></svg>
<iframe src="${at('frame')}"></iframe><iframe srcdoc="&lt;link rel=preconnect href='${at('')}'&gt;&lt;img src='${at('srcdoc')}'&gt;"></iframe>
<object data="${at('object')}"></object><embed src="${at('embed')}"><video poster="${at('poster')}" src="${at('video')}" autoplay></video><audio src="${at('audio')}" autoplay></audio>
<table background="${at('table')}"><tr><td>x</td></tr></table><input type="image" src="${at('input')}">
<form action="${at('form')}" method="post"><input name="a" value="b"><button id="submit">Send</button></form>
<form id="g" action="${at('get')}"></form><p id="text" style="background: url(${at('style')})">The text</p>
<a id="plain" href="${at('link')}" ping="${at('ping')}">plain</a> <a id="self" target="_self" href="${at('self')}">self</a>
<a id="toplink" target="_top" href="${at('toplink')}">top</a> <a id="save" download href="${at('save')}">save</a>
<a id="js" href="javascript:parent.document.title='owned'">js</a> <a id="jsself" target="_self" href="javascript:document.title='owned';document.body.textContent='owned'">js self</a>
<a id="data" target="_self" href="data:text/html,<script>fetch('${at('data')}')</script><img src='${at('dataimg')}'>">data</a>
<svg><a href="${at('svga')}"><text id="svgtext" y="20">svg</text></a><a href="${at('svgset')}"><set attributeName="target" to="_self"/><text id="svgset" y="40">set</text></a></svg>
<style>html, body, [onload] { animation: x 1s }</style><body onload="parent.document.title = 'owned'">`
}

const LINKS = ['submit', 'plain', 'self', 'toplink', 'save', 'js', 'jsself', 'data', 'svgtext', 'svgset']

t.test('a hostile mail does nothing, and nobody hears of it', { skip }, async t => {
  const { catcher, page } = await openCatcher(t, browser!)
  const { port, seen } = await trap(t)
  const title = await page.title()
  await catcher.send({ ...MAIL, subject: '<img src=x onerror="document.title=1">', html: hostileHtml(port) })
  await row(page, '<img').click()
  await button(page, 'HTML').click()
  const frame = page.frameLocator('iframe')
  await frame.getByText('The text').waitFor()
  for (const id of LINKS) {
    await button(page, 'HTML').click() // from the beginning
    await frame.locator(`#${id}`).click({ force: true })
    await page.waitForTimeout(100)
  }
  t.equal(await page.title(), title)
  t.equal(page.url(), catcher.url, 'the page itself has gone nowhere')
  t.equal(page.context().pages().length, 1, 'and has opened nothing')

  // The response by itself, without the frame around it.
  const alone = await page.context().newPage()
  const { mails } = (await (await fetch(new URL('/api/mails', catcher.url))).json()) as { mails: { id: string }[] }
  const url = new URL(`/api/mails/${mails[0]!.id}/html`, catcher.url).href
  await alone.goto(url)
  for (const id of LINKS) {
    await alone.locator(`#${id}`).click({ force: true })
    await alone.waitForTimeout(100)
  }
  t.equal(alone.url(), url)
  t.equal(await alone.title(), '')
  t.match(await alone.locator('#text').textContent(), 'The text')
  t.strictSame(seen, [], 'no connection')

  // The trap works: a page that is no mail reaches it.
  const free = await page.context().newPage()
  void free.goto(`http://evil.example:${port}/`).catch(() => {})
  while (seen.length === 0) await page.waitForTimeout(20)
})

t.test('a page of another origin reads and changes nothing', { skip }, async t => {
  const { catcher, page } = await openCatcher(t, browser!)
  await catcher.send()
  const other = await page.context().newPage()
  const { port } = new URL(catcher.url)
  await other.goto(`http://evil.example:${port}/`).catch(() => {})
  t.match(await other.textContent('body'), 'does not answer to this host name')
  await other.goto('about:blank')
  const outcome = await other.evaluate(async url => {
    const tries = [
      fetch(`${url}api/mails`, { mode: 'no-cors', method: 'POST' }),
      fetch(`${url}api/mails`, { method: 'DELETE' }),
      fetch(`${url}api/misbehaviour`, { method: 'PUT', body: '{"rules":[{"at":"RCPT","cut":true}]}' }),
      fetch(`${url}api/mails`),
    ]
    return (await Promise.allSettled(tries)).map(({ status }) => status)
  }, catcher.url)
  t.strictSame(outcome.slice(1), ['rejected', 'rejected', 'rejected'])
  const list = (await (await fetch(new URL('/api/mails', catcher.url))).json()) as { total: number }
  t.equal(list.total, 1)
  await catcher.send()
})
