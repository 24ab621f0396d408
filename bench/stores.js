// What a decision of a store costs, and what an entry takes.
//
//   npm run build && node bench/stores.js [sqlite] [redis] [memory] [--entries=1000000] [--folder=DIR]
//
// CPU is user and system time of this process with all its threads, what makes the requests included: half of them first
// sights, half of triplets that are there. Redis is started on a free port (.ci/install-clients); its server's CPU is
// told apart.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as stores from '../dist/lib/stores.js'

const SALT = 'a salt for the benchmark'
const option = (name, fallback) =>
  process.argv.find(argument => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback
const wanted = process.argv.slice(2).filter(argument => !argument.startsWith('--'))
const ENTRIES = Number(option('entries', 1_000_000))
const MANY = { timeout: 60_000 }

/** The request for triplet number `i`: a tenth as many clients as triplets, texts as long as real ones. */
function request(i) {
  const client = Math.floor(i / 10)
  return {
    clients: [{ key: `net:${10 + (client >> 16)}.${(client >> 8) & 255}.${client & 255}.0/24` }],
    sender: `user${i % 997}@mail${i % 5003}.example.org`,
    recipients: [`local.part.${i}@example.net`],
    rules: stores.defaultRules,
    reason: 'no reverse name',
  }
}

let sights = ENTRIES
const nextRequest = () => request(Math.random() < 0.5 ? sights++ : Math.floor(Math.random() * ENTRIES))

/** Keeps `inFlight` calls in flight for a while. */
async function closedLoop(store, inFlight, milliseconds) {
  const end = performance.now() + milliseconds
  let calls = 0
  const loop = async () => {
    while (performance.now() < end) {
      await store.greylist(nextRequest(), MANY)
      calls++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return calls
}

/** Makes `perSecond` calls a second, without waiting for their answers. */
async function openLoop(store, perSecond, milliseconds) {
  const start = performance.now()
  const calls = []
  const times = []
  while (performance.now() - start < milliseconds) {
    const due = ((performance.now() - start) / 1000) * perSecond
    while (calls.length < due) {
      const begin = performance.now()
      calls.push(store.greylist(nextRequest(), MANY).then(() => times.push(performance.now() - begin)))
    }
    await pause(1)
  }
  await Promise.all(calls)
  times.sort((a, b) => a - b)
  return { calls: calls.length, p99: times[Math.floor(times.length * 0.99)], most: times.at(-1) }
}

async function cpu(work, otherCpu = () => 0) {
  const before = process.cpuUsage()
  const others = otherCpu()
  const start = performance.now()
  const result = await work()
  const used = process.cpuUsage(before)
  return {
    result,
    own: used.user + used.system,
    other: otherCpu() - others,
    seconds: (performance.now() - start) / 1000,
  }
}

function tell(what, figure, unit, limit = '') {
  console.log(`${what.padEnd(58)} ${figure.padStart(9)} ${unit.padEnd(10)} ${limit}`)
}

async function fill(store, entries) {
  let next = 0
  const loop = async () => {
    for (let i = next++; i < entries; i = next++) await store.greylist(request(i), MANY)
  }
  await Promise.all(Array.from({ length: 2000 }, loop))
}

async function decisions(name, store, limits, otherCpu) {
  await closedLoop(store, 200, 2000) // Warm.
  const closed = await cpu(() => closedLoop(store, 200, 4000), otherCpu)
  const each = closed.own / closed.result
  tell(`${name}: 200 in flight, ${Math.round(closed.result / closed.seconds)}/s`, each.toFixed(1), 'µs CPU', limits[0])
  if (otherCpu) tell(`${name}: the server`, (closed.other / closed.result).toFixed(1), 'µs CPU')
  const idle = await cpu(() => openLoop({ greylist: async () => nextRequest() }, 1000, 2000))
  const open = await cpu(() => openLoop(store, 1000, 4000), otherCpu)
  const loop = (idle.own / idle.result.calls).toFixed(1)
  tell(`${name}: 1,000/s`, (open.own / open.result.calls).toFixed(1), 'µs CPU', `${limits[1]}; the loop itself ${loop}`)
  tell(
    `${name}: 1,000/s, 99 % answered within`,
    open.result.p99.toFixed(1),
    'ms',
    `all: ${open.result.most.toFixed(1)}`,
  )
}

async function sqlite(folder) {
  const file = join(folder, 'store.db')
  const make = () => stores.sqliteStore({ file, salt: SALT, limits: { unconfirmed: 2 * ENTRIES + 2_000_000 } })
  const filling = make()
  await fill(filling, ENTRIES)
  await filling.close()
  tell(`SQLite: ${ENTRIES} entries`, (statSync(file).size / ENTRIES).toFixed(1), 'octets', '≤ 160 each')
  const store = make()
  await pause(1000) // The thread has started.
  const start = performance.now()
  await store.stats()
  tell('SQLite: opens in', (performance.now() - start).toFixed(1), 'ms', '≤ 10')
  await decisions('SQLite', store, ['≤ 25', '≤ 75'])
  const quiet = await openLoop(store, 1000, 3000)
  tell('SQLite: 1,000/s again, 99 % within', quiet.p99.toFixed(1), 'ms', `all: ${quiet.most.toFixed(1)}`)
  const [removed, during] = await Promise.all([sweepLater(file), openLoop(store, 1000, 3000)])
  tell(
    'SQLite: 1,000/s while another sweeps, 99 % within',
    during.p99.toFixed(1),
    'ms',
    `all: ${during.most.toFixed(1)}`,
  )
  tell('SQLite: swept', String(removed), 'entries')
  await store.close()
  await sweepSteps(make, file)
}

/** Another store on the file sweeps as if a day had passed, for as long as the loop beside it. */
async function sweepLater(file) {
  const clock = { now: () => Date.now() + 2 * 86_400_000 }
  const store = stores.sqliteStore({ file, salt: SALT, clock })
  const sweeping = store.sweep()
  const removed = await Promise.race([sweeping, pause(3000, 'not all')])
  await sweeping.catch(() => {})
  await store.close()
  return removed
}

/** The steps of a sweep through a full file, half of it expired, one by one; in CPU, which a busy machine changes less. */
async function sweepSteps(make, file) {
  const store = make()
  await fill(store, ENTRIES)
  await store.close()
  const { Connection } = await import('../dist/lib/stores/sqlite/connection.js')
  const { Sweeper } = await import('../dist/lib/stores/sqlite/sweeper.js')
  const { loadDriver } = await import('../dist/lib/stores/sqlite/driver.js')
  const limits = { unconfirmed: Infinity, passed: Infinity, rates: Infinity, known: Infinity }
  const connection = new Connection({ file, busyTimeout: 1000, limits }, await loadDriver(), console.log)
  connection.transaction(tables =>
    tables.sql('update triplets_1 set expires = 1 where key < ?').run(Buffer.from([128])),
  )
  const sweeper = new Sweeper()
  const times = []
  let removed = 0
  for (let done = false; !done;) {
    const start = process.cpuUsage()
    const step = connection.transaction(tables => sweeper.step(tables, Date.now()))
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1000)
    removed += step.removed
    done = step.done
  }
  connection.close()
  times.sort((a, b) => a - b)
  const most = times.at(-1).toFixed(1)
  const usual = times[Math.floor(times.length * 0.99)].toFixed(1)
  tell(`SQLite: ${times.length} steps of sweeping ${removed} entries, 99 %`, usual, 'ms CPU', `all: ${most}; ≤ 10`)
}

/** User and system time of a process, in microseconds. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function redis(folder) {
  const unpacked = fileURLToPath(new URL('../.ci/clients/redis-tools/usr/bin/redis-server', import.meta.url))
  const program = existsSync(unpacked) ? unpacked : 'redis-server'
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const server = spawn(program, args, { stdio: 'ignore' })
  try {
    await pause(1000)
    const store = stores.redisStore({ url: `redis://127.0.0.1:${port}`, salt: SALT, timeout: 60_000, onWarning() {} })
    await fill(store, ENTRIES)
    tell(`Redis: ${ENTRIES} entries`, ((await store.stats()).octets / ENTRIES).toFixed(1), 'octets', 'each, in memory')
    await decisions('Redis', store, ['≤ 20', ''], () => cpuOf(server.pid))
    await store.close()
  } finally {
    server.kill('SIGKILL')
  }
}

async function memory() {
  const store = stores.memoryStore({ limits: { unconfirmed: 2 * ENTRIES, passed: ENTRIES } })
  const before = process.memoryUsage().heapUsed
  await fill(store, ENTRIES)
  const octets = (process.memoryUsage().heapUsed - before) / ENTRIES
  tell(`memory: ${ENTRIES} entries`, octets.toFixed(1), 'octets', 'each')
  await decisions('memory', store, ['', ''])
}

function freePort() {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

const SUBJECTS = { sqlite, redis, memory }
const folder = mkdtempSync(join(option('folder', tmpdir()), 'mailhandler-stores-'))
try {
  for (const [name, run] of Object.entries(SUBJECTS))
    if (wanted.length === 0 || wanted.includes(name)) await run(folder)
} finally {
  rmSync(folder, { recursive: true })
}
