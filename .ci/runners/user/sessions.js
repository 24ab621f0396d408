// node sessions.js COMMAND …: runs server.js by the command, and has SMTP sessions with it, from Node.
// What is listed in known-failures.json for the program has to fail, with that message: one that passes fails the check.

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { converse } from 'mailhandler/testing'

const MAIL = `Subject: hello\r\n\r\n.dots\r\n..\r\n${'0123456789'.repeat(7)}\r\n`.repeat(2000)
const DIGEST = createHash('sha256').update(MAIL).digest('hex')

const [name, ...command] = process.argv.slice(2)
const known = JSON.parse(readFileSync('known-failures.json', 'utf8'))[name.split(' ')[0]] ?? {}

const child = spawn(command[0], [...command.slice(1), 'server.js'], { stdio: ['ignore', 'pipe', 'inherit'] })
const exited = new Promise(resolve => child.once('exit', (...how) => resolve(how)))
const lines = []
const waiting = new Set()
createInterface({ input: child.stdout }).on('line', line => {
  lines.push(line)
  for (const look of waiting) look()
})

/** The first line that begins so, which is taken from the list. */
function printed(start) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      waiting.delete(look)
      reject(new Error(`no line ${JSON.stringify(start)}, but ${JSON.stringify(lines)}`))
    }, 5000)
    const look = () => {
      const at = lines.findIndex(line => line.startsWith(start))
      if (at === -1) return
      clearTimeout(late)
      waiting.delete(look)
      resolve(lines.splice(at, 1)[0])
    }
    waiting.add(look)
    look()
  })
}

const dial = port => connect({ port, host: '127.0.0.1', allowHalfOpen: true })

async function envelope(c) {
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
}

/** Sends the mail by DATA, then ends the session. */
async function sendMail(c) {
  await envelope(c)
  await c.command('DATA', 354)
  await c.data(MAIL)
  await c.expect(250)
  await c.command('QUIT', 221)
  await c.closed()
}

async function arrived(protocol, version) {
  await printed(`message 127.0.0.1 ${protocol} ${version} ${DIGEST}`)
  await printed('closed quit')
}

const sessions = {
  async DATA() {
    const c = converse(dial(smtp))
    await c.expect(220)
    await sendMail(c)
    await arrived('ESMTP', '-')
  },

  async BDAT() {
    const c = converse(dial(smtp))
    await c.expect(220)
    await envelope(c)
    c.write(`BDAT 10\r\n${MAIL.slice(0, 10)}`)
    await c.expect(250)
    c.write(`BDAT ${MAIL.length - 10} LAST\r\n${MAIL.slice(10)}`)
    await c.expect(250)
    await c.command('QUIT', 221)
    await c.closed()
    await arrived('ESMTP', '-')
  },

  async STARTTLS() {
    const socket = dial(smtp)
    const clear = converse(socket)
    await clear.expect(220)
    await clear.command('EHLO client.example', 250)
    await clear.command('STARTTLS', 220)
    socket.removeAllListeners('data')
    await sendMail(converse(connectTls({ socket, rejectUnauthorized: false })))
    await arrived('ESMTPS', 'TLSv1.3')
  },

  async 'TLS from the first octet'() {
    const c = converse(connectTls({ port: smtps, host: '127.0.0.1', rejectUnauthorized: false }))
    await c.expect(220)
    await sendMail(c)
    await arrived('ESMTPS', 'TLSv1.3')
  },

  async 'a client that ends its direction gets its replies'() {
    const socket = dial(smtp)
    const c = converse(socket)
    await c.expect(220)
    socket.end('EHLO client.example\r\n')
    await c.expect(250)
    await c.closed()
    await printed('closed ')
  },

  async 'a client that is cut off in its mail leaves none'() {
    const socket = dial(smtp)
    const c = converse(socket)
    await c.expect(220)
    await envelope(c)
    await c.command('DATA', 354)
    c.write(MAIL)
    socket.resetAndDestroy()
    await printed('closed lost')
    if (lines.some(line => line.startsWith('message'))) throw new Error(lines.join())
  },

  async 'the command with TLS'() {
    const check = ['node_modules/mailhandler/dist/lib/cli/main.js', 'check', '--config', 'tls.toml']
    await promisify(execFile)(command[0], [...command.slice(1), ...check])
  },

  async 'the end by close()'() {
    const c = converse(dial(smtp))
    await c.expect(220)
    child.kill('SIGTERM')
    await c.expect(421)
    await c.closed()
    await printed('server ended')
  },
}

let failed = 0

function report(what, message) {
  const expected = known[what]
  const isRight = expected === undefined ? message === null : message?.includes(expected)
  if (!isRight) failed++
  const found = message === null ? 'ok' : message.trim().replaceAll('\n', ' ').slice(0, 400)
  console.log(
    `${name}: ${what}: ${found}${expected === undefined ? '' : isRight ? ' (known)' : ` (expected: ${expected})`}`,
  )
}

const deadline = setTimeout(() => {
  console.log(`${name}: took too long`)
  child.kill('SIGKILL')
  process.exit(1)
}, 30_000)

const ports = await printed('ports ')
const [smtp, smtps] = ports.split(' ').slice(1).map(Number)
for (const line of lines.splice(0)) {
  const [, not, what, message = ''] = /^(not )?ok ([^:]*)(?:: (.*))?$/.exec(line) ?? ['', 'not ', line]
  report(what, not === undefined ? null : message)
}
for (const [what, run] of Object.entries(sessions)) {
  await run().then(
    () => report(what, null),
    error => report(what, error.message),
  )
}
child.kill('SIGKILL')
await exited
clearTimeout(deadline)
process.exitCode = failed > 0 ? 1 : 0
