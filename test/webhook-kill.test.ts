// The gateway is killed between the answer of the service and the 250: the sender comes again, the service gets the
// message twice, and knows it by its key. [RFC 1047]

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Client, start } from './fixtures/command.ts'
import { until } from './fixtures/until.ts'
import { startService } from './fixtures/webhook-service.ts'

const ROUNDS = 2

t.test('a kill between the answer and the 250', async t => {
  let victim: number | undefined
  const service = await startService(t, async (_request, response, whole) => {
    await whole
    if (victim === undefined) return void response.end()
    const pid = victim
    victim = undefined
    process.kill(pid, 'SIGSTOP') // the answer comes, and is never read
    response.end(() => process.kill(pid, 'SIGKILL'))
  })
  const folder = t.testdir()
  writeFileSync(
    join(folder, 'm.toml'),
    `[[listen]]\naddress = "127.0.0.1:0"\n[delivery.webhook]\nurl = "${service.url}"\n`,
  )
  const serve = () => {
    const server = start(['serve', '--config', 'm.toml'], folder)
    t.teardown(() => server.child.kill('SIGKILL'))
    return server
  }
  let accepted = 0
  let server = serve()
  for (let round = 0; round < ROUNDS; round += 1) {
    const port = await server.port
    victim = server.child.pid!
    t.equal(await Client.deliver(port, `message ${round}`), '', 'the connection is lost without a verdict')
    await server.ended
    server = serve()
    t.match(await Client.deliver(await server.port, `message ${round}`), /^250 /, 'the sender comes again')
    accepted += 1
  }
  await until(() => service.complete.length === 2 * ROUNDS)
  const keys = service.complete.map(({ body }) => /"key":"([0-9a-f]{64})"/.exec(body.toString())?.[1])
  t.notOk(keys.includes(undefined))
  t.equal(accepted, ROUNDS, 'messages that the sender knows of as accepted')
  t.equal(keys.length, 2 * ROUNDS, 'requests')
  t.equal(new Set(keys).size, ROUNDS, 'messages that a service which looks at the key has')
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})
