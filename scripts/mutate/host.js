// Runs tests that need no more than plain functions, for one mutant after the other in the same process: a process for each
// takes ten times as long. Each run has modules of its own, those of lib/ and the test as well as the one in place of tap.
//
//   in:  { folder, test, file, code, runs }   file: the module whose code is `code`
//   out: { passed }

import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import vm from 'node:vm'

const TAP = join(import.meta.dirname, 'tap.js')
const sources = new Map()
let most = Infinity
const fewerRuns = {
  ...fc,
  assert: (property, options = {}) =>
    fc.assert(property, { ...options, numRuns: Math.min(options.numRuns ?? 100, most) }),
}
const shared = new Map([['fast-check', synthetic({ default: fewerRuns })]])

function synthetic(namespace) {
  const names = Object.keys(namespace)
  return new vm.SyntheticModule(names, function () {
    for (const name of names) this.setExport(name, namespace[name])
  })
}

/** A module that all runs share: of Node, or a package. */
async function sharedModule(name) {
  if (!shared.has(name)) shared.set(name, synthetic(await import(name)))
  return shared.get(name)
}

function sourceOf(path) {
  if (!sources.has(path)) sources.set(path, readFileSync(path, 'utf8'))
  return sources.get(path)
}

/** Loads a test and what it imports. Returns the exports of the module in place of tap. */
async function load({ folder, test, file, code }) {
  const modules = new Map()
  const changed = join(folder, file)
  const moduleAt = path => {
    if (!modules.has(path)) {
      const module = new vm.SourceTextModule(path === changed ? code : sourceOf(path), {
        identifier: path,
        initializeImportMeta: meta => {
          meta.url = pathToFileURL(path).href
          meta.dirname = dirname(path)
          meta.filename = path
        },
      })
      modules.set(path, module)
    }
    return modules.get(path)
  }
  const main = moduleAt(join(folder, test))
  await main.link((name, from) => {
    if (name === 'tap') return moduleAt(TAP)
    return name.startsWith('.') ? moduleAt(join(dirname(from.identifier), name)) : sharedModule(name)
  })
  await main.evaluate()
  return modules.get(TAP).namespace
}

/** Settles when nothing is left that could go on: a test that waits for ever has failed. */
async function nothingGoesOn() {
  for (let turns = 0; turns < 10;) {
    await new Promise(resolve => setImmediate(resolve))
    const goesOn = process.getActiveResourcesInfo().some(name => name !== 'PipeWrap' && name !== 'Immediate')
    turns = goesOn ? 0 : turns + 1
  }
}

/** Ends the run that is under way: the first of its errors counts, whatever is made of it. */
let fail = () => {}
process.exit = () => {
  fail()
  throw new Error('failed')
}
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => fail())

process.on('message', async job => {
  most = job.runs
  const failure = new Promise(resolve => (fail = () => resolve(false)))
  const result = load(job).then(
    ({ finished }) => Promise.race([finished.then(() => true), nothingGoesOn().then(() => false)]),
    () => false,
  )
  const passed = await Promise.race([failure, result])
  // What is left of a run that failed must not fail the next one.
  if (!passed) await nothingGoesOn()
  process.send({ passed })
})
process.send('ready')
