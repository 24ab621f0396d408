// Who may ask a local web page, which route answers, and that nothing of a stranger becomes HTML.

import t from 'tap'
import { isKnownHost, isOwnOrigin, refusal } from '../lib/web/access.ts'
import { contentPolicy } from '../lib/web/answer.ts'
import { html, trusted } from '../lib/web/html.ts'
import { findRoute, type Route } from '../lib/web/routes.ts'

t.test('a Host is an address, a name of the loopback, or in the list', t => {
  const hosts = ['Mail.example.org']
  const known = ['localhost', 'LOCALHOST:9090', 'localhost.', '127.0.0.1', '127.0.0.1:80', '[::1]:8025', '10.1.2.3']
  for (const host of [...known, 'mail.example.org', 'mail.example.org:9090']) t.ok(isKnownHost(host, hosts), host)
  const strange = [undefined, '', 'evil.example', 'evil.example:9090', 'localhost.evil.example', '[evil]', '127.1']
  for (const host of [...strange, 'localhost:x', 'a b', '[127.0.0.1]'])
    t.notOk(isKnownHost(host, hosts), host ?? 'none')
  t.end()
})

t.test('a page of another origin can read and change nothing', t => {
  const host = 'localhost:9090'
  const cases: [string, Record<string, string>, boolean][] = [
    ['GET', {}, true],
    ['DELETE', {}, true], // No browser.
    ['GET', { 'sec-fetch-site': 'same-origin' }, true],
    ['GET', { 'sec-fetch-site': 'none' }, true],
    ['GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, true],
    ['GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, false],
    ['GET', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }, false],
    ['GET', { origin: 'http://evil.example' }, false],
    ['GET', { origin: 'null' }, false],
    ['GET', { origin: 'http://localhost:1' }, false],
    ['DELETE', { origin: 'http://localhost:9090' }, true],
    ['DELETE', { origin: 'https://localhost:9090', 'sec-fetch-site': 'same-origin' }, true], // Behind a TLS proxy.
    ['DELETE', { origin: 'http://evil.example' }, false],
    ['DELETE', { 'sec-fetch-site': 'none' }, false],
    ['POST', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, false],
  ]
  for (const [method, headers, expected] of cases) {
    t.equal(
      isOwnOrigin({ method, url: '/', headers: { host, ...headers } }),
      expected,
      JSON.stringify([method, headers]),
    )
  }
  t.end()
})

t.test('the token: Bearer, or a cookie that ?token= sets', t => {
  const access = { hosts: [], token: 'a secret/of=some;kind' }
  const ask = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
    refusal({ method, url, headers: { host: 'localhost', ...headers } }, access)
  t.equal(ask('/status')?.status, 401)
  t.equal(ask('/status')?.headers?.['www-authenticate'], 'Bearer')
  t.equal(ask('/status', { authorization: 'Bearer wrong' })?.status, 401)
  t.equal(ask('/status', { cookie: 'mailhandler=x; other' })?.status, 401)
  t.equal(ask('/status?token=wrong')?.status, 401)
  const token = encodeURIComponent(access.token)
  t.equal(ask(`/status?token=${token}`, {}, 'DELETE')?.status, 401, 'a change is not made by an address')
  const login = ask(`/status?token=${token}&a=1`)
  t.equal(login?.status, 303)
  t.equal(login?.headers?.['location'], '/status?a=1')
  const [cookie = '', ...attributes] = String(login?.headers?.['set-cookie']).split('; ')
  t.strictSame(attributes, ['Path=/', 'HttpOnly', 'SameSite=Lax'])
  t.notMatch(cookie, access.token)
  t.equal(ask('/status', { cookie: `a=b; ${cookie}` }), null)
  t.equal(ask('/status', { cookie: `${cookie}x` })?.status, 401)
  t.equal(ask(`//evil.example?token=${token}`)?.headers?.['location'], '/evil.example', 'it leads to no other host')
  t.equal(ask(`/\\evil.example?token=${token}`)?.headers?.['location'], '/evil.example')
  const plain = { hosts: [], token: 'simple' }
  const headers = { host: 'localhost', authorization: 'bearer simple' }
  t.equal(refusal({ method: 'GET', url: '/', headers }, plain), null)
  t.equal(refusal({ method: 'GET', url: '/', headers: { ...headers, host: 'evil.example' } }, plain)?.status, 403)
  t.equal(refusal({ method: 'GET', url: '/', headers: { ...headers, origin: 'http://x' } }, plain)?.status, 403)
  t.end()
})

t.test('routes', t => {
  const handle = () => ({})
  const routes: Route[] = [
    { path: '/', handle },
    { path: '/messages/:id', handle },
    { path: '/messages/:id', method: 'DELETE', handle },
    { path: '/messages/:id/parts/:part', handle },
  ]
  t.match(findRoute(routes, 'GET', '/'), { route: routes[0] })
  t.match(findRoute(routes, 'HEAD', '/messages/7'), { route: routes[1], params: { id: '7' } })
  t.match(findRoute(routes, 'DELETE', '/messages/a%2Fb'), { route: routes[2], params: { id: 'a/b' } })
  t.match(findRoute(routes, 'GET', '/messages/1/parts/__proto__'), { params: { id: '1', part: '__proto__' } })
  t.strictSame(findRoute(routes, 'PUT', '/messages/7'), { allow: ['GET', 'HEAD', 'DELETE'] })
  for (const path of ['/messages', '/messages/', '/messages/%ZZ', '/messages/1/2', '/x']) {
    t.equal(findRoute(routes, 'GET', path), null, path)
  }
  t.end()
})

t.test('html escapes every value', t => {
  const row = html`<td title="${'"\'>'}">${'<script>&'}</td>`
  t.equal(String(row), '<td title="&quot;&#39;&gt;">&lt;script&gt;&amp;</td>')
  const all = html`<p>${[row, 1, null, false, ['<', trusted('<b>')]]}</p>`
  t.equal(String(all), `<p>${String(row)}1&lt;<b></p>`)
  t.end()
})

t.test('contentPolicy', t => {
  const policy = contentPolicy({ scripts: ['let a = 1'], more: { 'frame-ancestors': "'self'" } })
  t.match(
    policy,
    "default-src 'none'; script-src 'sha256-LAfYd7pbFUgwfQu8b4q135PeTG2z+/coPEUYCd74eCQ='; style-src 'none'",
  )
  t.match(policy, "frame-ancestors 'self'")
  t.match(contentPolicy({}), "frame-ancestors 'none'")
  t.end()
})
