// Two gateways, each a process of its own, that share a store: who was seen by one is known to the other.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Client, start, type Running } from './fixtures/command.ts'
import { redisServer, startRedis } from './fixtures/redis.ts'

const TRIPLETS = 20

const config = (store: string): string => `
listen = [{ address = "127.0.0.1:0" }]
xclient = ["127.0.0.0/8"]
recipients.domains = ["example.org"]
[greylist]
${store}
hold = "all"
delay = "1s"
[suspicion]
timeout = "50ms"
`

/** A session of a client in a network of its own, as far as RCPT; resolves with the reply. */
async function attempt(port: number, i: number): Promise<string> {
  const client = new Client(port)
  await client.reply()
  for (const line of ['EHLO x.example', `XCLIENT ADDR=198.51.${i}.7`, 'EHLO x.example', 'MAIL FROM:<a@example.net>']) {
    await client.say(line)
  }
  const reply = await client.say('RCPT TO:<b@example.org>')
  client.socket.destroy()
  return reply.slice(0, 3)
}

/** How often a gateway's log has this verdict. */
function count({ said }: Running, verdict: string): number {
  return said().split(`"verdict":"${verdict}"`).length - 1
}

async function together(t: Test, store: string, folder: string, check: (gateways: Running[]) => Promise<void>) {
  writeFileSync(join(folder, 'm.toml'), config(store))
  const gateways = [0, 1].map(() => start(['serve', '--config', 'm.toml'], folder))
  t.teardown(() => gateways.forEach(({ child }) => child.kill('SIGKILL')))
  const ports = await Promise.all(gateways.map(({ port }) => port))
  const all = Array.from({ length: 2 * TRIPLETS }, (_, i) => attempt(ports[i % 2]!, i >> 1))
  const first = await Promise.all(all)
  t.ok(first.filter(code => code === '451').length >= TRIPLETS, 'the first of each waits')
  await check(gateways)
  await new Promise(resolve => setTimeout(resolve, 1000))
  // Each triplet retries at one gateway, half of them at the one that was not first.
  const retries = await Promise.all(Array.from({ length: TRIPLETS }, (_, i) => attempt(ports[(i >> 1) % 2]!, i)))
  t.equal(retries.filter(code => code === '250').length, TRIPLETS, 'all pass')
  for (const { child } of gateways) child.kill('SIGTERM')
  for (const { ended } of gateways) t.equal((await ended).code, 0)
  const sum = (verdict: string): number => gateways.reduce((total, each) => total + count(each, verdict), 0)
  t.equal(sum('new'), TRIPLETS, 'each is new to one gateway')
  t.equal(sum('failed'), 0)
  // On a slow machine the second attempt may come after the wait.
  t.equal(sum('early') + sum('pass') + sum('known'), 2 * TRIPLETS)
  t.ok(sum('pass') <= TRIPLETS)
}

t.test('on one file of SQLite', t => together(t, 'file = "g.db"', t.testdir(), async () => {}))

t.test('on one Redis, which both warn of', { skip: redisServer === null && 'no redis-server' }, async t => {
  const server = await startRedis('--maxmemory', '50mb')
  t.teardown(() => server.remove())
  await together(t, `redis = "${server.url}"\nsalt = "salt"`, t.testdir(), async gateways => {
    for (const each of gateways) await each.says(/Redis has maxmemory 52428800 and maxmemory-policy noeviction/)
  })
})
