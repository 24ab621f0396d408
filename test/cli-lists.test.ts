// [lists] and [rates] of the command, and guesses of passwords that workers count together.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError } from '../lib/cli/config/problems.ts'
import { listPolicies } from '../lib/cli/lists.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { closeStores } from '../lib/cli/stores.ts'
import { loadGreylisting } from '../lib/cli/waiting-policies.ts'
import type { DnsResolver } from '../lib/dns/resolver.ts'
import type { Session, SessionInTransaction } from '../lib/smtp/session.ts'
import { Client, run, start, type Running } from './fixtures/command.ts'

const FILE = 'm.toml'
const LISTEN =
  'xclient = ["127.0.0.0/8"]\nlisten = [{ address = "127.0.0.1:0" }]\nrecipients.domains = ["example.org"]\n'

/** Starts the command with this configuration, until the test ends. */
function serve(t: Test, folder: string, tables: string, top = ''): Running {
  writeFileSync(join(folder, FILE), `${top}${LISTEN}${tables}`)
  const server = start(['serve', '--config', FILE], folder)
  t.teardown(async () => {
    server.child.kill('SIGKILL')
    await server.ended
  })
  return server
}

interface Mail {
  readonly from?: string
  readonly to?: string
  readonly helo?: string
}

/** The reply to RCPT for a client of this address, or the first refusal before it. */
async function attempt(port: number, address: string, { from, to, helo }: Mail = {}): Promise<string> {
  const client = new Client(port)
  const lines = [
    'EHLO proxy.example',
    `XCLIENT NAME=[UNAVAILABLE] ADDR=${address}`,
    `EHLO ${helo ?? 'x.example'}`,
    `MAIL FROM:<${from ?? 'anna@example.net'}>`,
    `RCPT TO:<${to ?? 'bob@example.org'}>`,
  ]
  let answer = await client.reply()
  for (const line of lines) {
    if (!answer.startsWith('2')) break
    answer = await client.say(line)
  }
  client.socket.destroy()
  return answer.trim()
}

t.test('who is trusted need not wait, who is refused is told, and a file is read again', async t => {
  const folder = t.testdir({ denied: '# strangers\n203.0.113.0/24\n' })
  const server = serve(
    t,
    folder,
    `[lists]
allow_clients = ["192.0.2.0/24"]
deny_clients_file = "denied"
allow_senders = ["friend.example"]
deny_senders = ["spam@example.net"]
deny_recipients = ["staff@example.org"]
triples = ["198.51.100.7 carl@example.net *"]
nonstandard_triples = ["*.pool.example 198.51.100.0/24 bob@example.org"]
[greylist]
hold = "all"
`,
  )
  const port = await server.port
  t.match(await attempt(port, '192.0.2.7'), /^250 /, 'a client that is trusted')
  t.match(await attempt(port, '192.0.2.7', { to: 'staff@example.org' }), /^250 /)
  t.match(await attempt(port, '192.0.2.7', { to: 'bob@elsewhere.example' }), /^550 /, 'it may not relay')
  t.match(await attempt(port, '198.51.100.9'), /^451 4\.7\.1 Greylisted/, 'a stranger')
  t.match(await attempt(port, '203.0.113.9'), /^554 5\.7\.1 Your host is not welcome/)
  t.match(await attempt(port, '198.51.100.9', { from: 'x@friend.example' }), /^250 /, 'a sender that does not wait')
  t.match(await attempt(port, '198.51.100.9', { from: 'spam@example.net' }), /^550 5\.7\.1 The sender/)
  t.match(await attempt(port, '198.51.100.9', { to: 'staff@example.org' }), /^550 5\.7\.1 The recipient/)
  t.match(await attempt(port, '198.51.100.7', { from: 'carl@example.net' }), /^250 /, 'a triple')
  t.match(
    await attempt(port, '198.51.100.9', { helo: 'a.pool.example' }),
    /^250 /,
    'a HELO name, a client, a recipient',
  )

  writeFileSync(join(folder, 'denied'), '203.0.113.0/24\nno network/99\n')
  await server.says(/denied:2: .*list not read: the one before stays/)
  t.match(await attempt(port, '203.0.113.9'), /^554 /, 'a file with an error changes nothing')
  writeFileSync(join(folder, 'denied'), '198.51.100.0/24\n')
  await server.says(/"msg":"list read again"/)
  t.match(await attempt(port, '198.51.100.7', { from: 'carl@example.net' }), /^554 /)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('names of clients are looked up, and have to point back', async t => {
  const answers = new Map([
    ['PTR 7.2.0.192.in-addr.arpa', ['mx.friend.example']],
    ['A mx.friend.example', ['192.0.2.7']],
    ['PTR 8.2.0.192.in-addr.arpa', ['mx.friend.example']],
  ])
  const resolver: DnsResolver = {
    async resolve(name: string, type: string) {
      const records = answers.get(`${type} ${name}`)
      return (records === undefined ? { kind: 'none' } : { kind: 'found', records }) as never
    },
  } as unknown as DnsResolver
  const { lists } = loadConfig(FILE, '[lists]\nallow_clients = ["*.friend.example"]\n').config
  const [policy] = listPolicies(lists, (_, make) => make(), resolver)
  const trusted = async (address: string): Promise<string | null> => {
    const session = { client: { address, name: null }, notes: new Map(), trusted: null } as unknown as Session
    await policy!.onRcptTo!({} as never, session as SessionInTransaction)
    return session.trusted
  }
  t.equal(await trusted('192.0.2.7'), 'allowClients')
  t.equal(await trusted('192.0.2.8'), null, 'its name belongs to another address')
})

t.test('rates: counted by all workers, in the store; without one each worker counts its share', async t => {
  for (const table of ['[greylist]\n[suspicion]\ntimeout = "50ms"\n', '']) {
    const server = serve(
      t,
      t.testdir(),
      `[rates]\nmessages = "4/1h"\nexcept = ["192.0.2.9"]\n${table}`,
      'workers = 2\n',
    )
    const port = await server.port
    const answers: string[] = []
    for (let i = 0; i < 8; i++) answers.push(await attempt(port, '192.0.2.7'))
    const refused = answers.filter(answer => answer.startsWith('451 4.7.1 Too many messages')).length
    if (table === '') t.ok(refused >= 4 && refused <= 6, `4 in all, or 2 if one worker had them: ${refused}`)
    else t.equal(refused, 4, '4 in all, whoever had them')
    for (let i = 0; i < 6; i++) t.notMatch(await attempt(port, '192.0.2.9'), /Too many/, 'excepted')
    t.notMatch(await attempt(port, '198.51.100.7'), /Too many/, 'another client')
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  }
})

t.test('connections are refused in the place of the greeting', async t => {
  const server = serve(t, t.testdir(), '[rates]\nconnections = "2/1h"\n')
  const port = await server.port
  const greetings: string[] = []
  for (let i = 0; i < 3; i++) {
    const client = new Client(port)
    greetings.push((await client.reply()).slice(0, 9))
    client.socket.destroy()
  }
  t.match(greetings, [/^220 /, /^220 /, '421 4.7.0'])
})

t.test('guesses of passwords: all workers count together in the store', async t => {
  const { stdout: line } = await run(['password', 'anna'], t.testdir(), 'secret\n')
  const auth = '[auth]\nusers = "users"\ninsecure = true\n[auth.guesses]\ncredentials = 4\nchecks = 8\n'
  const server = serve(t, t.testdir({ users: line }), `[greylist]\n${auth}`, 'workers = 2\n')
  const port = await server.port
  const answers: string[] = []
  for (let i = 0; i < 8; i++) {
    const client = new Client(port)
    await client.reply()
    await client.say('EHLO x.example')
    const guess = Buffer.from(`\0anna\0wrong${i}`).toString('base64')
    answers.push((await client.say(`AUTH PLAIN ${guess}`)).slice(0, 3))
    client.socket.destroy()
  }
  t.strictSame(answers, ['535', '535', '535', '535', '454', '454', '454', '454'])
})

t.test('each error is told with its key', async t => {
  await loadGreylisting(loadConfig('m.toml', '[greylist]'))
  const folder = t.testdir({ wrong: 'example.org\na b\n' })
  const cases: [string, RegExp][] = [
    ['[lists]\nallow_clients = ["10.0.0.1/8"]\n', /m\.toml:2:18: lists\.allow_clients\[0\]: .*10\.0\.0\.0\/8/],
    ['[lists]\ntriples = ["a b"]\n', /lists\.triples\[0\]: .*is not a client, a sender and a recipient/],
    ['[lists]\ndeny_senders_file = "wrong"\n', /m\.toml:2:1: lists\.deny_senders_file: .*wrong:2: .*"a b"/],
    ['[lists]\ndeny_clients_file = "none"\n', /lists\.deny_clients_file: .*none: cannot be read: ENOENT/],
    ['[lists]\ntriples = []\ntriples_file = "x"\n', /m\.toml:3:1: lists\.triples_file: triples is set too/],
    ['[rates]\nmessages = "100"\n', /rates\.messages: "100" is not allowed here: a number and a duration/],
    ['[rates]\nmessages = "0/1h"\n', /rates\.messages: "0\/1h" is not allowed here/],
    ['[rates]\nconnections = "1001/1ms"\n', /rates\.connections: "1001\/1ms" is not allowed here/],
  ]
  for (const [text, message] of cases) {
    const problem = t.throws(() => makeSettings(loadConfig(join(folder, FILE), text)), { message }, text)
    t.ok(problem instanceof ConfigError)
  }
  const { handlers } = makeSettings(
    loadConfig(join(folder, FILE), '[rates]\nmessages = "1/1h"\n[lists]\ndeny_senders = []\n[greylist]\n'),
  )
  const names = handlers[0]!.policies!.map(({ name }) => name)
  t.strictSame(names, ['denySenders', 'rateLimit', 'allowClients', 'suspicion', 'greylist'])
  await closeStores()
})
