// Runs the benchmark: see README.md.
//
//   node bench/run.js [--quick] [--only=kept,new,…] [--rounds=N] [--before=DIST]
//
// The whole writes docs/performance.md; a part of it, or a quick one, .bench/performance.md.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { here } from './processes.js'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    rounds: { type: 'string' },
    before: { type: 'string' },
  },
})
const quick = values.quick ?? false
if (values.before !== undefined) process.env.BENCH_BEFORE = resolve(values.before) // servers.js reads it

if (!existsSync(here('node_modules'))) execFileSync('bash', [here('install')], { stdio: 'inherit' })
if (!existsSync(here('../dist'))) execFileSync('npm', ['run', 'build'], { cwd: here('..'), stdio: 'inherit' })
const { installed } = await import('./servers.js')
const { runWorkload, WORKLOADS } = await import('./workloads/index.js')
const { targetTable, writeReport } = await import('./report/report.js')

const versions = installed()
const about = {
  date: new Date().toISOString().slice(0, 10),
  command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
  machine: `${cpus().length} × ${cpus()[0].model.trim()}, Linux ${release()}`,
  versions: { node: process.versions.node, ...versions },
  load: loadavg()
    .map(each => each.toFixed(1))
    .join(', '),
}

const only = values.only?.split(',')
const tables = []
for (const workload of WORKLOADS) {
  if (only && !only.includes(workload.key)) continue
  const began = performance.now()
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  tables.push(await runWorkload(workload, { quick, rounds, versions }))
  console.log(`${workload.title}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

const folder = here(quick || only ? '../.bench' : '../docs')
mkdirSync(folder, { recursive: true })
writeReport(folder, { tables, about })
mkdirSync(here('../.bench'), { recursive: true })
writeFileSync(here(`../.bench/${quick || only ? 'part' : 'figures'}.json`), JSON.stringify({ about, tables }, null, 1))
console.log(`\n${targetTable(tables)}\n\n${folder}/performance.md has all figures.`)
