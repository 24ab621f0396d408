// Two processes on one store: they make the same first sights at once. Each triplet has to be new to exactly one of them, and
// to have two attempts in the end.
//
//   npm run build && node bench/two-processes.js [sqlite] [redis] [--decisions=200000] [--in-flight=200] [--folder=DIR]
//
// Every process makes that many decisions. Redis is started on a free port (.ci/install-clients). Exits with 1 if a
// decision was lost or made twice.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as stores from '../dist/lib/stores.js'

const SALT = 'a salt for the benchmark'
const MANY = { timeout: 60_000 }
const option = (name, fallback) =>
  process.argv.find(argument => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback
const DECISIONS = Number(option('decisions', 200_000))
const IN_FLIGHT = Number(option('in-flight', 200))

const open = ({ file, url }) =>
  file === undefined
    ? stores.redisStore({ url, salt: SALT, timeout: 60_000, onWarning() {} })
    : stores.sqliteStore({ file, salt: SALT, limits: { unconfirmed: DECISIONS * 2 } })

/** A hundred triplets a client, as in a flood: many decisions are about one client at once. */
const request = i => ({
  clients: [{ key: `net:${i % Math.ceil(DECISIONS / 100)}` }],
  sender: 'anna@example.org',
  recipients: [`user${i}@example.net`],
  rules: stores.defaultRules,
})

async function child(place) {
  const store = open(place)
  await store.known(['open'], MANY)
  process.send({ ready: true })
  await once(process, 'message')
  const begun = performance.now()
  const before = process.cpuUsage()
  const counts = { new: 0, early: 0, other: 0 }
  let next = 0
  const loop = async () => {
    for (let i = next++; i < DECISIONS; i = next++) {
      const { verdict } = (await store.greylist(request(i), MANY)).recipients[0]
      counts[verdict in counts ? verdict : 'other']++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
  const { user, system } = process.cpuUsage(before)
  await store.close()
  process.send({ counts, seconds: (performance.now() - begun) / 1000, cpu: (user + system) / DECISIONS })
  process.disconnect()
}

async function race(name, place) {
  const arguments_ = process.argv.slice(2).filter(each => each.startsWith('--'))
  const children = [0, 1].map(() =>
    fork(fileURLToPath(import.meta.url), arguments_, { env: { ...process.env, PLACE: JSON.stringify(place) } }),
  )
  await Promise.all(children.map(each => once(each, 'message')))
  for (const each of children) each.send('go')
  const reports = (await Promise.all(children.map(each => once(each, 'message')))).map(([report]) => report)
  const store = open(place)
  let [triplets, attempts, doubled] = [0, 0, 0]
  for await (const entry of store.scan()) {
    if (entry.kind !== 'triplet') continue
    triplets++
    attempts += entry.attempts
    if (entry.attempts !== 2) doubled++
  }
  await store.close()
  const sum = key => reports.reduce((total, { counts }) => total + counts[key], 0)
  const rows = [
    ['new, to exactly one process', sum('new'), DECISIONS],
    ['early, to the other', sum('early'), DECISIONS],
    ['another verdict', sum('other'), 0],
    ['triplets in the store', triplets, DECISIONS],
    ['attempts in the store', attempts, 2 * DECISIONS],
    ['triplets without two attempts', doubled, 0],
  ]
  const [one, other] = reports.map(({ counts }) => counts.new.toLocaleString('en'))
  console.log(`${name}: 2 processes, ${DECISIONS.toLocaleString('en')} decisions each, ${IN_FLIGHT} in flight each`)
  console.log(`  new to one process ${one}, to the other ${other}`)
  for (const [what, count, expected] of rows) {
    const isRight = count === expected
    if (!isRight) process.exitCode = 1
    const shown = count.toLocaleString('en').padStart(10)
    console.log(`  ${what.padEnd(30)} ${shown} ${isRight ? '' : `expected ${expected.toLocaleString('en')}`}`)
  }
  const seconds = Math.max(...reports.map(report => report.seconds))
  const cpu = reports.map(report => report.cpu.toFixed(1)).join(' and ')
  console.log(
    `  ${Math.round((2 * DECISIONS) / seconds).toLocaleString('en')} decisions a second, ${cpu} µs CPU each\n`,
  )
}

const PLACES = {
  async sqlite(folder) {
    await race('SQLite', { file: join(folder, 'store.db') })
  },
  async redis(folder) {
    const unpacked = fileURLToPath(new URL('../.ci/clients/redis-tools/usr/bin/redis-server', import.meta.url))
    const port = await freePort()
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
    const server = spawn(existsSync(unpacked) ? unpacked : 'redis-server', args, { stdio: 'ignore' })
    try {
      await pause(1000)
      await race('Redis', { url: `redis://127.0.0.1:${port}` })
    } finally {
      server.kill('SIGKILL')
    }
  },
}

function freePort() {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

if (process.env.PLACE !== undefined) await child(JSON.parse(process.env.PLACE))
else {
  const wanted = process.argv.slice(2).filter(argument => !argument.startsWith('--'))
  const folder = mkdtempSync(join(option('folder', tmpdir()), 'mailhandler-two-'))
  try {
    for (const [name, run] of Object.entries(PLACES)) {
      if (wanted.length === 0 || wanted.includes(name)) await run(folder)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
