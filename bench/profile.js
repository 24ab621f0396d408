// Where a server spends its time under one of the loads: the functions with the most time of their own, by --cpu-prof.
//
//   node bench/profile.js LOAD [SERVER] [MAILS]      LOAD: kept, pipelined, new, one, four, base64

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, stop } from './processes.js'
import { SERVERS } from './servers.js'
import { NETWORK_LOADS } from './workloads/network.js'

const SHOWN = 25

const [key, name = 'mailhandler', mails] = process.argv.slice(2)
const load = NETWORK_LOADS[key]
const folder = mkdtempSync(join(tmpdir(), 'profile-'))
const server = await start({
  ...SERVERS[name],
  args: ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=500', ...SERVERS[name].args],
})
try {
  await load.send(server.port, Number(mails ?? load.warm * 2))
} finally {
  await stop(server)
}
const [file] = readdirSync(folder)
const times = ownTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')))
rmSync(folder, { recursive: true })

const busy = times.filter(([where]) => !where.startsWith('(idle)'))
const total = busy.reduce((sum, [, time]) => sum + time, 0)
for (const [where, time] of busy.slice(0, SHOWN))
  console.log(`${((time / total) * 100).toFixed(1).padStart(5)} %  ${where}`)

/** Microseconds that each function took by itself, most first. */
function ownTimes({ nodes, samples, timeDeltas }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, described(callFrame)]))
  const times = new Map()
  for (const [index, id] of samples.entries()) {
    const where = names.get(id)
    times.set(where, (times.get(where) ?? 0) + timeDeltas[index])
  }
  return [...times].toSorted(([, a], [, b]) => b - a)
}

function described({ functionName, url, lineNumber }) {
  const file = url.split('/').slice(-2).join('/')
  return `${functionName || '(anonymous)'}  ${file}${file === '' ? '' : `:${lineNumber + 1}`}`
}
