// An upstream of LMTP: on a unix socket, with a verdict for each recipient.

import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { mkdtempSync, rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { DeliveryRecords } from '../lib/deliveries/relay/records.ts'
import { reply } from '../lib/index.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import type { ScriptedServer } from './fixtures/scripted-server.ts'
import { front, MAIL, offers, sendMail, startUpstream, type Front, type TestUpstream } from './fixtures/upstream.ts'

interface Mailboxes {
  readonly upstream: TestUpstream
  readonly front: Front
  /** The messages that each recipient has. */
  readonly copies: Map<string, number>
}

/** An upstream whose mailboxes are full after the mail data, if `full` says so. */
async function lmtp(t: Test, full: (address: string) => boolean, byBdat = false, session = {}): Promise<Mailboxes> {
  const copies = new Map<string, number>()
  const to = (server: ScriptedServer): string[] => {
    const begin = server.lines.findLastIndex(line => line.startsWith('MAIL'))
    return server.lines.slice(begin).flatMap(line => /^RCPT TO:<((?!unknown)[^>]*)>/.exec(line)?.[1] ?? [])
  }
  const deliver = (server: ScriptedServer): string =>
    to(server)
      .map(address => {
        if (full(address)) return `452 4.2.2 <${address}> is full\r\n`
        copies.set(address, (copies.get(address) ?? 0) + 1)
        return `250 2.0.0 <${address}> has it\r\n`
      })
      .join('')
  const folder = mkdtempSync(join(tmpdir(), 'relay-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'lmtp')
  const upstream = await startUpstream(
    t,
    {
      LHLO: offers('PIPELINING', '8BITMIME', ...(byBdat ? ['CHUNKING'] : [])),
      RCPT: line => (line.includes('unknown') ? '550 5.1.1 No such user\r\n' : '250 2.1.5 OK\r\n'),
      end: (_line, server) => deliver(server),
      BDAT: (line, server) => (line.endsWith('LAST') ? deliver(server) : '250 2.0.0 OK\r\n'),
    },
    path,
  )
  return { upstream, copies, front: await front(t, { path, lmtp: true }, session) }
}

for (const byBdat of [false, true]) {
  const how = byBdat ? 'BDAT' : 'DATA'

  t.test(`${how}: all recipients have it`, async t => {
    const { front, copies } = await lmtp(t, () => false, byBdat)
    const replies = await sendMail(front.c, ['b@example.org', 'unknown@example.org', 'c@example.org'])
    t.match(replies[2], /^550 5\.1\.1 /)
    t.match(replies.at(-1), /^250 2\.0\.0 <b@example\.org> has it/)
    t.strictSame([...copies], [['b@example.org', 1], ['c@example.org', 1]]) // prettier-ignore
  })

  t.test(`${how}: none of them has it, for the same reason`, async t => {
    const { front } = await lmtp(t, () => true, byBdat)
    t.match((await sendMail(front.c, ['b@example.org', 'c@example.org'])).at(-1), /^452 4\.2\.2 /)
  })

  for (const order of [
    ['full@example.org', 'b@example.org', 'c@example.org'],
    ['b@example.org', 'full@example.org', 'c@example.org'],
    ['b@example.org', 'c@example.org', 'full@example.org'],
  ]) {
    t.test(`${how}: verdicts differ, ${order.join(' ')}: the retries bring nobody a second copy`, async t => {
      const { front, copies, upstream } = await lmtp(t, address => address.startsWith('full'), byBdat)
      t.match((await sendMail(front.c, order)).at(-1), /^451 4\.2\.0 /)
      t.strictSame([...copies.keys()], ['b@example.org', 'c@example.org'])

      // The retry of a client that was told 451 for all.
      const again = await sendMail(front.c, order)
      for (const [i, address] of order.entries()) {
        t.match(
          again[i + 1],
          address.startsWith('full') ? /^452 4\.2\.2 <full@example\.org> is full/ : /^250 /,
          address,
        )
      }
      t.match(again.at(-1), /^250 /)
      // And of the one that is left: it is asked again.
      const alone = await sendMail(front.c, ['full@example.org'])
      t.match(alone[1], /^250 /)
      t.match(alone.at(-1), /^452 4\.2\.2 /)
      t.strictSame([...copies.values()], [1, 1])
      await settle(20)
      t.equal(upstream.messages.length, 2, 'the known one has no end')
    })
  }
}

t.test('another message to the same recipients is delivered', async t => {
  const { front, copies } = await lmtp(t, address => address.startsWith('full'))
  t.match((await sendMail(front.c, ['b@example.org', 'full@example.org'])).at(-1), /^451 /)
  const { c } = front
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(`X${MAIL}.\r\n`)
  await c.expect(250)
  t.strictSame([...copies.values()], [2])
})

t.test('a client of LMTP gets every verdict', async t => {
  const { front, copies } = await lmtp(t, address => address.startsWith('full'), false, { lmtp: true })
  const { c } = front
  await c.command('MAIL FROM:<a@client.example>', 250)
  for (const name of ['b', 'full', 'c']) await c.command(`RCPT TO:<${name}@example.org>`, 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect(/^250 .*<b@/)
  await c.expect(/^452 .*<full@/)
  await c.expect(/^250 .*<c@/)
  t.strictSame([...copies.values()], [1, 1])
})

t.test('the records are bounded and expire', t => {
  const clock = new FakeClock()
  const records = new DeliveryRecords(clock)
  for (let i = 0; i < 25_000; i++) {
    records.noteRefusal('s', String(i), reply(452, '4.2.2', 'Full'), false)
    records.noteDelivery(String(i), ['a'])
  }
  t.equal(records.takeRefusal('s', '4999', false), null)
  t.match(records.takeRefusal('s', '5000', false), { code: 452 })
  t.equal(records.takeRefusal('s', '5000', false), null, 'told once')
  t.equal(records.takeRefusal('s', '5001', true), null, 'alone it is asked')
  t.notOk(records.haveAll('4999', ['a']))
  t.ok(records.haveAll('5000', ['a']))
  t.notOk(records.haveAll('5000', ['a', 'b']))
  records.noteDelivery('5000', ['b'])
  t.ok(records.haveAll('5000', ['a', 'b']))
  void clock.tick(24 * 3_600_000)
  return settle().then(() => {
    t.notOk(records.haveAll('5000', ['a']))
    t.equal(records.takeRefusal('s', '5002', false), null)
  })
})
