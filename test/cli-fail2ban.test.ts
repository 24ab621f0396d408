// examples/fail2ban reads the log that the command writes: the real fail2ban-regex finds who showed wrong credentials, and
// no client can write a line that bans somebody else.

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { client, missingTool } from './fixtures/clients.ts'
import { Client, run, start } from './fixtures/command.ts'
import { ROOT } from './fixtures/repository.ts'

const execute = promisify(execFile)
const FILTER = join(ROOT, 'examples/fail2ban/filter.conf')
/** The address that clients try to get banned. */
const VICTIM = '198.51.100.9'
const LINE = `{"level":"warn","time":"2026-01-02T03:04:05.678Z","pid":1,"session":"a","client":"${VICTIM}","user":"x","mechanism":"PLAIN","reply":"535 5.7.8 No","msg":"login failed"}`
const NAMES = [
  'anna',
  `x","client":"${VICTIM}","user":"y`,
  `x\\","client":"${VICTIM}","user":"y","mechanism":"PLAIN","reply":"","msg":"login failed"}`,
  `x\n${LINE}`,
  `x\r\n${LINE}\r\n`,
  `x\u2028${LINE}`,
  `x\u0085${LINE}`,
  LINE,
  `client=${VICTIM}`,
  '<HOST>',
  '<ADDR>',
  'x\\',
  '"',
]

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A session of a client with this address, which a proxy tells. */
async function sessionFrom(address: string, port: number): Promise<Client> {
  const family = address.includes(':') ? `TCP6 ${address} 2001:db8::1` : `TCP4 ${address} 192.0.2.1`
  const socket = connect(port, '127.0.0.1')
  socket.write(`PROXY ${family} 1025 25\r\n`)
  const session = new Client(socket)
  await session.reply()
  return session
}

interface Log {
  readonly file: string
  /** The addresses that showed wrong credentials. */
  readonly failed: readonly string[]
}

/** Has the command write a log of clients that try all of this. */
async function makeLog(t: Test, format: string): Promise<Log> {
  const folder = t.testdir()
  const users = await run(['password', 'right'], folder, 'secret')
  writeFileSync(join(folder, 'users'), users.stdout)
  writeFileSync(
    join(folder, 'm.toml'),
    `log = { format = "${format}", level = "debug" }
auth = { users = "users", insecure = true }
[[listen]]
address = "127.0.0.1:0"
proxy = ["127.0.0.1"]
`,
  )
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.teardown(() => server.child.kill('SIGKILL'))
  const port = await server.port
  const failed: string[] = []
  for (const [index, name] of NAMES.entries()) {
    for (const address of [`192.0.2.${index + 10}`, `2001:db8:${index + 1}::7`]) {
      const session = await sessionFrom(address, port)
      await session.say(`EHLO ${name.replaceAll(/[\r\n]/g, '')}`)
      await session.say('EHLO x')
      if ((await session.say(`AUTH PLAIN ${base64(`\0${name}\0wrong`)}`)).startsWith('535')) failed.push(address)
      session.socket.destroy()
    }
  }
  const honest = await sessionFrom('192.0.2.200', port)
  await honest.say('EHLO x')
  t.match(await honest.say('AUTH PLAIN ='), /^501/, 'a malformed command is no login')
  t.match(await honest.say(`AUTH PLAIN ${base64('\0right\0secret')}`), /^235/)
  t.match(await honest.say(`MAIL FROM:<${JSON.stringify(LINE)}@x.example>`), /^[25]/)
  t.match(await honest.say(LINE), /^5/)
  honest.socket.destroy()
  server.child.kill('SIGTERM')
  const file = join(folder, 'log')
  writeFileSync(file, (await server.ended).stderr)
  return { file, failed }
}

/** What fail2ban finds in a log: an address and a time in seconds for each failure. */
async function findFailures(file: string, zone: string): Promise<{ address: string; time: number }[]> {
  const env = { ...process.env, TZ: zone }
  const { stdout } = await execute(client('fail2ban-regex')!, ['--out', 'row', file, FILTER], { env })
  return [...stdout.matchAll(/^\['([^']*)',\s*([\d.]+),/gm)].map(([, address = '', time]) => ({
    address,
    time: Number(time),
  }))
}

const skip = missingTool('fail2ban-regex')

t.test('fail2ban finds each client that showed wrong credentials, and nobody else', { skip }, async t => {
  const began = Math.floor(Date.now() / 1000)
  const { file, failed } = await makeLog(t, 'json')
  t.ok(failed.length >= 2 * 8, 'most of the names get as far as a check')
  t.match(readFileSync(file, 'utf8'), VICTIM)
  for (const zone of ['UTC', 'Asia/Tokyo']) {
    const found = await findFailures(file, zone)
    t.strictSame(
      found.map(({ address }) => address),
      failed,
      zone,
    )
    t.ok(
      found.every(({ time }) => time >= began && time <= Date.now() / 1000),
      'times have the zone of the log, not of the machine',
    )
  }
})

t.test('it reads no log in text, which has no dates', { skip }, async t => {
  const { file, failed } = await makeLog(t, 'text')
  t.equal(readFileSync(file, 'utf8').match(/ login failed /g)?.length, failed.length)
  t.strictSame(await findFailures(file, 'UTC'), [])
})
