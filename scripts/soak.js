// Mixed traffic through a gateway while its workers, what is behind it, and the store of its greylisting are killed and
// frozen and the disk is full now and then; then every message is accounted for, recipient by recipient.
//
//   npm run soak -- --seconds 600
//     --seconds N     for how long traffic and faults go on; then the senders' queues run empty
//     --seed N        the same choices again, as far as the system's timing allows
//     --senders N     sender processes, each with three connections
//
//   soak/sender.js × 2                mailhandler serve ─┬─ SMTP ─→ soak/upstream.js
//     ├─ SMTP, LMTP, as other clients ─→ 2 workers,      ├─ LMTP ─→ soak/upstream.js, whose recipients get other verdicts
//     │                                  greylisting     └─ LMTP ─→ mailhandler serve, 2 workers: a Maildir for each
//     │                                       └─ redis-server
//     └──── soak/accountant.js: sent, acknowledged, arrived ──── folders
//
// Fails if a message that was acknowledged did not arrive, arrived in part, or arrived twice without the reason of
// RFC 1047; if one was never acknowledged; if a process of the two services holds much more memory, or more descriptors, in
// the end than in the beginning; or if tmp/ of a Maildir holds what no killed worker left. What happened is then kept in a
// folder. Linux only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { account, isClean } from './soak/accountant.js'
import { Arrivals } from './soak/arrivals.js'
import { makeDisk } from './soak/disk.js'
import { checkDrafts } from './soak/drafts.js'
import { makeFaults } from './soak/faults.js'
import { Upstream } from './soak/processes.js'
import { Random } from './soak/random.js'
import { report } from './soak/report.js'
import { makeBoxes, makeGateway } from './soak/services.js'
import { redisServer, RedisStore } from './soak/store.js'
import { grown } from './soak/usage.js'

const SENDER = fileURLToPath(new URL('soak/sender.js', import.meta.url))
const LANES = 3
/** Milliseconds that the senders have for their queues in the end. */
const DRAIN = 120_000
/** Milliseconds after which connections that are kept have been closed, and on a busy machine. */
const SETTLE = 3000
const SETTLED = 20_000

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
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stop.abort())
const journal = { messages: [], attempts: [] }
const digests = new Map()
const disk = makeDisk(folder)
const boxes = makeBoxes(folder, disk)
const upstreams = ['smtp', 'lmtp'].map(place => new Upstream(place, folder))
const store = redisServer === null ? null : new RedisStore(join(folder, 'redis'))

function startSender(ports, number) {
  const args = [ports.join(','), seed + number * 1000, `s${number}`, LANES, `198.18.${number}`]
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

async function startGateway() {
  await Promise.all([boxes.start(), store?.start(), ...upstreams.map(upstream => upstream.start())])
  const [smtp, lmtp] = upstreams.map(({ port }) => port)
  const gateway = makeGateway(folder, { smtp, lmtp, boxes: boxes.ports[0], redis: store?.url ?? null })
  await gateway.start()
  return gateway
}

/** Traffic and faults. Resolves with the counts of faults, once the senders' queues are empty. */
async function play(gateway, arrivals) {
  const senders = Array.from({ length: Number(values.senders) }, (_, i) => startSender(gateway.ports, i + 1))
  const collecting = setInterval(() => arrivals.collect(), 1000)
  const timer = setTimeout(() => stop.abort(), seconds * 1000)
  const parts = { gateway, boxes, upstreams, store, disk }
  const faults = await makeFaults(parts, { random: new Random(seed), signal: stop.signal, seconds })
  clearTimeout(timer)
  await drain(senders)
  clearInterval(collecting)
  return faults
}

/** What each process holds once nothing goes on; as much as in the beginning, or it has not come back in time. */
async function settled(services, before) {
  const end = Date.now() + SETTLED
  await pause(SETTLE)
  for (;;) {
    const after = services.map(service => service.usage())
    if (after.every((usage, i) => grown(before[i], usage).length === 0) || Date.now() > end) return after
    await pause(500)
  }
}

async function run() {
  let gateway = null
  try {
    gateway = await startGateway()
    const arrivals = new Arrivals(folder, digests)
    const services = [gateway, boxes]
    const before = services.map(service => service.usage())
    const faults = await play(gateway, arrivals)
    const after = await settled(services, before)
    arrivals.collect({ all: true })
    const logs = services.map(service => service.log())
    return {
      faults,
      drafts: await checkDrafts(boxes, folder, new Set(boxes.kills.map(kill => kill.process))),
      services: services.map(({ name }, i) => ({ name, before: before[i], after: after[i], log: logs[i] })),
      books: {
        ...journal,
        copies: arrivals.copies,
        kills: [...upstreams, boxes].flatMap(({ kills }) => kills),
        deaths: gateway.kills.map(({ at }) => at),
        troubled: gateway.storeFailures(),
      },
    }
  } finally {
    await gateway?.stop()
    await boxes.stop()
    for (const part of [...upstreams, store]) await part?.kill()
  }
}

console.log(`seed ${seed}, ${seconds} s`)
if (disk === null) console.log('there is no C compiler: the disk is never full')
if (store === null) console.log('there is no redis-server: the store is SQLite, and is not killed')
const { faults, drafts, services, books } = await run().catch(error => {
  console.log(`what happened is in ${folder}`)
  throw error
})
const result = account(books)
const found = services.flatMap(({ name, before, after }) => grown(before, after).map(line => `grown: ${name}, ${line}`))
found.push(...drafts.lines)
if (isClean(result) && found.length === 0) rmSync(folder, { recursive: true })
else {
  for (const [name, list] of Object.entries(books))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(list, null, 1))
  console.log(`what happened is in ${folder}`)
  process.exitCode = 1
}
for (const line of [...found, ...report({ books, faults, drafts, services, result })]) console.log(line)
