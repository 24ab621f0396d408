// The requests that client libraries of Mailpit and maildev make, and what they read of the answers. They were looked up in,
// and tried with, mailpit-api 2.1.0, cypress-mailpit 2.0.0 and cypress-maildev 2.0.0.

import t, { type Test } from 'tap'
import { MAIL, startTestCatcher } from './fixtures/catcher.ts'

interface Asked {
  readonly params?: Record<string, string | number>
  readonly body?: object
  readonly as?: 'json' | 'text' | 'blob'
}

/** A client as mailpit-api is one: any answer but 200 is an error. */
async function clientOf(t: Test) {
  const catcher = await startTestCatcher(t)
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server answers
  const ask = async (method: string, path: string, { params = {}, body, as = 'json' }: Asked = {}): Promise<any> => {
    const url = new URL(catcher.url.replace(/\/+$/, '') + path)
    for (const [key, value] of Object.entries(params)) url.searchParams.set(key, String(value))
    const headers: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (response.status !== 200) throw new Error(`${response.status} at ${path}: ${await response.text()}`)
    return response[as]()
  }
  return { catcher, ask }
}

const SIGN_UP = {
  ...MAIL,
  subject: 'Confirm your address',
  html: '<p>Hello <img src="cid:logo"></p>',
  list: { unsubscribe: { url: 'https://example.org/u', comment: 'x' } },
  attachments: [
    { filename: 'terms.txt', content: 'abc' },
    { cid: 'logo', content: 'GIF', contentType: 'image/gif', contentDisposition: 'inline' as const },
  ],
}

t.test('mailpit-api: wait, read, delete', async t => {
  const { catcher, ask } = await clientOf(t)
  t.match(await ask('GET', '/api/v1/search', { params: { query: 'to:anna@example.org' } }), {
    messages_count: 0,
    messages: [],
  })
  await catcher.send(SIGN_UP)
  await catcher.send({ ...MAIL, to: 'carl@example.org', subject: 'Other' })
  const found = await ask('GET', '/api/v1/search', {
    params: { query: 'to:anna@example.org subject:"confirm your"', start: 0, limit: 10, tz: 'Europe/Berlin' },
  })
  t.match(found, { messages_count: 1, messages_unread: 1, total: 2, unread: 2, count: 1, start: 0, tags: [] })
  const id = found.messages[0].ID as string
  const message = await ask('GET', `/api/v1/message/${id}`)
  t.match(message, {
    ID: id,
    Subject: 'Confirm your address',
    From: { Address: 'bob@example.org', Name: 'Bob' },
    To: [{ Address: 'anna@example.org' }],
    Text: /Hello Anna/,
    HTML: /<p>Hello/,
    ListUnsubscribe: { Header: /<https:/, Links: ['https://example.org/u'], HeaderPost: '' },
  })
  const [part] = message.Attachments
  t.match(part, { FileName: 'terms.txt', Size: 3 })
  t.equal(part.Checksums.SHA256, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  const blob = (await ask('GET', `/api/v1/message/${id}/part/${part.PartID}`, { as: 'blob' })) as Blob
  t.equal(await blob.text(), 'abc')
  for (const wrong of ['9', 'x']) await t.rejects(ask('GET', `/api/v1/message/${id}/part/${wrong}`), /^404/)
  t.match(await ask('GET', `/api/v1/message/${id}/headers`), { Subject: ['Confirm your address'] })
  t.match(await ask('GET', `/api/v1/message/${id}/raw`, { as: 'text' }), 'Subject: Confirm your address')
  t.match(
    await ask('GET', `/view/${id}.html`, { params: { embed: 1 }, as: 'text' }),
    'src="data:image/gif;base64,R0lG"',
  )
  t.match(await ask('GET', '/view/latest.txt', { as: 'text' }), /^Hello Anna/)
  t.match(await ask('GET', `//view/${id}.txt`, { as: 'text' }), /^Hello Anna/, 'cypress-mailpit has two slashes')
  for (const path of ['/view/latest.html', '/view/none.txt', '/view/latest', '/view/.html']) {
    await t.rejects(ask('GET', path), /^404/, path)
  }
  t.strictSame(await ask('GET', '/api/v1/tags'), [])
  t.equal((await ask('GET', '/api/v1/messages', { params: { start: 0, limit: 50 } })).messages.length, 2)

  for (const query of [' ', '""', 'to:""', '-""']) {
    await t.rejects(ask('DELETE', '/api/v1/search', { params: { query } }), /^400 .*deletes all/)
  }
  const long = `anna ${'x'.repeat(200)}`
  await t.rejects(ask('DELETE', '/api/v1/search', { params: { query: long } }), /^400 .*longer than 200/)
  t.equal(await ask('DELETE', '/api/v1/search', { params: { query: 'to:carl@example.org' }, as: 'text' }), 'ok')
  t.match(await ask('GET', '/api/v1/messages'), { total: 1, messages: [{ ID: id }] })
  t.equal(await ask('DELETE', '/api/v1/messages', { body: { IDs: [id] }, as: 'text' }), 'ok')
  t.equal(await ask('DELETE', '/api/v1/messages', { as: 'text' }), 'ok')
  t.match(await ask('GET', '/api/v1/messages'), { total: 0, messages: [] })
  await t.rejects(ask('POST', '/api/v1/send', { body: {} }), /^404.*error/)
})

t.test('mailpit-api: read and unread, and what runs', async t => {
  const { catcher, ask } = await clientOf(t)
  await catcher.send({ ...MAIL, subject: 'First' })
  await catcher.send({ ...MAIL, subject: 'Second' })
  const found = async (query: string): Promise<string[]> => {
    const { messages, messages_count } = await ask('GET', '/api/v1/search', { params: { query } })
    t.equal(messages.length, messages_count)
    return messages.map(({ Subject }: { Subject: string }) => Subject)
  }
  const [second, first] = (await ask('GET', '/api/v1/messages')).messages
  t.match(
    [second, first],
    [
      { Subject: 'Second', Read: false },
      { Subject: 'First', Read: false },
    ],
  )
  t.match(await ask('GET', '/api/v1/message/latest'), { Read: true })
  t.match(await ask('GET', '/api/v1/messages'), {
    unread: 1,
    messages_unread: 1,
    messages: [{ Read: true }, { Read: false }],
  })
  t.match(await ask('GET', '/api/v1/search', { params: { query: 'second' } }), { unread: 1, messages_unread: 0 })
  t.strictSame(await found('is:unread'), ['First'])
  t.strictSame(await found('is:read'), ['Second'])
  t.strictSame(await found('second !is:read'), [])
  t.strictSame(await found('-is:unread anna@example.org'), ['Second'])
  t.strictSame(await found('this:read'), [])

  const put = (body: object) => ask('PUT', '/api/v1/messages', { body, as: 'text' })
  t.equal(await put({ Read: true, IDs: [first.ID, 'gone'] }), 'ok')
  t.strictSame(await found('is:unread'), [])
  await put({ Read: false, Search: 'second' })
  t.strictSame(await found('is:unread'), ['Second'])
  await put({})
  t.strictSame(await found('is:unread'), ['Second', 'First'])
  await put({ Read: true })
  t.strictSame(await found('is:read'), ['Second', 'First'])
  for (const wrong of [{ Read: 'yes' }, { IDs: 7 }, { Search: 7 }])
    await t.rejects(put(wrong), /^400 .*the body is JSON/)

  await put({ Read: false, IDs: [first.ID] })
  await ask('DELETE', '/api/v1/search', { params: { query: 'is:read' }, as: 'text' })
  t.match(await ask('GET', '/api/v1/info'), {
    Version: /^mailhandler \d/,
    Messages: 1,
    Unread: 1,
    DatabaseSize: Number,
    Tags: {},
    RuntimeStats: { Uptime: Number, Memory: Number },
  })
})

t.test('a message without text, and one without a header for a list', async t => {
  const { catcher, ask } = await clientOf(t)
  const raw = 'Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/gif\n\nGIF\n--x--\n'
  await catcher.send({ envelope: { from: '', to: 'anna@example.org' }, raw })
  t.equal(await ask('GET', '/view/latest.txt', { as: 'text' }), '')
  t.strictSame((await ask('GET', '/api/v1/message/latest')).ListUnsubscribe, {
    Header: '',
    HeaderPost: '',
    Links: [],
    Errors: '',
  })
})

t.test('cypress-maildev: list, find, read, delete', async t => {
  const { catcher, ask } = await clientOf(t)
  t.equal(await ask('GET', '/healthz'), true)
  await catcher.send({ ...SIGN_UP, headers: { 'X-Ticket': '4711' } })
  await catcher.send({ ...MAIL, to: 'carl@example.org', subject: 'Other' })
  const all = (await ask('GET', '/email')) as { id: string; subject: string; to: { address: string }[] }[]
  t.strictSame(
    all.map(({ subject }) => subject),
    ['Confirm your address', 'Other'],
    'the newest is the last',
  )
  const mine = all.find(({ to }) => to.some(({ address }) => address === 'anna@example.org'))!
  t.match(await ask('GET', `/email/${mine.id}`), { id: mine.id, read: false, priority: 'normal', text: /Hello Anna/ })
  t.match(await ask('GET', `/email/${mine.id}/html`, { as: 'text' }), '<p>Hello')
  t.match(await ask('GET', `/email/${mine.id}/download`, { as: 'text' }), 'Subject: Confirm')
  await t.rejects(ask('GET', '/email/none/download'), /^404/)
  const filters: [Record<string, string>, number][] = [
    [{ subject: 'Other' }, 1],
    [{ subject: 'other' }, 0],
    [{ 'headers.x-ticket': '4711' }, 1],
    [{ 'headers.x-ticket': '4711', subject: 'Other' }, 0],
    [{ 'to.address': 'carl@example.org' }, 1],
    [{ 'to.0.address': 'carl@example.org' }, 1],
    [{ 'envelope.to.address': 'anna@example.org' }, 1],
    [{ 'subject.length': '5' }, 0],
    [{ constructor: 'x' }, 0],
    [{ read: 'false', skip: '1' }, 1],
  ]
  for (const [params, count] of filters)
    t.equal((await ask('GET', '/email', { params })).length, count, JSON.stringify(params))
  t.equal(await ask('DELETE', `/email/${mine.id}`), true)
  t.equal((await ask('GET', '/email')).length, 1)
  t.equal(await ask('DELETE', '/email/all'), true)
  t.strictSame(await ask('GET', '/email'), [])
})
