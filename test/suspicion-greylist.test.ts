// suspicion() before greylist(): only the suspicious wait.

import t from 'tap'
import { greylist, suspicion, type SuspicionOptions } from '../lib/greylist.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { memoryStore } from '../lib/stores.ts'
import { converse } from '../lib/testing/conversation.ts'
import { ADDRESS, sayGood, startDns } from './fixtures/suspects.ts'

t.test('who looks right passes at once; who does not waits, and passes in time', async t => {
  const { server, dns } = await startDns(t)
  sayGood(server)
  server.say('3.2.0.192.white.example', 'A', '127.0.5.3')
  let now = Date.UTC(2026, 0, 1)
  const store = memoryStore({ clock: { now: () => now } })
  t.teardown(() => store.close())
  const options: SuspicionOptions = { resolver: dns, allowLists: ['white.example'] }
  const policies = [suspicion(options), greylist({ store })]
  const play = async (address: string, helo: string): Promise<string> => {
    const c = converse(new SmtpHandler({ name: 'mx.example.net', client: { address, port: 1 }, policies }))
    await c.expect(220)
    await c.command(`EHLO ${helo}`, 250)
    await c.command('MAIL FROM:<bob@example.org>', 250)
    const { code, status } = await c.command('RCPT TO:<anna@example.net>')
    await c.command('QUIT', 221)
    return `${code} ${status}`
  }
  t.match(await play(ADDRESS, 'mail.example.org'), '250')
  t.equal(await play('192.0.2.2', 'pc'), '451 4.7.1')
  t.match(await play('192.0.2.3', 'pc'), '250', 'on a list of good addresses')
  server.otherwise = { error: 'SERVFAIL' }
  t.equal(await play('198.51.100.2', 'mail.example.com'), '451 4.7.1', 'no answer: it waits, and is not refused')
  now += 60_000
  t.match(await play('192.0.2.2', 'pc'), '250')
  t.match(await play('198.51.100.2', 'mail.example.com'), '250')
})
