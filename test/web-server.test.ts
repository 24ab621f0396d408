// A local web server: its headers, methods, errors and streams of events. Its bounds: cli-metrics-server.test.ts.

import { once } from 'node:events'
import { get, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { EventStreams } from '../lib/web/event-streams.ts'
import { createWeb, type Web, type WebOptions } from '../lib/web/web-server.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

async function listening(t: Test, options: WebOptions): Promise<{ web: Web; port: number }> {
  const web = createWeb(options)
  web.server.listen(0, '127.0.0.1')
  await once(web.server, 'listening')
  t.teardown(() => web.close())
  return { web, port: (web.server.address() as AddressInfo).port }
}

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

function ask(
  port: number,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
  body = '',
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', path, method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      response.on('error', reject)
    })
    asking.on('error', reject).end(body)
  })
}

/** Opens a stream of events. */
function open(t: Test, port: number, path = '/events'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = get({ port, host: '127.0.0.1', path, agent: false }, resolve).on('error', reject)
    t.teardown(() => asking.destroy())
  })
}

t.test('a page has the headers that keep it from being framed, scripted and kept', async t => {
  const { port } = await listening(t, { routes: [{ path: '/', handle: () => ({ type: 'text/html', body: 'hi' }) }] })
  const { status, headers, text } = await ask(port, '/?a=b')
  t.equal(status, 200)
  t.equal(text, 'hi')
  t.match(headers, {
    'cache-control': 'no-store',
    'content-type': 'text/html',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  })
  const policy = String(headers['content-security-policy'])
  for (const part of ["default-src 'none'", "script-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    t.match(policy, part)
  }
})

t.test('methods, hosts and paths', async t => {
  const body = Readable.from(['never read'])
  const { port } = await listening(t, {
    hosts: ['mail.example.org'],
    notFound: 'there is /\n',
    routes: [
      { path: '/', handle: ({ query }) => ({ body: `${query.get('a')}` }) },
      { path: '/stream', handle: () => ({ body }) },
      { path: '/probe', open: true, handle: () => ({ body: 'ok' }) },
      { path: '/thing/:id', method: 'DELETE', handle: ({ params: { id = '' } }) => ({ body: `gone: ${id}` }) },
    ],
  })
  const head = await ask(port, '/stream', 'HEAD')
  t.equal(head.status, 200)
  t.equal(head.text, '')
  t.equal(body.destroyed, true)
  t.equal((await ask(port, '/?a=1')).text, '1')
  const { status, headers } = await ask(port, '/', 'POST')
  t.equal(status, 405)
  t.equal(headers.allow, 'GET, HEAD')
  t.equal((await ask(port, '/thing/a%20b', 'DELETE')).text, 'gone: a b')
  t.equal((await ask(port, '/thing/1', 'DELETE', { origin: 'http://evil.example' })).status, 403)
  t.equal((await ask(port, '/none')).text, 'there is /\n')
  t.equal((await ask(port, 'http://evil.example/')).status, 404, 'a proxy request')
  t.equal((await ask(port, '/', 'GET', { host: 'evil.example' })).status, 403)
  t.equal((await ask(port, '/', 'GET', { host: 'mail.example.org' })).status, 200)
  t.equal((await ask(port, '/probe', 'GET', { host: 'evil.example' })).status, 200, 'an open route')
})

t.test('a body, if the route takes one', async t => {
  const echo: WebOptions['routes'][number]['handle'] = ({ body }) => ({ body: `got ${body.toString()}` })
  const { port } = await listening(t, {
    routes: [
      { path: '/takes', method: 'PUT', takes: 10, handle: echo },
      { path: '/takes', method: 'POST', handle: echo },
    ],
  })
  t.equal((await ask(port, '/takes', 'PUT', {}, '0123456789')).text, 'got 0123456789')
  t.equal((await ask(port, '/takes', 'PUT')).text, 'got ')
  t.equal((await ask(port, '/takes', 'POST', {}, '0123')).text, 'got ')
  const { status, text } = await ask(port, '/takes', 'PUT', {}, '0'.repeat(11))
  t.equal(`${status} ${text}`, '413 no more than 10 octets\n')
  const cut = connect({ port, host: '127.0.0.1' })
  cut.write('PUT /takes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n01')
  await once(cut, 'connect')
  cut.destroy()
  t.equal((await ask(port, '/takes', 'PUT', {}, 'still')).text, 'got still')
})

t.test('a token is asked for, not by open routes', async t => {
  const routes = [
    { path: '/', handle: () => ({ body: 'page' }) },
    { path: '/probe', open: true, handle: () => ({ body: 'ok' }) },
  ]
  const { port } = await listening(t, { routes, token: 'sesame' })
  t.equal((await ask(port, '/')).status, 401)
  t.equal((await ask(port, '/none')).status, 401)
  t.equal((await ask(port, '/probe')).status, 200)
  const { headers } = await ask(port, '/?token=sesame')
  const [cookie = ''] = headers['set-cookie'] ?? []
  t.equal((await ask(port, '/', 'GET', { cookie: cookie.split(';')[0]! })).text, 'page')
})

t.test('an error of a route is 500 and a warning; a stream that fails cuts the response', async t => {
  const { port } = await listening(t, {
    routes: [
      { path: '/throws', handle: () => { throw new Error('of the route') } }, // prettier-ignore
      { path: '/cut', handle: () => ({ body: new Readable({ read() { this.push('a'); this.destroy(new Error('x')) } }) }) }, // prettier-ignore
      { path: '/whole', handle: () => ({ body: Readable.from(['a', 'b']) }) },
    ],
  })
  const warned = once(process, 'warning')
  t.equal((await ask(port, '/throws')).status, 500)
  t.match((await warned)[0], { message: 'of the route' })
  await t.rejects(ask(port, '/cut'))
  t.equal((await ask(port, '/whole')).text, 'ab')
})

t.test('events reach every page, and the close ends them', async t => {
  const routes: WebOptions['routes'] = [
    { path: '/events', handle: () => web.streams.answer([{ event: 'now', data: { a: 'x\ny' } }]) },
  ]
  const { web, port } = await listening(t, { routes })
  web.streams.send({ event: 'nobody', data: null })
  const pages = await Promise.all([open(t, port), open(t, port)])
  t.equal(web.streams.size, 2)
  t.equal(pages[0].headers['content-type'], 'text/event-stream')
  const texts = ['', '']
  for (const [i, page] of pages.entries()) page.setEncoding('utf8').on('data', (text: string) => (texts[i] += text))
  web.streams.send({ event: 'more', data: [1] })
  const ended = Promise.all(pages.map(page => once(page, 'end')))
  await web.close()
  await ended
  const expected = 'retry: 2000\n\nevent: now\ndata: {"a":"x\\ny"}\n\nevent: more\ndata: [1]\n\n'
  t.strictSame(texts, [expected, expected])
  t.equal(web.streams.answer().status, 503)
  t.equal(web.streams.size, 0)
})

t.test('twenty pages listen at most, and a place is free again when one leaves', async t => {
  const { web, port } = await listening(t, { routes: [{ path: '/events', handle: () => web.streams.answer() }] })
  const pages = await Promise.all(Array.from({ length: 20 }, () => open(t, port)))
  const { status, headers } = await ask(port, '/events')
  t.equal(status, 503)
  t.equal(headers['retry-after'], '10')
  pages[0]!.destroy()
  while (web.streams.size > 19) await new Promise(resolve => setImmediate(resolve))
  t.equal((await open(t, port)).statusCode, 200)
})

t.test('requests that were sent ahead on one connection take no places', async t => {
  const { web, port } = await listening(t, { routes: [{ path: '/events', handle: () => web.streams.answer() }] })
  const client = connect(port, '127.0.0.1')
  client.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20))
  await once(client, 'data')
  await settle()
  t.equal(web.streams.size, 1)
  client.destroy()
  while (web.streams.size > 0) await new Promise(resolve => setImmediate(resolve))
})

function take(streams: EventStreams, page: Writable): void {
  streams.answer().take?.(page as unknown as ServerResponse)
}

/** Takes a stream over as the response would; `isRead` says whether its client reads. */
function fakePage(streams: EventStreams, isRead: boolean): Writable {
  const page = new Writable({
    write(_chunk, _encoding, done) {
      if (isRead) done()
    },
  })
  take(streams, Object.assign(page, { socket: { setTimeout() {} } }))
  return page
}

t.test('a page that does not read is dropped when too much waits for it', async t => {
  const streams = new EventStreams(new FakeClock())
  const slow = fakePage(streams, false)
  const fast = fakePage(streams, true)
  const data = 'x'.repeat(100_000)
  for (let i = 0; i < 2; i++) streams.send({ event: 'more', data })
  t.equal(slow.destroyed, false)
  streams.send({ event: 'more', data })
  t.equal(slow.destroyed, true, 'before it holds more')
  t.equal(streams.size, 1, 'its place is free at once')
  await settle()
  t.equal(fast.destroyed, false)
  t.equal(streams.size, 1)
})

t.test('a page that has not read a comment by the next one is dropped', async t => {
  const clock = new FakeClock()
  const streams = new EventStreams(clock)
  const slow = fakePage(streams, false)
  const fast = fakePage(streams, true)
  await clock.tick(15_000)
  t.equal(slow.destroyed, false)
  await clock.tick(15_000)
  t.equal(slow.destroyed, true)
  t.equal(streams.size, 1, 'its place is free at once')
  await clock.tick(60_000)
  t.equal(streams.size, 1)
  t.equal(clock.timers, 1)
  fast.destroy()
  await settle()
  t.equal(streams.size, 0)
  t.equal(clock.timers, 0)
})

t.test('nothing runs when the last page was dropped', async t => {
  const clock = new FakeClock()
  const streams = new EventStreams(clock)
  fakePage(streams, false)
  await clock.tick(30_000)
  t.strictSame([streams.size, clock.timers], [0, 0])
})

t.test('comments come through a socket', async t => {
  const clock = new FakeClock()
  const { web, port } = await listening(t, { clock, routes: [{ path: '/events', handle: () => web.streams.answer() }] })
  const page = await open(t, port)
  let text = ''
  page.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await clock.tick(15_000)
  while (!text.includes('\n:\n\n')) await once(page, 'data')
  t.equal(web.streams.size, 1)
})

t.test('a route may take its time: the idle time does not run meanwhile', async t => {
  const sockets: Socket[] = []
  const during: unknown[] = []
  const handle = async () => {
    await new Promise(resolve => setImmediate(resolve))
    during.push(sockets[0]?.timeout)
    return {}
  }
  const { web, port } = await listening(t, { routes: [{ path: '/', handle }] })
  web.server.on('request', ({ socket }) => sockets.push(socket))
  await ask(port, '/')
  t.strictSame(during, [0])
  t.equal(sockets[0]?.timeout, 5000)
})

t.test('refusals as JSON, for programs', async t => {
  const routes = [{ path: '/', handle: () => ({ status: 400, body: 'wrong\n' }) }]
  const { port } = await listening(t, { routes, jsonErrors: true })
  t.equal((await ask(port, '/')).text, '{"error":"wrong"}')
  t.equal((await ask(port, '/x')).text, '{"error":"not found"}')
  t.equal((await ask(port, '/', 'GET', { accept: 'text/html,*/*' })).text, 'wrong\n')
})
