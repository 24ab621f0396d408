// `mailhandler catch` against strangers: pages of other origins, names that are paths, floods, mails that are bombs.

import { readdirSync, writeFileSync } from 'node:fs'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t, { type Test } from 'tap'
import { readCatchOptions } from '../lib/cli/catch/catch-options.ts'
import { startCatcher } from '../lib/cli/catch/catcher.ts'
import { MailParser, PARSE_LIMITS } from '../lib/cli/catch/mail-parser.ts'
import { readCommandLine } from '../lib/cli/command-line.ts'
import { converse } from '../lib/testing/index.ts'
import { MAIL, startTestCatcher, type TestCatcher } from './fixtures/catcher.ts'

/** Sends a request as it is: fetch() would tidy the path and refuse some headers. */
function askAs(
  url: string,
  path: string,
  method: string,
  headers: IncomingHttpHeaders = {},
  body = '',
): Promise<number> {
  const { hostname, port } = new URL(url)
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const asking = request(
      { hostname, port, path, method, headers: { ...headers, ...length }, agent: false },
      response => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    asking.on('error', reject).end(body)
  })
}

// oxlint-disable-next-line typescript/no-explicit-any -- what a server answers
const get = async ({ url }: { url: string }, path: string): Promise<any> => (await fetch(new URL(path, url))).json()

t.test('a page of another origin changes nothing, with no kind of request', async t => {
  const catcher = await startTestCatcher(t)
  await catcher.send()
  const { host, port } = new URL(catcher.url)
  const body = '{"rules":[{"at":"RCPT","reply":"550 No"}]}'
  const pages: [string, IncomingHttpHeaders][] = [
    ['a form', { host, origin: 'http://evil.example', 'content-type': 'text/plain' }],
    ['a sandbox', { host, origin: 'null', 'content-type': 'text/plain' }],
    ['another port', { host, origin: 'http://127.0.0.1:1', 'content-type': 'application/json' }],
    ['the same site', { host, 'sec-fetch-site': 'same-site', 'content-type': 'application/json' }],
    ['a navigation', { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
    ['rebinding', { host: `evil.example:${port}`, 'content-type': 'application/json' }],
    ['rebinding, with the origin to it', { host: `evil.example:${port}`, origin: `http://evil.example:${port}` }],
    ['a number as the name', { host: '2130706433' }],
  ]
  for (const [name, headers] of pages) {
    for (const [method, path] of [
      ['PUT', '/api/misbehaviour'],
      ['POST', '/api/misbehaviour'],
      ['DELETE', '/api/mails'],
      ['DELETE', '/api/v1/search?query=anna'],
      ['DELETE', '/email/all'],
    ] as const) {
      t.equal(await askAs(catcher.url, path, method, headers, body), 403, `${name}: ${method} ${path}`)
    }
  }
  t.equal((await get(catcher, '/api/mails')).total, 1)
  t.strictSame((await get(catcher, '/api/misbehaviour')).rules, [])

  // The port of SMTP: a form of a browser that carries a mail.
  const status = await new Promise<string>(resolve => {
    const socket = connect(catcher.smtpPort, '127.0.0.1')
    let text = ''
    socket
      .on('data', chunk => (text += chunk))
      .on('close', () => resolve(text))
      .on('error', () => {})
    socket.write('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n\r\n.\r\n')
  })
  t.match(status, /\r\n521 /)
  t.equal((await get(catcher, '/api/mails')).total, 1)
})

t.test('ids and names that are paths', async t => {
  const root = t.testdir({ mails: {} })
  const folder = join(root, 'mails')
  for (const name of ['victim.json', 'victim.eml', 'victim']) writeFileSync(join(root, name), 'x')
  const catcher = await startTestCatcher(t, { folder })
  await catcher.send({ ...MAIL, attachments: [{ filename: '../../etc/passwd', content: 'abc' }] })
  for (const path of [
    '/api/mails/..%2fvictim',
    '/api/mails/..%2fvictim/source',
    '/api/mails/../../victim/source',
    '/api/mails/%2e%2e%2fvictim/dialogue',
    '/api/mails/__proto__',
    '/api/mails/constructor/source',
    '/api/mails/%00',
    '/api/mails/%ff',
    '/api/mails/latest/attachments/__proto__',
    '/api/mails/latest/attachments/1e0',
    '/api/mails/latest/attachments/-0',
    '/api/v1/message/latest/part/..%2f0',
    '/view/..%2fvictim.html',
    '/email/latest/attachment/..%2f..%2f..%2fvictim',
    '//victim',
    '/\\victim',
  ]) {
    t.equal(await askAs(catcher.url, path, 'GET'), 404, path)
  }
  // By its own name it is found, and saved under another one.
  const file = await fetch(new URL('/email/latest/attachment/..%2F..%2Fetc%2Fpasswd', catcher.url))
  t.equal(await file.text(), 'abc')
  t.match(file.headers.get('content-disposition'), 'filename=".._.._etc_passwd"')
  for (const ids of ['["../victim"]', '["victim"]', '[{"toString":1}]', '[null,1,[]]', '["__proto__"]']) {
    const headers = { 'content-type': 'application/json' }
    await askAs(catcher.url, '/api/v1/messages', 'DELETE', headers, `{"IDs":${ids}}`)
  }
  t.equal(await askAs(catcher.url, '/api/mails/..%2fvictim', 'DELETE'), 404)
  t.strictSame(readdirSync(root).toSorted(), ['mails', 'victim', 'victim.eml', 'victim.json'])
  t.equal((await get(catcher, '/api/mails')).total, 1)
})

t.test('a flood of streams: twenty have room, and a mail of a thousand recipients drops none', async t => {
  const catcher = await startTestCatcher(t)
  const streams = await Promise.all(Array.from({ length: 30 }, () => fetch(new URL('/api/events', catcher.url))))
  t.strictSame(
    [200, 503].map(status => streams.filter(each => each.status === status).length),
    [20, 10],
  )
  const reader = streams
    .find(({ ok }) => ok)!
    .body!.pipeThrough(new TextDecoderStream())
    .getReader()
  let told = ''
  const tells = async (text: string): Promise<void> => {
    while (!told.includes(text)) told += (await reader.read()).value ?? t.bailout('the stream has ended')
  }
  const c = converse(connect(catcher.smtpPort, '127.0.0.1'))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  const domain = `${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(60)}.example`
  for (let i = 0; i < 1000; i++) await c.command(`RCPT TO:<${'u'.repeat(50)}${i}@${domain}>`, 250)
  await c.command('DATA', 354)
  await c.data('Subject: Many\r\n\r\nx\r\n')
  await c.expect(250)
  c.reset()
  await tells('"subject":"Many"')
  await catcher.send()
  await tells('"subject":"Welcome"')
  for (const { body } of streams) if (body?.locked === false) await body.cancel()
  await reader.cancel()
})

/** A catcher as the command has it: with its parser. */
async function withParser(t: Test): Promise<Pick<TestCatcher, 'url' | 'smtpPort'>> {
  const parser = new MailParser({ ...PARSE_LIMITS, time: 600_000 }) // on a slow machine too
  const settings = readCatchOptions(readCommandLine(['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0']))
  const { smtp, page, close } = await startCatcher(settings, raw => parser.parse(raw))
  t.teardown(async () => {
    await close()
    await parser.close()
  })
  return { url: page, smtpPort: Number(/\d+$/.exec(smtp)) }
}

t.test('bombs: each is in the list with its header, and the source is whole', async t => {
  const catcher = await withParser(t)
  let nested = ''
  for (let i = 0; i < 20_000; i++) nested += `Content-Type: multipart/mixed; boundary=x${i}\r\n\r\n--x${i}\r\n`
  const bombs: [string, string, RegExp | null][] = [
    ['Parts', `Content-Type: multipart/mixed; boundary=x\r\n\r\n${'--x\r\n\r\na\r\n'.repeat(10_000)}--x--`, null],
    ['Nested', nested, /nesting/],
    ['Header', `X: ${'y'.repeat(900)}\r\n${`\t${'y'.repeat(900)}\r\n`.repeat(1000)}\r\nx`, null],
    [
      'Addresses',
      `To: ${'a@example.org, '.repeat(60)}${`\r\n ${'a@example.org, '.repeat(60)}`.repeat(100)}\r\n\r\nx`,
      null,
    ],
    ['Entities', `Content-Type: text/html\r\n\r\n${'&lt;<b><'.repeat(100_000)}`, null],
  ]
  const transport = createTransport({ host: '127.0.0.1', port: catcher.smtpPort })
  for (const [subject, rest, problem] of bombs) {
    const envelope = { from: 'a@example.org', to: 'b@example.org' }
    await transport.sendMail({ envelope, raw: `Subject: ${subject}\r\n${rest}\r\n` })
    const mail = await get(catcher, '/api/mails/latest')
    t.equal(mail.subject, subject)
    if (problem === null) t.equal(mail.problem, null, subject)
    else t.match(mail.problem, problem)
    t.equal((await (await fetch(new URL('/api/mails/latest/source', catcher.url))).arrayBuffer()).byteLength, mail.size)
    t.equal((await fetch(new URL('/api/v1/message/latest', catcher.url))).status, 200)
  }
  t.equal((await get(catcher, '/api/mails?search=a@example.org')).total, bombs.length)
})
