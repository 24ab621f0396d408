// The command with each of its logs going to a target that is full, stalled or gone: mail goes on, and SIGTERM ends it.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Client, delivered, follow, MAIN, start } from './fixtures/command.ts'
import { freePort } from './fixtures/free-port.ts'

const MAILS = 100
const CONNECTIONS = 10
/** Of each mail, for logs of commands: each log is more than a pipe holds, 64 KiB; as JSON more than may wait, 1 MiB. */
const RECIPIENTS = 80
/** Milliseconds; a log that takes no more has 500 of them. */
const SHUTDOWN_TIMEOUT = 20_000

/** What a log can be written to, as a path and as a descriptor for a child. */
interface Target {
  readonly path: string
  readonly fd: number
  close(): void
}

type State = 'full' | 'stalled' | 'gone'

function makeTarget(folder: string, state: State): Target {
  if (state === 'full') {
    const fd = openSync('/dev/full', 'a')
    return { path: '/dev/full', fd, close: () => closeSync(fd) }
  }
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, 'r+')
  const fd = openSync(path, 'a')
  if (state === 'gone') closeSync(reader)
  return {
    path,
    fd,
    close: () => {
      closeSync(fd)
      if (state === 'stalled') closeSync(reader)
    },
  }
}

async function whenListening(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
        .on('error', () => resolve(false))
        .on('connect', () => {
          socket.destroy()
          resolve(true)
        })
    })
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const ENVELOPE = `MAIL FROM:<ann@example.net>\r\n${'RCPT TO:<joe@example.org>\r\n'.repeat(RECIPIENTS)}`

/** Sends the mails; resolves with how many were accepted. */
async function accepted(port: number): Promise<number> {
  const counts = Array.from({ length: CONNECTIONS }, async () => {
    const client = new Client(port)
    await client.reply()
    await client.say('EHLO client.example')
    let count = 0
    for (let i = 0; i < MAILS / CONNECTIONS; i++) {
      client.socket.write(ENVELOPE)
      for (let j = 0; j < 1 + RECIPIENTS; j++) await client.reply()
      await client.say('DATA')
      if ((await client.say('hello\r\n.')).startsWith('250 ')) count += 1
    }
    await client.say('QUIT')
    client.socket.destroy()
    return count
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

/** Has the command receive mail with standard error and its configured log as they are given; then ends it. */
async function receive(
  t: Test,
  { folder, config, stderr }: { folder: string; config: string; stderr: number | 'pipe' },
): Promise<void> {
  const port = await freePort()
  const head = `shutdown_timeout = "${SHUTDOWN_TIMEOUT}ms"\n`
  writeFileSync(join(folder, 'm.toml'), `${head}${config}[[listen]]\naddress = "127.0.0.1:${port}"\n`)
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', 'm.toml'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', stderr],
  })
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  t.teardown(() => child.kill('SIGKILL'))
  await whenListening(port, child)
  t.equal(await accepted(port), MAILS)
  t.equal(delivered(join(folder, 'Maildir')).length, MAILS)
  const start = performance.now()
  child.kill('SIGTERM')
  const code = await ended
  const took = performance.now() - start
  t.ok(took < SHUTDOWN_TIMEOUT, `it ended after ${Math.round(took)} ms`)
  t.equal(code, 0)
}

const skip = existsSync('/dev/full') ? false : 'there is no /dev/full'

/** Configurations that write to standard error, and to a file that is the same target. */
const CONFIGS: Readonly<Record<string, (path: string) => string>> = {
  'every command as JSON': () => 'log.level = "debug"\n',
  'the format kamaelia': () => 'log.format = "kamaelia"\n',
  'all files': path => `log = { file = "${path}", debug_file = "${path}" }\n`,
  'all files, two workers': path => `workers = 2\nlog = { file = "${path}", debug_file = "${path}" }\n`,
}

for (const state of ['full', 'stalled', 'gone'] as const) {
  for (const [name, config] of Object.entries(CONFIGS)) {
    t.test(`${state}: ${name}`, { skip }, async t => {
      const folder = t.testdir()
      const target = makeTarget(folder, state)
      t.teardown(() => target.close())
      await receive(t, { folder, config: config(target.path), stderr: target.fd })
    })
  }
}

t.test('stalled: a socket, as systemd and Node give to a child', async t => {
  await receive(t, { folder: t.testdir(), config: 'log.level = "debug"\n', stderr: 'pipe' })
})

t.test('a command whose output cannot be written fails without a stack', { skip }, async t => {
  const outcome = async (args: string[], out: State, err: State | 'read') => {
    const folder = t.testdir({ 'bad.toml': 'levle = 1', out: {}, err: {} })
    const targets = [
      makeTarget(join(folder, 'out'), out),
      ...(err === 'read' ? [] : [makeTarget(join(folder, 'err'), err)]),
    ]
    const stdio = ['ignore', targets[0]!.fd, targets[1]?.fd ?? 'pipe'] as const
    const { code, stderr } = await follow(spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: [...stdio] }))
      .ended
    for (const target of targets) target.close()
    return { code, stderr }
  }
  for (const state of ['full', 'gone'] as const) {
    t.strictSame(await outcome(['help'], state, 'read'), { code: 1, stderr: '' }, `help, ${state}`)
    t.strictSame(await outcome(['check', '-c', 'bad.toml'], state, state), { code: 1, stderr: '' }, `check, ${state}`)
    t.strictSame(await outcome(['wrong'], state, state), { code: 2, stderr: '' }, `a wrong command, ${state}`)
  }
  t.strictSame(await outcome(['wrong'], 'full', 'stalled'), { code: 2, stderr: '' })
})

t.test('process warnings and a program error go into the log', { skip }, async t => {
  const folder = t.testdir({
    'm.toml': 'log.file = "log"\n[[listen]]\naddress = "127.0.0.1:0"\n',
    // Once the server listens, however long its start takes.
    'late.mjs': `import { existsSync, readFileSync } from 'node:fs'
      const poll = setInterval(() => {
        if (!existsSync('log') || !readFileSync('log', 'utf8').includes('listening')) return
        clearInterval(poll)
        process.emitWarning('something odd')
        setTimeout(() => { throw new Error('a bug') }, 200)
      }, 20)`,
  })
  const args = ['--import', './late.mjs', MAIN, 'serve', '-c', 'm.toml']
  const { code } = await follow(spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }))
    .ended
  t.equal(code, 1)
  const lines = readFileSync(join(folder, 'log'), 'utf8')
  t.match(lines, /"level":"warn".*"error":"something odd".*"msg":"process warning"/)
  t.match(lines, /"level":"fatal".*"error":"a bug".*"msg":"a program error ends the process"/)
})

t.test('trouble with the log file is told on standard error, as JSON', { skip }, async t => {
  const folder = t.testdir({ 'm.toml': 'log.file = "/dev/full"\n[[listen]]\naddress = "127.0.0.1:0"\n' })
  const server = start(['serve', '-c', 'm.toml'], folder)
  await server.says(/^\{"level":"warn",.*"msg":"the log \/dev\/full: ENOSPC/m)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})
