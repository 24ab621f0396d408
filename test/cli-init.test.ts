// `mailhandler init`: what it asks, what it writes, and that it overwrites nothing.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { askAll, configText, writeConfig } from '../lib/cli/init.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { MAIN, run } from './fixtures/command.ts'

const NONE = new Map<string, string[]>()

t.test('four questions; what an option says is not asked', async t => {
  const asked: string[] = []
  const ask = (question: string): Promise<string> => {
    asked.push(question)
    return Promise.resolve(asked.length === 1 ? ' example.org, example.net ' : '')
  }
  t.strictSame(await askAll(new Map([['listen', ['127.0.0.1:0']]]), ask), {
    domain: 'example.org, example.net',
    to: 'Maildir',
    listen: '127.0.0.1:0',
    tls: '',
  })
  t.match(asked, [/which domains/, /Where does it go\?.* \[Maildir\]: $/, /Certificate/])
  t.equal(asked.length, 3)
  t.match(await askAll(NONE, null), { domain: '', listen: '127.0.0.1:2525' })
})

t.test('what it writes is what was said', async t => {
  const folder = t.testdir()
  const config = (answers: Partial<Record<'domain' | 'to' | 'listen' | 'tls', string>>) => {
    const text = configText({ domain: '', to: 'Maildir', listen: '127.0.0.1:0', tls: '', ...answers })
    return loadConfig(join(folder, 'm.toml'), text).config
  }
  t.match(config({}), { maildir: join(folder, 'Maildir'), recipients: {} })
  t.match(config({ to: '/srv/mail "x"' }), { maildir: '/srv/mail "x"' })
  t.match(config({ domain: 'example.org, .example.net' }), { recipients: { domains: ['example.org', '.example.net'] } })
  t.match(config({ to: '/var/mail/{domain}/{local}' }), { delivery: { maildir: '/var/mail/{domain}/{local}' } })
  const paths = configText({ domain: '', to: 'mail/{local}', listen: '127.0.0.1:0', tls: '' })
  t.match(
    paths,
    /^# Where messages go\. A recipient needs its folder there, or a line in recipients_file\.\n\[delivery\]$/m,
  )
  t.match(config({ to: 'https://a.example/mail' }), { delivery: { webhook: { url: 'https://a.example/mail' } } })
  t.match(config({ to: '10.0.0.5:25', domain: 'a.example' }), {
    upstream: { address: [{ host: '10.0.0.5', port: 25 }] },
  })
  t.match(config({ tls: 'cert.pem, key.pem' }), {
    tls: { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') },
  })
})

t.test('nothing is written that is not good, and nothing is overwritten', async t => {
  const folder = t.testdir()
  makeCertificate(folder)
  const file = join(folder, 'm.toml')
  const good = await askAll(NONE, null)
  t.throws(
    () => writeConfig(file, { ...good, listen: '*:25' }),
    /^--listen: others can connect here: say in --domain whose mail is accepted, "\*" for any$/,
  )
  t.throws(() => writeConfig(file, { ...good, tls: 'absent.pem,key.pem' }), /^--tls: ENOENT.*absent\.pem/)
  t.throws(() => writeConfig(file, { ...good, domain: 'a b' }), /^--domain: "a b" is not allowed here/)
  t.throws(
    () => writeConfig(file, { ...good, to: '/var/{x}/{local}' }),
    /^--to: .*\{x\} is not \{local\} or \{domain\}/,
  )
  await t.rejects(askAll(new Map([['tls', ['cert.pem']]]), null), /--tls cert\.pem: two files with a comma/)
  t.throws(() => writeConfig(file, { ...good, to: '10.0.0.5:25' }), /^--to: whoever can connect .*: say in --domain/)
  t.notOk(existsSync(file))
  writeConfig(file, { ...good, tls: 'cert.pem,key.pem' })
  const text = readFileSync(file, 'utf8')
  t.throws(() => writeConfig(file, good), /m\.toml exists already: it is not overwritten/)
  t.equal(readFileSync(file, 'utf8'), text)
  t.throws(() => writeConfig(join(folder, 'absent/m.toml'), good), /ENOENT/)
})

t.test('the command, without a terminal', async t => {
  const folder = t.testdir()
  const done = await run(['init', '--domain', 'example.org', '-d', 'example.net', '--to', 'mail'], folder)
  t.match(done, { code: 0, stdout: /^mailhandler\.toml is written, and good/ })
  t.match(readFileSync(join(folder, 'mailhandler.toml'), 'utf8'), /^domains = \["example\.org", "example\.net"\]$/m)
  t.match(await run(['init', 'mailhandler.toml'], folder), { code: 1, stderr: /exists already: it is not overwritten/ })
})

t.test('a place that it does not know', async t => {
  const folder = t.testdir()
  for (const to of ['smtp://127.0.0.1:1025', 'localhost', '10.0.0.5', 'mail.example.org', 'mail:smtp']) {
    await t.rejects(askAll(new Map([['to', [to]]]), null), /a mail server is host:port/)
  }
  for (const to of ['Maildir', './mail.example.org', '/var/mail.d', 'mail:25', '']) {
    await askAll(new Map([['to', [to]]]), null)
  }
  t.match(await run(['init', '--to', 'localhost'], folder), { code: 2, stderr: /a mail server is host:port/ })
  t.notOk(existsSync(join(folder, 'mailhandler.toml')))
})

const noScript = spawnSync('script', ['--version']).status !== 0

t.test('the command on a terminal asks', { skip: noScript && 'no script' }, t => {
  const folder = t.testdir()
  const command = `${process.execPath} ${MAIN} init`
  const input = 'example.org\n/srv/{local}\n127.0.0.1:0\n\n'
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: folder, input, encoding: 'utf8' })
  t.match(stdout, /For which domains.*Where does it go.*Where to listen.*Certificate.*is written, and good/s)
  const { config } = loadConfig(join(folder, 'm.toml'), readFileSync(join(folder, 'mailhandler.toml'), 'utf8'))
  t.match(config, { delivery: { maildir: '/srv/{local}' }, recipients: { domains: ['example.org'] } })
  t.end()
})
