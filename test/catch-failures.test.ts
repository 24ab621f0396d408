// catchMail(): what its errors say, and what becomes of a wait when the box is closed.

import { createTransport, type SendMailOptions } from 'nodemailer'
import t, { type Test } from 'tap'
import { catchMail, type MailBox } from '../lib/testing/index.ts'
import { freePort } from './fixtures/free-port.ts'

const MAIL: SendMailOptions = {
  from: 'bob@example.org',
  to: 'anna@example.org',
  subject: 'Welcome',
  text: 'Hello Anna',
}

async function boxOf(t: Test): Promise<MailBox> {
  const box = await catchMail()
  t.teardown(() => box.close())
  return box
}

const send = (box: MailBox, mail = MAIL): Promise<unknown> =>
  createTransport({ host: '127.0.0.1', port: box.port }).sendMail(mail)

t.test('a wait that is open when the box is closed fails at once', async t => {
  const box = await catchMail()
  await send(box)
  await box.waitFor()
  const failed = t.rejects(box.waitFor({ to: 'carl@example.org' }, 600_000), {
    code: 'ERR_EXPECTATION',
    message:
      /^closed, without a message with to "carl@example\.org"\n\n1 message has arrived:\n.*: not to\n[^]*\nC: MAIL FROM/,
  })
  await box.close()
  await failed
  await t.rejects(box.waitFor({}, 600_000), { code: 'ERR_EXPECTATION', message: /^closed, without a message\n/ })
  t.equal(box.messages.length, 1, 'what came stays')
})

t.test('a message that came before the close is there after it', async t => {
  const box = await catchMail()
  await send(box)
  await box.close()
  t.match(await box.waitFor({ to: 'anna@example.org' }), { subject: 'Welcome' })
})

t.test('none, and a close: nothing more can come', async t => {
  const box = await catchMail()
  const none = box.none(600_000)
  await box.close()
  await none
  await box.none(600_000)
  const other = await catchMail()
  await send(other)
  await other.close()
  await t.rejects(other.none(), { code: 'ERR_EXPECTATION', message: /^expected no message within 500 ms/ })
})

t.test('await using', async t => {
  const port = await freePort() // one that nobody else gets after the close
  {
    await using box = await catchMail({ port })
    await send(box)
    await box.waitFor()
  }
  const transport = createTransport({ host: '127.0.0.1', port })
  await t.rejects(transport.sendMail(MAIL), { code: 'ESOCKET' })
  const failing = async (): Promise<void> => {
    await using box = await catchMail({ port })
    await box.waitFor({ to: 'anna@example.org' }, 1)
  }
  await t.rejects(failing(), { code: 'ERR_EXPECTATION', message: /No client has connected/ })
  await t.rejects(transport.sendMail(MAIL), { code: 'ESOCKET' })
})

t.test('the text is shown where it is what differs', async t => {
  const box = await boxOf(t)
  await send(box, { ...MAIL, text: `Hello ${'x'.repeat(100)}` })
  await t.rejects(box.waitFor({ text: 'Carl', html: /x/ }, 1), {
    message: /subject "Welcome": not text \("Hello x{74}…"\), html \(there is none\)\n/,
  })
})

t.test('a message that could not be parsed is told', async t => {
  const box = await boxOf(t)
  const raw = `Content-Type: multipart/mixed; boundary=x\n\n--x\nX: ${'y'.repeat(3 * 2 ** 20)}\n\n--x--\n`
  await send(box, { envelope: { from: 'a@example.org', to: 'b@example.org' }, raw })
  await t.rejects(box.waitFor({ subject: 'x' }, 1), {
    message: /subject "", which could not be parsed \(.*header.*\): not subject\n/,
  })
})

t.test('functions that throw, or promise', async t => {
  const box = await boxOf(t)
  await send(box)
  await t.rejects(
    box.waitFor(() => {
      throw new TypeError('mine')
    }),
    { name: 'TypeError', message: 'mine' },
  )
  await t.rejects(box.waitFor((async () => true) as unknown as () => boolean), {
    code: 'ERR_OPTION',
    message: 'filter is a function that returns true or false at once, not a promise',
  })
  const mail = await box.waitFor()
  // It is asked of a message that is taken for the report alone.
  await t.rejects(
    box.waitFor(({ html }) => html!.includes('x'), 1),
    { code: 'ERR_EXPECTATION', message: /subject "Welcome": the function throws TypeError: / },
  )
  t.equal(mail.html, null)
})

t.test('a filter that is none', async t => {
  const box = await boxOf(t)
  const wrong: [unknown, RegExp][] = [
    ['anna@example.org', /^filter is an object such as { to: "anna@example\.org" }, or a function$/],
    [/anna/, /^filter is an object such as { to: \/anna\/ }/],
    [{ cc: 'x' }, /^filter\.cc: there is no such option/],
    [null, /^filter is an object, not null$/],
  ]
  for (const [filter, message] of wrong) await t.rejects(box.waitFor(filter as object), { code: 'ERR_OPTION', message })
})
