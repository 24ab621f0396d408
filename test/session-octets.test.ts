// The memory of dialogues, which a message keeps after its end too.

import { connect } from 'node:net'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { SessionOctets } from '../lib/testing/catch/session-octets.ts'
import type { SessionRecord } from '../lib/testing/catch/session-record.ts'
import { catchMail, converse } from '../lib/testing/index.ts'
import { startTestCatcher, MAIL } from './fixtures/catcher.ts'

t.test('a session counts once, for the oldest of its messages', t => {
  const counted: Record<string, number> = {}
  const octets = new SessionOctets<string>((holder, more) => (counted[holder] = (counted[holder] ?? 0) + more))
  const session = { memory: 100 }
  const record = session as unknown as SessionRecord
  octets.update(record)
  t.strictSame(counted, {}, 'nobody keeps it')
  octets.hold(record, 'a')
  session.memory = 150
  octets.hold(record, 'b')
  t.strictSame(counted, { a: 150 })
  octets.update(record)
  session.memory = 120 // a half of a long dialogue was dropped
  octets.update(record)
  t.strictSame(counted, { a: 120 })
  octets.release(record, 'a')
  t.strictSame(counted, { a: 120, b: 120 })
  octets.hold(record, 'c')
  octets.release(record, 'c')
  octets.release(record, 'b')
  t.strictSame(counted, { a: 120, b: 120 })
  session.memory = 1000
  octets.update(record)
  octets.release(record, 'b')
  t.strictSame(counted, { a: 120, b: 120 }, 'nobody keeps it any more')
  t.end()
})

/** Sends a message, and then much that is none, in one session. */
async function talkMuch(port: number): Promise<{ end(): void }> {
  const c = converse(connect(port, '127.0.0.1'))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  await c.data('Subject: Second\r\n\r\nx\r\n')
  await c.expect(250)
  for (let i = 0; i < 60; i++) await c.command(`NOOP ${'x'.repeat(1000)}`, 250)
  return { end: () => c.reset() }
}

t.test('what a session says after its message pushes out others', async t => {
  const { send, smtpPort, url } = await startTestCatcher(t, { octets: 100_000 })
  await send({ ...MAIL, subject: 'First' })
  const talk = await talkMuch(smtpPort)
  const { all, octets } = (await (await fetch(new URL('/api/mails', url))).json()) as { all: number; octets: number }
  t.equal(all, 1, 'the dialogue has pushed the other message out')
  t.ok(octets > 60_000 && octets < 200_000, `${octets} octets`)
  talk.end()
})

t.test('in catchMail() too, and what is cleared counts no more', async t => {
  const box = await catchMail({ limits: { octets: 100_000 } })
  t.teardown(() => box.close())
  const transport = createTransport({ host: '127.0.0.1', port: box.port })
  await transport.sendMail({ ...MAIL, subject: 'First' })
  const talk = await talkMuch(box.port)
  const subjects = (): string[] => box.messages.map(({ subject }) => subject)
  t.strictSame(subjects(), ['Second'])
  box.clear()
  talk.end()
  for (const subject of ['3', '4']) await transport.sendMail({ ...MAIL, subject })
  t.strictSame(subjects(), ['3', '4'])
})
