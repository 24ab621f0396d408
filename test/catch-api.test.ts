// The API of `mailhandler catch`, and what keeps strangers out.

import { request, type IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { readRules } from '../lib/cli/catch/rule-json.ts'
import { apiRoutes, type CatchApi } from '../lib/cli/catch/routes.ts'
import { readText } from './fixtures/repository.ts'
import { MAIL, startTestCatcher, type TestCatcher } from './fixtures/catcher.ts'
import { selfSigned } from './fixtures/self-signed.ts'

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server answers
  readonly json: any
}

async function ask({ url }: TestCatcher, path: string, options: RequestInit = {}): Promise<Answer> {
  const response = await fetch(new URL(path, url), options)
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : null }
}

const put = (body: string, type = 'application/json'): RequestInit => {
  return { method: 'PUT', body, headers: { 'content-type': type } }
}

const ATTACHED = {
  ...MAIL,
  html: '<p>Hi <img src="cid:pic%40x"><img src="cid:none"><img src=cid:bad%></p>',
  attachments: [
    { filename: 'naïve "x".html', content: '<script>alert(1)</script>', contentType: 'text/html' },
    { cid: 'pic@x', content: Buffer.from('GIF'), contentType: 'image/gif' },
  ],
}

t.test('list, open, delete', async t => {
  const catcher = await startTestCatcher(t)
  t.strictSame((await ask(catcher, '/api/mails')).json, { total: 0, all: 0, octets: 0, dropped: 0, mails: [] })
  await catcher.send(ATTACHED)
  await catcher.send({ ...MAIL, subject: 'Other', text: 'Pears' })
  const { json } = await ask(catcher, '/api/mails?limit=1')
  t.match(json, { total: 2, all: 2, mails: [{ subject: 'Other', snippet: 'Pears', attachments: 0 }] })
  const [mail] = (await ask(catcher, '/api/mails?search=bob%20welcome')).json.mails
  t.match(mail, { subject: 'Welcome', attachments: 2, envelope: { from: 'bob@example.org', to: ['anna@example.org'] } })
  const path = `/api/mails/${mail.id}`
  const detail = (await ask(catcher, path)).json
  t.match(detail, { text: 'Hello Anna\n', hasHtml: true, problem: null, sessionId: mail.sessionId })
  t.match(detail.headers[0], { name: 'From', value: 'Bob <bob@example.org>' })
  t.match(detail.attachments, [
    { contentType: 'image/gif', contentId: 'pic@x', size: 3 },
    { filename: 'naïve "x".html' },
  ])
  t.match((await ask(catcher, '/api/mails/latest')).json, { subject: 'Other', hasHtml: false })
  t.equal((await ask(catcher, '/api/mails/latest/html')).status, 404)
  t.equal((await ask(catcher, '/api/mails/latest/dialogue')).status, 200)

  const dialogue = (await ask(catcher, `${path}/dialogue`)).json
  t.equal(dialogue.id, mail.sessionId)
  const said = dialogue.turns.map(({ side, text }: { side: string; text: string }) => `${side} ${text}`).join('')
  t.match(said, /^S 220 catch\.mailhandler\.test [^]*C EHLO [^]*C MAIL FROM:<bob@example\.org>[^]*S 250 2\.0\.0 OK/)

  t.strictSame((await ask(catcher, path, { method: 'DELETE' })).json, { deleted: 1 })
  for (const part of ['', '/html', '/source', '/dialogue', '/attachments/0']) {
    t.equal((await ask(catcher, path + part)).status, 404, part)
  }
  t.equal((await ask(catcher, path, { method: 'DELETE' })).status, 404)
  t.match(await ask(catcher, '/api/mails/latest', { method: 'DELETE' }), { status: 400, text: /give the id of a mail/ })
  const wrong: [string, number, RegExp][] = [
    [
      '/api/mails?serach=x',
      400,
      /^serach: there is no such parameter, only search, start, limit; did you mean search\?$/,
    ],
    ['/api/mails?limit=ten', 400, /^limit is a number, 0 or more, not "ten"; an answer has 500 mails at most$/],
    ['/api/mails?start=-1', 400, /^start is a number, 0 or more, not "-1"/],
    ['/api/mails/none', 404, /^it is not there: .*GET \/api\/mails lists/],
    ['/api/sessions/none', 404, /^this session is not one of the last 200; GET \/api\/sessions/],
    ['/api/mail', 404, /^there is no such path here; GET \/openapi\.json/],
    ['/api/misbehaviour/1', 404, /^there is no such path/],
  ]
  for (const [address, status, error] of wrong)
    t.match(await ask(catcher, address), { status, json: { error } }, address)
  t.match(await ask(catcher, '/api/mails', { method: 'POST' }), { status: 405, json: { error: /^DELETE only|DELETE/ } })
  const asBrowser = await ask(catcher, '/nothing', { headers: { accept: 'text/html,*/*' } })
  t.match(asBrowser, { status: 404, text: /^there is no such path here/, json: null })
  t.strictSame((await ask(catcher, '/api/mails', { method: 'DELETE' })).json, { deleted: 1 })
})

t.test('what a stranger wrote is never run and never shown as it likes', async t => {
  const catcher = await startTestCatcher(t)
  await catcher.send(ATTACHED)
  const html = await ask(catcher, '/api/mails/latest/html')
  t.equal(html.headers.get('content-type'), 'text/html; charset=utf-8')
  const policy = html.headers.get('content-security-policy') ?? ''
  t.match(policy, /^sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline';/)
  t.equal(html.headers.get('x-dns-prefetch-control'), 'off')
  t.equal((await ask(catcher, '/')).headers.get('x-dns-prefetch-control'), 'off')
  t.equal(html.headers.get('x-content-type-options'), 'nosniff')
  t.match(html.text, '<img src="data:image/gif;base64,R0lG"><img src="cid:none"><img src=cid:bad%>')

  const file = await ask(catcher, '/api/mails/latest/attachments/1')
  t.equal(file.text, '<script>alert(1)</script>')
  t.match(Object.fromEntries(file.headers), {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="na_ve _x_.html"; filename*=UTF-8''na%C3%AFve%20%22x%22.html`,
    'x-content-type-options': 'nosniff',
  })
  for (const index of ['2', 'x', '-1']) {
    t.equal((await ask(catcher, `/api/mails/latest/attachments/${index}`)).status, 404)
  }
  const source = await ask(catcher, '/api/mails/latest/source')
  t.match(source.headers.get('content-type'), 'text/plain')
  t.match(source.headers.get('content-security-policy'), /^sandbox; /)
  t.match(source.text, 'Subject: Welcome\r\n')

  await catcher.send({ ...MAIL, attachments: [{ content: 'x', contentType: 'application/x-thing', filename: false }] })
  const nameless = await ask(catcher, '/api/mails/latest/attachments/0')
  t.match(nameless.headers.get('content-disposition'), 'filename="attachment"')
})

t.test('elements that reach out past any policy are renamed', async t => {
  const catcher = await startTestCatcher(t)
  const html =
    '<LINK rel=preconnect href="http://x"><meta http-equiv=refresh><base href=x><IFrame srcdoc="&lt;link>">' +
    '<linked><a target=_top x="y"target = _self href="?target=1">target=x<object data=x><embed src=x><script>1</script><frameset><metadata><svg><math ><svgx>'
  await catcher.send({ ...MAIL, html })
  const { text } = await ask(catcher, '/api/mails/latest/html')
  t.match(text, '<x-LINK rel=preconnect href="http://x"><x-meta http-equiv=refresh><x-base href=x><x-IFrame srcdoc=')
  t.match(
    text,
    '<linked><a x-target=_top x="y"x-target = _self href="?target=1">target=x<x-object data=x><x-embed src=x><x-script>1</x-script><x-frameset><metadata><x-svg><x-math ><svgx>',
  )
})

t.test('images above 20 MiB are left out', async t => {
  const catcher = await startTestCatcher(t)
  const image = { content: Buffer.alloc(11 * 2 ** 20), contentType: 'image/png' }
  const attachments = [
    { ...image, cid: 'a' },
    { ...image, cid: 'b' },
    { content: 'x', cid: 'c', contentType: 'text/css' },
  ]
  await catcher.send({ ...MAIL, html: '<img src="cid:a"><img src="cid:b"><img src="cid:c">', attachments })
  const { text } = await ask(catcher, '/api/mails/latest/html')
  t.match(text.slice(0, 100), '<img src="data:image/png;base64,AAAA')
  t.match(text.slice(-100), '"><img src="cid:b"><img src="cid:c">')
})

t.test('an image that is shown often counts each time', async t => {
  const catcher = await startTestCatcher(t)
  const attachments = [{ content: Buffer.alloc(2 ** 20), contentType: 'image/png', cid: 'a' }]
  await catcher.send({ ...MAIL, html: '<img src="cid:a">'.repeat(100), attachments })
  const { text } = await ask(catcher, '/api/mails/latest/html')
  const shown = text.split('data:image/png').length - 1
  t.ok(shown > 10 && shown < 20, `${shown} of 100`)
  t.equal(text.split('src="cid:a"').length - 1, 100 - shown)
})

t.test('a thousand recipients: the list has some, the mail and the search have all', async t => {
  const catcher = await startTestCatcher(t)
  const to = Array.from({ length: 150 }, (_, i) => `user${i}@example.org`)
  await catcher.send({ ...MAIL, envelope: { from: 'bob@example.org', to } })
  const { mails } = (await ask(catcher, '/api/mails?search=to:user149@')).json
  t.match(mails, [{ recipients: 150 }])
  t.equal(mails[0].envelope.to.length, 100)
  t.equal((await ask(catcher, '/api/mails/latest')).json.envelope.to.length, 150)
})

t.test('a start with a folder that has more than the limits', async t => {
  const folder = t.testdir()
  const first = await startTestCatcher(t, { folder })
  for (const subject of ['1', '2']) await first.send({ ...MAIL, subject })
  const second = await startTestCatcher(t, { folder, messages: 1 })
  t.match((await ask(second, '/api/mails')).json, { all: 1 })
})

t.test('sessions, those without a message too', async t => {
  const catcher = await startTestCatcher(t, {
    rules: readRules([{ at: 'RCPT', reply: '550 5.1.1 No such user' }]),
  })
  t.match((await ask(catcher, '/api/misbehaviour')).json, { rules: [{ at: 'RCPT' }] })
  await t.rejects(catcher.send())
  const { sessions } = (await ask(catcher, '/api/sessions')).json
  t.match(sessions, [{ address: '127.0.0.1', protocol: 'ESMTP', user: null }])
  const session = (await ask(catcher, `/api/sessions/${sessions[0].id}`)).json
  t.match(JSON.stringify(session.turns), '550 5.1.1 No such user')
  t.equal((await ask(catcher, '/api/sessions/none')).status, 404)
})

t.test('misbehaviour is switched on and off', async t => {
  const catcher = await startTestCatcher(t)
  const events = await fetch(new URL('/api/events', catcher.url))
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader()
  let told = ''
  const tells = async (text: string): Promise<void> => {
    while (!told.includes(text)) told += (await reader.read()).value ?? ''
  }
  const rules = [{ at: 'RCPT', when: { recipient: '/^anna@/' }, reply: '452 4.2.2 Mailbox full' }]
  t.strictSame((await ask(catcher, '/api/misbehaviour', put(JSON.stringify({ rules })))).json, { rules })
  await tells('event: misbehaviour\ndata: {"rules":[{"at":"RCPT"')
  await t.rejects(catcher.send(), { message: /452 4\.2\.2 Mailbox full/ })
  await catcher.send({ ...MAIL, to: 'carl@example.org' })
  await tells('event: mail\ndata: {"id":"')
  await tells('event: session\ndata: {"id":"')
  t.strictSame((await ask(catcher, '/api/misbehaviour')).json, { rules })
  t.strictSame((await ask(catcher, '/api/misbehaviour', put('{"rules":[]}'))).json, { rules: [] })
  await catcher.send()
  await ask(catcher, '/api/mails', { method: 'DELETE' })
  await tells('event: removed\ndata: {"ids":["')
  const wrong: [RequestInit, number, RegExp][] = [
    [put('{"rules":[{"at":"x"}]}'), 400, /rules\[0\]\.at is one of/],
    [put('{'), 400, /the body is not JSON: /],
    [put('null'), 400, /rules is a list/],
    [put('{}', 'text/plain'), 415, /application\/json/],
    [{ method: 'PUT' }, 415, /application\/json/],
    [put(' '.repeat(65_537)), 413, /^\{"error":"no more than 65536 octets"\}$/],
  ]
  for (const [options, status, text] of wrong) {
    t.match(await ask(catcher, '/api/misbehaviour', options), { status, text })
  }
  await reader.cancel()
})

/** Asks with headers that fetch() does not let a program set. */
function askAs(catcher: TestCatcher, path: string, method: string, headers: IncomingHttpHeaders): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(new URL(path, catcher.url), { method, headers, agent: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asking.on('error', reject).end()
  })
}

t.test('other origins, other host names, other addresses', async t => {
  const catcher = await startTestCatcher(t, { hosts: ['mail.test'] })
  await catcher.send()
  const { host } = new URL(catcher.url)
  const paths = ['/', '/openapi.json', '/api/mails', '/api/events', '/api/v1/messages', '/email']
  for (const path of paths) t.equal(await askAs(catcher, path, 'GET', { host: 'evil.example' }), 403, path)
  t.equal(await askAs(catcher, '/', 'GET', { host: 'mail.test' }), 200)
  const cross = { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }
  for (const path of paths) t.equal(await askAs(catcher, path, 'GET', cross), 403, path)
  for (const [method, path] of [
    ['DELETE', '/api/mails'],
    ['DELETE', '/api/mails/latest'],
    ['PUT', '/api/misbehaviour'],
    ['DELETE', '/api/v1/messages'],
    ['DELETE', '/email/all'],
  ] as const) {
    t.equal(await askAs(catcher, path, method, { host, origin: 'http://evil.example' }), 403, path)
    t.equal(await askAs(catcher, path, method, { host, origin: 'null' }), 403, path)
  }
  t.equal((await ask(catcher, '/api/mails')).json.total, 1, 'nothing was deleted')

  const open = await startTestCatcher(t, { page: { host: '0.0.0.0', port: 0 } })
  t.match(open.url, /\?token=[0-9a-f]{32}$/, 'beyond the loopback it takes a token')
  t.equal((await ask(open, '/api/mails')).status, 401)
  const token = new URL(open.url).searchParams.get('token')
  t.equal((await ask(open, '/api/mails', { headers: { authorization: `Bearer ${token}` } })).status, 200)
})

t.test('the page: no script but its own', async t => {
  const catcher = await startTestCatcher(t)
  const { headers, text } = await ask(catcher, '/')
  const policy = headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/)
  t.match(policy, "frame-src 'self'")
  t.notMatch(text, /(?:src|href)="(?!data:,")/, 'no asset beside it')
})

t.test('STARTTLS, and a port that is taken', async t => {
  const tls = selfSigned()
  const catcher = await startTestCatcher(t, { tls })
  await catcher.send()
  const [session] = (await ask(catcher, '/api/sessions')).json.sessions
  const { turns } = (await ask(catcher, `/api/sessions/${session.id}`)).json
  t.match(JSON.stringify(turns), 'STARTTLS')
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => taken.once('listening', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  await t.rejects(startTestCatcher(t, { smtp: { host: '127.0.0.1', port } }), {
    name: 'ListenError',
    message: /another program listens there/,
  })
})

t.test('openapi.json has every route, and no other', (t: Test) => {
  const { paths } = JSON.parse(readText('share/catch/openapi.json')) as { paths: Record<string, object> }
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(each => `${each} ${path}`),
  )
  const routes = apiRoutes({} as CatchApi).map(({ path, method = 'GET' }) => {
    return `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`
  })
  t.strictSame(described.toSorted(), routes.toSorted())
  t.end()
})
