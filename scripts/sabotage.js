// Takes each defence of docs/security.md out, one after the other, runs the test that is named beside it, and expects it
// to fail.
//
//   npm run sabotage                   all of them
//   npm run sabotage -- restuff http   these
//   npm run sabotage -- --table        prints the tables of docs/security.md
//
// Each defence is an edit of exact text in a file of lib/ (sabotage/list.js), compiled into a copy of dist/ under
// .sabotage/. Run by hand; test/sabotage.test.ts checks that every edit still applies.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile } from './mutate/operators.js'
import { ROWS, SECTIONS } from './sabotage/list.js'
import { edited, table } from './sabotage/rows.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COPY = join(ROOT, '.sabotage')
const MILLISECONDS = 240_000
/** Seconds for a subtest, as in .taprc: with tap's own 30 a slow machine would look like a test that fails. */
const TAP_TIMEOUT = '120'

function makeCopy() {
  rmSync(COPY, { recursive: true, force: true })
  mkdirSync(COPY)
  cpSync(join(ROOT, 'dist'), join(COPY, 'dist'), { recursive: true, filter: path => !path.endsWith('.d.ts') })
  cpSync(join(ROOT, 'package.json'), join(COPY, 'package.json'))
  for (const name of [
    'lib',
    'test',
    'docs',
    'examples',
    'scripts',
    'fuzz',
    'share',
    'node_modules',
    'README.md',
    '.ci',
  ]) {
    symlinkSync(join(ROOT, name), join(COPY, name))
  }
}

/** True if the test fails. */
function fails(test) {
  const script = join(COPY, 'dist/test', `${test}.test.js`)
  const { status } = spawnSync(process.execPath, [script], {
    cwd: COPY,
    env: { ...process.env, TAP_TIMEOUT },
    stdio: 'ignore',
    timeout: MILLISECONDS,
    killSignal: 'SIGKILL',
  })
  return status !== 0
}

/** Takes one defence out; says how its test did. */
function takeOut(row) {
  const script = join(COPY, 'dist/lib', row.file.replace(/\.ts$/, '.js'))
  const original = readFileSync(script)
  const code = compile(row.file, edited(row, readFileSync(join(ROOT, 'lib', row.file), 'utf8')))
  if (code === null) return 'does not compile'
  writeFileSync(script, code)
  try {
    return fails(row.test) ? 'fails' : 'PASSES'
  } finally {
    writeFileSync(script, original)
  }
}

function run(rows) {
  makeCopy()
  const broken = [...new Set(rows.map(({ test }) => test))].filter(test => fails(test))
  if (broken.length > 0) console.log(`fail without any sabotage: ${broken.join(', ')}`)
  const bad = []
  for (const row of rows) {
    const started = performance.now()
    const result = takeOut(row)
    if (result !== 'fails') bad.push(row.id)
    console.log(
      `${row.id.padEnd(20)} ${row.test.padEnd(18)} ${result} (${((performance.now() - started) / 1000).toFixed(1)} s)`,
    )
  }
  rmSync(COPY, { recursive: true })
  console.log(
    `${rows.length} defences taken out, ${rows.length - bad.length} tests failed, ${bad.length} did not${bad.length > 0 ? `: ${bad.join(', ')}` : ''}`,
  )
  process.exitCode = bad.length + broken.length === 0 ? 0 : 1
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { table: { type: 'boolean' } } })
if (values.table === true)
  console.log(Object.entries(SECTIONS).map(([name, rows]) => `## ${name}\n\n${table(rows)}`).join('\n\n')) // prettier-ignore
else {
  const unknown = positionals.filter(id => !ROWS.some(row => row.id === id))
  if (unknown.length > 0) throw new Error(`no such defence: ${unknown.join(', ')}`)
  run(positionals.length === 0 ? ROWS : ROWS.filter(({ id }) => positionals.includes(id)))
}
