// The command where only the package's own dependencies are installed.

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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
  const { stdout, stderr } = await promisify(execFile)(program, parameters, { cwd: folder, timeout: 20_000 }).catch(
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

t.test('greylisting says what to install, in `check` and at the start', async t => {
  writeFileSync(join(folder, 'm.toml'), '[greylist]\n')
  const problem = /m\.toml:1:1: greylist: greylisting needs another package: npm install tldts@7\n/
  t.match(await run('check'), problem)
  t.match(await run('serve', '--listen', '127.0.0.1:0'), problem)
})

t.test('what needs tldts names it', async t => {
  const [program, parameters] = bareNode(['--input-type=module', '--eval', "await import('mailhandler/greylist')"])
  const { stderr } = await promisify(execFile)(program, parameters, { cwd: folder }).catch(
    (error: Error & { stderr: string }) => error,
  )
  t.match(stderr, /Cannot find package 'tldts' imported from/)
})

t.test('SPF says what to install, in `check` and at the start', async t => {
  symlinkSync(join(ROOT, 'node_modules/tldts'), join(folder, 'node_modules/tldts'))
  writeFileSync(join(folder, 'm.toml'), '[greylist]\n[suspicion]\nspf = true\n')
  const problem = /m\.toml:3:1: suspicion\.spf: SPF needs another package: npm install mailauth@4\.13\.3\n/
  t.match(await run('check'), problem)
  t.match(await run('serve', '--listen', '127.0.0.1:0'), problem)
})
