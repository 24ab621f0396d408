// docs/runtimes.md against what CI does: .ci/runner-check, which runs it, is no test of tap.

import t from 'tap'
import { readText } from './fixtures/repository.ts'

const doc = readText('docs/runtimes.md')

t.test('the versions are those that CI runs', t => {
  const { dependencies } = JSON.parse(readText('.ci/runners/package.json')) as { dependencies: Record<string, string> }
  const rows = [...doc.matchAll(/^\| (Jest|vitest|mocha|Bun|Deno)\b[^|]*\| ([\d.]+) \|/gm)]
  t.strictSame(
    new Set(rows.map(([, name = '', version]) => `${name.toLowerCase()} ${version}`)),
    new Set(['jest', 'vitest', 'mocha', 'bun', 'deno'].map(name => `${name} ${dependencies[name]}`)),
  )
  t.end()
})

t.test('each known failure is told, and no other', t => {
  const known = JSON.parse(readText('.ci/runners/user/known-failures.json')) as Record<string, Record<string, string>>
  const pinned = Object.entries(known).flatMap(([name, failures]) =>
    Object.values(failures).map(message => `${name}: ${message}`),
  )
  const told = [...doc.matchAll(/^\| (Bun|Deno) [\d.]+ \|[^|]*\| `([^`]*)`/gm)]
  t.strictSame(
    told.map(([, name = '', message]) => `${name.toLowerCase()}: ${message}`),
    pinned,
  )
  t.end()
})

t.test('the recipe is the one that CI uses', t => {
  const [, recipe = ''] = /\/\/ jest\.config\.js\n([^]*?)```/.exec(doc) ?? []
  t.ok(readText('.ci/runners/user/jest-commonjs/jest.config.js').endsWith(recipe))
  t.not(recipe, '')
  t.end()
})
