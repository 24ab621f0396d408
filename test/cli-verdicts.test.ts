// `mailhandler serve` in front of LMTP: which recipients of a message have it is known to all workers.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { closeStores, verdictStoreOf } from '../lib/cli/stores.ts'
import type { Store } from '../lib/stores.ts'
import { Client, start, workersOf } from './fixtures/command.ts'
import { startMailboxes } from './fixtures/mailboxes.ts'

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise(resolve => setTimeout(resolve, 20))
}

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
  t.equal(of(lmtp), undefined, 'memory')
  t.ok(of(`workers = 2\n${lmtp}`))
  t.equal(of(`workers = 2\n${route}`), of(`workers = 2\n${lmtp}`))
  t.not(of(`workers = 2\n${lmtp}${greylist}`), of(`workers = 2\n${lmtp}`))
  t.ok(of(`${lmtp}${greylist}`))
})
