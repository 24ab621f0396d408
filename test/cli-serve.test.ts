// `mailhandler serve` as a user runs it: one process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { makeCertificate } from './fixtures/certificate.ts'
import { Client, delivered, follow, MAIN, run, start } from './fixtures/command.ts'
import { readText } from './fixtures/repository.ts'
import { until } from './fixtures/until.ts'

const ANY_PORT = ['--listen', '127.0.0.1:0']

t.test('without a file it delivers to ./Maildir, and SIGTERM ends it', async t => {
  const folder = t.testdir()
  const server = start(['serve', ...ANY_PORT], folder)
  const port = await server.port
  t.match(await Client.deliver(port, 'hello'), /^250 2\.0\.0 Delivered/)
  const files = delivered(join(folder, 'Maildir'))
  t.equal(files.length, 1)
  const message = readFileSync(join(folder, 'Maildir/new', files[0]!), 'latin1')
  t.match(
    message,
    /^Return-Path: <ann@example\.net>\r\nDelivered-To: joe@example\.org\r\nReceived: from client\.example /,
  )
  t.match(message, /\r\n {0}Subject: test\r\n\r\nhello\r\n$/)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  for (const line of server.said().trim().split('\n')) t.doesNotThrow(() => JSON.parse(line), line)
  t.match(server.said(), /"msg":"transaction"[\s\S]*"msg":"stopped"|"verdict":"accepted"/)
})

t.test('recipients of one message are not shown to each other', async t => {
  const folder = t.testdir()
  const server = start(['serve', ...ANY_PORT], folder)
  const client = new Client(await server.port)
  await client.reply()
  const commands = ['EHLO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<joe@d.example>', 'RCPT TO:<blind@d.example>', 'DATA']
  for (const line of commands) await client.say(line)
  t.match(await client.say('To: joe@d.example\r\n\r\nhello\r\n.'), /^250 /)
  client.socket.destroy()
  const [file] = delivered(join(folder, 'Maildir'))
  const message = readFileSync(join(folder, 'Maildir/new', file!), 'latin1')
  t.match(message, /^Return-Path: <a@b\.example>\r\nReceived: /)
  t.notMatch(message, /Delivered-To|blind@/)
  server.child.kill('SIGTERM')
  await server.ended
})

t.test('SIGTERM: a transaction under way is finished; a second signal ends at once', async t => {
  const folder = t.testdir()
  const server = start(['serve', ...ANY_PORT], folder)
  const port = await server.port
  const client = new Client(port)
  await client.reply()
  for (const line of ['EHLO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA']) await client.say(line)
  const idle = new Client(port)
  await idle.reply()
  server.child.kill('SIGTERM')
  t.match(await idle.reply(), /^421 4\.3\.2/)
  t.match(await client.say('late\r\n.'), /^250 /)
  t.match(await client.reply(), /^421 4\.3\.2/)
  t.equal((await server.ended).code, 0)
  t.equal(delivered(join(folder, 'Maildir')).length, 1)

  const second = start(['serve', ...ANY_PORT], folder)
  const stuck = new Client(await second.port)
  await stuck.reply()
  for (const line of ['EHLO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA']) await stuck.say(line)
  second.child.kill('SIGTERM')
  await second.says('stopping')
  second.child.kill('SIGINT')
  t.equal((await second.ended).code, 1)
})

t.test('a port in use: it says so, and what to do', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  for (const workers of ['1', '2']) {
    const { code, stderr } = await run(['serve', '--listen', `127.0.0.1:${port}`, '--workers', workers], t.testdir())
    t.equal(code, 1)
    t.match(stderr, /cannot listen on 127\.0\.0\.1:\d+: another program listens there; .* another address/)
    t.notMatch(stderr, / {4}at /)
  }
  taken.close()
})

t.test('SIGHUP under load: lists, certificates and logs, and no session fails', async t => {
  const folder = t.testdir()
  const one = makeCertificate(folder)
  const config = (domain: string) =>
    `recipients.domains = ["example.org", "${domain}"]\n[[listen]]\naddress = "127.0.0.1:0"\n[per_client]\nper_minute = 100000\n[tls]\ncert = "cert.pem"\nkey = "key.pem"\n[log]\nfile = "log"\n`
  const file = join(folder, 'm.toml')
  writeFileSync(file, config('one.example'))
  const server = start(['serve', '--config', 'm.toml'], folder)
  const port = await server.port
  const verdicts: string[] = []
  const stop = new AbortController()
  const load = Array.from({ length: 4 }, async (_, n) => {
    for (let i = 0; !stop.signal.aborted; i++) verdicts.push(await Client.deliver(port, `message ${n} ${i}`))
  })
  t.match(await Client.deliver(port, 'x', 'joe@two.example'), /^550 5\.7\.1/)
  t.equal(await shownCertificate(port), one.cert.toString())

  const two = makeCertificate(folder)
  writeFileSync(file, config('two.example'))
  renameSync(join(folder, 'log'), join(folder, 'log.1'))
  server.child.kill('SIGHUP')
  await until(() => logged(folder).includes('reloaded'))
  t.match(await Client.deliver(port, 'x', 'joe@two.example'), /^250 /)
  t.match(await Client.deliver(port, 'x', 'joe@one.example'), /^550 /)
  t.equal(await shownCertificate(port), two.cert.toString())

  writeFileSync(file, `${config('three.example')}\nlevle = "info"`)
  server.child.kill('SIGHUP')
  await until(() => logged(folder).includes('not reloaded'))
  t.match(logged(folder), /m\.toml:12:1: log\.levle: there is no such key; did you mean level\?/)
  t.match(await Client.deliver(port, 'x', 'joe@two.example'), /^250 /, 'a bad file changes nothing')

  writeFileSync(file, config('two.example'))
  writeFileSync(join(folder, 'cert.pem'), 'no PEM')
  server.child.kill('SIGHUP')
  await until(() => /tls\.cert: /.test(logged(folder)))
  t.equal(await shownCertificate(port), two.cert.toString(), 'nor does a bad certificate')

  await until(() => verdicts.length > 20)
  stop.abort()
  await Promise.all(load)
  t.comment(`${verdicts.length} messages`)
  t.strictSame(
    verdicts.filter(verdict => !verdict.startsWith('250 ')),
    [],
  )
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  const both = readFileSync(join(folder, 'log.1'), 'utf8') + logged(folder)
  t.equal([...both.matchAll(/"msg":"transaction"/g)].length, verdicts.length + 2, 'no line was lost')
})

t.test('metrics, healthz, readyz', async t => {
  const server = start(['serve', ...ANY_PORT, '--metrics', '127.0.0.1:0'], t.testdir())
  await Client.deliver(await server.port, 'x')
  const at = server.ports().at(-1)
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${at}${path}`, { method })
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') }
  }
  const metrics = await get('/metrics')
  t.match(metrics.type, /^text\/plain; version=0\.0\.4/)
  t.match(metrics.text, /^mailhandler_transactions_total\{verdict="accepted"\} 1$/m)
  t.match(metrics.text, /^mailhandler_connections_total 1$/m)
  t.match(await get('/healthz'), { status: 200, text: 'ok\n' })
  t.match(await get('/readyz'), { status: 200 })
  t.match(await get('/none'), { status: 404 })
  t.match(await get('/metrics', 'POST'), { status: 405 })
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('users log in with what `password` makes, and only with the right password', async t => {
  const folder = t.testdir()
  const made = await run(['password', 'ann'], folder, 'right horse\n')
  t.match(made.stdout, /^ann:SCRAM-SHA-256\$100000:/)
  t.equal((await run(['password'], folder)).code, 2)
  writeFileSync(join(folder, 'users'), `# users\n${made.stdout}`)
  writeFileSync(join(folder, 'm.toml'), 'auth = { users = "users", insecure = true, required = true }\n')
  const server = start(['serve', '-c', 'm.toml', ...ANY_PORT, '--log-level', 'debug'], folder)
  const port = await server.port
  const login = async (password: string, authzid = '', user = 'ann') => {
    const client = new Client(port)
    await client.reply()
    t.match(await client.say('EHLO x'), /AUTH SCRAM-SHA-256 PLAIN LOGIN/)
    const answer = await client.say(`AUTH PLAIN ${Buffer.from(`${authzid}\0${user}\0${password}`).toString('base64')}`)
    client.socket.destroy()
    return answer
  }
  t.match(await login('right horse'), /^235 /)
  t.match(await login('wrong horse'), /^535 /)
  t.match(await login('right horse', 'bob'), /^535 /)
  t.match(await login('right horse', '', 'bob'), /^535 /)
  t.match(await Client.deliver(port, 'x'), /^530 /)
  server.child.kill('SIGTERM')
  await server.ended
  t.notMatch(server.said(), /horse/)
  t.notMatch(server.said(), new RegExp(Buffer.from('horse').toString('base64').slice(0, 5)))
})

t.test('TLS from the first octet on, and PROXY from those who are trusted', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const listens = ['tls = "implicit"', 'tls = "off"\nproxy = ["127.0.0.1"]', 'tls = "off"\nproxy = ["192.0.2.1"]'].map(
    more => `[[listen]]\naddress = "127.0.0.1:0"\n${more}\n`,
  )
  writeFileSync(join(folder, 'm.toml'), `${listens.join('')}[tls]\ncert = "cert.pem"\nkey = "key.pem"\n`)
  const server = start(['serve', '-c', 'm.toml'], folder)
  await server.port
  const [secure = 0, behind = 0, strangers = 0] = server.ports()

  const tls = connectTls({ port: secure, host: '127.0.0.1', rejectUnauthorized: false })
  t.match(await Client.deliver(tls, 'hello'), /^250 /)
  const [sent] = delivered(join(folder, 'Maildir'))
  t.match(readFileSync(join(folder, 'Maildir/new', sent!), 'latin1'), / with ESMTPS /)

  const header = 'PROXY TCP4 203.0.113.7 198.51.100.1 4711 25\r\n'
  const proxied = connect(behind, '127.0.0.1')
  proxied.write(header)
  t.match(await Client.deliver(proxied, 'hello'), /^250 /)
  await server.says(/"client":"203\.0\.113\.7"[^\n]*"verdict":"accepted"/)

  const forged = new Client(strangers)
  forged.socket.write(header)
  t.match(await forged.reply(), /^220 /)
  t.match(await forged.reply(), /^500 /)
  forged.socket.destroy()
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('a socket from systemd', async t => {
  // The shell's process becomes the server's: LISTEN_PID is its own.
  for (const args of [
    '--domain example.org',
    '--domain example.org --listen systemd:smtp',
    '--domain example.org --workers 2',
  ]) {
    const listening = createServer().listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const { port } = listening.address() as { port: number }
    const script = `exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp '${process.execPath}' '${MAIN}' serve ${args}`
    const handle = (listening as unknown as { _handle: { fd: number } })._handle
    const server = follow(
      spawn('sh', ['-c', script], { cwd: t.testdir(), stdio: ['ignore', 'pipe', 'pipe', handle.fd] }),
    )
    t.equal(await server.port, port, args)
    listening.close() // the socket is the server's alone now
    t.match(await Client.deliver(port, 'x'), /^250 /, args)
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  }
  const none = start(['serve', '--domain', 'x.example', '--listen', 'systemd:smtp'], t.testdir())
  t.match((await none.ended).stderr, /systemd has handed over no socket with the name smtp/)
})

t.test('gives the rights of root up', { skip: process.getuid?.() !== 0 && 'only root can' }, async t => {
  for (const workers of [1, 2]) {
    const folder = t.testdir({ 'm.toml': `user = "nobody"\nworkers = ${workers}\n` })
    const server = start(['serve', '-c', 'm.toml', ...ANY_PORT, '--maildir', '/nonexistent/Maildir'], folder)
    const port = await server.port
    const status = readFileSync(`/proc/${server.child.pid}/status`, 'latin1')
    const nobody = statSync(`/proc/${server.child.pid}`).uid
    t.not(nobody, 0)
    t.match(status, new RegExp(`Uid:\\t${nobody}\\t${nobody}\\t${nobody}\\t`))
    t.notMatch(status, /Groups:.*\b0\b/)
    t.match(await Client.deliver(port, 'x'), /^451 4\.3\.0/, 'it may not write there')
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  }
  const { code, stderr } = await run(
    ['serve', '-c', 'm.toml', ...ANY_PORT],
    t.testdir({ 'm.toml': 'user = "nobody-at-all"' }),
  )
  t.equal(code, 1)
  t.match(stderr, /there is no user nobody-at-all/)
})

t.test('the example serves without its upstream, with certificates and users of its own', async t => {
  const folder = t.testdir()
  const { file } = makeCertificate(folder, ['mx.example.org', 'mx.example.net', '*.example.com'])
  const { stdout } = await run(['password', 'ann'], folder, 'secret')
  writeFileSync(join(folder, 'users'), stdout)
  writeFileSync(join(folder, 'deny-clients'), '# nobody\n')
  writeFileSync(join(folder, 'status.token'), 'sesame-open-yourself\n')
  const text = readText('examples/mailhandler.toml')
    .replace(/^# The mail server that takes the messages[^]*?(?=^# Logs:)/m, '')
    .replaceAll(/^#(?!user =|group)([a-z_]+ = |\[)/gm, '$1')
    .replaceAll(/^cert = .*$/gm, `cert = "${file}"`)
    .replaceAll(/^key = .*$/gm, 'key = "key.pem"')
    .replaceAll(/^users = .*$/gm, 'users = "users"')
    .replaceAll(/^deny_clients_file = .*$/gm, 'deny_clients_file = "deny-clients"')
    .replaceAll(/"\/var\/log\/mailhandler\/(.*)"/g, '"$1"')
    .replaceAll(/"127\.0\.0\.1:\d+"/g, '"127.0.0.1:0"')
  writeFileSync(join(folder, 'm.toml'), text)
  const checked = await run(['check', '-c', 'm.toml'], folder)
  t.match(checked, { code: 0, stderr: /^(?:note: it runs as root: [^\n]*\n)?$/ })
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.match(await Client.deliver(await server.port, 'hello'), /^250 /)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  t.match(logged(folder, 'mailhandler.log'), /"msg":"transaction"/)
  t.match(readFileSync(join(folder, 'debug.log'), 'utf8'), /220 mx\.example\.org/)
})

function logged(folder: string, name = 'log'): string {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch {
    return ''
  }
}

/** The certificate that STARTTLS shows, in PEM. */
async function shownCertificate(port: number): Promise<string> {
  const client = new Client(port)
  await client.reply()
  await client.say('EHLO x')
  await client.say('STARTTLS')
  client.socket.removeAllListeners('data')
  const tls = connectTls({ socket: client.socket, rejectUnauthorized: false })
  await once(tls, 'secureConnect')
  const base64 = tls.getPeerCertificate().raw.toString('base64')
  tls.destroy()
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`.replace(
    '\n\n',
    '\n',
  )
}
