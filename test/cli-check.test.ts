// What `check` says of a configuration and of what it names; what a server says of the same.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { showProblem } from '../lib/cli/config/problems.ts'
import { environmentProblems } from '../lib/cli/environment.ts'
import { notesOn } from '../lib/cli/notes.ts'
import { deliveryProbe } from '../lib/cli/readiness.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { probeMaildir } from '../lib/deliveries/probe-maildir.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { Client, run, start, type Outcome } from './fixtures/command.ts'
import { FakeClock } from './fixtures/fake-clock.ts'

const FILE = 'm.toml'
const isRoot = process.getuid?.() === 0
/** Below a file: not even root can write there. */
const UNWRITABLE = 'file/mail'

async function check(t: Test, config: string, files: Record<string, string> = {}): Promise<Outcome> {
  const folder = t.testdir({ [FILE]: config, ...files })
  return run(['check', '-c', FILE], folder)
}

t.test('one run of check says all that is wrong', async t => {
  const folder = t.testdir({ file: '' })
  makeCertificate(folder)
  const config = `user = "nobody-at-all"
group = "nogroup-at-all"
maildir = "${UNWRITABLE}"
[log]
file = "file/log"
debug_file = "${folder}"
[tls]
cert = "cert.pem"
key = "key.pem"
[[tls.names]]
names = ["mx.example.org", "localhost"]
cert = "cert.pem"
key = "key.pem"
`
  writeFileSync(join(folder, FILE), config)
  const { code, stdout, stderr } = await run(['check', '-c', FILE], folder)
  t.strictSame({ code, stdout }, { code: 1, stdout: '' })
  const lines = stderr.trimEnd().split('\n')
  t.match(lines, [
    /^m\.toml:1:1: user: there is no user nobody-at-all$/,
    /^m\.toml:12:1: tls\.names\[0\]\.cert: the certificate is not for mx\.example\.org, but for DNS:localhost/,
    /^m\.toml:3:1: maildir: cannot be delivered to: /,
    /^m\.toml:5:1: log\.file: cannot be written to: /,
    /^m\.toml:6:1: log\.debug_file: cannot be written to: it is a folder$/,
  ])
})

t.test('files of stores that cannot be made', async t => {
  const folder = t.testdir({ file: '' })
  const lmtp = 'recipients.domains = ["a.example"]\n[upstream]\naddress = "/run/lmtp"\nprotocol = "lmtp"\n'
  const found = async (config: string): Promise<string[]> =>
    (await environmentProblems(loadConfig(join(folder, FILE), config))).map(({ key, what }) => `${key}: ${what}`)
  t.match(await found(`workers = 2\nverdicts = "file/x.db"\n${lmtp}`), [/^verdicts: cannot be written to: /])
  t.strictSame(await found(`workers = 2\nverdicts = "x.db"\n${lmtp}`), [])
  t.strictSame(await found(`verdicts = "file/x.db"\n${lmtp}`), [], 'it is not used')
  t.match(await found(`[greylist]\nfile = "file/x.db"\n`), [/^greylist\.file: cannot be written to: /])
  t.strictSame(await found(`[greylist]\nredis = "redis://10.0.0.5"\nsalt = "salt"\n`), [])
})

t.test('notes: what has no effect, and a postmaster without a mailbox', async t => {
  const folder = t.testdir({ mail: { 'a.example': { postmaster: {} }, 'b.example': {} }, file: '' })
  const notes = async (config: string, list = ''): Promise<string[]> => {
    writeFileSync(join(folder, 'recipients'), list)
    const loaded = loadConfig(join(folder, FILE), config)
    const { destination, close } = makeSettings(loaded)
    t.teardown(close)
    return (await notesOn(loaded, destination)).map(showProblem).map(line => line.replace(`${folder}/`, ''))
  }
  t.strictSame(await notes(''), [])
  t.strictSame(await notes('[suspicion]\nthreshold = 2\n'), [
    'm.toml:1:1: suspicion: it has no effect without [greylist]',
  ])
  const domains = 'name = "a.example"\nrecipients.domains = ["a.example", "x@b.example", ".c.example", "[192.0.2.1]"]\n'
  t.strictSame(await notes(`${domains}[delivery]\nmaildir = "mail/{domain}/{local}"\n`), [
    'm.toml:4:1: delivery.maildir: there is no mailbox for postmaster@b.example: every server has to take mail for it [RFC 5321 §4.5.1]',
  ])
  const listed = `${domains}[delivery]\nmaildir = "mail/{local}"\nrecipients_file = "recipients"\n`
  t.match(await notes(listed, 'anna@a.example\n'), [/for postmaster@a\.example, postmaster@b\.example: every/])
  t.strictSame(await notes(listed, 'anna@a.example\npostmaster@: anna@a.example\n'), [])
  const any = '[delivery]\nmaildir = "mail/{local}"\n'
  t.strictSame(await notes(any), [
    `m.toml:2:1: delivery.maildir: there is no mailbox for postmaster without a domain (that is @${hostname()}): every server has to take mail for it [RFC 5321 §4.5.1]`,
  ])
  t.strictSame(await notes(`${domains}[delivery]\nmaildir = "${'x'.repeat(300)}/{local}"\n`), [
    `m.toml:4:1: delivery.maildir: there is no mailbox for postmaster@a.example, postmaster@b.example: every server has to take mail for it [RFC 5321 §4.5.1]`,
  ])
})

t.test('an unknown group', { skip: !existsSync('/usr/bin/getent') && 'no getent' }, async t => {
  const { stderr } = await check(t, 'user = "nobody"\ngroup = "nogroup-at-all"\n')
  t.match(stderr, /^m\.toml:2:1: group: there is no group nogroup-at-all$/m)
})

t.test('contradictions, which serve refuses too', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const tls = '[tls]\ncert = "cert.pem"\nkey = "key.pem"\n'
  const auth = '[auth]\nusers = "users"\n'
  writeFileSync(join(folder, 'users'), '')
  const listen = (address: string, more = ''): string => `[[listen]]\naddress = "${address}"\n${more}`
  const cases: [string, RegExp][] = [
    [
      `${listen('127.0.0.1:4000')}[metrics]\nlisten = "127.0.0.1:4000"\n`,
      /metrics\.listen: a listener for mail has this address/,
    ],
    [
      `recipients.domains = ["*"]\n${listen('*:4000')}[metrics]\nlisten = "127.0.0.1:4000"\n`,
      /metrics\.listen: a listener for mail has this address/,
    ],
    [listen('127.0.0.1:4000').repeat(2), /listen\[1\]\.address: another listener has this address/],
    [auth, /^m\.toml:1:1: auth: AUTH can never be offered: it needs TLS, and there are no certificates/],
    [
      `${listen('127.0.0.1:0', 'tls = "off"\n')}${tls}${auth}`,
      /auth: AUTH can never be offered: it needs TLS, and no TLS/,
    ],
    [`${tls}${auth}[extensions]\nSTARTTLS = false\n`, /auth: AUTH can never be offered/],
    [
      `${auth}insecure = true\n[extensions]\nAUTH = false\n`,
      /auth: AUTH can never be offered: extensions\.AUTH is false/,
    ],
    [
      `${listen('127.0.0.1:0')}${listen('127.0.0.1:0', 'tls = "off"\n')}${tls}required = true\n`,
      /listen\[1\]\.tls: tls\.required is set, but this listener has no TLS: tls = "off"/,
    ],
    [
      `${listen('127.0.0.1:0')}${listen('127.0.0.1:0', 'tls = "off"\n')}${tls}${auth}required = true\n`,
      /listen\[1\]\.address: auth\.required is set, but AUTH can never be offered here/,
    ],
    [
      `${tls}required = true\n[extensions]\nSTARTTLS = false\n`,
      /listen\[0\]\.tls: tls\.required is set.*STARTTLS is false/,
    ],
  ]
  for (const [config, problem] of cases) {
    writeFileSync(join(folder, FILE), config)
    for (const command of ['check', 'serve']) {
      const { code, stderr } = await run([command, '-c', FILE], folder)
      t.equal(code, 1, `${command}: ${problem.source}`)
      t.match(stderr.replaceAll('mailhandler: ', ''), problem)
    }
  }
  const good = [
    `${listen('127.0.0.1:0')}${listen('127.0.0.1:0', 'tls = "off"\n')}${tls}${auth}`,
    `${listen('127.0.0.1:4000')}${listen('127.0.0.1:4001')}[metrics]\nlisten = "127.0.0.1:4002"\n`,
    `${listen('127.0.0.1:4000')}${listen('[::1]:4000')}`,
  ]
  for (const config of good) {
    writeFileSync(join(folder, FILE), config)
    t.match(await run(['check', '-c', FILE], folder), { code: 0, stdout: /good/ }, config)
  }
})

t.test('a certificate that has expired, is not valid yet, or has another key', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const config = 'name = "localhost"\n[tls]\ncert = "cert.pem"\nkey = "key.pem"\n'
  writeFileSync(join(folder, FILE), config)
  t.equal((await run(['check', '-c', FILE], folder)).code, 0)

  const found = async (now: number): Promise<string[]> => {
    const loaded = loadConfig(join(folder, FILE), config)
    return (await environmentProblems(loaded, null, now)).map(({ key, what }) => `${key}: ${what}`)
  }
  const day = 86_400_000
  t.strictSame(await found(Date.now()), [])
  t.match(await found(Date.now() + 3 * day), [/^tls\.cert: the certificate expired on \w+ +\d+ /])
  t.match(await found(Date.now() - day), [/^tls\.cert: the certificate is not valid before \w+ +\d+ /])

  writeFileSync(join(folder, FILE), config.replace('localhost', 'mx.example.org'))
  const mismatch = await run(['check', '-c', FILE], folder)
  t.match(mismatch, {
    code: 1,
    stderr: /tls\.cert: the certificate is not for mx\.example\.org, but for DNS:localhost/,
  })

  const other = join(folder, 'other')
  mkdirSync(other)
  makeCertificate(other)
  writeFileSync(join(folder, FILE), config.replace('"key.pem"', '"other/key.pem"'))
  t.match((await run(['check', '-c', FILE], folder)).stderr, /tls\.cert: .*key values mismatch/)
})

t.test('check looks with the rights of the configured user', { skip: !isRoot && 'only root can' }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'check-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  makeCertificate(folder)
  chmodSync(join(folder, 'key.pem'), 0o600)
  mkdirSync(join(folder, 'open'))
  chmodSync(join(folder, 'open'), 0o777)
  const tls = '[tls]\ncert = "cert.pem"\nkey = "key.pem"\n'
  writeFileSync(join(folder, FILE), `user = "nobody"\nmaildir = "open/Maildir"\nlog.file = "log"\n${tls}`)
  const alone = await run(['check', '-c', FILE], folder)
  t.equal(alone.code, 1)
  t.match(alone.stderr, /^m\.toml:3:1: log\.file: cannot be written to: EACCES/m)
  t.match(alone.stderr, /^note: on SIGHUP: m\.toml:6:1: tls\.key: EACCES/m)
  writeFileSync(join(folder, FILE), `user = "nobody"\nworkers = 2\nmaildir = "open/Maildir"\n${tls}`)
  t.match((await run(['check', '-c', FILE], folder)).stderr, /^m\.toml:6:1: tls\.key: EACCES/m)
  t.notOk(existsSync(join(folder, 'open/Maildir')))
})

t.test('root without a user is told, by check and by the server', { skip: !isRoot && 'only root' }, async t => {
  const folder = t.testdir({ [FILE]: 'log.file = "log"\n[[listen]]\naddress = "127.0.0.1:0"\n' })
  const { code, stdout, stderr } = await run(['check', '-c', FILE], folder)
  t.strictSame({ code, stdout }, { code: 0, stdout: 'm.toml: good\n' })
  t.match(stderr, /^note: it runs as root: set user/)
  for (const workers of ['1', '2']) {
    const server = start(['serve', '-c', FILE, '-w', workers], folder)
    await server.says(/^mailhandler: it runs as root: set user/m)
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  }
  t.match(readFileSync(join(folder, 'log'), 'utf8'), /"level":"warn".*"msg":"it runs as root/)
})

t.test('a Maildir that cannot be written to: the log, the metrics and /readyz say so', async t => {
  for (const workers of [1, 2]) {
    const config = `workers = ${workers}\nmaildir = "${UNWRITABLE}"\nmetrics.listen = "127.0.0.1:0"\n`
    const folder = t.testdir({ file: '', [FILE]: `${config}[[listen]]\naddress = "127.0.0.1:0"\n` })
    const server = start(['serve', '-c', FILE], folder)
    t.teardown(() => server.child.kill('SIGKILL'))
    const port = await server.port
    const at = server.ports().at(-1)
    await server.says(/"level":"warn".*"msg":"m\.toml:2:1: maildir: cannot be delivered to: /)
    t.match(await Client.deliver(port, 'x'), /^451 4\.3\.0/)
    await server.says(/"level":"error","time":.*"msg":"error"/)
    const line = /^.*"msg":"error".*$/m.exec(server.said())![0]
    t.match(JSON.parse(line), {
      error: '451 Cannot store mail now',
      code: /^E/,
      syscall: String,
      path: join(folder, UNWRITABLE),
      cause: /^ENOTDIR/,
    })
    t.equal([...server.said().matchAll(/"msg":"error"/g)].length, 1, 'once a message')
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${at}${path}`)
      return `${response.status} ${await response.text()}`
    }
    t.match(await get('/readyz'), /^503 not ready: the Maildir cannot be delivered to \(E\w+\)\n$/)
    t.match(await get('/metrics'), /^mailhandler_errors_total 1$/m)
    t.match(await get('/healthz'), /^200/)
    server.child.kill('SIGTERM')
    await server.ended
  }
})

t.test('readiness: asked at most each 5 s, a probe that hangs is not ready, changes are logged', async t => {
  const clock = new FakeClock()
  const lines: string[] = []
  const log = {
    error: (_: object, text: string) => lines.push(text),
    info: (_: object, text: string) => lines.push(text),
  }
  let works: Promise<void> = Promise.resolve()
  let probes = 0
  const probe = () => {
    probes += 1
    return works
  }
  const destination = { kind: 'the Maildir', fields: { maildir: '/mail' }, probe }
  const ready = deliveryProbe({ destination: () => destination, log: () => log as never, clock })
  t.equal(await ready(), null)
  t.equal(await ready(), null)
  t.equal(probes, 1)
  await clock.tick(5000)
  works = Promise.reject(Object.assign(new Error('EIO: no'), { code: 'EIO' }))
  t.equal(await ready(), 'the Maildir cannot be delivered to (EIO)')
  await clock.tick(5000)
  t.equal(await ready(), 'the Maildir cannot be delivered to (EIO)')
  await clock.tick(5000)
  works = new Promise(() => {})
  const hanging = ready()
  await clock.tick(2000)
  t.equal(await hanging, 'the Maildir cannot be delivered to (no answer)')
  await clock.tick(5000)
  works = Promise.resolve()
  t.equal(await ready(), null)
  t.strictSame(lines, [
    'the Maildir cannot be delivered to',
    'the Maildir cannot be delivered to',
    'the Maildir can be delivered to again',
  ])
})

t.test('a probe of a Maildir leaves nothing, and makes nothing', async t => {
  const folder = t.testdir({ file: '', mail: { tmp: {}, new: {}, cur: {} } })
  await probeMaildir(join(folder, 'mail'))
  t.strictSame(readdirSync(join(folder, 'mail/tmp')), [])
  await probeMaildir(join(folder, 'deep/er/mail'))
  t.notOk(existsSync(join(folder, 'deep')))
  await t.rejects(probeMaildir(join(folder, 'file')), { code: 'ENOTDIR', path: join(folder, 'file') })
  rmSync(join(folder, 'mail/new'), { recursive: true })
  await probeMaildir(join(folder, 'mail'))
  writeFileSync(join(folder, 'mail/new'), '')
  await t.rejects(probeMaildir(join(folder, 'mail')), { code: 'ENOTDIR' })
})
