// Each example, as a user runs it.

import { execFile, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { converse, type Conversation } from '../lib/testing/index.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { client } from './fixtures/clients.ts'
import { startExample } from './fixtures/example.ts'
import { freePort } from './fixtures/free-port.ts'
import { ROOT } from './fixtures/repository.ts'

const MAIL = 'Subject: hello!!!\r\n\r\n.dots\r\n..\r\nend\r\n'

/** A conversation over TCP. */
function dial(port: number): Conversation {
  return converse(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
}

async function sendMail(c: Conversation): Promise<void> {
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  await c.data(MAIL)
}

/** The files in `new/` of a Maildir, as latin1. */
function delivered(folder: string): string[] {
  return readdirSync(join(folder, 'new')).map(name => readFileSync(join(folder, 'new', name), 'latin1'))
}

t.test('every example is run here', t => {
  const programs = readdirSync(join(ROOT, 'examples')).filter(name => name.endsWith('.ts'))
  const examples = programs.map(name => name.slice(0, -'.ts'.length))
  t.strictSame(examples.toSorted(), [
    'catch-mail',
    'chain',
    'in-memory',
    'maildir',
    'misbehave',
    'onmessage',
    'relay',
    'send-mail',
    'serve',
    'smallest',
    'smtp-server-facade', // smtp-server-facade.test.ts
    'tls-auth',
    'webhook-service',
  ])
  t.end()
})

t.test('maildir', async t => {
  const folder = join(t.testdir(), 'Maildir')
  const server = await startExample(t, 'maildir', { MAILDIR: folder })

  t.test('the whole vocabulary, in order', async () => {
    const c = dial(server.port)
    await c.expect(220)
    await c.command('MAIL FROM:<a@example.org>', /^503 5\.5\.1 Send HELO/)
    await c.command('EHLO', /^501 5\.5\.4 /)
    await c.command('EHLO client.example', '250-Hello\n250-PIPELINING\n250-8BITMIME\n250 SIZE 52428800')
    await c.command('RCPT TO:<b@example.org>', /^503 5\.5\.1 Send MAIL/)
    await c.command('DATA', /^503 5\.5\.1 Send MAIL/)
    await c.command('MAIL FROM:a@example.org', /^501 5\.1\.7 /)
    await c.command('MAIL FROM:<a@example.org> RET=FULL', /^555 5\.5\.4 /)
    await c.command('MAIL FROM:<a@example.org> SIZE=52428801', /^552 5\.3\.4 /)
    await c.command('mail from:<a@example.org> size=1000 body=8bitmime', /^250 2\.1\.0 /)
    await c.command('MAIL FROM:<a@example.org>', /^503 5\.5\.1 The sender/)
    await c.command('DATA', /^503 5\.5\.1 Send RCPT/)
    await c.command('RCPT TO:<>', /^501 5\.1\.3 /)
    await c.command('RCPT TO:<b@example.org>', /^250 2\.1\.5 /)
    await c.command('RSET', /^250 2\.0\.0 /)
    await c.command('RCPT TO:<b@example.org>', 503)
    await c.command('NOOP', /^250 2\.0\.0 /)
    await c.command('VRFY b', /^252 2\.5\.0 /)
    await c.command('HELP', /^214 2\.0\.0 /)
    await c.command('EXPN list', /^500 5\.5\.1 /)
    await c.command('HELO client.example', '250 Hello')
    await c.command('QUIT', 221)
    await c.closed()
  })

  t.test('two mails in one session, and a bare LF', async t => {
    const c = dial(server.port)
    await c.expect(220)
    await c.command('EHLO client.example', 250)
    for (const _ of [1, 2]) {
      await sendMail(c)
      await c.expect(/^250 2\.0\.0 Delivered as \S+$/)
    }
    await c.command('MAIL FROM:<>', 250)
    await c.command('RCPT TO:<b@example.org>', 250)
    await c.command('DATA', 354)
    c.write('bare\n.\nQUIT\r\n.\r\n')
    await c.expect(250)
    c.write('NOOP\nRSET\n')
    await c.expect(250)
    await c.expect(250)
    await c.command('QUIT', 221)
    await c.closed()
    t.strictSame(delivered(folder).toSorted(), [MAIL, MAIL, 'bare\r\n.\r\nQUIT\r\n'].toSorted())
    t.strictSame(readdirSync(join(folder, 'tmp')), [])
    const lines = server.output.trimEnd().split('\n')
    t.equal(lines.length, 4)
    t.match(lines[0], `delivering to ${folder}`)
    for (const line of lines.slice(1, 3)) t.match(line, /^\S+: 37 octets from <a@example\.org> for <b@example\.org>$/)
  })

  t.test('SIGTERM tells who waits, and lets a message come to its end', async t => {
    const idle = dial(server.port)
    const busy = dial(server.port)
    await idle.expect(220)
    await busy.expect(220)
    await busy.command('EHLO client.example', 250)
    await busy.command('MAIL FROM:<a@example.org>', 250)
    await busy.command('RCPT TO:<b@example.org>', 250)
    await busy.command('DATA', 354)
    const stopped = server.stop()
    await idle.expect(/^421 4\.3\.2 /)
    await idle.closed()
    await busy.data('late\r\n')
    await busy.expect(250)
    await busy.closed()
    t.equal(await stopped, 0)
    t.equal(delivered(folder).length, 4)
  })

  t.test('SIGINT, and a port that is taken', async t => {
    const one = await startExample(t, 'maildir', { MAILDIR: folder })
    const again = bareNode([join(ROOT, 'dist/examples/maildir.js')], { PORT: String(one.port) })
    const two = await promisify(execFile)(...again).catch((error: Error) => error)
    t.match(two, { code: 1, stderr: /^listen EADDRINUSE: .*\n$/ })
    t.equal(await one.stop('SIGINT'), 0)
  })
})

t.test('smallest', async t => {
  t.testdir()
  const server = await startExample(t, 'smallest')
  const c = dial(server.port)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await sendMail(c)
  await c.expect(250)
  await c.command('QUIT', 221)
  await c.closed()
  t.match(server.output, /\n[^]*Subject: hello!!!\r\n\r\n\.dots\r\n\.\.\r\nend\r\n$/)
  t.equal(await server.stop(), 'SIGTERM')
})

t.test('chain', async t => {
  const folder = join(t.testdir(), 'mails')
  const server = await startExample(t, 'chain', { MAILS: folder })
  const c = dial(server.port)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await sendMail(c)
  await c.expect(250)
  await c.command('QUIT', 221)
  await c.closed()
  await server.printed(/^C: "EHLO client\.example\\r\\n"\n/m)
  await server.printed(/^S: "221 .*\\r\\n"\n/m)
  await server.printed(/^The session has ended\n/m)
  const expected = `Return-Path: <a@example.org>\r\n${MAIL.replace('!!!', '!')}`
  t.equal(readFileSync(join(folder, '1.eml'), 'latin1'), expected)

  const early = dial(server.port)
  await early.expect(220)
  await early.command('EHLO client.example', 250)
  await early.command('MAIL FROM:<a@example.org>', 250)
  await early.command('RCPT TO:<b@example.org>', 250)
  await early.command('DATA', 354)
  early.write('.\r\nQUIT\r\n')
  early.end()
  await early.expect(250)
  await early.expect(221)
  await early.closed()

  const lost = dial(server.port)
  await lost.expect(220)
  lost.reset()
  await server.printed(/^(?:The connection was lost: .+|The session has ended\n[^]*The session has ended)\n/m)
  t.equal(await server.stop(), 'SIGTERM')
})

t.test('onmessage', async t => {
  t.testdir()
  const server = await startExample(t, 'onmessage')
  const c = dial(server.port)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await sendMail(c)
  await c.expect(250)
  await server.printed(/^37 octets from <a@example\.org> for b@example\.org$/m)
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(await server.stop(), 'SIGTERM')
})

/** Runs the example with these words and this standard input; resolves with its exit code and what it printed. */
async function sendFile(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  mail: string,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(...bareNode([join(ROOT, 'dist/examples/send-mail.js'), ...words], environment))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
  child.stdin.on('error', () => {}).end(mail)
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, output }
}

t.test('send-mail', async t => {
  const folder = join(t.testdir(), 'Maildir')
  const server = await startExample(t, 'maildir', { MAILDIR: folder, PORT: String(await freePort()) })
  const environment = { PORT: String(server.port) }
  const mail = 'Subject: hello!!!\n\n.dots\n..\nend'
  const sent = await sendFile(['a@example.org', 'b@example.org', 'c@example.org'], environment, mail)
  t.match(sent, {
    code: 0,
    output:
      /^MAIL: 250 2\.1\.0 .*\nRCPT b@example\.org: 250 .*\nRCPT c@example\.org: 250 .*\nmail data: 250 2\.0\.0 Delivered as .*\n$/,
  })
  t.strictSame(delivered(folder), [MAIL])
  const refused = await sendFile(['a@example.org', '<b@example.org'], environment, mail)
  t.match(refused, { code: 1, output: /^RCPT: address: .*\n$/ })
  t.equal(await server.stop(), 0)
  const nobody = await sendFile(['a@example.org', 'b@example.org'], environment, mail)
  t.match(nobody, { code: 1, output: /ECONNREFUSED/ })
})

t.test('relay', async t => {
  const folder = join(t.testdir(), 'Maildir')
  const upstream = await startExample(t, 'maildir', { MAILDIR: folder, PORT: String(await freePort()) })
  const server = await startExample(t, 'relay', { UPSTREAM_PORT: String(upstream.port) })
  const c = dial(server.port)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await sendMail(c)
  await c.expect(/^250 2\.0\.0 Delivered as /)
  t.strictSame(delivered(folder), [MAIL])
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.com>', 550)
  t.equal(await upstream.stop(), 0)
  await c.command('RCPT TO:<b@example.org>', /^451 4\.4\.1 /)
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(await server.stop(), 'SIGTERM')
})

t.test('in-memory', async t => {
  const { stdout } = await promisify(execFile)(...bareNode([join(ROOT, 'dist/examples/in-memory.js')]))
  t.match(stdout, /(?:#|ℹ) pass 2\n/)
  t.match(stdout, /(?:#|ℹ) fail 0\n/)
})

t.test('catch-mail', async t => {
  const { stdout } = await promisify(execFile)(...bareNode([join(ROOT, 'dist/examples/catch-mail.js')]))
  t.match(stdout, /(?:#|ℹ) pass 1\n/)
  t.match(stdout, /(?:#|ℹ) fail 0\n/)
  const example = readFileSync(join(ROOT, 'examples/catch-mail.ts'), 'utf8')
  const [, body = ''] = /^test\([^\n]*\n([^]*?)^\}\)/m.exec(example) ?? []
  t.equal(body.trimEnd().split('\n').length, 5, 'a test takes five lines')
})

t.test('misbehave', async t => {
  t.testdir()
  const server = await startExample(t, 'misbehave')
  const transport = createTransport({ host: '127.0.0.1', port: server.port, ignoreTLS: true })
  const send = (name: string): Promise<unknown> =>
    transport.sendMail({ envelope: { from: 'a@example.org', to: `${name}@example.org` }, raw: MAIL })
  await t.rejects(send('full'), { code: 'EENVELOPE', responseCode: 452 })
  await t.rejects(send('unknown'), { code: 'EENVELOPE', responseCode: 550 })
  await t.rejects(send('grey'), { code: 'EENVELOPE', responseCode: 451 })
  await send('grey')
  await send('slow')
  await t.rejects(send('reset'), { code: /^(?:ESOCKET|ECONNECTION)$/ })
  await t.rejects(send('lost'), { code: 'ECONNECTION' })
  await send('lost')
  await server.printed(/^Done so far: 0\/1 1\/1 2\/1 3\/1 4\/1 5\/1\n/m)
  t.equal(server.output.match(/^Taken: 37 octets$/gm)?.length, 4, 'the lost one twice')
  t.equal(await server.stop(), 'SIGTERM')
})

t.test('tls-auth', { skip: client('openssl') === null ? 'openssl is missing' : false }, async t => {
  const folder = join(t.testdir(), 'Maildir')
  mkdirSync(folder)
  const server = await startExample(t, 'tls-auth', { MAILDIR: folder })
  const transport = (pass: string, method: string) =>
    createTransport({
      host: '127.0.0.1',
      port: server.port,
      requireTLS: true,
      tls: { rejectUnauthorized: false },
      auth: { user: 'anna', pass },
      authMethod: method,
    })
  const mail = { envelope: { from: 'a@example.org', to: 'b@example.org' }, raw: MAIL }
  for (const method of ['PLAIN', 'LOGIN']) {
    await transport('sesame', method).sendMail(mail)
    await t.rejects(transport('open', method).sendMail(mail), { code: 'EAUTH', responseCode: 535 })
  }
  await t.rejects(createTransport({ host: '127.0.0.1', port: server.port, ignoreTLS: true }).sendMail(mail), {
    code: 'EENVELOPE',
  })
  await server.printed(/^anna sends from <a@example\.org> by ESMTPSA, TLSv1\.3\n/m)
  t.strictSame(delivered(folder), [MAIL, MAIL])
  t.equal(await server.stop(), 'SIGTERM')
})
