// The file of users, and `mailhandler password`, which makes its lines.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { readUsers, userLine } from '../lib/cli/users.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import { converse } from '../lib/testing/conversation.ts'
import { MAIN, run } from './fixtures/command.ts'

t.test('password: names that the file could not hold are refused, and nothing is printed', async t => {
  const folder = t.testdir()
  const names = ['a:b', '#anna', 'an#na', ' anna', 'anna ', 'an\nna', 'anna\r', 'a\tb', 'a\u0085b', '', 'x'.repeat(256)]
  for (const name of [...names, '\u00AD', 'a\uFFFDb', 'anna\u2028']) {
    const { code, stdout, stderr } = await run(['password', '--', name], folder, 'secret\n')
    t.strictSame({ code, stdout }, { code: 2, stdout: '' }, encodeURIComponent(name))
    t.match(stderr, /^mailhandler: the name of a user /)
  }
  t.match(await run(['password'], folder), { code: 2, stderr: /takes the name of a user/ })
})

t.test('password: a name is written as the name of a client is compared with it', async t => {
  const folder = t.testdir()
  t.match((await run(['password', 'anna b'], folder, 'x')).stdout, /^anna b:SCRAM/)
  t.match((await run(['password', '\u2168@\uFF41.example'], folder, 'x')).stdout, /^IX@a\.example:SCRAM/)
})

t.test('password: what no client could send is refused', async t => {
  const folder = t.testdir()
  const passwords: [string | Buffer, RegExp][] = [
    ['', /empty/],
    ['\n', /empty/],
    ['x'.repeat(256), /longer than the 255 octets/],
    ['x'.repeat(100_000), /longer than the 255 octets/],
    ['two\nlines', /prohibited/],
    [Buffer.from([0x61, 0xff]), /not UTF-8/],
  ]
  for (const [password, why] of passwords) {
    const { code, stdout, stderr } = await run(['password', 'anna'], folder, password)
    t.strictSame([code === 0, stdout], [false, ''], String(why))
    t.match(stderr, why)
    t.notMatch(stderr, / {4}at /)
  }
  t.match((await run(['password', 'anna'], folder, `${'x'.repeat(255)}\r\n`)).stdout, /^anna:SCRAM/)
})

/** Runs the command on a terminal of its own; `type` answers its prompts. What the terminal showed is returned. */
function onTerminal(folder: string, answers: readonly string[]): Promise<string> {
  const command = `'${process.execPath}' '${MAIN}' password anna > line`
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] })
  let shown = ''
  let answered = 0
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
    while (answered < answers.length && shown.split(/(?:Password|Again): /).length - 1 > answered) {
      child.stdin.write(answers[answered++]!)
    }
  })
  child.stdin.on('error', () => {})
  return new Promise(resolve => child.once('close', code => resolve(`${shown}\n[${code}]`)))
}

t.test('password on a terminal: asked for twice, and not shown', async t => {
  const folder = t.testdir()
  const shown = await onTerminal(folder, ['secrets\u007F\r', 'wrong\u0015secret\r'])
  t.match(shown, /^Password: \r\nAgain: \r\n\n\[0\]$/)
  t.match(readUsersOf(folder, 'line'), ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'])

  t.match(await onTerminal(folder, ['secret\r', 'other\r']), /the two passwords differ[^]*\[2\]$/)
  const cancelled = await onTerminal(folder, ['secr\u0003'])
  t.match(cancelled, /cancelled[^]*\[2\]$/)
  t.notMatch(cancelled, /secr/)
})

function readUsersOf(folder: string, name: string): string[] {
  return readUsers(join(folder, name)).mechanisms.map(({ name }) => name)
}

/** Asks for the SCRAM challenge of a user. */
async function challengeFor(file: string, user: string): Promise<{ salt: string; iterations: number }> {
  const { mechanisms, policy } = readUsers(file)
  const handler = new SmtpHandler({ auth: { mechanisms, insecure: true }, policies: [policy] })
  const conversation = converse(handler)
  await conversation.expect(220)
  conversation.write('EHLO x\r\n')
  await conversation.expect(250)
  conversation.write(`AUTH SCRAM-SHA-256 ${Buffer.from(`n,,n=${user},r=nonce`).toString('base64')}\r\n`)
  const [line = ''] = (await conversation.expect(334)).lines
  conversation.write('*\r\nQUIT\r\n')
  await conversation.closed()
  const [, salt = '', iterations] = /,s=([^,]+),i=(\d+)/.exec(Buffer.from(line, 'base64').toString()) ?? []
  return { salt, iterations: Number(iterations) }
}

async function lineWith(user: string, iterations: number, saltOctets: number): Promise<string> {
  const secret = await scramSecret('right', { iterations, salt: Buffer.alloc(saltOctets, user) })
  return `${user}:SCRAM-SHA-256$${iterations}:${secret.salt}$${secret.storedKey}:${secret.serverKey}\n`
}

t.test('an unknown user gets a challenge with the iterations and the length of salt of the file', async t => {
  const file = join(t.testdir(), 'users')
  writeFileSync(file, await lineWith('ann', 4096, 24))
  const known = await challengeFor(file, 'ann')
  const unknown = await challengeFor(file, 'bob')
  t.equal(unknown.iterations, 4096)
  t.equal(unknown.salt.length, known.salt.length)
  t.not(unknown.salt, (await challengeFor(file, 'eve')).salt)
  t.strictSame(await challengeFor(file, 'bob'), unknown, 'the same after each start')

  writeFileSync(file, (await lineWith('ann', 4096, 24)) + (await lineWith('zoe', 4096, 24)))
  t.strictSame(await challengeFor(file, 'bob'), unknown, 'and with one more user')

  writeFileSync(file, (await lineWith('ann', 4096, 16)) + (await lineWith('zoe', 8192, 16)))
  const seen = new Set<number>()
  for (let i = 0; i < 40; i++) seen.add((await challengeFor(file, `nobody${i}`)).iterations)
  t.strictSame(seen, new Set([4096, 8192]), 'both counts, as with known users')

  writeFileSync(file, '')
  t.equal((await challengeFor(file, 'bob')).iterations, 100_000)
})

t.test('a check of a password takes the same time for an unknown user', async t => {
  const file = join(t.testdir(), 'users')
  writeFileSync(file, await lineWith('ann', 4096, 16))
  const { onAuth } = readUsers(file).policy
  const times = { ann: Infinity, bob: Infinity }
  // In turn, and the shortest of each: what else the machine does makes others longer.
  for (let i = 0; i < 30; i++) {
    const user = i % 2 === 0 ? 'ann' : 'bob'
    const start = performance.now()
    const answer = await onAuth!({ mechanism: 'PLAIN', user, authzid: '', password: 'wrong' } as never, {} as never)
    times[user] = Math.min(times[user], performance.now() - start)
    if (answer?.code !== 535) throw new Error('not refused')
  }
  const { ann: known, bob: unknown } = times
  t.ok(unknown < known * 4 && known < unknown * 4, `${known.toFixed(2)} ms known, ${unknown.toFixed(2)} ms unknown`)
})

t.test('a file of users: what is wrong with it is told by line, and nothing of its secrets', async t => {
  const file = join(t.testdir(), 'users')
  const good = await userLine('ann', 'secret')
  const wrong: [string | Buffer, RegExp][] = [
    [`# comment\n\n${good}\n${good}`, /^line 4 is for a user who has a line already$/],
    ['ann:secret', /^line 1 is not a line that "mailhandler password" makes$/],
    [good.replace('$100000:', '$1000:'), /^line 1: iterations must be 4096 to/],
    [good.replace('$100000:', '$99999999:'), /^line 1: iterations must be 4096 to/],
    [good.replace(/:[\w+/=]+\$/, ':YWI=$'), /^line 1: a salt must be 8 to 64 octets$/],
    [good.replace(/:[\w+/=]+\$/, ':====$'), /^line 1: a salt must be/],
    [Buffer.concat([Buffer.from([0xff]), Buffer.from(good)]), /^is not UTF-8$/],
  ]
  for (const [text, message] of wrong) {
    writeFileSync(file, text)
    t.throws(() => readUsers(file), { message })
  }
  writeFileSync(file, `\uFEFF${good}\r\n`)
  t.doesNotThrow(() => readUsers(file))
})

t.test('guesses: all listeners count together, each worker takes its share', async t => {
  const folder = t.testdir({ users: await userLine('anna', 'sesame') })
  const file = join(folder, 'm.toml')
  const text =
    'workers = 4\n[[listen]]\naddress = "127.0.0.1:1"\n[[listen]]\naddress = "127.0.0.1:2"\n[auth]\nusers = "users"\ninsecure = true\n'
  for (const [more, credentials] of [
    ['', 5],
    ['[auth.guesses]\ncredentials = 9\nwindow = "5m"\nchecks = 3\nexcept = ["10.0.0.5"]\n', 3],
  ] as const) {
    const { handlers } = makeSettings(loadConfig(file, text + more))
    const [first, second] = handlers.map(({ auth }) => auth?.guesses)
    t.equal(first, second, 'the same object: see AuthOptions')
    t.equal(first?.credentials, credentials)
    if (more !== '') t.match(first, { window: 300_000, checks: 3, except: ['10.0.0.5'] })
  }
})
