// onSecure: after the handshake of STARTTLS, before any command under TLS.

import t from 'tap'
import type { HookAnswer } from '../lib/smtp/hooks.ts'
import type { Session } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { certificate } from './fixtures/certificates.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { readAll as onMessage, watched, watchProcess } from './fixtures/hooks.ts'
import { secureConversation } from './fixtures/secure-client.ts'

watchProcess(t)

const tls = certificate()

t.test('called once, in its order, with the TLS layer, before anything is said under it', async t => {
  const log: unknown[] = []
  const note =
    (name: string) =>
    (session: Session): void => {
      log.push([name, session.tls?.version, session.tls?.servername, session.phase, session.helo, session.protocol])
    }
  const handler = new SmtpHandler({
    tls,
    onMessage,
    policies: [{ onSecure: note('first') }, { onSecure: note('second') }],
    onSecure: note('own'),
    onConnect: () => void log.push('onConnect'),
    onHelo: ({ helo, tls: layer }) => void log.push([helo, layer !== null]),
  })
  const c = await secureConversation(handler)
  await c.command('EHLO secure.example', 250)
  await c.command('EHLO again.example', 250)
  await address(c)
  await deliver(c, 250)
  await quit(c)
  const seen = ['TLSv1.3', 'mx.example.org', 'connected', null, 'SMTP']
  t.strictSame(log, [
    'onConnect',
    ['client.example', false],
    ['first', ...seen],
    ['second', ...seen],
    ['own', ...seen],
    ['secure.example', true],
    ['again.example', true],
  ])
})

t.test('not called without STARTTLS', async t => {
  const handler = new SmtpHandler({ tls, onMessage, onSecure: () => void t.fail('it was called') })
  const c = await begin(handler)
  await c.command('STARTTLS', 502)
  await address(c)
  await deliver(c, 250)
  await quit(c)
  t.equal(handler.session.tls, null)
})

const boom = new Error('/etc/secret: no such file')

/** What onSecure does, the reply, the errors that are reported. */
const REFUSALS: Record<string, [() => HookAnswer, string, Error[]]> = {
  'a 554': [() => reply(554, '5.7.1', 'No certificate'), '554 5.7.1 No certificate', []],
  'a 5yz with another code': [() => reply(550, '5.7.25', 'Wrong name'), '554 5.7.25 Wrong name', []],
  'a 4yz, whose status does not fit 554': [() => reply(421, '4.7.0', 'Later'), '554 5.7.0 Later', []],
  'a reply without a status': [() => reply(554, 'No'), '554 5.7.0 No', []],
  'several lines': [() => reply(554, '5.7.1', 'No', 'Never'), '554-5.7.1 No\n554 5.7.1 Never', []],
  'a promise': [async () => reply(554, '5.7.1', 'No'), '554 5.7.1 No', []],
  'a late answer': [
    async () => {
      await settle(5)
      return reply(554, '5.7.1', 'No')
    },
    '554 5.7.1 No',
    [],
  ],
  'an SmtpError': [
    () => {
      throw new SmtpError(reply(554, '5.7.1', 'No'))
    },
    '554 5.7.1 No',
    [],
  ],
  'a rejected SmtpError': [() => Promise.reject(new SmtpError(reply(454, '4.7.0', 'No'))), '554 5.7.0 No', []],
  'any other error': [
    () => {
      throw boom
    },
    '554 5.7.0 Local error, please try again later',
    [boom],
  ],
  'a rejection': [() => Promise.reject(boom), '554 5.7.0 Local error, please try again later', [boom]],
}

for (const [name, [onSecure, text, reported]] of Object.entries(REFUSALS)) {
  for (const where of ['a policy', 'the handler'] as const) {
    t.test(`a refusal by ${where} is 554, and the end: ${name}`, async t => {
      let closes = 0
      const own = where === 'the handler' ? { onSecure } : { policies: [{ onSecure }], onSecure: () => t.fail('asked') }
      const { handler, errors } = watched({
        tls,
        ...own,
        onHelo: ({ helo }) => (helo === 'secret.example' ? t.fail('a command was run') : undefined),
        onClose: () => void (closes += 1),
      } as Parameters<typeof watched>[0])
      const c = await secureConversation(handler)
      c.write('EHLO secret.example\r\n')
      t.equal((await c.expect(554)).text, text)
      await c.closed()
      t.equal(c.unread, 0, 'and no further reply')
      await settle(10)
      t.strictSame(errors, reported)
      t.equal(handler.session.ending, 'closed')
      t.equal(closes, 1)
    })
  }
}

t.test('a positive answer changes nothing', async () => {
  for (const onSecure of [() => reply(220, 'Welcome'), async () => reply(250, 'Welcome'), () => undefined]) {
    const c = await secureConversation(new SmtpHandler({ tls, onSecure }))
    await c.command('NOOP', '250 2.0.0 OK')
    await quit(c)
  }
})

t.test('while onSecure thinks, commands wait', async t => {
  const log: string[] = []
  let answer: (verdict?: Reply) => void = () => {}
  const options = {
    tls,
    unlawfulPipelining: 'allow',
    onSecure: () => new Promise<Reply | undefined>(resolve => (answer = resolve)),
    onHelo: ({ helo }: Session) => void log.push(String(helo)),
    onMailFrom: () => void log.push('MAIL'),
  } as const
  for (const accepts of [true, false]) {
    log.length = 0
    const c = await secureConversation(new SmtpHandler(options))
    await settle()
    c.write('EHLO early.example\r\n')
    await settle(20)
    c.write('MAIL FROM:<a@b.example>\r\n\0\r\n')
    await settle(20)
    t.equal(c.unread, 0, 'no reply yet')
    t.strictSame(log, ['client.example'], 'and no hook')
    answer(accepts ? undefined : reply(554, '5.7.1', 'No'))
    for (const code of accepts ? [250, 250, 500] : [554]) await c.expect(code)
    if (accepts) await quit(c)
    else await c.closed()
    await settle(20)
    t.equal(c.unread, 0)
    t.strictSame(log, ['client.example', ...(accepts ? ['early.example', 'MAIL'] : [])])
  }
})

t.test('an onSecure that never settles times out: 554', async t => {
  const clock = new FakeClock()
  const { handler, errors } = watched({ tls, clock, onSecure: () => new Promise(() => {}) })
  const c = await secureConversation(handler)
  await settle()
  c.write('EHLO early.example\r\n')
  await clock.tick(239_999)
  await settle(20)
  t.equal(c.unread, 0)
  await clock.tick(1)
  await c.expect('554 5.7.0 …')
  await c.closed()
  t.match(errors, [{ code: 'ERR_TIMEOUT' }])
  t.equal(clock.timers, 0)
})

t.test('a client that leaves while onSecure thinks: reported nowhere, closed once', async t => {
  let answer: () => void = () => {}
  let closes = 0
  const { handler, errors } = watched({
    tls,
    onSecure: () => new Promise(resolve => (answer = () => resolve(reply(554, '5.7.1', 'No')))),
    onClose: () => void (closes += 1),
  })
  const c = await secureConversation(handler)
  c.reset()
  await settle(10)
  answer()
  await settle(10)
  t.strictSame(errors, [])
  t.equal(handler.session.ending, 'lost')
  t.equal(closes, 1)
})
