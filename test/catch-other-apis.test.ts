// The endpoints of Mailpit and maildev that `mailhandler catch` has.

import t from 'tap'
import type { MailEntry } from '../lib/cli/catch/entry.ts'
import type { MailStore } from '../lib/cli/catch/mail-store.ts'
import { maildevRoutes } from '../lib/cli/catch/maildev-api.ts'
import { mailpitRoutes } from '../lib/cli/catch/mailpit-api.ts'
import type { ParsedMail } from '../lib/testing/catch/parsed-mail.ts'
import type { Route, WebRequest } from '../lib/web/routes.ts'
import { MAIL, startTestCatcher } from './fixtures/catcher.ts'

t.test('Mailpit', async t => {
  const { url, send } = await startTestCatcher(t)
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server answers
  const get = async (path: string): Promise<any> => (await fetch(new URL(path, url))).json()
  const remove = (body: string) => fetch(new URL('/api/v1/messages', url), { method: 'DELETE', body })
  const cc = ['Carl <carl@example.org>']
  const attachments = [
    { filename: 'a.txt', content: 'abc' },
    { cid: 'pic', content: 'GIF', contentType: 'image/gif', contentDisposition: 'inline' as const },
  ]
  await send({
    ...MAIL,
    cc,
    replyTo: 'r@example.org',
    messageId: '<1@example.org>',
    html: '<img src=cid:pic>',
    attachments,
  })
  await send({
    ...MAIL,
    subject: 'Other',
    from: '',
    envelope: { from: '', to: 'anna@example.org' },
    headers: { 'X-A': ['1', '2'] },
  })
  const list = await get('/api/v1/messages?limit=1&start=1')
  t.match(list, { total: 2, unread: 2, count: 1, start: 1, messages_count: 2 })
  t.match(list.messages, [
    {
      MessageID: '1@example.org',
      From: { Name: 'Bob', Address: 'bob@example.org' },
      To: [{ Name: '', Address: 'anna@example.org' }],
      Cc: [{ Name: 'Carl', Address: 'carl@example.org' }],
      Subject: 'Welcome',
      Attachments: 2,
      Read: false,
      Snippet: 'Hello Anna',
    },
  ])
  const [{ ID }] = list.messages
  t.match(await get(`/api/v1/message/${ID}`), {
    ID,
    ReplyTo: [{ Address: 'r@example.org' }],
    ReturnPath: 'bob@example.org',
    Text: 'Hello Anna\n',
    HTML: /^<img/,
    Attachments: [{ FileName: 'a.txt', Size: 3 }],
    Inline: [{ ContentID: 'pic' }],
    Date: /^\d{4}-/,
  })
  t.match(await get('/api/v1/message/latest'), { From: null, Subject: 'Other', HTML: '' })
  t.match(await get('/api/v1/message/latest/headers'), { Subject: ['Other'], 'X-A': ['1', '2'] })
  t.match(await (await fetch(new URL(`/api/v1/message/${ID}/raw`, url))).text(), 'Subject: Welcome\r\n')
  t.match(await get('/api/v1/search?query=carl'), { messages_count: 1, messages: [{ ID }] })
  t.equal((await get('/api/v1/search')).messages_count, 2)
  t.equal((await fetch(new URL('/api/v1/message/none', url))).status, 404)
  for (const wrong of ['{', '{"IDs":1}']) t.equal((await remove(wrong)).status, 400)
  t.equal(await (await remove(`{"IDs":["${ID}"]}`)).text(), 'ok')
  t.equal((await get('/api/v1/messages')).total, 1)
  for (const all of ['', '{}', 'null']) {
    await remove(all)
    t.equal((await get('/api/v1/messages')).total, 0)
    await send()
  }
})

t.test('a message that lacks what they tell', async t => {
  const { url, send } = await startTestCatcher(t)
  const get = async (path: string): Promise<unknown> => (await fetch(new URL(path, url))).json()
  const parts = '--x\nContent-Type: text/html\n\n<p>Hi\n--x\nContent-Type: image/gif\nContent-ID: <a>\n\nGIF\n--x--\n'
  const raw = `Content-Type: multipart/mixed; boundary=x\n\n${parts}`
  await send({ envelope: { from: '', to: 'anna@example.org' }, raw })
  t.match(await get('/api/mails?search=anna'), { total: 1, mails: [{ from: null, messageId: null }] })
  const inline = { ContentID: 'a', FileName: '', ContentType: 'image/gif' }
  t.match(await get('/api/v1/message/latest'), { Text: '', MessageID: '', ReturnPath: '', Inline: [inline] })
  t.match(await get('/email'), [{ text: '', messageId: '', date: /^\d{4}/, attachments: [{ fileName: null }] }])
})

t.test('maildev', async t => {
  const { url, send } = await startTestCatcher(t)
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server answers
  const get = async (path: string): Promise<any> => (await fetch(new URL(path, url))).json()
  const ask = (path: string, method = 'GET') => fetch(new URL(path, url), { method })
  await send({ ...MAIL, html: '<b>Hi</b>', attachments: [{ filename: 'a b.txt', content: 'abc' }] })
  await send({ ...MAIL, subject: 'Other', from: '', envelope: { from: '', to: 'anna@example.org' }, date: 'never' })
  const [first, second, ...rest] = await get('/email')
  t.equal(rest.length, 0)
  t.match(first, {
    subject: 'Welcome',
    from: [{ name: 'Bob', address: 'bob@example.org' }],
    to: [{ address: 'anna@example.org' }],
    envelope: { from: { address: 'bob@example.org' }, to: [{ address: 'anna@example.org' }] },
    text: 'Hello Anna\n',
    html: /<b>Hi<\/b>/,
    headers: { subject: 'Welcome' },
    attachments: [{ fileName: 'a b.txt', length: 3 }],
  })
  t.match(second, { subject: 'Other', from: [], html: '' })
  t.strictSame(await get(`/email/${first.id}`), first)
  const html = await ask(`/email/${first.id}/html`)
  t.match(html.headers.get('content-security-policy'), /^sandbox; /)
  t.match(await html.text(), '<b>Hi</b>')
  t.equal((await ask(`/email/${second.id}/html`)).status, 200)
  t.match(await (await ask(`/email/${first.id}/source`)).text(), 'Subject: Welcome')
  const download = await ask(`/email/${first.id}/download`)
  t.equal(download.headers.get('content-disposition'), 'attachment; filename="mail.eml"')
  const file = await ask(`/email/${first.id}/attachment/a%20b.txt`)
  t.equal(await file.text(), 'abc')
  t.match(file.headers.get('content-disposition'), /^attachment; /)
  t.equal((await ask(`/email/${first.id}/attachment/none`)).status, 404)
  t.equal((await ask(`/email/${first.id}`, 'DELETE')).status, 200)
  t.equal((await ask(`/email/${first.id}`, 'DELETE')).status, 404)
  t.equal(await (await ask('/email/all', 'DELETE')).json(), true)
  t.strictSame(await get('/email'), [])
})

async function answerOf(routes: Route[], path: string, params = {}): Promise<unknown> {
  const route = routes.find(each => each.path === path)!
  const request = { params, query: new URLSearchParams() } as unknown as WebRequest
  return JSON.parse((await route.handle(request)).body as string)
}

t.test('Mailpit: half a million fields of one name', async t => {
  const headers = Array.from({ length: 50_000 }, () => ({ name: 'a', value: 'b' }))
  const store = { entry: () => ({ id: '1' }), mail: async () => ({ headers }) } as unknown as MailStore
  const { a } = (await answerOf(mailpitRoutes(store), '/api/v1/message/:id/headers', { id: '1' })) as { a: string[] }
  t.equal(a.length, 50_000)
})

t.test('maildev: the list opens one message after the other, 50 MiB in all', async t => {
  const sizes = [10, 20, 15, 10].map(size => size * 2 ** 20)
  const entries = sizes.map((size, i) => ({ id: `${i}`, size, receivedAt: '2026', envelope: { from: '', to: [] } }))
  const opened: string[] = []
  let open = 0
  let most = 0
  const mail = async (id: string): Promise<ParsedMail | null> => {
    opened.push(id)
    most = Math.max(most, ++open)
    await new Promise(resolve => setImmediate(resolve))
    open--
    return id === '1' ? null : ({ headers: [], attachments: [] } as unknown as ParsedMail)
  }
  const store = { mail, page: () => ({ total: 4, entries: entries as unknown as MailEntry[] }) } as unknown as MailStore
  const routes = maildevRoutes(store)
  const lists = await Promise.all([answerOf(routes, '/email'), answerOf(routes, '/email')])
  for (const list of lists) t.match(list, [{ id: '2' }, { id: '0' }])
  t.equal(most, 1, 'of two lists too')
  t.strictSame(opened, ['0', '1', '2', '0', '1', '2'])
})
