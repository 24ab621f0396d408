// SPF by mailauth: results, the term that matched and how wide it is, and what happens without the package.

import { execFile } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { DnsResolver } from '../lib/dns.ts'
import { mailauthSpf, type SpfOutcome, type SpfRequest } from '../lib/greylist.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import type { FakeDns } from './fixtures/fake-dns.ts'
import { ROOT } from './fixtures/repository.ts'
import { ADDRESS, judge, sayGood, startDns } from './fixtures/suspects.ts'

async function start(t: Test) {
  const { server, dns } = await startDns(t)
  const spf = await mailauthSpf() // keeps nothing of another test
  const ask = (change: Partial<SpfRequest> = {}): Promise<SpfOutcome> =>
    spf({
      address: ADDRESS,
      helo: 'mail.example.org',
      sender: 'bob@example.org',
      domain: 'example.org',
      serverName: 'mx.example.net',
      resolver: dns,
      ...change,
    })
  return { server, ask }
}

function say(server: FakeDns, records: Readonly<Record<string, string>>): void {
  for (const [name, record] of Object.entries(records)) server.say(name, 'TXT', record)
}

t.test('results', async t => {
  const table: readonly (readonly [string, string])[] = [
    ['v=spf1 ip4:192.0.2.0/24 -all', 'pass'],
    ['v=spf1 -all', 'fail'],
    ['v=spf1 ~all', 'softfail'],
    ['v=spf1 ?all', 'neutral'],
    ['v=spf1 ip4:198.51.100.1', 'neutral'],
    ['v=spf1 nonsense', 'permerror'],
    ['v=spf2 -all', 'none'],
  ]
  for (const [record, result] of table) {
    const { server, ask } = await start(t)
    say(server, { 'example.org': record })
    t.match(await ask(), { result, domain: 'example.org' }, record)
  }
  const { server, ask } = await start(t)
  t.equal((await ask()).result, 'none', 'no record')
  server.otherwise = { error: 'SERVFAIL' }
  t.equal((await ask({ sender: 'a@other.example', domain: 'other.example' })).result, 'temperror')
})

t.test('the term that matched, and the bits of the address that it covers', async t => {
  const others = {
    'inner.example.org': 'v=spf1 ip4:192.0.0.0/16 -all',
    'all.example.org': 'v=spf1 +all',
    'deep.example.org': 'v=spf1 include:inner.example.org -all',
  }
  const table: readonly (readonly [string, string | null, number | null])[] = [
    ['v=spf1 ip4:192.0.2.1 -all', 'ip4:192.0.2.1', 32],
    ['v=spf1 ip4:192.0.2.0/24 -all', 'ip4:192.0.2.0/24', 24],
    ['v=spf1 ip4:0.0.0.0/0 -all', 'ip4:0.0.0.0/0', 0],
    ['v=spf1 +all', 'all', 0],
    ['v=spf1 include:deep.example.org -all', 'ip4:192.0.0.0/16', 16],
    ['v=spf1 include:all.example.org -all', 'all', 0],
    ['v=spf1 redirect=inner.example.org', 'ip4:192.0.0.0/16', 16],
    ['v=spf1 a:mail.example.org -all', 'a', 32],
    ['v=spf1 a:mail.example.org/8 -all', 'a', null],
    ['v=spf1 mx -all', 'mx', 32],
    ['v=spf1 mx/1 -all', 'mx', null],
    ['v=spf1 exists:%{i}.x.example.org -all', 'exists', null],
    ['v=spf1 ptr -all', 'ptr', null],
  ]
  for (const [record, mechanism, prefix] of table) {
    const { server, ask } = await start(t)
    sayGood(server)
    say(server, { ...others, 'example.org': record })
    server.say('example.org', 'MX', '10 mail.example.org')
    server.say('192.0.2.1.x.example.org', 'A', '127.0.0.2')
    t.strictSame(await ask(), { result: 'pass', domain: 'example.org', mechanism, prefix }, record)
  }
})

t.test('IPv6', async t => {
  const { server, ask } = await start(t)
  say(server, { 'example.org': 'v=spf1 ip6:2001:db8::/32 -all', 'exact.example.org': 'v=spf1 ip6:2001:db8::1 -all' })
  const address = '2001:db8::1'
  t.match(await ask({ address }), { result: 'pass', mechanism: 'ip6:2001:db8::/32', prefix: 32 })
  const domain = 'exact.example.org'
  t.match(await ask({ address, sender: `bob@${domain}`, domain }), { result: 'pass', prefix: 128 })
  t.match(await ask(), { result: 'fail', mechanism: null, prefix: null })
})

t.test('<>: the HELO name is asked', async t => {
  const { server, ask } = await start(t)
  say(server, { 'mail.example.org': 'v=spf1 ip4:192.0.2.1 -all' })
  const domain = 'mail.example.org'
  t.match(await ask({ sender: '', domain }), { result: 'pass', domain, mechanism: 'ip4:192.0.2.1', prefix: 32 })
  t.equal((await ask({ sender: '', domain: '[192.0.2.1]', helo: '[192.0.2.1]' })).result, 'none')
})

t.test('a record that wants too many look-ups', async t => {
  const { server, ask } = await start(t)
  say(server, { 'example.org': `v=spf1 ${Array.from({ length: 12 }, (_, i) => `a:h${i}.example.org`).join(' ')} -all` })
  for (let i = 0; i < 12; i++) server.say(`h${i}.example.org`, 'A', '198.51.100.1')
  t.equal((await ask()).result, 'permerror')
  t.ok(server.questions.length < 30)
})

t.test('what was found out is kept for a minute, unless it may depend on more than address and domain', async t => {
  const { server, dns } = await startDns(t)
  const clock = new FakeClock()
  const keeping = await mailauthSpf({ clock })
  const fresh = (): DnsResolver => ({
    resolve(name, type) {
      asked.push(name)
      return dns.resolve(name, type)
    },
    close() {},
  })
  const asked: string[] = []
  const ask = async (domain: string, address = ADDRESS): Promise<string> => {
    const request = { address, helo: 'h', sender: `bob@${domain}`, domain, serverName: 'mx', resolver: fresh() }
    return (await keeping(request)).result
  }
  const times = (domain: string): number => asked.filter(name => name === domain).length
  say(server, { 'example.org': 'v=spf1 ip4:192.0.2.1 -all', 'macro.example': 'v=spf1 exists:%{l}.x.example -all' })
  for (let i = 0; i < 2; i++) t.equal(await ask('example.org'), 'pass')
  t.equal(times('example.org'), 1)
  t.equal(await ask('example.org', '192.0.2.2'), 'fail')
  t.equal(times('example.org'), 2)
  await clock.tick(59_999)
  await ask('example.org')
  t.equal(times('example.org'), 2)
  await clock.tick(1)
  await ask('example.org')
  t.equal(times('example.org'), 3)
  for (let i = 0; i < 2; i++) t.equal(await ask('macro.example'), 'fail')
  t.equal(times('macro.example'), 2)
  server.answers.set('broken.example TXT', { error: 'SERVFAIL' })
  for (let i = 0; i < 2; i++) t.equal(await ask('broken.example'), 'temperror')
  t.equal(times('broken.example'), 2)
})

t.test('a record that is too long is none; other texts of the domain may be', async t => {
  const { server, ask } = await start(t)
  const record = (octets: number): string =>
    `v=spf1 ${'ip4:192.0.2.1 '.repeat(400)}`.slice(0, octets - 5).trimEnd() + ' -all'
  const long = record(4110)
  t.ok(long.length > 4096 && long.length < 4120)
  server.say('long.example.org', 'TXT', long)
  server.say('example.org', 'TXT', 'x'.repeat(9000), record(4000))
  server.say('outer.example.org', 'TXT', 'v=spf1 include:long.example.org -all')
  t.match(await ask(), { result: 'pass' })
  for (const domain of ['long.example.org', 'outer.example.org']) {
    t.equal((await ask({ sender: `bob@${domain}`, domain })).result, 'permerror', domain)
  }
})

t.test('in a session', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  say(server, { 'example.org': 'v=spf1 a:mail.example.org -all', 'example.com': 'v=spf1 -all' })
  const spf = await mailauthSpf()
  const good = await judge({ resolver: dns, spf })
  t.strictSame(good.note?.spf, { result: 'pass', domain: 'example.org', mechanism: 'a', prefix: 32 })
  t.equal(good.signs, '')
  t.equal((await judge({ resolver: dns, spf }, { sender: 'bob@example.com' })).signs, 'spfFail')
})

t.test('without the package: a message that says what to do; suspicion() itself needs nothing', async t => {
  // Not below the package, whose node_modules has mailauth.
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const modules = join(folder, 'node_modules')
  cpSync(join(ROOT, 'dist/lib'), join(modules, 'mailhandler/dist/lib'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(modules, 'mailhandler/package.json'))
  for (const name of ['tldts', 'tldts-core', 'split2', 'through2', 'readable-stream']) {
    mkdirSync(join(modules, name), { recursive: true })
    cpSync(join(ROOT, 'node_modules', name), join(modules, name), { recursive: true })
  }
  const program = `
    import { mailauthSpf, suspicion } from 'mailhandler/greylist'
    console.log(suspicion().name)
    await mailauthSpf().catch(({ code, message }) => console.log(code, message))
  `
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { cwd: folder })
  t.equal(stdout, 'suspicion\nERR_OPTION suspicion: SPF needs the package mailauth: npm install mailauth@4.13.3\n')
})
