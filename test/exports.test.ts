// Every entry point of the package, taken as a user takes it; and what a program that imports it has to load.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { readText, ROOT } from './fixtures/repository.ts'

const require = createRequire(import.meta.url)
const manifest = JSON.parse(readText('package.json')) as { exports: Record<string, string | Record<string, string>> }

/** `mailhandler`, `mailhandler/testing` … */
const entries = Object.keys(manifest.exports)
  .filter(entry => !entry.endsWith('.json'))
  .map(entry => `mailhandler${entry.slice(1)}`)

const ALLOWED = new Set(['split2', 'through2'])
const UNLOADED = ['prom-client', 'smol-toml', 'ioredis', '@photostructure/sqlite', 'mailauth']

t.test('import and require give the same names', async t => {
  t.ok(entries.includes('mailhandler'))
  for (const entry of entries) {
    const imported = (await import(entry)) as Record<string, unknown>
    const required = require(entry) as Record<string, unknown>
    t.not(Object.keys(imported).length, 0, entry)
    for (const [name, value] of Object.entries(imported)) t.equal(required[name], value, `${entry}: ${name}`)
  }
})

t.test('each name is exported from one place', async t => {
  const places = new Map<string, string[]>()
  for (const entry of entries) {
    for (const name of Object.keys((await import(entry)) as object)) {
      places.set(name, [...(places.get(name) ?? []), entry])
    }
  }
  t.strictSame(
    [...places].filter(([, where]) => where.length > 1),
    [],
  )
})

t.test('the defaults are there to be read, and cannot be changed', async t => {
  const { LIMITS, TIMEOUTS } = await import('mailhandler')
  const { SERVER_LIMITS, SERVER_TIMEOUTS } = await import('mailhandler/server')
  for (const defaults of [LIMITS, TIMEOUTS, SERVER_LIMITS, SERVER_LIMITS.perClient, SERVER_TIMEOUTS]) {
    t.ok(Object.isFrozen(defaults))
    t.ok(Object.values(defaults).every(value => typeof value === 'object' || value > 0))
  }
})

t.test('package.json is exported, the inside is not', async t => {
  t.equal((require('mailhandler/package.json') as { name: string }).name, 'mailhandler')
  const inside: string = 'mailhandler/dist/lib/index.js'
  await t.rejects(import(inside), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
})

t.test('each entry asks for the types of Node, which a project need not name then', t => {
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === 'string') continue
    t.match(readText(target['types']!), '/// <reference types="node" preserve="true" />')
  }
  t.end()
})

t.test('types come before the code, for each entry', t => {
  for (const [entry, conditions] of Object.entries(manifest.exports)) {
    if (typeof conditions === 'string') continue
    t.strictSame(Object.keys(conditions), ['types', 'default'], entry)
  }
  t.end()
})

/** The packages whose files a program loads that does nothing but import the entry: V8 lists each script it ran. */
async function packagesLoadedBy(entry: string, scratch: string): Promise<Set<string>> {
  const program = ['--input-type=module', '--eval', 'await import(process.argv[1])', entry]
  // By env -i, since tap adds itself to the environment of each child.
  await promisify(execFile)('env', ['-i', `NODE_V8_COVERAGE=${scratch}`, process.execPath, ...program], { cwd: ROOT })
  const scripts = readdirSync(scratch)
    .map(file => readFileSync(join(scratch, file), 'utf8'))
    .join()
  return new Set([...scripts.matchAll(/\/node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)].map(([, name]) => name ?? ''))
}

/** The package and whatever it depends on. */
function withDependencies(names: Iterable<string>, known: Set<string> = new Set()): Set<string> {
  for (const name of names) {
    if (known.has(name)) continue
    known.add(name)
    const { dependencies = {} } = JSON.parse(readText(`node_modules/${name}/package.json`)) as {
      dependencies?: Record<string, string>
    }
    withDependencies(Object.keys(dependencies), known)
  }
  return known
}

t.test('`import mailhandler` loads split2 and through2, and nothing else that is not Node', async t => {
  const allowed = withDependencies(ALLOWED)
  t.notOk(allowed.has('smol-toml'))
  const loaded = await packagesLoadedBy('mailhandler', t.testdir())
  t.strictSame(
    [...loaded].filter(name => !allowed.has(name)),
    [],
  )
})

t.test('a program that does load more is seen', async t => {
  t.ok((await packagesLoadedBy('smol-toml', t.testdir())).has('smol-toml'))
})

t.test('what only the command or a store needs is loaded by no import', async t => {
  for (const entry of entries) {
    const loaded = await packagesLoadedBy(entry, t.testdir())
    for (const name of UNLOADED) t.notOk(loaded.has(name), `${entry}: ${name}`)
  }
})
