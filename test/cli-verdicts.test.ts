// `mailhandler serve` in front of LMTP: which recipients of a message have it is known to all workers.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { toUpstream } from '../lib/cli/destination.ts'
import { makePolicies } from '../lib/cli/policies.ts'
import { closeStores, openStores, verdictStoreOf } from '../lib/cli/stores.ts'
import { SmtpHandler } from '../lib/index.ts'
import type { Store } from '../lib/stores.ts'
import { converse } from '../lib/testing/index.ts'
import { Client, start, workersOf } from './fixtures/command.ts'
import { startMailboxes } from './fixtures/mailboxes.ts'
import { BY_DATA, startUpstream } from './fixtures/upstream.ts'
import { until } from './fixtures/until.ts'

t.test('a retry that comes to another worker brings nobody a second copy', async t => {
  const mailboxes = await startMailboxes(t, address => (address.startsWith('full') ? 'full' : 'takes'))
  const folder = t.testdir({
    'm.toml': `workers = 2\nrecipients.domains = ["example.org"]\n[[listen]]\naddress = "127.0.0.1:0"\n[upstream]\naddress = "${mailboxes.path}"\nprotocol = "lmtp"\n`,
  })
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.teardown(async () => {
    server.child.kill('SIGKILL')
    await server.ended
  })
  const port = await server.port
  const send = async (): Promise<{ readonly full: string; readonly end: string }> => {
    const client = new Client(port)
    await client.reply()
    await client.say('EHLO client.example')
    await client.say('MAIL FROM:<ann@example.net>')
    t.match(await client.say('RCPT TO:<b@example.org>'), /^250 /)
    const full = await client.say('RCPT TO:<full@example.org>')
    await client.say('DATA')
    const end = await client.say('Subject: x\r\n\r\nx\r\n.')
    await client.say('QUIT')
    return { full, end }
  }
  await until(() => workersOf(server).length === 2)
  t.match((await send()).end, /^451 4\.2\.0 /)
  // Whatever worker comes next has no memory of it.
  const before = workersOf(server)
  for (const pid of before) process.kill(pid, 'SIGKILL')
  await until(() => workersOf(server).length === 2 && workersOf(server).every(pid => !before.includes(pid)))
  const { full, end } = await send()
  t.match(full, /^450 4\.2\.0 /)
  t.match(end, /^250 /)
  t.strictSame([...mailboxes.copies], [['b@example.org', 1]])
  t.ok(existsSync(join(folder, 'verdicts.db')))
})

t.test('where verdicts are remembered', async t => {
  const lmtp = '[upstream]\naddress = "/run/lmtp"\nprotocol = "lmtp"\n'
  const smtp = '[upstream]\naddress = "mx.example:25"\n'
  const route = `${smtp}[[routes]]\ndomains = ["a.example"]\naddress = "/run/lmtp"\nprotocol = "lmtp"\n`
  const greylist = '[greylist]\nfile = "grey.db"\n'
  t.teardown(closeStores)
  const of = (config: string): Store | undefined =>
    verdictStoreOf(loadConfig('m.toml', `recipients.domains = ["a.example"]\n${config}`).config)
  t.equal(of(`workers = 2\n${smtp}`), undefined, 'SMTP has one verdict')
  t.equal(of(lmtp), of(`size = 1000\n${lmtp}`), 'memory, which a reload keeps')
  t.equal(existsSync('verdicts.db'), false)
  t.ok(of(`workers = 2\n${lmtp}`))
  t.equal(of(`workers = 2\n${route}`), of(`workers = 2\n${lmtp}`))
  t.not(of(`workers = 2\n${lmtp}${greylist}`), of(`workers = 2\n${lmtp}`))
  t.ok(of(`${lmtp}${greylist}`))
})

t.test('unknown recipients are counted by all workers over the store of [greylist]', async t => {
  t.teardown(closeStores)
  const upstream = await startUpstream(t, { ...BY_DATA, RCPT: '550 5.1.1 No such mailbox\r\n' })
  const folder = t.testdir()
  const { config } = loadConfig(
    join(folder, 'm.toml'),
    `workers = 2\nrecipients.domains = ["*"]\n[upstream]\naddress = "127.0.0.1:${upstream.port}"\n[greylist]\n[verify_recipients]\nunknown = 2\n`,
  )
  const destination = toUpstream({ host: '127.0.0.1', port: upstream.port, tls: { mode: 'never' }, probes: false })
  const parts = { users: undefined, first: [], waiting: [], share: (count: number) => Math.ceil(count / 2) }
  const policies = [1, 2].map(() => makePolicies(config, destination, parts)) // as two workers make them
  await openStores()
  const ask = async (worker: number, name: string): Promise<string> => {
    const handler = new SmtpHandler({
      client: { address: '192.0.2.1', port: 4242 },
      policies: policies[worker]!,
      delivery: destination.delivery,
    })
    t.teardown(() => handler.destroy())
    const c = converse(handler)
    await c.expect(220)
    await c.command('EHLO client.example', 250)
    await c.command('MAIL FROM:<ann@example.net>', 250)
    return (await c.command(`RCPT TO:<${name}@example.org>`)).text
  }
  t.match(await ask(0, 'a'), /^550 /)
  t.match(await ask(1, 'b'), /^550 /, 'each may have two')
  t.match(await ask(0, 'c'), /^450 4\.7\.1 Too many unknown recipients/)
})
