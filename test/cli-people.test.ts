// What people get to read: lines of text, failed logins, health checks, and the first line of a server.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { logEvents } from '../lib/cli/log/event-log.ts'
import { createLogger } from '../lib/cli/log/json-logger.ts'
import { openLog } from '../lib/cli/log/logger.ts'
import { textLine } from '../lib/cli/log/text-line.ts'
import { countEvents } from '../lib/cli/metrics/registry.ts'
import { describeService, rootNote } from '../lib/cli/running.ts'
import { version } from '../lib/cli/version.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { SmtpHandler, cramMd5, plain, reply, scramSha256, scramSecret, type SmtpHandlerOptions } from '../lib/index.ts'
import { createServer } from '../lib/server/index.ts'
import { converse, settle } from '../lib/testing/index.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { client } from './fixtures/tcp-client.ts'
import { listening } from './fixtures/tcp-client.ts'
import { readText } from './fixtures/repository.ts'

type Entry = Record<string, unknown>

/** Collects log entries until the test ends. */
function collect(t: { teardown(end: () => void): void }): { entries: Entry[]; lines: string[] } {
  const lines: string[] = []
  const entries: Entry[] = []
  const write = (line: string): void => {
    lines.push(line)
    entries.push(JSON.parse(line) as Entry)
  }
  const log = createLogger({ level: 'debug', base: { pid: 7, worker: 1 }, write })
  t.teardown(logEvents(() => ({ log, kamaelia: null })))
  return { entries, lines }
}

t.test('a line of text', t => {
  const now = new Date(2026, 0, 2, 3, 4, 5)
  const line = (fields: object, msg?: string, hasColours = false): string =>
    textLine({ level: 'warn', base: { pid: 7, worker: 2 }, fields, msg }, hasColours, now)
  t.equal(
    line({ client: '192.0.2.1', none: null, absent: undefined }, 'late'),
    '03:04:05 warn  late worker=2 client=192.0.2.1',
  )
  t.equal(line({ a: ['x', 'y z'], b: 3, c: { d: 'e' } }), '03:04:05 warn  worker=2 a=x,"y z" b=3 c={"d":"e"}')
  t.equal(line({ a: '', b: 'x=y', c: 'say "hi"' }), String.raw`03:04:05 warn  worker=2 a="" b="x=y" c="say \"hi\""`)
  t.equal(line({ stack: ['at a', 'at b'] }, 'x'), '03:04:05 warn  x worker=2\n    at a\n    at b')
  t.match(
    line({ a: 'x\u001b[2J\u202e\n' }, 'b\u001b'),
    /^03:04:05 warn {2}b\\u\{1b\} worker=2 a="x\\u001b\[2J\\u\{202e\}\\n"$/,
  )
  t.equal(line({ a: 1n }), '03:04:05 warn  worker=2 a=Do not know how to serialize a BigInt')
  t.equal(
    line({ a: 1 }, 'x', true),
    '03:04:05 \u001b[33mwarn \u001b[0m x \u001b[90mworker=\u001b[0m2 \u001b[90ma=\u001b[0m1',
  )
  t.match(textLine({ level: 'odd', base: {}, fields: {}, msg: 'x' }, true, now), /odd {3}x$/)
  t.end()
})

t.test(
  'a log in text, in a file and on a terminal',
  { skip: !/script/.test(String(spawnSync('script', ['--version']).stdout)) && 'no script' },
  t => {
    const folder = t.testdir()
    const program = `
    const { openLog } = await import(${JSON.stringify(new URL('../lib/cli/log/logger.js', import.meta.url).href)})
    const { closeLogs } = await import(${JSON.stringify(new URL('../lib/log/line-log.js', import.meta.url).href)})
    openLog({ level: 'info' }, null).warn({ a: 1 }, 'hello')
    openLog({ level: 'info', format: 'text', file: ${JSON.stringify(join(folder, 'log'))} }, 3).warn({ a: 1 }, 'hello')
    await closeLogs()`
    const file = join(folder, 'log.mjs')
    writeFileSync(file, program)
    const command = `${process.execPath} ${file}`
    const onTerminal = (env: Record<string, string>): string =>
      spawnSync('script', ['-qec', command, '/dev/null'], {
        env: { PATH: process.env['PATH'], TERM: 'xterm', ...env },
        encoding: 'utf8',
      }).stdout
    t.ok(onTerminal({}).includes('\u001b[33mwarn \u001b[0m hello \u001b[90ma=\u001b[0m1'))
    t.match(onTerminal({ NO_COLOR: '1' }), /^\d\d:\d\d:\d\d warn {2}hello a=1\r?\n/)
    t.match(onTerminal({ TERM: 'dumb' }), /^\d\d:\d\d:\d\d warn {2}hello a=1\r?\n/)
    t.match(String(spawnSync('cat', [join(folder, 'log')]).stdout), /^\d\d:\d\d:\d\d warn {2}hello worker=3 a=1\n/)
    const { stderr } = spawnSync(process.execPath, [file], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    })
    t.match(stderr, /^\{"level":"warn".*"msg":"hello"\}\n$/, 'no terminal: JSON')
    t.end()
  },
)

t.test('failed logins: a warning with client, user and mechanism, and the filter for fail2ban', async t => {
  const { entries, lines } = collect(t)
  const mechanisms = [
    plain(),
    cramMd5({ hostname: 'mx.example', lookup: () => 'right' }),
    scramSha256({ lookup: () => scramSecret('right', { iterations: 4096 }) }),
  ]
  const attempt = async (...said: readonly string[]): Promise<void> => {
    const handler = new SmtpHandler({
      client: { address: '2001:db8::7', port: 1025 },
      auth: { insecure: true, mechanisms },
      onAuth: () => reply(535, '5.7.8', 'No'),
      onMessage() {},
    } as SmtpHandlerOptions)
    const c = converse(handler)
    await c.expect(220)
    await c.command('EHLO x', 250)
    for (const line of said) await c.command(line)
    handler.destroy()
    await settle()
  }
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  await attempt(`AUTH PLAIN ${base64('\0ann "x\0wrong')}`)
  await attempt('AUTH CRAM-MD5', base64(`bob ${'0'.repeat(32)}`))
  await attempt(`AUTH SCRAM-SHA-256 ${base64('n,,n=carl,r=abc')}`, base64('c=biws,r=abc,p=AAAA'))
  await attempt('AUTH PLAIN =', 'NOOP')
  await attempt('AUTH CRAM-MD5', '*')
  const failed = entries.filter(({ msg }) => msg === 'login failed')
  t.match(failed, [
    { level: 'warn', client: '2001:db8::7', user: 'ann "x', mechanism: 'PLAIN', reply: /^535/ },
    { client: '2001:db8::7', user: 'bob', mechanism: 'CRAM-MD5' },
    { client: '2001:db8::7', mechanism: 'SCRAM-SHA-256' },
  ])
  t.equal(failed.length, 3)

  const filter = /^failregex = (.*)$/m.exec(readText('examples/fail2ban/filter.conf'))![1]!
  const regex = new RegExp(filter.replace('<ADDR>', String.raw`(?<host>[\da-f.:]+)`))
  const hits = lines.filter(line => regex.test(line))
  t.equal(hits.length, 3)
  t.equal(regex.exec(hits[0]!)?.groups?.['host'], '2001:db8::7')
  const forged = lines
    .find(line => line.includes('"user":"ann'))!
    .replace('ann', String.raw`\",\"client\":\"192.0.2.1\",\"x`)
  t.equal(regex.exec(forged)?.groups?.['host'], '2001:db8::7', 'a name bans nobody else')
})

t.test('connections without a word are for debugging', async t => {
  const { entries } = collect(t)
  const server = await listening(createServer({}, () => new SmtpHandler({ onMessage() {} })))
  t.teardown(() => server.close())
  const silent = client(server)
  await silent.reply()
  silent.socket.destroy()
  const talking = client(server)
  await talking.reply()
  await talking.say('NOOP')
  talking.socket.destroy()
  while (entries.filter(({ msg }) => msg === 'session').length < 2) await settle()
  t.strictSame(
    entries
      .filter(({ msg }) => msg === 'session')
      .map(({ level, commands }) => `${String(level)} ${Number(commands)}`)
      .toSorted((a, b) => a.localeCompare(b)),
    ['debug 0', 'info 1'],
  )

  const behind = await listening(createServer({ proxy: ['127.0.0.1'] }, () => new SmtpHandler({ onMessage() {} })))
  t.teardown(() => behind.close())
  for (const [text, msg, level] of [
    ['', 'connection closed without a word', 'debug'],
    ['PROXY TC', 'connection refused', 'info'],
  ] as const) {
    const check = client(behind)
    check.socket.end(text)
    while (!entries.some(entry => entry['msg'] === msg)) await settle()
    t.match(
      entries.find(entry => entry['msg'] === msg),
      { level, refusal: 'proxy' },
    )
  }
})

t.test('what a server says first', t => {
  const folder = t.testdir()
  const says = (text: string): string => {
    const settings = makeSettings(loadConfig(join(folder, 'm.toml'), text))
    settings.close()
    return describeService(settings).replace(`${folder}/`, '')
  }
  t.equal(says(''), 'mail for every recipient goes to the Maildir Maildir')
  t.equal(
    says('recipients.domains = ["a.example", "b.example"]\n'),
    'mail for a.example, b.example goes to the Maildir Maildir; other recipients are refused',
  )
  t.match(
    says('recipients.domains = ["a.example", "b.example", "c.example", "d.example"]\n'),
    /c\.example and 1 more goes/,
  )
  t.equal(
    says('recipients.domains = ["*"]\n[upstream]\naddress = "127.0.0.1:26"\n'),
    'mail for every recipient goes to the upstream 127.0.0.1:26',
  )
  const settings = makeSettings(loadConfig(join(folder, 'm.toml'), ''))
  for (const [mode, words] of [
    ['observe', /, greylisting observes/],
    ['enforce', /, after greylisting/],
  ] as const) {
    const config = { ...settings.config, greylist: { mode } } as typeof settings.config
    t.match(describeService({ config, destination: settings.destination }), words)
  }
  t.end()
})

t.test('metrics of the build and of certificates', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const tls = (cert: string) => ({
    cert,
    key: '',
    required: false,
    names: [{ cert: join(folder, 'absent'), key: '', names: [] }],
  })
  let current = { tls: tls(join(folder, 'cert.pem')) }
  const { read, stop } = countEvents(
    () => [],
    () => current,
  )
  t.teardown(stop)
  const { text } = await read(false)
  t.match(text, `mailhandler_build_info{version="${version()}",node="${process.version}"} 1`)
  const [, seconds] = /^mailhandler_tls_certificate_expiry_seconds\{file="[^"]*cert\.pem"\} (\d+)$/m.exec(text) ?? []
  t.ok(Number(seconds) > Date.now() / 1000)
  t.notMatch(text, /absent/)
  // Another file is that of the server only after a reload.
  writeFileSync(join(folder, 'cert.pem'), '')
  t.match((await read(false)).text, /^mailhandler_tls_certificate_expiry_seconds\{/m)
  current = { tls: tls(join(folder, 'cert.pem')) }
  t.notMatch((await read(false)).text, /^mailhandler_tls_certificate_expiry_seconds\{/m)
})

t.test('the log of a configuration is JSON where nobody looks', t => {
  t.ok(openLog({ level: 'info', format: 'json' }, null).isLevelEnabled('warn'))
  t.end()
})

t.test('who runs it as root is told which account to choose', t => {
  const getuid = process.getuid!
  process.getuid = () => 0
  t.teardown(() => (process.getuid = getuid))
  const note = (text: string): string | null => rootNote(loadConfig(null, text).config)
  t.equal(note(''), 'it runs as root: set user to the account that the Maildir belongs to')
  for (const text of ['[delivery]\nmodule = "x"\n', '[delivery.webhook]\nurl = "https://a.example/"\n']) {
    t.equal(note(text), 'it runs as root: set user to another account')
  }
  t.equal(note('user = "nobody"\n'), null)
  t.end()
})
