// An upstream of LMTP: on a unix socket, with a verdict for each recipient.

import t, { type Test } from 'tap'
import { DeliveryRecords } from '../lib/deliveries/relay/records.ts'
import { reply } from '../lib/index.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { inFrontOf, startMailboxes, type Mailboxes } from './fixtures/mailboxes.ts'
import { MAIL, sendMail, type Front } from './fixtures/upstream.ts'

/** An upstream whose mailboxes are full after the mail data, if `full` says so, and a relay to it. */
async function lmtp(
  t: Test,
  full: (address: string) => boolean,
  byBdat = false,
  session = {},
): Promise<Mailboxes & { readonly front: Front }> {
  const mailboxes = await startMailboxes(t, address => (full(address) ? 'full' : 'takes'), byBdat)
  return { ...mailboxes, front: await inFrontOf(t, mailboxes, session) }
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
    ['full-1@example.org', 'full-2@example.org', 'b@example.org', 'c@example.org'],
  ]) {
    t.test(`${how}: verdicts differ, ${order.join(' ')}: the retries bring nobody a second copy`, async t => {
      const { front, copies, upstream } = await lmtp(t, address => address.startsWith('full'), byBdat)
      t.match((await sendMail(front.c, order)).at(-1), /^451 4\.2\.0 /)
      t.strictSame([...copies.keys()], ['b@example.org', 'c@example.org'])

      // The retry of a client that was told 451 for all.
      const again = await sendMail(front.c, order)
      for (const [i, address] of order.entries()) {
        t.match(again[i + 1], address.startsWith('full') ? /^452 4\.2\.2 <full.*> is full/ : /^250 /, address)
      }
      t.match(again.at(-1), /^250 /)
      // And of those that are left: they are asked again.
      const alone = await sendMail(
        front.c,
        order.filter(address => address.startsWith('full')),
      )
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
    records.noteRefusal('s', { recipient: String(i), reply: reply(452, '4.2.2', 'Full'), isFirst: false })
    records.noteDelivery(String(i), ['a'])
  }
  t.equal(records.takeRefusal('s', '4999', false), null)
  t.match(records.takeRefusal('s', '5000', false), { code: 452 })
  t.equal(records.takeRefusal('s', '5000', false), null, 'told once')
  t.equal(records.takeRefusal('s', '5001', true), null, 'alone it is asked')
  t.strictSame(records.without('4999', ['a']), ['a'])
  t.strictSame(records.without('5000', ['a']), [])
  t.strictSame(records.without('5000', ['a', 'b']), ['b'])
  records.noteDelivery('5000', ['b'])
  t.strictSame(records.without('5000', ['a', 'b']), [])
  void clock.tick(24 * 3_600_000)
  return settle().then(() => {
    t.strictSame(records.without('5000', ['a']), ['a'])
    t.equal(records.takeRefusal('s', '5002', false), null)
  })
})
