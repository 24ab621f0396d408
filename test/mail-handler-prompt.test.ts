// MailHandler.prompt: a reply in the middle of a command, and the line that answers it.

import t from 'tap'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { converse } from '../lib/testing/index.ts'
import { settle } from './fixtures/fake-clock.ts'
import { closed, codes, errorCode, OK, talk } from './fixtures/talk.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

const ask = (text: string) => reply(334, text)

t.test('prompt: two in a row, in one chunk and in many', async t => {
  const handler = () =>
    new MailHandler({
      async handleUnknown() {
        const first = await this.prompt(ask('one'))
        const second = await this.prompt(ask('two'))
        return reply(235, `${first}-${second}`)
      },
      handleNoop: () => OK,
    })
  const wire = 'AUTH\r\nQUIT\r\nDATA\r\nNOOP\r\n'
  const expected = /^220 .*\r\n334 one\r\n334 two\r\n235 QUIT-DATA\r\n250 OK\r\n$/
  t.match(await talk(handler(), wire), expected)
  t.match(await talk(handler(), ...wire), expected)
  const c = converse(handler())
  await c.expect(220)
  await c.command('AUTH', '334 one')
  await c.command('a', '334 two')
  await c.command('b', '235 a-b')
  await c.command('NOOP', '250 OK')
})

t.test('prompt: an invalid line rejects with an SmtpError', async t => {
  const handler = () =>
    new MailHandler({
      handleUnknown() {
        return this.prompt(ask('?'), 8).then(line => reply(235, line))
      },
      handleNoop: () => OK,
    })
  t.equal(codes(await talk(handler(), 'AUTH\r\n1234567\r\nNOOP\r\n')), '220 334 500 250', 'too long')
  t.match(await talk(handler(), 'AUTH\r\n123456\r\nNOOP\r\n'), '235 123456\r\n250 OK')
  for (const line of ['a\n', '\n', 'a\rb\r\n']) {
    t.equal(
      codes(await talk(handler(), Buffer.from(`AUTH\r\n${line}NOOP\r\n`, 'latin1'))),
      '220 334 500',
      'and the end',
    )
  }
  for (const line of ['\0\r\n', '\xff\r\n']) {
    t.equal(codes(await talk(handler(), Buffer.from(`AUTH\r\n${line}NOOP\r\n`, 'latin1'))), '220 334 500 250')
  }
})

t.test('prompt: the client leaves, the session ends', async t => {
  const endings: readonly [string, (h: MailHandler) => void, said: string][] = [
    ['half-close', h => h.end(), '220 334'],
    ['destroy', h => h.destroy(), '220 334'],
    ['hangUp', h => h.hangUp(reply(421, 'x')), '220 334 421'],
  ]
  for (const [name, end, expected] of endings) {
    let failure: unknown
    const handler = new TakingHandler()
    async function handleUnknown(): Promise<Reply> {
      failure = await handler.prompt(ask('?')).catch((error: unknown) => errorCode(error))
      return reply(235, 'never sent')
    }
    Object.defineProperty(handler, 'handleUnknown', { value: handleUnknown })
    let said = ''
    handler.on('data', octets => (said += String(octets)))
    handler.write('AUTH\r\nhalf a li')
    await settle()
    end(handler)
    if (!handler.writableEnded) handler.end()
    await closed(handler)
    t.equal(failure, 'ERR_SESSION_ENDED', name)
    t.equal(codes(said), expected)
    t.strictSame(handler.errors, [])
    t.strictSame(handler.ends, ['disconnect', 'result'])
    t.equal(await handler.prompt(ask('?')).catch(errorCode), 'ERR_SESSION_ENDED')
  }
})

t.test('prompt: nobody waits for it, and the client leaves: nothing is thrown', async t => {
  const handler = new TakingHandler()
  Object.defineProperty(handler, 'handleUnknown', {
    value: () => {
      void handler.prompt(ask('?'))
      return new Promise(() => {})
    },
  })
  t.equal(codes(await talk(handler, 'AUTH\r\n')), '220 334')
})

t.test('prompt: misused: ERR_PROMPT', async t => {
  const failures: unknown[] = []
  const tell = (error: unknown) => void failures.push(errorCode(error))
  const outside = new MailHandler()
  const c = converse(outside)
  await c.expect(220)
  await outside.prompt(ask('?')).catch(tell)
  t.strictSame(failures.splice(0), ['ERR_PROMPT'], 'no command at hand')
  const twice = new MailHandler({
    async handleUnknown() {
      const first = this.prompt(ask('one'))
      await this.prompt(ask('two')).catch(tell)
      return reply(235, await first)
    },
  })
  t.equal(codes(await talk(twice, 'AUTH\r\nfoo\r\n')), '220 334 235')
  t.strictSame(failures.splice(0), ['ERR_PROMPT'], 'another waits')
  const unawaited = new MailHandler({
    handleUnknown() {
      this.prompt(ask('?')).catch(tell)
      return reply(235, 'early')
    },
    handleNoop: () => OK,
  })
  t.equal(codes(await talk(unawaited, 'AUTH\r\nNOOP\r\n')), '220 334 235 250', 'the next line is a command')
  t.strictSame(failures.splice(0), ['ERR_PROMPT'], 'answered while it waits')
  const inBody = new MailHandler({
    handleData: () => reply(354, 'go'),
    async handleBody(body) {
      await this.prompt(ask('?')).catch(tell)
      for await (const _ of body);
    },
  })
  t.equal(codes(await talk(inBody, 'DATA\r\nx\r\n.\r\n')), '220 354 250')
  t.strictSame(failures.splice(0), ['ERR_PROMPT'], 'during mail data')
})
