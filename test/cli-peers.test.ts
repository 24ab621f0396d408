// The command where only the package's own dependencies are installed.

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { bareNode } from './fixtures/bare-node.ts'
import { readText, ROOT } from './fixtures/repository.ts'

/** Copies the package to a folder beside no node_modules, and gives it its dependencies without the optional peers. */
function install(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-bare-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const manifest = readText('package.json')
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> }
  cpSync(join(ROOT, 'dist/lib'), join(folder, 'dist/lib'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), manifest)
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), link)
  }
  return folder
}

const folder = install()

async function run(...words: string[]) {
  const file = join(folder, 'm.toml')
  const [program, parameters] = bareNode([join(folder, 'dist/lib/cli/main.js'), ...words, '--config', file])
  const { stdout, stderr } = await promisify(execFile)(program, parameters, { cwd: folder, timeout: 60_000 }).catch(
    (error: Error & { stdout: string; stderr: string }) => error,
  )
  return stdout + stderr
}

t.test('metrics say what to install, in `check` and at the start', async t => {
  writeFileSync(join(folder, 'm.toml'), '[metrics]\nlisten = "127.0.0.1:0"\n')
  const problem = /m\.toml:2:1: metrics\.listen: metrics need another package: npm install prom-client@15\n/
  t.match(await run('check'), problem)
  t.match(await run('serve', '--listen', '127.0.0.1:0'), problem)
})

t.test('a configuration without metrics needs none of them', async t => {
  writeFileSync(join(folder, 'm.toml'), '[recipients]\ndomains = ["example.org"]\n')
  t.notMatch(await run('check'), /npm install/)
  t.match(await run('check'), /m\.toml/)
})

const MISSING = {
  tldts: /m\.toml:1:1: greylist: greylisting needs another package: npm install tldts@7\n/,
  sqlite:
    /m\.toml:1:1: greylist: its file needs Node 22\.13 or later, or .*: npm install @photostructure\/sqlite@1\.2\.1\n/,
  redis: /m\.toml:2:1: greylist\.redis: Redis needs another package: npm install ioredis@6\n/,
}

t.test('greylisting and its stores say what to install, in each command and at the start', async t => {
  const commands = [
    ['check'],
    ['serve', '--listen', '127.0.0.1:0'],
    ['serve', '--listen', '127.0.0.1:0', '--workers', '2'],
    ['greylist', 'stats'],
    ['greylist', 'show', '192.0.2.1'],
  ]
  for (const words of commands) {
    writeFileSync(join(folder, 'm.toml'), '[greylist]\n')
    const said = await run(...words)
    t.match(said, MISSING.tldts, words.join(' '))
    if (!isBuiltin('node:sqlite')) t.match(said, MISSING.sqlite, words.join(' '))
    t.notMatch(said, /^ {4}at |ERR_MODULE/m, 'no stack')
  }
  writeFileSync(join(folder, 'm.toml'), '[greylist]\nredis = "redis://127.0.0.1:1"\nsalt = "salt"\n')
  for (const words of [commands[0]!, commands[1]!, commands[3]!]) {
    const said = await run(...words)
    t.match(said, MISSING.redis, words.join(' '))
    t.notMatch(said, MISSING.sqlite, 'Redis needs no SQLite')
  }
})

t.test('commands without greylisting need none of them', async t => {
  writeFileSync(join(folder, 'm.toml'), '[recipients]\ndomains = ["example.org"]\n')
  t.match(await run('greylist', 'stats'), /greylist: there is no such table/)
  writeFileSync(join(folder, 'greylist.conf'), '[server]\nport = 25\n')
  const [program, parameters] = bareNode([join(folder, 'dist/lib/cli/main.js'), 'import-kamaelia', 'greylist.conf'])
  const { stdout } = await promisify(execFile)(program, parameters, { cwd: folder })
  t.match(stdout, /listen/)
})

t.test('what needs tldts names it', async t => {
  const [program, parameters] = bareNode(['--input-type=module', '--eval', "await import('mailhandler/greylist')"])
  const { stderr } = await promisify(execFile)(program, parameters, { cwd: folder }).catch(
    (error: Error & { stderr: string }) => error,
  )
  t.match(stderr, /Cannot find package 'tldts' imported from/)
})

t.test(
  'a store without its SQLite warns at once, not at the first mail',
  { skip: isBuiltin('node:sqlite') },
  async t => {
    const text =
      "import { sqliteStore } from 'mailhandler/stores'\nsqliteStore({ file: 'g.db' })\nsetTimeout(() => {}, 2000)"
    const [program, parameters] = bareNode(['--input-type=module', '--eval', text])
    const { stderr } = await promisify(execFile)(program, parameters, { cwd: folder })
    t.match(stderr, /Warning: .*npm install @photostructure\/sqlite@1\.2\.1/)
  },
)

t.test('SPF says what to install, in `check` and at the start', async t => {
  for (const name of ['tldts', '@photostructure/sqlite']) {
    mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'm.toml'), '[greylist]\n[suspicion]\nspf = true\n')
  const problem = /m\.toml:3:1: suspicion\.spf: SPF needs another package: npm install mailauth@4\.13\.3\n/
  t.match(await run('check'), problem)
  t.match(await run('serve', '--listen', '127.0.0.1:0'), problem)
})
