// Mutation testing: changes one thing in a file of lib/, runs the tests of that file, and expects one to fail.
//
//   npm run mutate -- lib/protocol/addresses lib/protocol/commands/phase.ts     files or folders; default lib/protocol
//     --seconds N     stops after N seconds: a sample, chosen by --seed (default: the commit at hand)
//     --least P       fails when less than P percent of the mutants that are not equivalent were killed
//     --tests a,b     runs test/a.test.ts and test/b.test.ts in place of the file's own tests
//
// The mutants are made of the syntax tree of the TypeScript (mutate/operators.js). Each runs in a process of its own, in
// a copy of dist/ under .mutate/, with mutate/tap.js in place of tap. A mutant that no test can tell from the original
// is listed in mutate/equivalent.json with the reason.

import { execFileSync, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, mutantsOf } from './mutate/operators.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WORK = join(ROOT, '.mutate')
const EQUIVALENT = 'scripts/mutate/equivalent.json'

/** fast-check, with as many runs of a property as the environment says: a few tell most mutants from the original. */
const FEWER_RUNS = `import fc from ${JSON.stringify(import.meta.resolve('fast-check'))}
const most = Number(process.env.MUTATE_RUNS)
const assert = (property, options = {}) =>
  fc.assert(property, { ...options, numRuns: Math.min(options.numRuns ?? 100, most) })
export default { ...fc, assert }
`
const FEW_RUNS = 20

/** What a test may take: as long as without a mutant, many times over. */
const timeout = seconds => 3000 + seconds * 8000

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string' },
    least: { type: 'string', default: '0' },
    tests: { type: 'string' },
  },
})

// ── Which files, which tests ──

function sources(path) {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path]
  return readdirSync(join(ROOT, path), { recursive: true })
    .filter(name => name.endsWith('.ts'))
    .map(name => posix.join(path, name))
    .toSorted()
}

/** File → the files that import it, over lib/ and test/. Imports of types alone count for nothing. */
function importers() {
  const found = new Map()
  for (const file of [...sources('lib'), ...sources('test')]) {
    for (const [, from] of readFileSync(join(ROOT, file), 'utf8').matchAll(
      /^(?:import|export) (?!type)[^']*? from '(\.[^']+)'/gm,
    )) {
      const target = posix.join(posix.dirname(file), from)
      found.set(target, [...(found.get(target) ?? []), file])
    }
  }
  return found
}

/** The tests named after a file, and those nearest to it: that import it, or what imports it, and so on. */
function testsOf(file, graph) {
  if (options.tests !== undefined) return options.tests.split(',').map(name => `test/${name}.test.ts`)
  const own = `test/${basename(file, '.ts')}.test.ts`
  const seen = new Set([file])
  let level = [file]
  while (level.length > 0) {
    level = level.flatMap(each => graph.get(each) ?? []).filter(each => !seen.has(each) && seen.add(each))
    const tests = level.filter(each => each.endsWith('.test.ts'))
    if (tests.length > 0) return [...new Set([...(existsSync(join(ROOT, own)) ? [own] : []), ...tests])]
  }
  return []
}

// ── Where mutants run ──

/** A copy of what the tests need, in which one file after the other is changed. */
function makeSlot(number) {
  const folder = join(WORK, String(number))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'node_modules/tap'), { recursive: true })
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true, filter: path => !/\.(?:map|d\.ts)$/.test(path) })
  cpSync(join(ROOT, 'scripts/mutate/tap.js'), join(folder, 'node_modules/tap/index.js'))
  writeFileSync(join(folder, 'node_modules/tap/package.json'), '{ "type": "module", "exports": "./index.js" }')
  mkdirSync(join(folder, 'node_modules/fast-check'))
  writeFileSync(join(folder, 'node_modules/fast-check/package.json'), '{ "type": "module", "exports": "./index.js" }')
  writeFileSync(join(folder, 'node_modules/fast-check/index.js'), FEWER_RUNS)
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  for (const name of ['lib', 'test', 'docs', 'examples', 'README.md', '.ci']) {
    symlinkSync(join(ROOT, name), join(folder, name))
  }
  return folder
}

/** Runs a test; resolves with `passed`, `failed` or `timeout`, and what it printed. */
function runTest(slot, test, milliseconds, runs = Infinity) {
  return new Promise(resolve => {
    const script = join(slot, 'dist', test.replace(/\.ts$/, '.js'))
    const child = spawn(process.execPath, ['--max-old-space-size=512', script], {
      cwd: slot,
      env: { ...process.env, MUTATE_RUNS: String(runs) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => (output = `${output}${chunk}`.slice(-4000)))
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, milliseconds)
    child.on('close', code => {
      clearTimeout(timer)
      resolve({ result: isLate ? 'timeout' : code === 0 ? 'passed' : 'failed', output })
    })
  })
}

async function killedBy(slot, mutant, tests, seconds) {
  const script = join(slot, 'dist', mutant.file.replace(/\.ts$/, '.js'))
  const original = readFileSync(script)
  writeFileSync(script, mutant.code)
  try {
    for (const runs of [FEW_RUNS, Infinity]) {
      for (const test of tests) {
        const { result } = await runTest(slot, test, timeout(seconds.get(test)), runs)
        if (result !== 'passed') return test
      }
    }
    return null
  } finally {
    writeFileSync(script, original)
  }
}

// ── The run ──

function shuffled(list, seed) {
  let state = [...seed].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), 0x811c9dc5) || 1
  const random = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  const keyed = list.map(each => [random(), each])
  return keyed.toSorted(([a], [b]) => a - b).map(([, each]) => each)
}

const start = performance.now()
const secondsLeft = () => Number(options.seconds) - (performance.now() - start) / 1000
const files = (positionals.length > 0 ? positionals : ['lib/protocol']).flatMap(sources)
const graph = importers()
const tests = new Map(files.map(file => [file, testsOf(file, graph)]))
const seed = options.seed ?? execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' })

mkdirSync(WORK, { recursive: true })
const slots = Array.from({ length: Math.min(availableParallelism(), 8) }, (_, number) => makeSlot(number))

/** Test → seconds it takes without a mutant. A test that fails then says nothing of mutants. */
const seconds = new Map()
for (const test of new Set([...tests.values()].flat())) {
  const began = performance.now()
  const { result, output } = await runTest(slots[0], test, 120_000)
  if (result !== 'passed') throw new Error(`${test} ${result} without a mutant:\n${output}`)
  seconds.set(test, (performance.now() - began) / 1000)
}
for (const own of tests.values()) own.sort((a, b) => seconds.get(a) - seconds.get(b))

const equivalent = JSON.parse(readFileSync(join(ROOT, EQUIVALENT), 'utf8'))
const isEquivalent = ({ file, line, change }) =>
  equivalent.some(each => each.file === file && each.line === line && each.change === change)

const all = files.flatMap(file => mutantsOf(file, readFileSync(join(ROOT, file), 'utf8')))
const queue = shuffled(all, seed)
const results = []
await Promise.all(
  slots.map(async slot => {
    while (secondsLeft() > 0) {
      const mutant = queue.pop()
      if (mutant === undefined) return
      const code = compile(mutant.file, mutant.text)
      if (code === null) continue
      const killer = await killedBy(slot, { ...mutant, code }, tests.get(mutant.file), seconds)
      results.push({ ...mutant, killer, isEquivalent: killer === null && isEquivalent(mutant) })
      if (process.stderr.isTTY) process.stderr.write(`\r${results.length} of ${all.length} `)
    }
  }),
)
rmSync(WORK, { recursive: true, force: true })

// ── The report ──

function score(mutants) {
  const counted = mutants.filter(mutant => !mutant.isEquivalent)
  const killed = counted.filter(mutant => mutant.killer !== null)
  return { killed: killed.length, counted: counted.length, equivalent: mutants.length - counted.length }
}

function percent({ killed, counted }) {
  return counted === 0 ? '–' : `${((killed / counted) * 100).toFixed(1)} %`
}

for (const file of files) {
  const own = results.filter(mutant => mutant.file === file)
  if (own.length === 0) continue
  const result = score(own)
  console.log(
    `${percent(result).padStart(7)}  ${result.killed}/${result.counted}, ${result.equivalent} equivalent  ${file}`,
  )
  for (const { position, line, change, killer, isEquivalent } of own.toSorted((a, b) => a.position - b.position)) {
    if (killer === null && !isEquivalent) console.log(`           ${position}: ${change}    in: ${line}`)
  }
}
const total = score(results)
console.log(
  `${percent(total)} of ${total.counted} mutants killed, ${total.equivalent} equivalent, ` +
    `${all.length - results.length} of ${all.length} not tried, ${((performance.now() - start) / 1000).toFixed(0)} s`,
)
if (total.killed < total.counted * (Number(options.least) / 100)) process.exitCode = 1

/** An entry of the list that fits no mutant is left from code that has changed. */
const stale = equivalent.filter(
  each =>
    files.includes(each.file) &&
    !all.some(({ file, line, change }) => file === each.file && line === each.line && change === each.change),
)
for (const { file, line, change } of stale) console.log(`${EQUIVALENT}: no such mutant: ${file}: ${change} in: ${line}`)
if (stale.length > 0) process.exitCode = 1
