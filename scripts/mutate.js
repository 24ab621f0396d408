// Mutation testing: changes one thing in a file of lib/, runs the tests of that file, and expects one to fail.
//
//   npm run mutate -- lib/protocol/addresses lib/protocol/commands/phase.ts     files or folders; default lib/protocol
//     --seconds N     stops after N seconds: a sample, chosen by --seed (default: the commit at hand)
//     --least P       fails when less than P percent of the mutants that are not equivalent were killed
//     --tests a,b     runs test/a.test.ts and test/b.test.ts in place of the file's own tests
//     --plain         runs only tests of plain functions: quick, and the survivors are to be tried again by all tests
//     --jobs N        mutants at a time; default: one for each processor, at most 8
//     --output FILE   appends a line of JSON to FILE for each mutant, as soon as its result is known
//     --continue FILE skips the mutants that have a line in FILE, and counts their results; FILE is the --output too
//     --survivors     with --continue: tries again the mutants that survived, and only them
//
// The mutants are made of the syntax tree of the TypeScript (mutate/operators.js). Each runs in a process of its own, in
// a copy of dist/ under .mutate/, with mutate/tap.js in place of tap; tests of plain functions alone share a process
// (mutate/host.js). A mutant that no test can tell from the original is listed in mutate/equivalent.json with the reason.

import { execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
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
import { SourceMap } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, posix } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { HostLink } from './mutate/host-link.js'
import { compile, mutantsOf } from './mutate/operators.js'
import { nameOf, percent, reportOf, reportOfFolders, score } from './mutate/report.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WORK = join(ROOT, '.mutate')
const EQUIVALENT = 'scripts/mutate/equivalent.json'
/** Stands for the test that kills a mutant whose text does not parse: it is not counted. */
const COMPILER = 'compiler'
const equivalents = new Set(
  JSON.parse(readFileSync(join(ROOT, EQUIVALENT), 'utf8')).flatMap(({ file, line, changes }) =>
    changes.map(change => nameOf({ file, line, change })),
  ),
)

/** fast-check, with as many runs of a property as the environment says: a few tell most mutants from the original. */
const FEWER_RUNS = `import fc from ${JSON.stringify(import.meta.resolve('fast-check'))}
const most = Number(process.env.MUTATE_RUNS)
const assert = (property, options = {}) =>
  fc.assert(property, { ...options, numRuns: Math.min(options.numRuns ?? 100, most) })
export default { ...fc, assert }
`
const FEW_RUNS = 20

/** Seconds of the processor that a test may take with a mutant: a mutant may have no end. */
const cpuLimit = seconds => Math.ceil(1 + seconds * 3)
/** Milliseconds that it may take by the clock, for a mutant that only waits: long enough for a machine with other work. */
const clockLimit = cpuLimit => 60_000 + cpuLimit * 20_000

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string' },
    least: { type: 'string', default: '0' },
    tests: { type: 'string' },
    plain: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(Math.min(availableParallelism(), 8)) },
    output: { type: 'string' },
    continue: { type: 'string' },
    survivors: { type: 'boolean', default: false },
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

/** Steps of imports between a file and the tests that are run for it, from the first step that has tests. */
const STEPS = 2
/** Of these, the quickest. */
const MOST_TESTS = 8

/** A test that starts programs or threads: too slow to run for each mutant. */
function isHeavy(test) {
  return /'node:(?:child_process|worker_threads|cluster)'|fixtures\/(?:command|clients)\.ts/.test(
    readFileSync(join(ROOT, test), 'utf8'),
  )
}

/** Modules without streams, sockets, timers: a test that loads no others can run beside what an earlier one left. */
const PLAIN =
  /^lib\/(?:protocol|words)\/|^lib\/client\/reply-reader\.ts$|^test\/(?:[^/]*|fixtures\/(?:character|shown|mail-data-model)\.ts)$/
const PLAIN_PACKAGES = /^(?:tap|fast-check|node:(?:assert|buffer|fs|net|path|url|util))$/
const plain = new Map()

/** True if a file and all that it imports are plain. */
function isPlain(file) {
  if (!plain.has(file)) {
    plain.set(file, true)
    const text = readFileSync(join(ROOT, file), 'utf8')
    const imports = [...text.matchAll(/^(?:import|export) (?!type)[^']*? from '([^']+)'/gm)].map(([, from]) => from)
    plain.set(
      file,
      PLAIN.test(file) &&
        !(
          file.startsWith('test/') &&
          /createServer|Socket|setTimeout|setInterval|setImmediate|process\.(?!env|cpuUsage)|import\(/.test(text)
        ) &&
        imports.every(from =>
          from.startsWith('.') ? isPlain(posix.join(posix.dirname(file), from)) : PLAIN_PACKAGES.test(from),
        ),
    )
  }
  return plain.get(file)
}

/** The tests nearest to a file: that import it, or what imports it, and so on. */
function testsOf(file, graph) {
  if (options.tests !== undefined) return options.tests.split(',').map(name => `test/${name}.test.ts`)
  const seen = new Set([file])
  const tests = []
  let level = [file]
  let steps = 0
  while (level.length > 0 && steps < STEPS) {
    level = level.flatMap(each => graph.get(each) ?? []).filter(each => !seen.has(each) && seen.add(each))
    tests.push(...level.filter(each => each.endsWith('.test.ts') && (options.plain ? isPlain(each) : !isHeavy(each))))
    if (tests.length > 0) steps += 1
  }
  return tests
}

// ── Where mutants run ──

/** A copy of what the tests need, in which one file after the other is changed. */
function makeSlot(number) {
  const folder = join(WORK, String(number))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'node_modules/tap'), { recursive: true })
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true, filter: path => !path.endsWith('.d.ts') })
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

/** Runs a test; resolves with whether it passed, what it printed, and the seconds of the processor that it took. */
function runTest(slot, test, limit, runs = Infinity, coverage = '') {
  return new Promise(resolve => {
    const script = join(slot, 'dist', test.replace(/\.ts$/, '.js'))
    const command = `ulimit -t ${limit}; exec "$0" --max-old-space-size=512 "$1"`
    const child = spawn('sh', ['-c', command, process.execPath, script], {
      cwd: slot,
      env: { ...process.env, MUTATE_RUNS: String(runs), NODE_V8_COVERAGE: coverage },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => (output = `${output}${chunk}`.slice(-4000)))
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), clockLimit(limit))
    child.on('close', code => {
      clearTimeout(timer)
      resolve({ passed: code === 0, output, seconds: Number(/^cpu (.*)$/m.exec(output)?.[1] ?? limit) })
    })
  })
}

/** File → the lines of its source that V8 saw running; lines without code of their own are those of a file that ran. */
function linesReached(slot, coverage, files) {
  const prefix = pathToFileURL(join(slot, 'dist/')).href
  const found = new Map()
  for (const name of readdirSync(coverage)) {
    for (const { url, functions } of JSON.parse(readFileSync(join(coverage, name), 'utf8')).result) {
      const file = url.startsWith(prefix) ? url.slice(prefix.length).replace(/\.js$/, '.ts') : ''
      if (files.includes(file)) found.set(file, linesOf(fileURLToPath(url), functions))
    }
  }
  return found
}

function linesOf(script, functions) {
  const map = new SourceMap(JSON.parse(readFileSync(`${script}.map`, 'utf8')))
  const ranges = functions.flatMap(each => each.ranges)
  const ran = new Set()
  const seen = new Set()
  let offset = 0
  for (const [index, text] of readFileSync(script, 'utf8').split('\n').entries()) {
    const indent = text.search(/\S/)
    const line = indent < 0 ? undefined : map.findEntry(index, indent).originalLine
    if (line !== undefined) {
      seen.add(line + 1)
      if (countAt(ranges, offset + indent) > 0) ran.add(line + 1)
    }
    offset += text.length + 1
  }
  return { has: line => ran.has(line) || !seen.has(line) }
}

/** The count of the innermost range. */
function countAt(ranges, offset) {
  let inner = null
  for (const range of ranges) {
    if (range.startOffset > offset || range.endOffset <= offset) continue
    if (inner === null || range.endOffset - range.startOffset <= inner.endOffset - inner.startOffset) inner = range
  }
  return inner?.count ?? 0
}

/** Test → the mutants that it has killed: those that kill many are asked first, plain ones before others. */
const kills = new Map()
const promise = ({ test, limit }) => (limit * (isPlain(test) ? 1 : 10)) / ((kills.get(test) ?? 0) + 1)

const scriptOf = file => join('dist', file.replace(/\.ts$/, '.js'))

async function killedBy({ folder, host }, mutant, tests) {
  const script = join(folder, scriptOf(mutant.file))
  const original = readFileSync(script)
  writeFileSync(script, mutant.code)
  const passes = async (test, limit, runs) => {
    if (!isPlain(test)) return (await runTest(folder, test, limit, runs)).passed
    const job = { folder, test: scriptOf(test), file: scriptOf(mutant.file), code: mutant.code, runs }
    return host.run(job, limit)
  }
  try {
    const order = tests.toSorted((a, b) => promise(a) - promise(b))
    const again = order.filter(({ test }) => hasProperties(test))
    for (const [runs, round] of [
      [FEW_RUNS, order],
      [Infinity, again],
    ]) {
      for (const { test, limit } of round) {
        if (await passes(test, limit, runs)) continue
        kills.set(test, (kills.get(test) ?? 0) + 1)
        return test
      }
    }
    return null
  } finally {
    writeFileSync(script, original)
  }
}

/** True if a test runs properties, so that it may find more when they run more often. */
function hasProperties(test) {
  return readFileSync(join(ROOT, test), 'utf8').includes("from 'fast-check'")
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
const workers = Number(options.jobs)
/** One for each worker, and one that is never changed. */
const folders = Array.from({ length: workers + 1 }, (_, number) => makeSlot(number))
const slots = folders.map(folder => ({ folder, host: new HostLink() }))

/** Test → what is known of it from a run without a mutant: the seconds that it may take, the lines of each file that it runs. */
const known = new Map()

/** Runs one baseline after the other: many at once would fail by the load that they are. */
let lastBaseline = Promise.resolve()

function baseline(test) {
  return (lastBaseline = lastBaseline.then(() => runUnchanged(test)))
}

async function runUnchanged(test) {
  const coverage = join(WORK, `coverage-${known.size}`)
  const { passed, output, seconds } = await runTest(folders.at(-1), test, 120, Infinity, coverage)
  if (!passed) {
    console.log(`${test} is left out: it fails without a mutant\n${output}`)
    rmSync(coverage, { recursive: true, force: true })
    return { limit: 0, reached: new Map() }
  }
  const reached = linesReached(folders.at(-1), coverage, files)
  rmSync(coverage, { recursive: true })
  return { limit: cpuLimit(seconds), reached }
}

/** The tests that run the line of a mutant, the quickest first; each is run once without a mutant when it is first wanted. */
async function testsFor({ file, position }) {
  for (const test of tests.get(file)) {
    if (!known.has(test)) known.set(test, baseline(test))
  }
  const own = []
  for (const test of tests.get(file)) {
    const { limit, reached } = await known.get(test)
    if (reached.get(file)?.has(position)) own.push({ test, limit })
  }
  return own.toSorted((a, b) => a.limit - b.limit).slice(0, MOST_TESTS)
}

/** The mutants of a file, each with a key that stays the same as long as its line does. */
function listMutants(file) {
  const seen = new Map()
  return mutantsOf(file, readFileSync(join(ROOT, file), 'utf8')).map(mutant => {
    const name = nameOf(mutant)
    seen.set(name, (seen.get(name) ?? 0) + 1)
    return { ...mutant, key: `${name} #${seen.get(name)}` }
  })
}

/** Key → which test killed the mutant in an earlier run, null if it survived. The last line of a mutant counts. */
function readKillers(path) {
  if (path === undefined || !existsSync(path)) return new Map()
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return new Map(lines.map(line => JSON.parse(line)).map(({ key, killer }) => [key, killer]))
}

/** Runs a mutant. Returns the test that failed, `COMPILER` for a text that does not parse, null for a survivor. */
async function tryMutant(slot, mutant) {
  const code = compile(mutant.file, mutant.text)
  return code === null ? COMPILER : killedBy(slot, { ...mutant, code }, await testsFor(mutant))
}

const all = files.flatMap(listMutants)
const killers = readKillers(options.continue)
const output = options.output ?? options.continue
const waiting = all.filter(({ key }) => (options.survivors ? killers.get(key) === null : !killers.has(key)))
// A sample is taken from all files; a whole run ends one file after the other.
const queue = options.seconds === 'Infinity' ? waiting : shuffled(waiting, seed)
const unfinished = new Map(files.map(file => [file, waiting.filter(each => each.file === file).length]))
const reported = new Set()

function keep({ text: _, ...mutant }, killer) {
  killers.set(mutant.key, killer)
  if (output !== undefined) appendFileSync(output, `${JSON.stringify({ ...mutant, killer })}\n`)
  unfinished.set(mutant.file, unfinished.get(mutant.file) - 1)
  if (unfinished.get(mutant.file) === 0) report(mutant.file)
}

function report(file) {
  reported.add(file)
  for (const line of reportOf(file, resultsOf(file))) console.log(line)
}

/** The results that are known of a file, in the order of its lines. */
function resultsOf(file) {
  return all
    .filter(({ file: own, key }) => own === file && killers.has(key))
    .map(mutant => ({ ...mutant, killer: killers.get(mutant.key) }))
    .filter(({ killer }) => killer !== COMPILER)
    .map(result => ({ ...result, isEquivalent: result.killer === null && equivalents.has(nameOf(result)) }))
}

await Promise.all(
  slots.slice(0, workers).map(async slot => {
    while (secondsLeft() > 0) {
      const mutant = queue.shift()
      if (mutant === undefined) break
      keep(mutant, await tryMutant(slot, mutant))
    }
    slot.host.end()
  }),
)
rmSync(WORK, { recursive: true, force: true })

// ── The report ──

for (const file of files) if (!reported.has(file)) report(file)
for (const line of reportOfFolders(files.map(resultsOf))) console.log(line)
const total = score(files.flatMap(resultsOf))
console.log(
  `${percent(total)} of ${total.counted} mutants killed, ${total.equivalent} equivalent, ` +
    `${all.filter(({ key }) => !killers.has(key)).length} of ${all.length} not tried, ` +
    `${((performance.now() - start) / 1000).toFixed(0)} s`,
)
// A run that had no time for a single mutant shows nothing, nor does one whose tests fail without a mutant.
if (total.counted === 0 || total.killed < total.counted * (Number(options.least) / 100)) process.exitCode = 1

/** What the list says of code that has changed since. */
const names = new Set(all.map(nameOf))
for (const name of equivalents) {
  if (names.has(name) || !files.some(file => name.startsWith(`${file}: `))) continue
  console.log(`${EQUIVALENT}: no such mutant: ${name}`)
  process.exitCode = 1
}
