// 10,000 sessions opened and reset at every stage: what they leave behind in memory and descriptors.
//
//   npm run build && node --expose-gc bench/reset-sessions.mjs [sessions]
//
// The clients run in a process of their own, so that the figures are the server's.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'

const STAGES = [
  '',
  'EHLO c.test\r\n',
  'EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n',
  'EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n',
  'garb',
]

if (process.argv[2] === 'client') await openAndReset(Number(process.argv[3]), Number(process.argv[4]))
else await measure(Number(process.argv[2] ?? 10_000))

async function measure(sessions) {
  const { createServer } = await import('../dist/lib/server/index.js')
  const { SmtpHandler } = await import('../dist/lib/smtp/smtp-handler.js')
  const options = {
    async onMessage(message) {
      for await (const _ of message);
    },
  }
  const unlimited = { maxConnections: Infinity, perClient: { connections: Infinity, perMinute: Infinity } }
  const server = createServer(unlimited, () => new SmtpHandler(options))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  const run = async count => {
    const child = fork(fileURLToPath(import.meta.url), ['client', String(server.address().port), String(count)])
    await once(child, 'exit')
    while (server.stats().connections > 0 || server.sessions > 0) await pause(10)
    await pause(100)
    for (let i = 0; i < 4; i++) globalThis.gc()
    const { heapUsed, rss, external } = process.memoryUsage()
    const MiB = octets => (octets / 2 ** 20).toFixed(1).padStart(6)
    const descriptors = readdirSync('/proc/self/fd').length
    console.log(
      `${String(server.stats().accepted).padStart(7)} sessions: heap ${MiB(heapUsed)} MiB, external ${MiB(external)} MiB, rss ${MiB(rss)} MiB, descriptors ${descriptors}`,
    )
  }
  await run(0)
  await run(Math.ceil(sessions / 10)) // warms up
  for (let i = 0; i < 3; i++) await run(sessions)
  await server.close({ within: 0 })
}

async function openAndReset(port, count) {
  let left = count
  const one = async number => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
    if (number % 2 === 0) await Promise.race([once(socket, 'data'), pause(1000)]).catch(() => {})
    socket.write(STAGES[number % STAGES.length])
    if (number % 3 === 0) await pause(2)
    socket.resetAndDestroy()
  }
  const worker = async () => {
    while (left-- > 0) await one(left)
  }
  await Promise.all(Array.from({ length: 200 }, worker))
  process.disconnect?.()
}
