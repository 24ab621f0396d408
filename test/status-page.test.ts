// The status page: what it is made of, who gets it, what is sent to pages that listen, and the keys of [status].

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Config } from '../lib/cli/config/config.ts'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError, showProblem } from '../lib/cli/config/problems.ts'
import { metricsServer } from '../lib/cli/metrics/http.ts'
import { collectFor, makeStatus } from '../lib/cli/monitoring.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { StatusBook } from '../lib/cli/status/book.ts'
import type { StatusBatch } from '../lib/cli/status/facts.ts'
import { StatusPage, type StatusPageOptions } from '../lib/cli/status/status.ts'
import { loadGreylisting } from '../lib/cli/waiting-policies.ts'
import type { WebRequest } from '../lib/web/routes.ts'
import { duration } from '../lib/cli/status/view.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

const DAY = 86_400_000
const NOTHING: StatusBatch = {
  sessions: 0,
  counts: {},
  signs: {},
  rules: {},
  decisions: [],
  passes: [],
  waits: [],
  gone: [],
  answered: null,
  failed: null,
  entries: null,
}

/** A page with its server. */
async function serving(t: Test, options: Partial<StatusPageOptions> = {}) {
  const clock = new FakeClock()
  const book = new StatusBook({ window: DAY, clock })
  const page = new StatusPage({ book, name: 'mx.example.org', store: 'SQLite', mask: true, clock, ...options })
  const source = { read: () => Promise.reject(new Error('no')), whyNotReady: () => Promise.resolve(null) }
  const pages = { routes: page.routes, hosts: [], token: null, sendTo: page.sendTo.bind(page) }
  const web = metricsServer(source, pages)
  web.server.listen(0, '127.0.0.1')
  await once(web.server, 'listening')
  t.teardown(() => web.close())
  const url = `http://127.0.0.1:${(web.server.address() as AddressInfo).port}`
  const text = async (path = '/status'): Promise<string> => (await fetch(url + path)).text()
  return { clock, book, web, url, text }
}

/** Listens to the events of a page; returns what it is told next. */
async function listen(t: Test, url: string): Promise<() => Promise<Record<string, string>>> {
  const response = await new Promise<IncomingMessage>(resolve => {
    const request = get(`${url}/status/events`, { agent: false }, resolve)
    t.teardown(() => request.destroy())
  })
  response.setEncoding('utf8')
  let text = ''
  response.on('data', (chunk: string) => (text += chunk))
  return async () => {
    for (;;) {
      const [whole, data] = /event: parts\ndata: (.*)\n\n/.exec(text) ?? []
      if (whole !== undefined) {
        text = text.slice(text.indexOf(whole) + whole.length)
        return JSON.parse(data!) as Record<string, string>
      }
      await once(response, 'data')
    }
  }
}

t.test('an empty page is whole: it asks for nothing else, and no value is missing', async t => {
  const { url, text } = await serving(t)
  const response = await fetch(`${url}/status`)
  const body = await response.text()
  t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  const policy = response.headers.get('content-security-policy')
  t.match(policy, /script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'/)
  t.match(policy, "frame-ancestors 'none'")
  t.match(body, '<h1>mailhandler on mx.example.org</h1>')
  t.match(body, 'nothing yet')
  t.match(body, 'The local parts of addresses are left out.')
  t.match(body, 'not asked yet')
  t.notMatch(body, /undefined|NaN|\[object/)
  t.notMatch(body, /(?:src|href)="(?!data:,")/)
  t.match(await text('/'), 'there are /metrics, /healthz, /readyz, /status and /status/events')
  const bare = await serving(t, { store: null, mask: false })
  const other = await bare.text()
  t.notMatch(other, 'store-rows')
  t.notMatch(other, 'The local parts')
})

t.test('what is known is in the tables, and what a stranger wrote is text', async t => {
  const { book, clock, text } = await serving(t)
  book.add(1, { ...NOTHING, failed: { at: 5, error: 'not open' } })
  t.match(await text(), '<span class="refused">fails</span>')
  const at = clock.wallTime()
  const evil = '<img src=x onerror=alert(1)>'
  const who = { client: '192.0.2.7', sender: evil, recipient: '…@example.org' }
  book.add(1, {
    ...NOTHING,
    sessions: 3,
    counts: { accepted: 30, deferred: 1, refused: 2, ruleRefused: 7 },
    signs: { noTls: 4 },
    rules: { 'greylist\nwaits: first attempt': 5 },
    decisions: [{ at, ...who, rule: 'greylist', outcome: 'would wait', reason: evil }],
    passes: [{ at, ...who, after: 3_725_000, attempts: 4 }],
    waits: [
      { id: 'a', ...who, since: at, until: at + 60_000, attempts: 1, observed: true, reason: 'noTls' },
      { id: 'b', ...who, since: at, until: at + 60_000, attempts: 1, observed: false, reason: '' },
    ],
    answered: at,
    entries: { unconfirmed: 11, passed: 12, clients: 13, rates: 0, known: 0, octets: 3 * 2 ** 20 },
  })
  const body = (await text()).replaceAll(/\s*\n\s*/g, '')
  for (const each of [
    '<dd id="sessions">3</dd>',
    '<dd id="accepted">30</dd>',
    '<dd id="waiting">2</dd>',
    '<span class="would-wait">would wait</span>',
    '<td>1 h 2 min</td>',
    '<span class="reason">would wait; noTls</span>',
    'waits: first attempt',
    '&lt;img src=x onerror=alert(1)&gt;',
    '<td>3.0 MiB</td>',
    '<span class="accepted">answers</span>',
    '>40</text>', // The plot goes up to 40, since 33 messages came in a minute.
    '<time datetime="2026-01-01T00:00:00.000Z">00:00:00</time>',
  ]) {
    t.ok(body.includes(each), each)
  }
  t.notMatch(body, '<img')
  book.add(2, {
    ...NOTHING,
    failed: { at: at + 1, error: 'it is down' },
    entries: { unconfirmed: 0, passed: 0, clients: 0, rates: 0, known: 0, octets: null },
  })
  const failing = await text()
  t.match(failing, '<span class="refused">fails</span>')
  t.match(failing, 'it is down')
  t.notMatch(failing, 'MiB')
})

t.test('a page that listens gets all parts, then those that change, at most two times a second', async t => {
  const { book, clock, web, url } = await serving(t)
  book.add(1, { ...NOTHING, sessions: 1 })
  t.equal(clock.timers, 0, 'nobody listens')
  const next = await listen(t, url)
  const first = await next()
  t.equal(first['sessions'], '1')
  t.equal(Object.keys(first).length, 15)
  book.add(1, { ...NOTHING, sessions: 2 })
  await clock.tick(500)
  t.equal(Object.keys(await next()).length, 15, 'the first update has all parts')
  book.add(1, { ...NOTHING, sessions: 3 })
  book.add(1, { ...NOTHING, sessions: 4 })
  await clock.tick(500)
  t.strictSame(await next(), { sessions: '4' })
  await clock.tick(60_000)
  const later = await next()
  t.strictSame(Object.keys(later), ['messages-rows', 'refusals-rows'], 'the time goes on')
  const other = await listen(t, url)
  t.equal((await other())['sessions'], '4')
  t.equal(web.streams.size, 2)
  web.streams.close()
  while (web.streams.size > 0) await settle()
  await clock.tick(20_000)
  t.equal(clock.timers, 0, 'no timer goes on without a page')
})

t.test('durations', t => {
  const shown = [400, 59_400, 60_000, 61_000, 3_600_000, 3_725_000, 86_400_000, 90_000_000].map(duration)
  t.strictSame(shown, ['0 s', '59 s', '1 min', '1 min 1 s', '1 h', '1 h 2 min', '1 d', '1 d 1 h'])
  t.end()
})

function problems(text: string): string[] {
  try {
    makeSettings(loadConfig('m.toml', text))
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(showProblem)
  }
}

t.test('[status]: where it is served, and the token beyond loopback', async t => {
  const folder = t.testdir({ token: 'a-token-that-is-long\n', short: 'secret\n', spaces: 'a token with spaces\n' })
  const metrics = (address: string) => `[metrics]\nlisten = "${address}:9125"\n`
  t.strictSame(problems('[status]'), ['m.toml:1:1: status: needs metrics.listen: it is served there, at /status'])
  t.strictSame(problems(`${metrics('127.0.0.1')}[status]`), [])
  t.strictSame(problems(`${metrics('[::1]')}[status]`), [])
  const needs = 'others can connect to metrics.listen: the page needs status.token_file, or listen on 127.0.0.1'
  for (const address of ['*', '192.0.2.1', 'mail.example.org']) {
    t.strictSame(problems(`${metrics(address)}[status]`), [`m.toml:3:1: status: ${needs}`], address)
  }
  const withToken = (file: string) => `${metrics('*')}[status]\ntoken_file = "${join(folder, file)}"`
  t.strictSame(problems(withToken('token')), [])
  t.match(problems(withToken('none')), [/^m\.toml:4:1: status\.token_file: ENOENT/])
  t.match(problems(withToken('short')), [/: the token is to have 16 characters at least: openssl rand -hex 16$/])
  t.notMatch(problems(withToken('short'))[0], /"secret"|: secret/)
  t.match(problems(withToken('spaces')), [/: the first line is to be a token of printable ASCII, without spaces$/])
  t.match(problems(`${metrics('127.0.0.1')}[status]\nhosts = ["a b"]`), [
    /status\.hosts\[0\]: "a b" is not allowed here/,
  ])
  t.match(problems(`${metrics('127.0.0.1')}[status]\nmask = 1`), [/status\.mask: 1 is not allowed here: true or false/])
})

/** What a browser asks for. */
const REQUEST: WebRequest = {
  method: 'GET',
  path: '/status',
  params: {},
  query: new URLSearchParams(),
  headers: {},
  body: Buffer.alloc(0),
}

t.test('the page says which store there is', async t => {
  const base = '[metrics]\nlisten = "127.0.0.1:9125"\n[status]\n'
  for (const [greylist, title] of [
    ['[greylist]\n', 'The store: SQLite'],
    ['[greylist]\nredis = "redis://127.0.0.1:1"\nsalt = "salt"\n', 'The store: Redis'],
  ] as const) {
    const loaded = loadConfig('m.toml', base + greylist)
    await loadGreylisting(loaded)
    const { config } = loaded
    const made = await makeStatus(makeSettings(loaded))
    t.match((await made!.pages.routes[0]!.handle(REQUEST)).body, title)
    const told: StatusBatch[] = []
    const asked: Config[] = []
    const current = () => (asked.push(config) === 1 ? null : config)
    const stop = await collectFor(config, current, batch => told.push(batch))
    while (told.length === 0 || asked.length === 0) await new Promise(resolve => setTimeout(resolve, 20))
    stop()
    t.match(told, [{ sessions: 0, entries: null }])
  }
})

t.test('hosts, the token and mask reach the page', async t => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'token'), 'a-token-that-is-long\n')
  const base = 'name = "mx.example.org"\n[metrics]\nlisten = "mail.internal:9125"\n'
  const status = `[status]\nhosts = ["status.example.org"]\ntoken_file = "${join(folder, 'token')}"\nmask = false\n`
  const made = await makeStatus(makeSettings(loadConfig('m.toml', base + status)))
  const { pages } = made!
  t.strictSame(pages.hosts, ['status.example.org', 'mx.example.org', 'mail.internal'])
  t.equal(pages.token, 'a-token-that-is-long')
  t.equal(await makeStatus(makeSettings(loadConfig('m.toml', base))), null)
  const bySystemd = (base + status).replace('mail.internal:9125', 'systemd:web')
  const other = await makeStatus(makeSettings(loadConfig('m.toml', bySystemd)))
  t.strictSame(other!.pages.hosts, ['status.example.org', 'mx.example.org'])
  const { handle } = pages.routes[0]!
  t.notMatch((await handle(REQUEST)).body as string, 'The local parts')
})
