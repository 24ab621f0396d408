// The programs of docs/recipes.md, as a user runs them.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { createTransport } from 'nodemailer'
import t, { type Test } from 'tap'
import { SmtpClient, type SmtpClientOptions } from '../lib/client.ts'
import { converse } from '../lib/testing/index.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { client } from './fixtures/clients.ts'
import { startExample } from './fixtures/example.ts'
import { freePort } from './fixtures/free-port.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n'
const OPENSSL = { skip: client('openssl') === null ? 'openssl is missing' : false }

t.test('each recipe is in docs/recipes.md, and run here', t => {
  const recipes = readText('docs/recipes.md')
  const tests = readText('test/recipes.test.ts')
  for (const file of readdirSync(join(ROOT, 'examples/recipes'))) {
    t.ok(recipes.includes(`(../examples/recipes/${file})`), `docs/recipes.md links ${file}`)
    t.ok(tests.includes(`recipes/${file.replace(/\.ts$/, '')}`), `${file} is run`)
  }
  t.end()
})

/** Sends one mail by SmtpClient; resolves with the codes of RCPT and of the message. */
async function send(
  port: number,
  recipients: readonly string[],
  mail: string | Buffer = MAIL,
  options: SmtpClientOptions = {},
): Promise<{ rcpt: number[]; data: number[] }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const c = new SmtpClient({ name: 'client.example', ...options })
  socket.pipe(c).pipe(socket)
  await c.mail('a@example.com')
  const rcpt = []
  for (const recipient of recipients) rcpt.push((await c.rcpt(recipient)).code)
  const data = rcpt.some(code => code < 400) ? (await c.data(mail)).map(({ code }) => code) : []
  await c.quit()
  return { rcpt, data }
}

t.test('attachments', async t => {
  const folder = t.testdir()
  const server = await startExample(t, 'recipes/attachments', { FOLDER: folder })
  const mail = {
    from: 'a@example.com',
    to: 'b@example.org',
    subject: 'Grüße',
    text: 'Hello',
    attachments: [
      { filename: '../../etc/räport.pdf', content: Buffer.from([0, 1, 2, 255]) },
      { content: 'plain', contentType: 'text/plain', filename: false as const },
    ],
  }
  await createTransport({ host: '127.0.0.1', port: server.port, ignoreTLS: true }).sendMail(mail)
  const [id = ''] = readdirSync(folder)
  t.strictSame(readdirSync(join(folder, id)).toSorted(), ['1-.._.._etc_räport.pdf', '2-attachment', 'mail.json'])
  t.strictSame(readFileSync(join(folder, id, '1-.._.._etc_räport.pdf')), Buffer.from([0, 1, 2, 255]))
  t.match(JSON.parse(readFileSync(join(folder, id, 'mail.json'), 'utf8')), {
    recipients: ['b@example.org'],
    subject: 'Grüße',
    text: /^Hello/,
    attachments: ['1-.._.._etc_räport.pdf', '2-attachment'],
  })
  await server.stop()
  const file = join(t.testdir({ file: '' }), 'file')
  const broken = await startExample(t, 'recipes/attachments', { FOLDER: file })
  t.strictSame(await send(broken.port, ['b@example.org']), { rcpt: [250], data: [451] })
})

t.test('behind HAProxy', async t => {
  const folder = join(t.testdir(), 'Maildir')
  const server = await startExample(t, 'recipes/behind-haproxy', { MAILDIR: folder, BLOCKED: '192.0.2.66' })
  const behind = (address: string): SmtpClientOptions => ({
    proxy: { version: 2, source: { address, port: 4000 }, destination: { address: '192.0.2.1', port: 25 } },
  })
  t.strictSame(await send(server.port, ['b@example.org'], MAIL, behind('192.0.2.5')), { rcpt: [250], data: [250] })
  await server.printed(/^Client 192\.0\.2\.5\n/m)
  t.equal(readdirSync(join(folder, 'new')).length, 1)
  await t.rejects(send(server.port, ['b@example.org'], MAIL, behind('192.0.2.66')), { code: 'ERR_REFUSED' })
  // Without a header nothing is said at all.
  const bare = converse(connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }))
  bare.write('EHLO client.example\r\n')
  await bare.closed()
  t.equal(bare.unread, 0)
  // A health check: version 2, LOCAL.
  const check = converse(connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }))
  check.write(Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'))
  await check.expect(220)
  await check.command('QUIT', 221)
  await check.closed()
})

t.test('submission', OPENSSL, async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const maildir = join(folder, 'Maildir')
  const smarthost = await startExample(t, 'maildir', { MAILDIR: maildir })
  const server = await startExample(t, 'recipes/submission', {
    TLS_KEY: join(folder, 'key.pem'),
    TLS_CERT: join(folder, 'cert.pem'),
    SMARTHOST_PORT: String(smarthost.port),
    SMARTHOST_TLS: 'never',
  })
  const sendAs = (user: string, pass: string, from: string): Promise<unknown> =>
    createTransport({
      host: '127.0.0.1',
      port: server.port,
      requireTLS: true,
      tls: { rejectUnauthorized: false },
      auth: { user, pass },
    }).sendMail({ envelope: { from, to: 'b@example.net' }, raw: MAIL })
  await sendAs('anna@example.org', 'sesame', 'anna@example.org')
  t.equal(readdirSync(join(maildir, 'new')).length, 1)
  await t.rejects(sendAs('anna@example.org', 'sesame', 'carl@example.org'), { code: 'EENVELOPE', responseCode: 553 })
  await t.rejects(sendAs('anna@example.org', 'open', 'anna@example.org'), { code: 'EAUTH', responseCode: 535 })
  await t.rejects(sendAs('carl@example.org', 'sesame', 'carl@example.org'), { code: 'EAUTH', responseCode: 535 })
})

t.test('LMTP', async t => {
  const folder = t.testdir()
  const server = await startExample(t, 'recipes/lmtp', { FOLDER: folder })
  const lmtp = { lmtp: true }
  const three = ['anna@example.org', 'nobody@example.org', 'carl@example.org']
  t.strictSame(await send(server.port, three, MAIL, lmtp), { rcpt: [250, 550, 250], data: [250, 250] })
  for (const user of ['anna', 'carl']) {
    const [file = ''] = readdirSync(join(folder, user))
    t.equal(readFileSync(join(folder, user, file), 'utf8'), MAIL)
  }
  t.strictSame(readdirSync(folder).toSorted(), ['anna', 'carl'])
  await server.stop()
  // One recipient's folder cannot be made: the others have the message.
  const other = t.testdir({ anna: 'a file' })
  const broken = await startExample(t, 'recipes/lmtp', { FOLDER: other })
  t.strictSame(await send(broken.port, three, MAIL, lmtp), { rcpt: [250, 550, 250], data: [451, 250] })
})

t.test('SQLite', async t => {
  const file = join(t.testdir(), 'mail.sqlite')
  const server = await startExample(t, 'recipes/sqlite', { DATABASE: file })
  const sent = await send(server.port, ['b@example.org', 'c@example.com', 'd@example.org'])
  t.strictSame(sent, { rcpt: [250, 550, 250], data: [250] })
  const builtIn: string = 'node:sqlite'
  const driver = (await import(builtIn).catch(() => import('@photostructure/sqlite'))) as {
    DatabaseSync: new (file: string) => {
      prepare(sql: string): { all(): unknown[] }
      exec(sql: string): void
      close(): void
    }
  }
  const database = new driver.DatabaseSync(file)
  const rows = database.prepare('SELECT sender, octets, address FROM message JOIN recipient ON message = id').all()
  t.match(rows, [
    { sender: 'a@example.com', address: 'b@example.org' },
    { sender: 'a@example.com', address: 'd@example.org' },
  ])
  t.equal(Buffer.from((rows[0] as { octets: Uint8Array }).octets).toString(), MAIL)
  database.exec('DROP TABLE recipient')
  t.strictSame(await send(server.port, ['b@example.org']), { rcpt: [250], data: [451] })
  t.strictSame(
    database
      .prepare('SELECT count(*) AS n FROM message')
      .all()
      .map(row => (row as { n: number }).n),
    [1],
  )
  database.close()
})

/** What of S3 an upload needs: objects, and uploads in parts. */
async function startS3(t: Test): Promise<{
  port: number
  objects: Map<string, { octets: Buffer; headers: IncomingMessage['headers'] }>
  parts: Map<number, Buffer>
  taken: string[]
}> {
  const objects = new Map<string, { octets: Buffer; headers: IncomingMessage['headers'] }>()
  const parts = new Map<number, Buffer>()
  const taken: string[] = []
  let begun: IncomingMessage['headers'] = {}
  const server = createServer((request, response) => {
    void buffer(request).then(octets => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
      const part = searchParams.get('partNumber')
      taken.push(`${request.method}${searchParams.has('uploads') ? ' begin' : ''}${part === null ? '' : ' part'}`)
      response.setHeader('etag', '"x"')
      if (request.method === 'DELETE') return response.writeHead(204).end()
      if (part !== null) {
        parts.set(Number(part), octets)
      } else if (request.method === 'PUT') {
        objects.set(pathname, { octets, headers: request.headers })
      } else if (searchParams.has('uploads')) {
        begun = request.headers
        return response.end('<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>')
      } else {
        const inOrder = [...parts].toSorted(([a], [b]) => a - b).map(([, octets]) => octets)
        objects.set(pathname, { octets: Buffer.concat(inOrder), headers: begun })
        return response.end('<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>')
      }
      return response.end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port, objects, parts, taken }
}

t.test('S3', async t => {
  const s3 = await startS3(t)
  const server = await startExample(t, 'recipes/s3', {
    S3_ENDPOINT: `http://127.0.0.1:${s3.port}`,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_REGION: 'eu-central-1',
    AWS_MAX_ATTEMPTS: '1',
  })
  t.strictSame(await send(server.port, ['b@example.org', 'c@example.com']), { rcpt: [250, 550], data: [250] })
  const [[path = '', object] = []] = s3.objects
  t.match(path, /^\/mail\/[\da-f-]{36}\.eml$/)
  t.equal(object?.octets.toString(), MAIL)
  t.match(object?.headers, { 'x-amz-meta-sender': 'a%40example.com', 'x-amz-meta-recipients': 'b%40example.org' })

  const large = Buffer.from(`${MAIL}${`${'x'.repeat(76)}\r\n`.repeat(80_000)}`) // 6 MB: two parts
  t.strictSame(await send(server.port, ['b@example.org'], large), { rcpt: [250], data: [250] })
  t.strictSame(s3.taken, ['PUT', 'POST begin', 'PUT part', 'PUT part', 'POST'])
  t.ok([...s3.objects.values()][1]?.octets.equals(large))

  const c = converse(connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }))
  await c.expect(220)
  for (const line of ['EHLO client.example', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>']) {
    await c.command(line, 250)
  }
  await c.command('DATA', 354)
  c.write(large)
  while (s3.taken.filter(each => each === 'PUT part').length < 3) await new Promise(resolve => setTimeout(resolve, 20))
  c.reset()
  while (s3.taken.at(-1) !== 'DELETE') await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(s3.objects.size, 2, 'a message that is cut is no object')
})

t.test('a queue whose Redis is down: 451, and no file is left', async t => {
  const folder = t.testdir()
  const environment = { FOLDER: folder, REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
  const server = await startExample(t, 'recipes/queue', environment)
  t.strictSame(await send(server.port, ['b@example.org']), { rcpt: [250], data: [451] })
  t.strictSame(readdirSync(folder), [])
})

t.test('a queue', { skip: redisServer === null ? 'redis-server is missing' : false }, async t => {
  const redis = await startRedis('--maxmemory-policy', 'noeviction')
  t.teardown(() => redis.remove())
  const folder = t.testdir()
  const environment = { FOLDER: folder, REDIS_URL: redis.url }
  const server = await startExample(t, 'recipes/queue', environment)
  t.strictSame(await send(server.port, ['b@example.org', 'c@example.org']), { rcpt: [250, 250], data: [250] })
  t.equal(readdirSync(folder).length, 1)
  const worker = spawn(...bareNode([join(ROOT, 'dist/examples/recipes/queue-worker.js')], environment), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => worker.kill())
  const [line] = (await once(worker.stdout, 'data')) as [Buffer]
  t.equal(String(line), `${MAIL.length} octets from <a@example.com> for b@example.org, c@example.org\n`)
  while (readdirSync(folder).length > 0) await new Promise(resolve => setTimeout(resolve, 20))
})

t.test('the test for vitest and Jest, here by node:test', async t => {
  const recipe = readText('examples/recipes/sign-up.test.js')
  const file = join(ROOT, 'dist/examples/recipes/sign-up.mjs')
  t.match(recipe, /from 'vitest'/)
  writeFileSync(file, recipe.replace("from 'vitest'", "from 'node:test'"))
  const { stdout } = await promisify(execFile)(...bareNode([file]))
  t.match(stdout, /(?:#|ℹ) pass 2\n/)
  t.match(stdout, /(?:#|ℹ) fail 0\n/)
  t.ok(existsSync(join(ROOT, '.ci/runner-check')) && readText('.ci/runner-check').includes('sign-up.test.js'))
})
