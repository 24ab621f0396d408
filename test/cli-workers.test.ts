// `mailhandler serve --workers 2`: a worker that dies takes nothing with it that was acknowledged.

import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { workerEnvironment } from '../lib/cli/worker-environment.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { Client, delivered, MAIN, run, start, workersOf } from './fixtures/command.ts'
import { until } from './fixtures/until.ts'

/** Two workers on a port of the system's choice. */
function config(before = ''): string {
  return `${before}workers = 2\n[[listen]]\naddress = "127.0.0.1:0"\n[per_client]\nper_minute = 100000\n`
}

t.test('without --config: workers have what the primary has found, and do not look again', async t => {
  const folder = t.testdir({ 'mailhandler.toml': config() })
  const server = start(['serve'], folder)
  const port = await server.port
  await until(() => workersOf(server).length === 2)
  chmodSync(join(folder, 'mailhandler.toml'), 0o666) // would not be read by a command that looks now
  const first = workersOf(server)
  for (const pid of first) process.kill(pid, 'SIGKILL')
  await until(() => workersOf(server).filter(pid => !first.includes(pid)).length === 2)
  t.match(await Client.deliver(port, 'after'), /^250 /)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('kill -9 of workers under load: the others go on, no accepted message is lost', async t => {
  const folder = t.testdir({ 'm.toml': config() })
  const server = start(['serve', '-c', 'm.toml'], folder)
  const port = await server.port
  const accepted: string[] = []
  const stop = new AbortController()
  let last = performance.now()
  let longest = 0
  const load = Array.from({ length: 6 }, async (_, n) => {
    for (let i = 0; !stop.signal.aborted; i++) {
      const text = `message-${n}-${i}-`
      if (!(await Client.deliver(port, text)).startsWith('250 ')) continue
      accepted.push(text)
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }
  })
  for (let round = 0; round < 3; round++) {
    const before = accepted.length
    await until(() => accepted.length > before + 20 && workersOf(server).length === 2)
    process.kill(workersOf(server)[round % 2]!, 'SIGKILL')
  }
  const before = accepted.length
  await until(() => accepted.length > before + 20 && workersOf(server).length === 2)
  stop.abort()
  await Promise.all(load)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  const text = execFileSync(
    'cat',
    delivered(join(folder, 'Maildir')).map(file => join(folder, 'Maildir/new', file)),
    {
      encoding: 'latin1',
      maxBuffer: 2 ** 26,
    },
  )
  const found = new Set(text.match(/^message-\d+-\d+-/gm))
  t.strictSame(
    accepted.filter(each => !found.has(each)),
    [],
    'each message that got 250 is there',
  )
  t.equal([...server.said().matchAll(/a worker died/g)].length, 3)
  t.comment(`${accepted.length} accepted, longest pause ${Math.round(longest)} ms`)
})

t.test('SIGHUP reaches each worker; a bad file changes nothing, not even for a worker that comes later', async t => {
  const folder = t.testdir()
  const rest = config()
  const text = (domain: string) => `recipients.domains = ["${domain}"]\n${rest}`
  const file = join(folder, 'm.toml')
  writeFileSync(file, text('one.example'))
  const server = start(['serve', '-c', 'm.toml'], folder)
  const port = await server.port
  const verdicts = async (domain: string) => {
    const all = await Promise.all([1, 2, 3, 4].map(() => Client.deliver(port, 'x', `joe@${domain}`)))
    return new Set(all.map(verdict => verdict.slice(0, 3)))
  }
  t.strictSame(await verdicts('one.example'), new Set(['250']))
  writeFileSync(file, text('two.example'))
  server.child.kill('SIGHUP')
  await until(() => [...server.said().matchAll(/"reloaded"/g)].length === 3)
  t.strictSame(await verdicts('two.example'), new Set(['250']))
  t.strictSame(await verdicts('one.example'), new Set(['550']))

  writeFileSync(file, `${text('three.example')}per_minut = 3`)
  server.child.kill('SIGHUP')
  await server.says(/m\.toml:7:1: per_client\.per_minut: there is no such key; did you mean per_minute\?/)
  const [first] = workersOf(server)
  process.kill(first!, 'SIGKILL')
  await until(() => workersOf(server).length === 2 && !workersOf(server).includes(first!))
  await new Promise(resolve => setTimeout(resolve, 500))
  t.strictSame(await verdicts('two.example'), new Set(['250']))
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('a worker that is told to reload while it starts serves the newer configuration', async t => {
  const text = (name: string) => `banner = "${name}"\n${config()}`
  const folder = t.testdir({ 'm.toml': text('one') })
  const listener = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  t.teardown(() => listener.close())
  await once(listener, 'listening')
  const env = workerEnvironment(1)
  for (const [newer, greeting] of [
    [text('two'), /two/],
    ['workers = "many"', /one/],
  ] as const) {
    const worker = fork(MAIN, ['serve', '-c', 'm.toml'], { cwd: folder, env, silent: true, execArgv: [] })
    const told = (what: string) =>
      new Promise<void>(resolve => {
        worker.on('message', (report: { report: string }) => report.report === what && resolve())
      })
    await told('hello')
    const ready = told('ready')
    const send = (order: object) => new Promise(resolve => worker.send(order, resolve))
    worker.kill('SIGSTOP') // so that both are there when it reads: the second comes while it starts
    await send({ order: 'start', text: text('one') })
    await send({ order: 'reload', text: newer })
    worker.kill('SIGCONT')
    await ready
    const accepted = once(listener, 'connection') as Promise<[Socket]>
    const client = new Client((listener.address() as AddressInfo).port)
    const [socket] = await accepted
    worker.send({ order: 'connection', id: 1, listener: 0 }, socket)
    t.match(await client.reply(), greeting)
    const ended = once(worker, 'exit')
    worker.send({ order: 'stop', within: 0 })
    t.strictSame(await ended, [0, null])
    client.socket.destroy()
  }
})

t.test('workers end with their primary, however it ends', async t => {
  const server = start(['serve', '-w', '2', '-l', '127.0.0.1:0'], t.testdir())
  await server.port
  const workers = workersOf(server)
  t.equal(workers.length, 2)
  server.child.kill('SIGKILL')
  await server.ended
  const alive = (pid: number) => {
    try {
      return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
    } catch {
      return false
    }
  }
  await until(() => !workers.some(alive))
  t.pass('they are gone')
})

t.test('a signal to the whole group, as a terminal sends it, is no second one', async t => {
  const server = start(['serve', '-w', '2', '-l', '127.0.0.1:0'], t.testdir(), { detached: true })
  const client = new Client(await server.port)
  await client.reply()
  for (const line of ['EHLO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA']) await client.say(line)
  process.kill(-server.child.pid!, 'SIGINT')
  await server.says('stopping')
  t.match(await client.say('late\r\n.'), /^250 /)
  t.equal((await server.ended).code, 0)
})

t.test(
  'the primary and its workers are the configured user',
  { skip: process.getuid?.() !== 0 && 'only root can' },
  async t => {
    const folder = t.testdir()
    makeCertificate(folder)
    chmodSync(join(folder, 'key.pem'), 0o600)
    const rest = config('user = "nobody"\ntls = { cert = "cert.pem", key = "key.pem" }\nmaildir = "/nonexistent"\n')
    writeFileSync(join(folder, 'm.toml'), rest)
    const refused = await run(['serve', '-c', 'm.toml'], folder)
    t.equal(refused.code, 1)
    t.match(refused.stderr, /m\.toml:2:\d+: tls\.key: EACCES/, 'it says at the start what a reload could not read')

    chmodSync(join(folder, 'key.pem'), 0o644)
    const server = start(['serve', '-c', 'm.toml'], folder)
    await server.port
    for (const pid of [server.child.pid!, ...workersOf(server)]) t.not(statSync(`/proc/${pid}`).uid, 0)
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  },
)

t.test('the primary logs to the file too, also after a rotation', async t => {
  const folder = t.testdir({ 'm.toml': config('log.file = "log"\n') })
  const server = start(['serve', '-c', 'm.toml'], folder)
  await server.port
  const log = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '')
  await until(() => /listening on/.test(log('log')))
  renameSync(join(folder, 'log'), join(folder, 'log.1'))
  server.child.kill('SIGHUP')
  await until(() => [...log('log').matchAll(/"reloaded"/g)].length === 3)
  process.kill(workersOf(server)[0]!, 'SIGKILL')
  await until(() => /"a worker died"/.test(log('log')))
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  t.match(log('log'), new RegExp(`"pid":${server.child.pid},"msg":"stopped"`))
  t.notMatch(server.said(), /\{"level"/)
})
