// Recipes with the servers that they are for: a real Postfix, HAProxy in front, an S3 server that somebody else wrote.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bareNode } from './fixtures/bare-node.ts'
import { missingPrograms, missingTool, UNPACKED } from './fixtures/clients.ts'
import { eventually, startDaemon } from './fixtures/daemon.ts'
import { startExample } from './fixtures/example.ts'
import { freePort, listening } from './fixtures/free-port.ts'
import { startPostfix } from './fixtures/postfix.ts'
import { readText } from './fixtures/repository.ts'
import { send, submit } from './fixtures/submit.ts'
import { TcpClient } from './fixtures/tcp-client.ts'

const MAIL = Buffer.from('Subject: hello\r\n\r\nHello.\r\n')

/** The lines that docs/recipes.md tells people to write. */
function linesOf(heading: string): string {
  const section = readText('docs/recipes.md').split(`## ${heading}\n`)[1]!
  return /```\n([^`]*)```/.exec(section)![1]!
}

/** The settings of main.cf in docs/recipes.md, for this port. */
function mainOf(port: number): Record<string, string> {
  const lines = linesOf('LMTP from Postfix').trim().split('\n')
  const settings = lines.map(line => line.split(' = ') as [string, string])
  return Object.fromEntries(settings.map(([name, value]) => [name, value.replace('2424', String(port))]))
}

t.test('LMTP from Postfix', { skip: missingPrograms('postfix-master') }, async t => {
  const folder = t.testdir({ mail: { anna: 'a file, where the folder belongs' } })
  const mail = join(folder, 'mail')
  const recipe = await startExample(t, 'recipes/lmtp', { FOLDER: mail })
  const postfix = await startPostfix(t, mainOf(recipe.port))
  await submit(postfix.port, ['anna@example.org', 'nobody@example.org', 'carl@example.org'], MAIL)
  const logged = (pattern: RegExp) => eventually(() => pattern.exec(postfix.log()), postfix.log)
  await logged(/to=<nobody@example\.org>.*dsn=5\.1\.1, status=bounced/)
  await logged(/to=<carl@example\.org>.*status=sent \(250 2\.1\.5 Delivered\)/)
  await logged(/to=<anna@example\.org>.*dsn=4\.3\.0, status=deferred/)
  t.strictSame(readdirSync(mail).toSorted(), ['anna', 'carl'])
  rmSync(join(mail, 'anna'))
  postfix.flush()
  await logged(/to=<anna@example\.org>.*status=sent/)
  for (const user of ['anna', 'carl']) {
    const files = readdirSync(join(mail, user))
    t.equal(files.length, 1, `${user} has it once`)
    t.match(readFileSync(join(mail, user, files[0]!), 'utf8'), /\r\nSubject: hello\r\n[^]*\r\n\r\nHello\.\r\n$/)
  }
})

/** Connects from an address of the loopback; null if nothing listens. */
async function dial(port: number, localAddress: string): Promise<Socket | null> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    return null
  }
}

t.test('behind HAProxy, with both versions of its header', { skip: missingTool('haproxy') }, async t => {
  const folder = t.testdir()
  const environment = { MAILDIR: join(folder, 'Maildir'), BLOCKED: '127.0.0.66' }
  const recipe = await startExample(t, 'recipes/behind-haproxy', environment)
  const server = linesOf('Behind HAProxy').trim().replace('2525', String(recipe.port))
  const ports = [await freePort(), await freePort()] as const
  const listen = (port: number, line: string): string => `listen p${port}\n  bind 127.0.0.1:${port}\n  ${line}\n`
  const file = join(folder, 'haproxy.cfg')
  // Without a time of its own a check would have that between two, and three that come late take the server out.
  const times = 'timeout connect 60s\n  timeout check 60s\n  timeout client 60s\n  timeout server 60s'
  const [v2, v1] = [`${server} inter 100ms`, server.replace('send-proxy-v2 check', 'send-proxy')]
  t.match(v1, /send-proxy$/)
  writeFileSync(file, `defaults\n  mode tcp\n  ${times}\n${listen(ports[0], v2)}${listen(ports[1], v1)}`)
  startDaemon(t, 'haproxy', ['-db', '-f', file])
  for (const [index, port] of ports.entries()) {
    const from = `127.0.0.${index + 5}`
    const good = new TcpClient(await eventually(() => dial(port, from), 'HAProxy does not listen'))
    t.match(await good.reply(), /^220/)
    const said = ['EHLO c.test', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>', 'DATA', `${String(MAIL)}.`]
    t.strictSame(await good.codes(...said, 'QUIT'), ['250', '250', '250', '354', '250', '221'])
    await recipe.printed(new RegExp(`^Client ${from}$`, 'm'))
    const blocked = new TcpClient((await dial(port, '127.0.0.66'))!)
    t.match(await blocked.reply(), /^554 5\.7\.1/)
    blocked.socket.destroy()
  }
  t.equal(readdirSync(join(folder, 'Maildir/new')).length, 2)
})

/** Starts s3rver with the bucket `mail` and a folder; resolves with its port. */
async function startS3(t: Test, folder: string): Promise<number> {
  const port = await freePort()
  const program = `
    const S3rver = require(process.argv[1])
    const options = { address: '127.0.0.1', port: ${port}, directory: process.argv[2], silent: true }
    new S3rver({ ...options, configureBuckets: [{ name: 'mail' }] }).run()`
  const child = spawn(...bareNode(['-e', program, S3RVER, folder]), { stdio: ['ignore', 'inherit', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await listening(port)
  return port
}

const S3RVER = join(UNPACKED, '../s3rver/node_modules/@20minutes/s3rver')

const skip = missingTool('s3rver', existsSync(S3RVER))

t.test('S3: a server that checks signatures and parts', { skip }, async t => {
  const folder = t.testdir({ mail: {} })
  const environment = {
    S3_ENDPOINT: `http://127.0.0.1:${await startS3(t, folder)}`,
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_REGION: 'eu-central-1',
  }
  const recipe = await startExample(t, 'recipes/s3', { ...environment, AWS_SECRET_ACCESS_KEY: 'S3RVER' })
  const large = Buffer.from(`${String(MAIL)}${`${'x'.repeat(76)}\r\n`.repeat(80_000)}`) // 6 MB: two parts
  for (const mail of [MAIL, large]) {
    const { data } = await send(recipe.port, ['b@example.org'], mail)
    const [, id] = /Stored as (\S+)/.exec(data[0]!.text)!
    t.ok(readFileSync(join(folder, 'mail', `${id}.eml._S3rver_object`)).equals(mail), `${mail.length} octets`)
  }
  const stranger = await startExample(t, 'recipes/s3', { ...environment, AWS_SECRET_ACCESS_KEY: 'wrong' })
  t.match(await send(stranger.port, ['b@example.org'], MAIL), { data: [{ code: 451 }] })
})
