// [greylist] of the command: it decides, logs, counts, and survives a reload and a restart.

import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { checkAllowed, keysOf } from '../lib/cli/greylist-actions.ts'
import { greylistPolicies } from '../lib/cli/greylisting.ts'
import { snakeCase } from '../lib/cli/config/leaves.ts'
import { spfByMailauth } from '../lib/cli/spf.ts'
import type { DnsResolver } from '../lib/dns/resolver.ts'
import { SUSPICION_WEIGHTS } from '../lib/policies/suspicion/weights.ts'
import { greylistKey } from '../lib/policies/greylist/decisions.ts'
import { logZones } from '../lib/cli/log/list-events.ts'
import type { Logger } from '../lib/cli/log/logger.ts'
import { zoneChannel } from '../lib/cli/zones.ts'
import { withGreylist } from '../lib/cli/header-fields.ts'
import type { HeaderFields } from '../lib/protocol/header/header-field.ts'
import type { Session } from '../lib/smtp/session.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { loadGreylisting } from '../lib/cli/waiting-policies.ts'
import { Client, delivered, run, start } from './fixtures/command.ts'
import { readText } from './fixtures/repository.ts'

t.test('without the table there are no policies; with it, in this order', t => {
  const names = (text: string): (string | undefined)[] =>
    greylistPolicies(loadConfig('m.toml', text).config).map(({ name }) => name)
  t.strictSame(names(''), [])
  t.strictSame(names('[greylist]'), ['allowClients', 'suspicion', 'greylist'])
  t.strictSame(names('[greylist]\n[auth]\nusers = "u"\ninsecure = true'), [
    'allowClients',
    'suspicion',
    'knownCorrespondents',
    'greylist',
  ])
  t.end()
})

t.test('what contradicts itself is told with its key', async t => {
  await loadGreylisting(loadConfig('m.toml', '[greylist]'))
  const cases: [string, RegExp][] = [
    ['[greylist]\nredis = "redis://10.0.0.5"', /greylist\.redis: needs greylist\.salt/],
    ['[greylist]\ndelay = "2d"', /greylist: greylist: window is longer than delay/],
    ['[suspicion]\nreject = 2', /suspicion\.reject: it must be above suspicion\.threshold/],
    ['[greylist]\nallow_clients = ["10.0.0.1/8"]', /allow_clients.*bits are set beyond the prefix/],
    ['[greylist]\nexcept_recipients = ["a b"]', /except_recipients.*is not a domain/],
    ['[suspicion.weights]\nno_tls = -1', /suspicion\.weights\.no_tls: -1 is not allowed here: a number from 0/],
    ['[suspicion.weights]\nno_tsl = 1', /suspicion\.weights\.no_tsl: there is no such key; did you mean no_tls/],
    ['[greylist]\nmodus = "x"', /greylist\.modus: there is no such key; did you mean mode/],
  ]
  for (const [text, message] of cases) t.throws(() => makeSettings(loadConfig('m.toml', text)), { message }, text)
})

t.test('packages that are missing are named all at once', async t => {
  const missing = async (text: string, ...there: string[]): Promise<unknown> => {
    return loadGreylisting(loadConfig('m.toml', text), name => there.includes(name)).then(
      () => null,
      (error: Error) => error.message.split('\n').length,
    )
  }
  const redis = '[greylist]\nredis = "redis://10.0.0.5"\nsalt = "salt"'
  t.equal(await missing(''), null, 'none is needed')
  t.equal(await missing('[greylist]'), 2)
  t.equal(await missing('[greylist]', 'tldts'), 1)
  t.equal(await missing('[greylist]', 'tldts', 'node:sqlite'), null)
  t.equal(await missing('[greylist]', 'tldts', '@photostructure/sqlite'), null)
  t.equal(await missing(redis, 'node:sqlite'), 2)
  t.equal(await missing(redis, 'tldts', 'ioredis'), null)
  t.equal(await loadGreylisting(loadConfig('m.toml', '[greylist]')), undefined, 'here all are there')
})

t.test('X-Greylist comes below the trace fields, if it is asked for', t => {
  const note = { decisions: [{ verdict: 'pass', waits: false, age: 61_000 }] }
  const session = { envelope: { notes: new Map([[greylistKey, note]]) } } as unknown as Session
  const made = (text: string, trace: HeaderFields): readonly unknown[] => {
    const fields = withGreylist(() => trace, loadConfig('m.toml', text).config)(session)
    return Symbol.iterator in fields ? [...fields] : Object.entries(fields)
  }
  t.strictSame(made('[greylist]', { Received: 'x' }), [['Received', 'x']])
  const both = [
    ['Received', 'x'],
    ['X-Greylist', 'delayed 61 seconds'],
  ]
  t.strictSame(made('[greylist]\nheader = true', { Received: 'x' }), both)
  t.strictSame(made('[greylist]\nheader = true', [['Received', 'x']]), both)
  t.end()
})

t.test('DNS lists have weights and codes; the log says when one does not answer', t => {
  const lists = (text: string): unknown =>
    loadConfig('m.toml', `[suspicion]\nblock_lists = [${text}]`).config.suspicion.blockLists
  t.strictSame(lists('"a.example", { zone = "b.example" }'), ['a.example', { zone: 'b.example', weight: 1 }])
  t.strictSame(lists('{ zone = "b.example", weight = 2, codes = { "127.0.0.*" = 0.5 } }'), [
    { zone: 'b.example', weight: 2, codes: { '127.0.0.*': 0.5 } },
  ])
  for (const wrong of ['1', '"a b"', '{ zone = 1 }', '{ weight = 1 }', '{ zone = "b.example", wait = 1 }']) {
    t.throws(
      () => lists(wrong),
      /block_lists\[?.*a zone such as "zen\.spamhaus\.org", or \{ zone, weight, codes \}/,
      wrong,
    )
  }
  for (const wrong of ['codes = 1', 'codes = { "127.0.0.2" = "x" }', 'weight = nan']) {
    t.throws(() => lists(`{ zone = "b.example", ${wrong} }`), /a zone such as/, wrong)
  }
  const text = '[greylist]\n[suspicion]\nblock_lists = [{ zone = "b.example", codes = { "127" = 1 } }]'
  t.throws(() => makeSettings(loadConfig('m.toml', text)), /greylist: .*127/)

  const lines: unknown[] = []
  const write = (fields: object, msg: string): void => void lines.push([fields, msg])
  const stop = logZones(() => ({ warn: write, info: write }) as unknown as Logger)
  zoneChannel.publish({ zone: 'b.example', leftOut: true })
  zoneChannel.publish({ zone: 'b.example', leftOut: false })
  stop()
  t.match(lines, [
    [{ zone: 'b.example' }, /does not answer/],
    [{ zone: 'b.example' }, /answers again/],
  ])
  t.end()
})

t.test('the default weights are those of the documents', t => {
  const { config } = loadConfig('m.toml', readText('examples/mailhandler.toml').replaceAll(/^#([a-z_]+ = |\[)/gm, '$1'))
  t.strictSame(config.suspicion.weights, SUSPICION_WEIGHTS)
  const rows = readText('docs/configuration.md').matchAll(/^\| `suspicion\.weights\.(\w+)` \| (\d+) \|/gm)
  const documented = Object.fromEntries([...rows].map(([, key, weight]) => [key, Number(weight)]))
  const expected = Object.entries(SUSPICION_WEIGHTS).map(([sign, weight]) => [snakeCase(sign), weight])
  t.strictSame(documented, Object.fromEntries(expected))
  t.end()
})

// ── The command itself ──

const CONFIG = `
listen = [{ address = "127.0.0.1:0" }]
xclient = ["127.0.0.0/8"]
recipients.domains = ["example.org"]
[greylist]
hold = "all"
delay = "10m"
header = true
[suspicion]
timeout = "50ms"
[metrics]
listen = "127.0.0.1:0"
`

/** The reply to RCPT for a client of this address. */
async function attempt(port: number, address: string): Promise<string> {
  const client = new Client(port)
  await client.reply()
  for (const line of ['EHLO x.example', `XCLIENT ADDR=${address}`, 'EHLO x.example', 'MAIL FROM:<anna@example.net>']) {
    t.match(await client.say(line), /^2/, line)
  }
  const answer = await client.say('RCPT TO:<bob@example.org>')
  await client.say('QUIT')
  return answer.trim()
}

t.test('a client has to come again; the log, the metrics and the file know it, after a restart too', async t => {
  const folder = t.testdir({ 'm.toml': CONFIG })
  const args = ['serve', '--config', 'm.toml']
  let server = start(args, folder)
  let port = await server.port
  t.equal(existsSync(join(folder, 'greylist.db')), true, 'opened at the start')
  t.equal(await attempt(port, '192.0.2.7'), '451 4.7.1 Greylisted, try again in 600 seconds')
  t.match(await Client.deliver(port, 'text', 'bob@example.org'), /^250 /, 'a client of this machine')
  const [message] = delivered(join(folder, 'Maildir'))
  t.match(
    readFileSync(join(folder, 'Maildir/new', message!), 'utf8'),
    /^Received: [\s\S]*?\nX-Greylist: passed, local client\r?$/m,
  )
  await server.says(/"verdict":"new"/)
  const line = server
    .said()
    .split('\n')
    .find(each => each.includes('"verdict":"new"'))!
  t.match(JSON.parse(line), {
    msg: 'greylist',
    client: '192.0.2.7',
    at: 'rcpt',
    observed: false,
    clients: ['net:192.0.2.0/24'],
    sender: 'anna@example.net',
    decisions: [{ recipient: 'bob@example.org', verdict: 'new', waits: true, attempts: 1 }],
  })
  const metrics = await (await fetch(`http://127.0.0.1:${server.ports().at(-1)}/metrics`)).text()
  t.match(metrics, /mailhandler_greylist_decisions_total\{verdict="new",waits="true",observed="false"\} 1/)
  t.match(metrics, /mailhandler_suspicion_clients_total\{/)

  server.child.kill('SIGHUP')
  await server.says(/"reloaded"/)
  t.match(await attempt(port, '192.0.2.7'), /^451 /, 'the same store')
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  t.equal(statSync(join(folder, 'greylist.db.salt')).mode & 0o777, 0o600)
  t.match(readFileSync(join(folder, 'greylist.db'), 'latin1'), /^SQLite format 3/)

  const ask = (...words: string[]) => run(['greylist', ...words, '--config', 'm.toml'], folder)
  t.match(await ask('stats'), { code: 0, stdout: /^triplets that wait, or never came again +1$/m })
  const { stdout } = await ask('list', '192.0.2.1')
  t.match(stdout, /^waits\tnet:192\.0\.2\.0\/24\texample\.net\t2\d{3}-.*\t-\t/m)
  t.notMatch(stdout, /anna|bob/)
  t.match(await ask('list', 'name:other.example'), { code: 0, stdout: /^state\t[^\n]*\n$/ })

  writeFileSync(join(folder, 'm.toml'), CONFIG.replace('10m', '1s'))
  await new Promise(resolve => setTimeout(resolve, 1000))
  server = start(args, folder)
  port = await server.port
  t.match(await attempt(port, '192.0.2.200'), /^250 /, 'its network came before')
  t.match(await ask('stats'), { stdout: /^ {2}the time they waited.* \d+s, \d+s, \d+s$/m }, 'while it runs')
  t.match(await ask('forget', '192.0.2.200'), { code: 0, stdout: '1 entries forgotten\n' })
  t.match(await attempt(port, '192.0.2.200'), /^451 /, 'it begins again')
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('SPF is asked of mailauth', async t => {
  const records: Record<string, readonly string[]> = { 'TXT example.net': ['v=spf1 ip4:192.0.2.7 -all'] }
  const resolver = {
    resolve: async (name: string, type: string) => {
      const found = records[`${type} ${name}`]
      return found === undefined ? { kind: 'none' } : { kind: 'found', records: found }
    },
    close() {},
  } as unknown as DnsResolver
  const about = {
    helo: 'x.example',
    sender: 'a@example.net',
    domain: 'example.net',
    serverName: 'mx.example',
    resolver,
  }
  const spf = spfByMailauth()
  t.match(await spf({ ...about, address: '192.0.2.7' }), { result: 'pass' })
  t.match(await spf({ ...about, address: '192.0.2.8' }), { result: 'fail' })
})

t.test('weights and the threshold decide who waits', async t => {
  const signs =
    'threshold = 5\nspf = true\n[suspicion.weights]\nhelo_mismatch = 0\nno_reverse_name = 4\nspf_fail = 0\nspf_none = 0\n'
  const text = CONFIG.replace('hold = "all"', '').replace('[suspicion]\n', `[suspicion]\n${signs.split('[')[0]}`)
  const folder = t.testdir({ 'm.toml': `${text}[${signs.split('[')[1]}` })
  let server = start(['serve', '--config', 'm.toml'], folder)
  t.match(await attempt(await server.port, '192.0.2.7'), /^250 /, 'below the threshold')
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  writeFileSync(join(folder, 'm.toml'), readFileSync(join(folder, 'm.toml'), 'utf8').replace('= 5', '= 4'))
  server = start(['serve', '--config', 'm.toml'], folder)
  t.match(await attempt(await server.port, '192.0.2.7'), /^451 /)
  await server.says(/"score":4,"signs":\["noReverseName"/)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('a store that cannot be opened lets mail pass, and is in the log', async t => {
  const folder = t.testdir({ 'm.toml': CONFIG.replace('hold', 'file = "no/such/folder/greylist.db"\nhold') })
  const server = start(['serve', '--config', 'm.toml'], folder)
  t.match(await attempt(await server.port, '192.0.2.7'), /^250 /)
  await server.says(/the store has failed/)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('greylist: what is wrong with the command line', async t => {
  const folder = t.testdir({ 'm.toml': CONFIG, 'n.toml': '' })
  const cases: [string[], number, RegExp][] = [
    [
      ['explode', '--config', 'm.toml'],
      2,
      /greylist takes stats, list, show, allow, forget, export, import or report, not "explode"/,
    ],
    [['forget', '--config', 'm.toml'], 2, /greylist forget takes a client/],
    [['allow', '', '--config', 'm.toml'], 2, /greylist allow takes a client/],
    [['stats', 'x', '--config', 'm.toml'], 2, /greylist stats takes nothing more/],
    [['list', 'x', 'y', '--config', 'm.toml'], 2, /greylist does not take "y"/],
    [['show', 'x y', '--config', 'm.toml'], 2, /"x y" is no client: an address, the name of a host, or a key/],
    [['allow', '192.0.2.0/24', '--config', 'm.toml'], 2, /is no client: .* a key as net:192\.0\.2\.0\/24/],
    [['allow', 'spf:example.org', '--config', 'm.toml'], 2, /no client gets past greylisting by "spf:example.org"/],
    [['stats', '--config', 'n.toml'], 1, /n\.toml: greylist: there is no such table/],
  ]
  for (const [words, code, stderr] of cases) {
    t.match(await run(['greylist', ...words], folder), { code, stderr }, words.join(' '))
  }
  t.match(await run(['help', 'greylist'], folder), { code: 0, stdout: /greylist forget CLIENT/ })
  t.strictSame(keysOf('2001:db8::1', 'network'), ['net:2001:db8::/64'])
  t.strictSame(keysOf('2001:db8::1', 'address'), ['net:2001:db8::/64'])
  t.strictSame(keysOf('192.0.2.7', 'address'), ['net:192.0.2.0/24', 'net:192.0.2.7/32'])
  t.strictSame(keysOf('mx.example.org', 'address'), ['name:example.org'])
  t.strictSame(keysOf('spf:example.org', 'network'), ['spf:example.org'])
})

t.test('greylist: what no client is known under', t => {
  for (const word of ['192.0.2.0/24', 'anna@example.org', 'com', 'compute-1.amazonaws.com', 'a b', '-']) {
    t.throws(() => keysOf(word, 'network'), { message: /^".*" is no client: an address, the name of a host, or a key/ })
  }
  for (const key of ['net:192.0.2.0/24', 'net:2001:db8::/64', 'name:example.org']) {
    t.equal(checkAllowed(key, 'network'), key)
  }
  t.equal(checkAllowed('net:192.0.2.7/32', 'address'), 'net:192.0.2.7/32')
  const cases = {
    'net:192.0.2.7/32': '; did you mean net:192.0.2.0/24?',
    'net:192.0.2.0/25': '; did you mean net:192.0.2.0/24?',
    'name:mx.example.org': '; did you mean name:example.org?',
    'name:com': '',
    'net:unknown': '',
    'spf:example.org': '',
  }
  for (const [key, advice] of Object.entries(cases)) {
    t.throws(() => checkAllowed(key, 'network'), {
      name: 'UsageError',
      message: `no client gets past greylisting by "${key}"${advice}`,
    })
  }
  t.end()
})
