// Mixed traffic through the gateway while its workers, its upstream and the store of its greylisting are killed and frozen;
// then every message is accounted for.
//
//   npm run soak -- --seconds 600
//     --seconds N     for how long traffic and faults go on; then the senders' queues run empty
//     --seed N        the same choices again, as far as the system's timing allows
//     --senders N     sender processes, each with three connections
//
//   soak/sender.js × 2 ─→ mailhandler serve, 2 workers, greylisting ─→ soak/upstream.js ─→ a folder
//         │                                   └─ redis-server                                  │
//         └──────────── soak/accountant.js: sent, acknowledged, arrived ──────────────────────┘
//
// Fails if a message that was acknowledged did not arrive, arrived in part, or arrived twice without the reason of
// RFC 1047; if one was never acknowledged; or if a process of the gateway holds much more memory, or more descriptors, in
// the end than in the beginning. What happened is then kept in a folder. Linux only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { account, isClean, reasonsOf, summary } from './soak/accountant.js'
import { Arrivals } from './soak/arrivals.js'
import { makeFaults } from './soak/faults.js'
import { Gateway, Upstream } from './soak/processes.js'
import { Random } from './soak/random.js'
import { redisServer, RedisStore } from './soak/store.js'
import { grown } from './soak/usage.js'

const SENDER = fileURLToPath(new URL('soak/sender.js', import.meta.url))
const LANES = 3
/** Milliseconds that the senders have for their queues in the end. */
const DRAIN = 60_000
/** Milliseconds after which connections that are kept have been closed. */
const SETTLE = 3000

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    senders: { type: 'string', default: '2' },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const folder = mkdtempSync(join(tmpdir(), 'mailhandler-soak-'))
const upstream = new Upstream(join(folder, 'upstream'))
const store = redisServer === null ? null : new RedisStore(join(folder, 'redis'))
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stop.abort())
const journal = { messages: [], attempts: [] }
const digests = new Map()

function startSender(port, number) {
  const args = [port, seed + number * 1000, `s${number}`, LANES, `198.18.${number}`]
  const child = fork(SENDER, args.map(String))
  child.on('message', ({ message, attempt }) => {
    if (message !== undefined) {
      journal.messages.push(message)
      digests.set(message.id, message.digest)
    }
    if (attempt !== undefined) journal.attempts.push(attempt)
  })
  return { child, ended: once(child, 'close') }
}

/** Waits until all senders have ended; those that have not in time are told to leave. */
async function drain(senders) {
  for (const { child } of senders) if (child.connected) child.send('stop')
  const timer = setTimeout(() => {
    for (const { child } of senders) if (child.connected) child.send('leave')
  }, DRAIN)
  const codes = await Promise.all(senders.map(({ ended }) => ended.then(([code]) => code)))
  clearTimeout(timer)
  if (codes.some(code => code !== 0)) throw new Error(`a sender ended with ${codes}`)
}

async function run() {
  await upstream.start()
  await store?.start()
  const gateway = new Gateway(folder, { upstreamPort: upstream.port, redis: store?.url ?? null })
  const arrivals = new Arrivals(join(folder, 'upstream'), join(folder, 'partial'), digests)
  try {
    await gateway.start()
    const before = gateway.usage()
    const senders = Array.from({ length: Number(values.senders) }, (_, i) => startSender(gateway.port, i + 1))
    const collecting = setInterval(() => arrivals.collect(), 1000)
    const timer = setTimeout(() => stop.abort(), seconds * 1000)
    const faults = await makeFaults({
      gateway,
      upstream,
      store,
      random: new Random(seed),
      signal: stop.signal,
      seconds,
    })
    clearTimeout(timer)
    await drain(senders)
    clearInterval(collecting)
    await pause(SETTLE)
    arrivals.collect()
    return {
      faults,
      before,
      after: gateway.usage(),
      log: gateway.log(),
      copies: arrivals.copies,
      deaths: gateway.deaths,
    }
  } finally {
    await gateway.stop()
    if (upstream.isRunning) await upstream.kill()
    await store?.kill()
  }
}

function describe(usage) {
  const each = ({ MiB, descriptors, sockets }) => `${MiB} MiB, ${descriptors} descriptors, ${sockets} of them sockets`
  const [primary, ...workers] = usage
  return [`primary ${each(primary)}`, ...workers.map(worker => `worker ${each(worker)}`)].join('; ')
}

function countOf(list, key) {
  const counts = {}
  for (const each of list) counts[each[key]] = (counts[each[key]] ?? 0) + 1
  return Object.entries(counts)
    .map(([value, count]) => `${value} ${count}`)
    .join(', ')
}

function print({ faults, before, after, log, copies }, result) {
  const acknowledged = journal.attempts.filter(({ outcome }) => outcome === 'acknowledged')
  const octets = journal.messages.reduce((sum, { size }) => sum + size, 0)
  const reloads = [...log.matchAll(/"msg":"reloaded"/g)].length
  console.log(
    `killed: workers ${faults.worker}, the upstream ${upstream.kills.length - 1}, the store ${faults.store}; frozen: the upstream ${faults.freeze}, the store ${faults.freezeStore}`,
  )
  console.log(
    `SIGHUP: ${faults.reload} with a good file, ${faults.badReload} with a bad one; "reloaded" in the log ${reloads} times`,
  )
  console.log(`attempts: ${countOf(journal.attempts, 'outcome')}; acknowledged by ${countOf(acknowledged, 'by')}`)
  const refused = text => journal.attempts.filter(attempt => attempt.text?.startsWith(text) === true).length
  console.log(`refused by greylisting ${refused('451 4.7.1')}; for want of its store ${refused('451 4.3.0')}`)
  console.log(`messages: ${countOf(journal.messages, 'kind')}; ${Math.round(octets / 2 ** 20)} MiB`)
  const reasons = reasonsOf({ ...journal, copies })
  console.log(
    `copies without an acknowledgement: ${reasons.reset} reset by the sender, ${reasons.lost} with a worker, ${reasons.refused} with the upstream`,
  )
  console.log(`gateway at the start: ${describe(before)}`)
  console.log(`gateway at the end:   ${describe(after)}`)
  for (const key of ['lost', 'partial', 'unexplained', 'unfinished', 'refused', 'dropped']) {
    for (const line of result[key]) console.log(`${key}: ${line}`)
  }
  console.log(summary(result))
}

console.log(`seed ${seed}, ${seconds} s`)
if (store === null) console.log('there is no redis-server: the store is SQLite, and is not killed')
const outcome = await run().catch(error => {
  console.log(`what happened is in ${folder}`)
  throw error
})
const books = { ...journal, copies: outcome.copies, kills: upstream.kills, deaths: outcome.deaths }
const result = account(books)
const more = grown(outcome.before, outcome.after)
for (const line of more) console.log(`grown: ${line}`)
if (more.length > 0) process.exitCode = 1
if (isClean(result)) rmSync(folder, { recursive: true })
else {
  for (const [name, list] of Object.entries(books))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(list, null, 1))
  console.log(`what happened is in ${folder}`)
  process.exitCode = 1
}
print(outcome, result)
