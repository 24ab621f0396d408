// A reply is one reply: nothing in its text adds a line, and a line has its length.

import t from 'tap'
import { Reply, reply, SmtpError, SmtpHandler } from '../lib/index.ts'
import { converse } from '../lib/testing/index.ts'
import type * as replies from '../lib/words/reply.ts'
import type * as errors from '../lib/words/smtp-error.ts'

t.test('no control character', async t => {
  for (const text of ['a\r\nb', 'a\rb', 'a\nb', 'a\0b', 'a\x1bb', 'a\x7fb']) {
    t.throws(() => reply(250, text), { code: 'ERR_REPLY' }, JSON.stringify(text))
    t.throws(() => reply(550, '5.7.1', 'good', text), { code: 'ERR_REPLY' })
    t.throws(() => new Reply(250, null, [text]), { code: 'ERR_REPLY' })
  }
  t.equal(String(reply(250, 'a\tb', 'ä')), '250-a\tb\r\n250 ä\r\n')
})

t.test('512 octets a line', async t => {
  t.equal(String(reply(250, 'x'.repeat(506))).length, 512)
  t.throws(() => reply(250, 'x'.repeat(507)), { code: 'ERR_REPLY' })
  t.throws(() => reply(250, '2.0.0', 'x'.repeat(501)), { code: 'ERR_REPLY' })
  t.throws(() => reply(250, 'ä'.repeat(254)), { code: 'ERR_REPLY' })
})

/** A second copy of a module of the package, as a program has that installs it twice. */
async function secondCopy<Module>(name: string): Promise<Module> {
  return (await import(new URL(`../lib/words/${name}.js?copy`, import.meta.url).href)) as Module
}

t.test('replies and errors of another copy of the package are known', async t => {
  const other = await secondCopy<typeof replies>('reply')
  const { SmtpError: OtherError } = await secondCopy<typeof errors>('smtp-error')
  const full = other.reply(452, '4.2.2', 'Full')
  t.notOk(full instanceof Reply)
  t.not(OtherError, SmtpError)
  t.ok(new SmtpError(full).reply instanceof Reply)
  for (const none of [null, '250 OK', { code: 250, status: null, lines: ['OK'] }, new Error('x'), full]) {
    t.notOk((none as unknown) instanceof SmtpError)
  }
  class Quota extends SmtpError {}
  t.ok(new Quota(full) instanceof Quota)
  t.ok(new Quota(full) instanceof SmtpError)
  for (const refusal of [new SmtpError(full), new OtherError(full)]) t.notOk(refusal instanceof Quota)
  const client = converse(
    new SmtpHandler({
      name: 'mx.example.org',
      onHelo: () => other.reply(250, 'Hello'),
      onMailFrom: ({ address }) => {
        if (address === 'full@example.org') throw new OtherError(full)
        if (address === 'odd@example.org') throw Object.assign(new OtherError(full), { reply: '550 No' })
      },
      onRcptTo: async ({ address }) => (address === 'full@example.org' ? full : undefined),
      onMessage: message => {
        message.resume()
        return other.reply(250, '2.0.0', 'Stored')
      },
    }),
  )
  await client.expect('220 mx.example.org ESMTP')
  await client.command('HELO a', '250 Hello')
  await client.command('MAIL FROM:<full@example.org>', '452 4.2.2 Full')
  await client.command('MAIL FROM:<odd@example.org>', '451 4.3.0 …')
  await client.command('MAIL FROM:<>', 250)
  await client.command('RCPT TO:<full@example.org>', '452 4.2.2 Full')
  await client.command('RCPT TO:<anna@example.org>', 250)
  await client.command('DATA', 354)
  await client.data('x')
  await client.expect('250 2.0.0 Stored')
})
