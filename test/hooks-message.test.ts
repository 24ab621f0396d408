// onMessage: who has it, its verdict, its errors, and what it may do to the message.

import { once } from 'node:events'
import { PassThrough, Writable, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import type { HookAnswer, TakingHook } from '../lib/smtp/hooks.ts'
import type { Message } from '../lib/smtp/message.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Session } from '../lib/smtp/session.ts'
import { converse } from '../lib/testing/conversation.ts'
import { MailHandlerError } from '../lib/words/errors.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { NEVER, NOT_NOW, readAll, watched, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

type OnMessage = NonNullable<TakingHook['onMessage']>

const LARGE = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(4000)}`
const PASS: SmtpHandlerOptions['filters'] = [() => new PassThrough()]

/** A session up to DATA's 354. */
async function beginData(handler: SmtpHandler) {
  const c = await begin(handler)
  await address(c)
  await c.command('DATA', 354)
  return c
}

// ── Who has it ──

t.test('onMessage by option, by subclass and by policy', async t => {
  const log: string[] = []
  const onMessage = async (message: Message, session: Session) => {
    log.push(`${(await text(message)).length} ${session.envelope?.sender.address}`)
  }
  class Subclass extends SmtpHandler {
    override onMessage(message: Message, session: Session): Promise<void> {
      return onMessage(message, session)
    }
  }
  const ways: [string, () => SmtpHandler][] = [
    ['option', () => new SmtpHandler({ onMessage })],
    ['subclass', () => new Subclass()],
    ['policy', () => new SmtpHandler({ delivery: { onMessage } })],
  ]
  for (const [name, make] of ways) {
    log.length = 0
    const c = await begin(make())
    await address(c)
    await deliver(c, 250)
    await quit(c)
    t.same(log, [`${MAIL.length} sender@client.example`], name)
  }
})

t.test('two onMessage are an error when the handler is made', async t => {
  const onMessage = readAll
  class Mine extends SmtpHandler {
    override onMessage(message: Message): Promise<void> {
      return readAll(message)
    }
  }
  const wrong = { code: 'ERR_OPTION', message: /delivery and onMessage both take messages/ }
  // @ts-expect-error -- two would take messages
  t.throws(() => new SmtpHandler({ delivery: { onMessage }, onMessage }), wrong)
  t.throws(() => new Mine({ delivery: { onMessage } }), wrong)
  t.doesNotThrow(() => new Mine({ onMessage }), 'an option that replaces the method is one')
  // @ts-expect-error -- a policy takes no message
  t.throws(() => new SmtpHandler({ policies: [{ onHelo() {} }, { onMessage }] }), {
    code: 'ERR_OPTION',
    message: /policies\[1\] has onMessage/,
  })
})

// ── The verdict ──

const SECRET = new Error('/etc/secret: no such file')

/** What onMessage does, the reply, the errors that are reported. */
function discard<T>(message: Message, answer: T): T {
  message.resume()
  return answer
}

const VERDICTS: Record<string, [OnMessage, string | RegExp, object[]]> = {
  'returns nothing': [message => void message.resume(), /^250 2\.0\.0 /, []],
  'returns null': [message => discard(message, null as unknown as undefined), /^250 2\.0\.0 /, []],
  'returns a positive reply': [message => discard(message, reply(250, 'mine')), '250 mine', []],
  'resolves with a positive reply': [async message => discard(message, reply(250, 'mine')), '250 mine', []],
  'returns a refusal': [() => NOT_NOW, '450 4.7.1 Not now', []],
  'resolves with a refusal': [async () => NOT_NOW, '450 4.7.1 Not now', []],
  'throws an SmtpError': [
    () => {
      throw new SmtpError(NOT_NOW)
    },
    '450 4.7.1 Not now',
    [],
  ],
  'rejects with an SmtpError': [() => Promise.reject(new SmtpError(NOT_NOW)), '450 4.7.1 Not now', []],
  'throws an SmtpError with a cause': [
    () => {
      throw new SmtpError(NOT_NOW, { cause: SECRET })
    },
    '450 4.7.1 Not now',
    [{ name: 'SmtpError', cause: SECRET }],
  ],
  'throws an SmtpError for a client that is gone': [
    () => {
      throw new SmtpError(NOT_NOW, { cause: new MailHandlerError('ERR_TRUNCATED', 'gone') })
    },
    '450 4.7.1 Not now',
    [],
  ],
  throws: [
    () => {
      throw SECRET
    },
    /^451 4\.3\.0 /,
    [SECRET],
  ],
  rejects: [() => Promise.reject(SECRET), /^451 4\.3\.0 /, [SECRET]],
  'rejects later': [
    async () => {
      await settle(2)
      throw SECRET
    },
    /^451 4\.3\.0 /,
    [SECRET],
  ],
  'throws a string': [
    () => {
      throw 'secret' // oxlint-disable-line only-throw-error -- users do
    },
    /^451 4\.3\.0 /,
    [{ message: 'secret' }],
  ],
  'returns a thenable that rejects': [
    () =>
      // oxlint-disable-next-line no-thenable -- users have such
      ({ then: (_: unknown, fail: (error: Error) => void) => fail(SECRET) }) as unknown as Promise<never>,
    /^451 4\.3\.0 /,
    [SECRET],
  ],
  ...Object.fromEntries(
    Object.entries({
      'returns true': true,
      'returns a string': '250 OK',
      'returns a number': 250,
      'returns an object': { code: 250, positive: true },
      'returns a 354 reply': reply(354, 'Go on'),
    }).flatMap(([name, value]): [string, [OnMessage, RegExp, object[]]][] => [
      [name, [() => value as Reply, /^451 4\.3\.0 /, [{ code: 'ERR_REPLY' }]]],
      [`${name}, later`, [async () => value as Reply, /^451 4\.3\.0 /, [{ code: 'ERR_REPLY' }]]],
    ]),
  ),
}

for (const [name, [onMessage, expected, reported]] of Object.entries(VERDICTS)) {
  t.test(`onMessage ${name}`, async t => {
    for (const where of [{ onMessage }, { delivery: { onMessage } }]) {
      const { handler, errors } = watched(where)
      const c = await begin(handler)
      await address(c)
      await deliver(c, expected)
      await quit(c)
      t.equal(errors.length, reported.length)
      t.match(errors, reported)
      t.notMatch(c.transcript, /secret|Error|file/)
    }
  })
}

t.test('LMTP takes as many replies as recipients, SMTP takes one', async () => {
  const ok = reply(250, 'OK')
  const table: [boolean, number, Reply[], number[]][] = [
    [false, 2, [ok], [250]],
    [false, 2, [ok, ok], [451]],
    [false, 2, [], [451]],
    [true, 2, [ok, NOT_NOW], [250, 450]],
    [true, 2, [ok], [451, 451]],
    [true, 1, [ok, ok], [451]],
    [true, 2, [ok, ok, ok], [451, 451]],
    [true, 2, [], [451, 451]],
  ]
  for (const [lmtp, recipients, answers, codes] of table) {
    const { handler } = watched({ lmtp, onMessage: () => answers })
    const c = converse(handler)
    await c.expect(220)
    await c.command(lmtp ? 'LHLO a.example' : 'EHLO a.example', 250)
    await address(c, ...['a@b.example', 'c@b.example'].slice(0, recipients))
    await c.command('DATA', 354)
    await c.data(MAIL)
    for (const code of codes) await c.expect(code)
    await c.command('NOOP', 250)
    await quit(c)
  }
})

t.test('an onMessage that never settles times out', async t => {
  const clock = new FakeClock()
  const { handler, errors } = watched({ clock, onMessage: () => new Promise(() => {}) })
  const c = await beginData(handler)
  await c.send(`${MAIL}.`)
  await clock.tick(539_999)
  t.equal(c.unread, 0, 'no reply before the timeout')
  await clock.tick(1)
  await c.expect(/^451 4\.3\.0 /)
  t.match(errors, [{ code: 'ERR_TIMEOUT' }])
  await quit(c)
  t.equal(clock.timers, 0, 'no timer is left')
})

// ── The message ──

t.test('a client that leaves in the middle of a message truncates it', async t => {
  for (const leave of ['reset', 'end'] as const) {
    let outcome: unknown = null
    const log: string[] = []
    const { handler, errors } = watched({
      onMessage: async message => {
        await readAll(message).catch((error: unknown) => (outcome = error))
        log.push('done')
      },
      onReset: () => void log.push('onReset'),
      onClose: () => void log.push('onClose'),
    })
    const c = await beginData(handler)
    c.write('Subject: cut sh')
    await settle()
    c[leave]()
    await c.closed()
    await settle()
    t.match(outcome, { code: 'ERR_TRUNCATED' }, leave)
    t.notOk(c.unread, 'no verdict')
    t.equal(log.filter(each => each === 'onClose').length, 1)
    t.same(errors, [])
  }
})

const boom = new Error('the disk is full')

async function leaveLoop(message: Readable, error?: Error): Promise<void> {
  for await (const _ of message) {
    if (error !== undefined) throw error
    break
  }
}

function failInEvent(message: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    message.on('data', () => reject(boom))
    message.on('end', resolve)
  })
}

const failingSink = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done(boom) })

/** What onMessage does with the message, the code of the verdict, that code if there is a filter. */
const READERS: Record<string, [(message: Message) => unknown, number, number?]> = {
  'does not read': [() => undefined, 250],
  'does not read, and settles later': [async () => settle(2), 250],
  'does not read, and refuses': [() => NEVER, 550],
  destroys: [message => void message.destroy(), 250],
  'destroys with an error': [message => void message.destroy(boom), 451],
  'destroys with an error, and accepts': [message => (message.destroy(boom), reply(250, 'OK')), 250, 451],
  'destroys, and refuses': [message => (message.destroy(), NOT_NOW), 450],
  'writes to a sink that fails': [message => pipeline(message, failingSink()), 451],
  'reads once': [message => void message.read(), 250],
  'leaves a loop': [message => leaveLoop(message), 250],
  'throws in a loop': [message => leaveLoop(message, boom), 451],
  'rejects in an event': [failInEvent, 451],
  'resumes, and does not wait': [message => void message.resume(), 250],
}

t.test('an error of a listener is reported once, also if onMessage passes on what the message fails with', async t => {
  for (const filters of [[], PASS]) {
    const { handler, errors } = watched({
      filters,
      async onMessage(message) {
        message.on('data', () => {
          throw SECRET
        })
        await once(message, 'end')
      },
    })
    const c = await begin(handler)
    await address(c)
    await deliver(c, 451)
    await quit(c)
    t.strictSame(errors, [SECRET])
  }
})

for (const [name, [onMessage, code, filteredCode = code]] of Object.entries(READERS)) {
  t.test(`onMessage ${name}: the session goes on`, async t => {
    for (const filters of [[], PASS]) {
      for (const mail of [MAIL, LARGE]) {
        const { handler } = watched({ filters, onMessage: onMessage as OnMessage })
        const c = await begin(handler)
        for (let i = 0; i < 2; i++) {
          await address(c)
          await deliver(c, filters.length > 0 ? filteredCode : code, mail)
        }
        await quit(c)
        t.pass(`${mail.length} octets, ${filters.length} filters`)
      }
    }
  })
}

t.test('onMessage that accepts before it has read the message is reported, once', async t => {
  const takers: Record<string, [(message: Message) => unknown, isReported: boolean]> = {
    'does not read': [() => {}, true],
    'pipes and does not wait': [message => void message.pipe(new PassThrough().resume()), true],
    'listens and does not wait': [message => void message.on('data', () => {}), true],
    'reads a part': [message => void message.once('readable', () => message.read(1)), true],
    reads: [readAll, false],
    'reads it as it was sent': [async message => void (await text(message.raw())), false],
    discards: [message => void message.resume(), false],
    leaves: [message => void message.destroy(), false],
    refuses: [() => NEVER, false],
  }
  for (const filters of [[], PASS]) {
    for (const [name, [take, isReported]] of Object.entries(takers)) {
      const label = `${name}, ${filters.length} filters`
      // oxlint-disable-next-line no-implied-eval -- functions of the same source are told once
      const make = new Function('take', `return async message => { /* ${label} */ return await take(message) }`)
      for (let connection = 0; connection < 2; connection++) {
        const { handler, errors } = watched({ filters, onMessage: make(take) as OnMessage })
        const c = await begin(handler)
        for (let i = 0; i < 2; i++) {
          await address(c)
          await deliver(c, name === 'refuses' ? 550 : 250, LARGE)
        }
        await quit(c)
        const expected = isReported && connection === 0 ? [{ code: 'ERR_UNREAD', message: /not read to its end/ }] : []
        t.match(errors, expected, label)
        t.equal(errors.length, expected.length, label)
      }
    }
  }
})

const stuckSink = (): Writable => new Writable({ write() {} })

const STALLED: Record<string, (message: Message) => unknown> = {
  'waits for a stuck sink': message => pipeline(message, stuckSink()),
  'pipes to a stuck sink': message => void message.pipe(stuckSink()),
  pauses: message => void message.on('data', () => {}).pause(),
}

for (const [name, onMessage] of Object.entries(STALLED)) {
  t.test(`onMessage ${name}: the verdict times out`, async t => {
    const huge = `${LARGE}${'x'.repeat(70).concat('\r\n').repeat(6000)}.\r\n`
    for (const filters of [[], PASS]) {
      const clock = new FakeClock()
      const { handler, errors } = watched({ clock, filters, onMessage: onMessage as () => HookAnswer })
      const c = await beginData(handler)
      for (const chunk of huge.match(/[^]{1,16000}/g) ?? []) c.write(chunk)
      await settle(500) // a slow machine takes a piece a turn
      await clock.tick(539_000)
      t.equal(c.unread, 0, 'no verdict yet')
      await clock.tick(2000)
      await c.expect('451 4.3.0 …')
      const other = errors.filter(error => (error as MailHandlerError).code !== 'ERR_UNREAD')
      t.match(other, [{ code: 'ERR_TIMEOUT' }])
      t.equal(other.length, 1)
      await c.command('NOOP', 250)
      await quit(c)
      t.equal(clock.timers, 0)
    }
  })
}
