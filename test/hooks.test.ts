import { PassThrough, Writable, type Duplex, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import t from 'tap'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import type { HookAnswer, HookName, Hooks, Policy } from '../lib/smtp/hooks.ts'
import type { Message } from '../lib/smtp/message.ts'
import type { Recipient, Sender, Session } from '../lib/smtp/session.ts'
import { converse } from '../lib/testing/conversation.ts'
import { connect } from '../lib/testing/duplex-pair.ts'
import { limitSize } from '../lib/transforms/limit-size.ts'
import { through } from '../lib/transforms/through.ts'
import { MailHandlerError } from '../lib/words/errors.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

const escaped: unknown[] = []
process.on('unhandledRejection', error => escaped.push(error))
process.on('uncaughtException', error => escaped.push(error))
t.afterEach(async () => {
  await settle()
  const [first] = escaped.splice(0)
  if (first !== undefined) throw new Error('this came out of the handler', { cause: first })
})

const NO = reply(450, '4.7.1', 'Not now')
const NEVER = reply(550, '5.7.1', 'Never')
const ASKED = ['onConnect', 'onHelo', 'onAuth', 'onMailFrom', 'onRcptTo', 'onData', 'onMessage'] as const
const AUTH = { auth: { insecure: true } } as const
const quiet = { handleError() {} } as const

/** Reads all of a message. */
const read = async (message: Message): Promise<void> => void (await text(message))

/** A handler that keeps what it is told of errors. */
function watched(options: SmtpHandlerOptions): { handler: SmtpHandler; errors: Error[] } {
  const errors: Error[] = []
  return { handler: new SmtpHandler({ ...options, handleError: error => void errors.push(error) }), errors }
}

/** One mail with AUTH before, as far as the server lets it come; the codes of its replies. */
async function run(handler: Duplex): Promise<number[]> {
  const c = converse(handler)
  await c.expect()
  for (const line of [
    'EHLO client.example',
    `AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`,
    'MAIL FROM:<sender@client.example>',
    'RCPT TO:<one@example.org>',
    'RCPT TO:<two@example.org>',
    'DATA',
  ]) {
    await c.command(line)
  }
  if (c.replies.at(-1)?.code === 354) {
    await c.data(MAIL)
    await c.expect()
  }
  await quit(c)
  return c.replies.slice(0, -1).map(({ code }) => code)
}

/** Every hook, noting that it was asked. */
function noting(log: string[], name: string): Hooks {
  const note = (hook: HookName, what = ''): void => void log.push(`${name}.${hook}${what}`)
  return {
    onConnect: session => note('onConnect', ` ${session.phase}`),
    onHelo: session => note('onHelo', ` ${session.helo}`),
    onAuth: credentials => {
      note('onAuth', ` ${credentials.mechanism} ${credentials.user}`)
      return reply(235, '2.7.0', 'Come in')
    },
    onMailFrom: (sender, session) => note('onMailFrom', ` ${sender.address} ${session.user}`),
    onRcptTo: (recipient, session) => note('onRcptTo', ` ${recipient.address} ${session.envelope?.recipients.length}`),
    onData: session => note('onData', ` ${session.envelope?.recipients.length}`),
    onMessage: async (message, session) => {
      note('onMessage', ` ${(await text(message)).length} ${session.envelope?.sender.address}`)
    },
    onReset: session => note('onReset', ` ${session.envelope?.sender.address ?? null}`),
    onClose: () => note('onClose'),
  }
}

const COURSE = [
  'onConnect connected',
  'onHelo client.example',
  'onAuth PLAIN joe',
  'onMailFrom sender@client.example joe',
  'onRcptTo one@example.org 0',
  'onRcptTo two@example.org 1',
  'onData 2',
  `onMessage ${MAIL.length} sender@client.example`,
  'onReset null',
  'onClose',
]
const CODES = [220, 250, 235, 250, 250, 250, 354, 250]

t.test('each hook by option, by subclass, by policy', async t => {
  const log: string[] = []
  class Mine extends SmtpHandler {}
  Object.assign(Mine.prototype, noting(log, 'x'))
  class Told extends SmtpHandler {
    override onHelo(session: Session): HookAnswer {
      log.push(`mine ${session.helo} ${this.session === session}`)
    }
  }
  const ways: [string, () => SmtpHandler][] = [
    ['option', () => new SmtpHandler({ ...AUTH, ...noting(log, 'x') })],
    ['subclass', () => new Mine(AUTH)],
    ['policy', () => new SmtpHandler({ ...AUTH, policies: [noting(log, 'x')] })],
  ]
  for (const [name, make] of ways) {
    log.length = 0
    t.same(await run(make()), CODES, name)
    t.same(
      log,
      COURSE.map(each => `x.${each}`),
      name,
    )
  }
  log.length = 0
  const c = await begin(new Told())
  await quit(c)
  t.same(log, ['mine client.example true'], 'this is the handler in a method')
})

t.test('hooks keep the this of their policy', async t => {
  class Counting implements Policy {
    readonly seen: string[] = []
    onHelo(session: Session): void {
      this.seen.push(session.helo ?? '')
    }
  }
  const policy = new Counting()
  await quit(await begin(new SmtpHandler({ policies: [policy] })))
  t.same(policy.seen, ['client.example'])
})

t.test('policies in their order, then the handler; sync and async', async t => {
  for (const late of [false, true]) {
    const log: string[] = []
    const { onMessage: _, ...first } = noting(log, 'a')
    const { onMessage: __, ...second } = noting(log, 'b')
    const own = noting(log, 'own')
    const sets = [first, second, own] as Record<string, (...of: never[]) => unknown>[]
    if (late) {
      for (const hooks of sets) {
        for (const [name, hook] of Object.entries(hooks)) {
          hooks[name] = async (...of) => {
            await settle(1)
            return hook(...of)
          }
        }
      }
    }
    const codes = await run(new SmtpHandler({ ...AUTH, policies: [first, second], ...own }))
    t.same(codes, CODES)
    const expected = COURSE.flatMap(each =>
      each.startsWith('onMessage') ? [`own.${each}`] : [`a.${each}`, `b.${each}`, `own.${each}`],
    )
    t.same(log, expected, late ? 'async' : 'sync')
  }
})

t.test('a refusal decides, and nobody further is asked', async t => {
  const codes: Record<(typeof ASKED)[number], number[]> = {
    onConnect: [450, 503, 503, 503, 503, 503, 503],
    onHelo: [220, 450, 503, 503, 503, 503, 503],
    onAuth: [220, 250, 450, 250, 250, 250, 354, 250],
    onMailFrom: [220, 250, 235, 450, 503, 503, 503],
    onRcptTo: [220, 250, 235, 250, 450, 450, 503],
    onData: [220, 250, 235, 250, 250, 250, 450],
    onMessage: [220, 250, 235, 250, 250, 250, 354, 450],
  }
  for (const hook of ASKED) {
    for (const [how, say] of Object.entries({
      'at once': () => NO,
      later: async () => NO,
      thrown: () => {
        throw new SmtpError(NO)
      },
      rejected: () => Promise.reject(new SmtpError(NO)),
    })) {
      const log: string[] = []
      const own = noting(log, 'own')
      if (hook === 'onMessage') delete own.onMessage
      const refusing: Policy = { [hook]: say }
      const asked = await run(new SmtpHandler({ ...AUTH, policies: [refusing], ...own, ...quiet }))
      t.same(asked, codes[hook], `${hook} ${how}`)
      t.notOk(
        log.some(line => line.startsWith(`own.${hook} `)),
        `${hook} ${how}: the next is not asked`,
      )
    }
  }
})

t.test('the words of the last who agrees', async t => {
  const say = (code: number, words: string) => () => reply(code, words)
  const late = (code: number, words: string) => async () => reply(code, words)
  const nothing = () => undefined
  const table: [HookName, string, number][] = [
    ['onConnect', '220', 220],
    ['onHelo', 'HELO client.example', 250],
    ['onMailFrom', 'MAIL FROM:<>', 250],
    ['onRcptTo', 'RCPT TO:<a@example.org>', 250],
    ['onData', 'DATA', 354],
    ['onMessage', '.', 250],
  ]
  const ways = (code: number): [string, (() => HookAnswer)[], (() => HookAnswer) | undefined, string][] => [
    ['the last', [say(code, 'a'), say(code, 'b')], undefined, 'b'],
    ['the own', [say(code, 'a'), late(code, 'b')], say(code, 'own'), 'own'],
    ['silence does not count', [late(code, 'a'), nothing], nothing, 'a'],
    ['nor does late silence', [say(code, 'a'), async () => undefined], async () => undefined, 'a'],
  ]
  for (const [hook, , code] of table) {
    for (const [name, policies, own, words] of ways(code)) {
      const hooks = policies.map(each => ({ [hook]: each }))
      const one = hook === 'onMessage'
      const handler = new SmtpHandler({
        onMessage: read,
        ...(one ? { onMessage: policies[1] as () => HookAnswer } : { policies: hooks }),
        ...(own !== undefined && !one ? { [hook]: own } : {}),
      })
      const c = converse(handler)
      for (const [at, line] of table) {
        if (at === 'onConnect') await c.expect()
        else if (at === 'onMessage') await c.data(MAIL).then(() => c.expect())
        else await c.command(line)
        if (at !== hook) continue
        const expected = one ? (name === 'the last' || name === 'the own' ? 'b' : null) : words
        if (expected !== null) t.equal(c.replies.at(-1)?.text, `${code} ${expected}`, `${hook}: ${name}`)
      }
      await quit(c)
    }
  }
})

t.test('EHLO lists the extensions, whatever onHelo says', async t => {
  const c = converse(new SmtpHandler({ name: 'mx.example.org', onHelo: () => reply(250, 'hello') }))
  await c.expect(220)
  t.match((await c.command('EHLO client.example', 250)).text, /^250-mx\.example\.org\n250-PIPELINING/)
  await quit(c)
})

t.test('two who deliver are an error when the handler is made', async t => {
  const onMessage = read
  class Mine extends SmtpHandler {
    override onMessage(message: Message): Promise<void> {
      return read(message)
    }
  }
  const wrong = { code: 'ERR_OPTION', message: /onMessage has two takers/ }
  t.throws(() => new SmtpHandler({ policies: [{ onMessage }, {}, { onMessage }] }), wrong)
  t.throws(() => new SmtpHandler({ policies: [{ onMessage }], onMessage }), wrong)
  t.throws(() => new Mine({ policies: [{ onMessage }] }), wrong)
  t.doesNotThrow(() => new Mine({ onMessage }), 'an option in place of the method is one taker')
  t.doesNotThrow(() => new SmtpHandler({ policies: [{ onMessage }, {}] }))
})

t.test('what a hook throws: 451 and a report, never its text', async t => {
  const secret = new Error('/etc/secret: no such file')
  const ways: Record<string, () => never | Promise<never>> = {
    throws: () => {
      throw secret
    },
    rejects: () => Promise.reject(secret),
    'throws later': async () => {
      await settle(2)
      throw secret
    },
    'throws what is no error': () => {
      throw 'secret' // oxlint-disable-line only-throw-error -- users do
    },
    'a promise of another make': () =>
      // oxlint-disable-next-line no-thenable -- users have such
      ({ then: (_: unknown, fail: (error: Error) => void) => fail(secret) }) as unknown as Promise<never>,
  }
  const codes: Record<(typeof ASKED)[number], number[]> = {
    onConnect: [451, 503, 503, 503, 503, 503, 503],
    onHelo: [220, 451, 503, 503, 503, 503, 503],
    onAuth: [220, 250, 451, 250, 250, 250, 354, 250],
    onMailFrom: [220, 250, 235, 451, 503, 503, 503],
    onRcptTo: [220, 250, 235, 250, 451, 451, 503],
    onData: [220, 250, 235, 250, 250, 250, 451],
    onMessage: [220, 250, 235, 250, 250, 250, 354, 451],
  }
  for (const hook of ASKED) {
    for (const [how, fail] of Object.entries(ways)) {
      const { handler, errors } = watched({
        ...AUTH,
        onAuth: () => reply(235, 'in'),
        ...(hook === 'onMessage' ? {} : { onMessage: read }),
        policies: [{ [hook]: fail }],
      })
      let said = ''
      handler.on('data', chunk => (said += String(chunk)))
      t.same(await run(handler), codes[hook], `${hook} ${how}`)
      t.equal(errors.length, hook === 'onRcptTo' ? 2 : 1, `${hook} ${how}: reported once`)
      t.match(errors[0]?.message, /secret/)
      t.notMatch(said, /secret|Error|file/)
    }
  }
})

t.test('a client whose greeting broke is not let in behind it', async () => {
  const { handler } = watched({ onMessage: read, onConnect: () => Promise.reject(new Error('no list')) })
  const c = converse(handler)
  await c.expect(451)
  await c.command('EHLO client.example', 503)
  await c.command('MAIL FROM:<>', 503)
  await quit(c)
})

t.test('a second HELO that broke or was refused leaves nobody greeted', async () => {
  for (const fail of [() => Promise.reject(new Error('no list')), () => NEVER]) {
    let calls = 0
    const { handler } = watched({ onMessage: read, onHelo: () => (++calls === 1 ? undefined : fail()) })
    const c = await begin(handler)
    await c.command('EHLO liar.example', /^(451|550)/)
    await c.command('MAIL FROM:<>', 503)
    await quit(c)
  }
})

t.test('a hook that is no function breaks as one that throws', async t => {
  const broken = (hook: HookName) => {
    const { handler, errors } = watched({ onMessage: read })
    Object.assign(handler, { [hook]: null })
    return { handler, errors, c: converse(handler) }
  }
  const met = broken('onConnect')
  await met.c.expect(451)
  await met.c.command('EHLO client.example', 503)
  await quit(met.c)

  const greeted = broken('onHelo')
  await greeted.c.expect(220)
  await greeted.c.command('EHLO client.example', 451)
  t.equal(greeted.handler.session.helo, null)
  await quit(greeted.c)

  const asked = broken('onData')
  await asked.c.expect(220)
  await asked.c.command('EHLO client.example', 250)
  await address(asked.c)
  await asked.c.send('BDAT 6 LAST\r\nNOOP')
  await asked.c.expect(451)
  await quit(asked.c)
  for (const { errors } of [met, greeted, asked]) t.match(errors[0], TypeError)
})

t.test('what is no reply', async t => {
  const table: [string, unknown][] = [
    ['true', true],
    ['a text', '250 OK'],
    ['a number', 250],
    ['an object', { code: 250, positive: true }],
    ['a 354 where none is due', reply(354, 'Go on')],
  ]
  for (const hook of ['onConnect', 'onHelo', 'onMailFrom', 'onRcptTo', 'onMessage'] as const) {
    for (const [name, value] of table) {
      for (const late of [false, true]) {
        const answer = () => (late ? Promise.resolve(value) : value) as Reply
        const { handler, errors } = watched({
          ...(hook === 'onMessage' ? {} : { onMessage: read }),
          [hook]: answer,
        })
        const codes = await run(handler)
        t.equal(
          codes.filter(code => code === 451).length,
          hook === 'onRcptTo' ? 2 : 1,
          `${hook}: ${name} ${codes.join(' ')}`,
        )
        t.match(errors[0], { code: 'ERR_REPLY' })
      }
    }
    const empty = () => null as unknown as undefined
    const codes = await run(new SmtpHandler({ onMessage: read, [hook]: empty }))
    t.equal(codes.at(-1), 250, `${hook}: null is no opinion`)
  }
})

t.test('an SmtpError refuses', t => {
  for (const code of [220, 250, 354])
    t.throws(() => new SmtpError(reply(code, 'x')), { name: 'MailHandlerError', code: 'ERR_REPLY' })
  t.end()
})

t.test('as many replies as recipients, or none', async () => {
  const ok = reply(250, 'OK')
  const table: [boolean, number, Reply[], number[]][] = [
    [false, 2, [ok], [250]],
    [false, 2, [ok, ok], [451]],
    [false, 2, [], [451]],
    [true, 2, [ok, NO], [250, 450]],
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

t.test('a hook that never settles', async t => {
  for (const hook of ASKED) {
    const clock = new FakeClock()
    const { handler, errors } = watched({
      ...AUTH,
      clock,
      onAuth: () => reply(235, 'in'),
      ...(hook === 'onMessage' ? {} : { onMessage: read }),
      policies: [{ [hook]: () => new Promise(() => {}) }],
    })
    const c = converse(handler)
    const course: [HookName, string][] = [
      ['onConnect', ''],
      ['onHelo', 'EHLO client.example'],
      ['onAuth', `AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`],
      ['onMailFrom', 'MAIL FROM:<>'],
      ['onRcptTo', 'RCPT TO:<a@example.org>'],
      ['onData', 'DATA'],
      ['onMessage', `${MAIL}.`],
    ]
    for (const [at, line] of course) {
      if (line !== '') await c.send(line)
      if (at !== hook) {
        await c.expect(/^[23]/)
        continue
      }
      const limit = hook === 'onMessage' ? 540_000 : 240_000
      await clock.tick(limit - 1)
      t.equal(c.unread, 0, `${hook}: nothing before its time`)
      await clock.tick(1)
      await c.expect(/^451 4\.3\.0 /)
      break
    }
    t.match(errors, [{ code: 'ERR_TIMEOUT' }])
    await quit(c)
    t.equal(clock.timers, 0, `${hook}: no timer is left`)
  }
})

t.test('an answer after its time changes nothing', async t => {
  const clock = new FakeClock()
  const late: ((answer?: Reply) => void)[] = []
  const hang = () => new Promise<Reply | void>(resolve => late.push(resolve as () => void))
  let further = 0
  const { handler } = watched({
    clock,
    onMessage: read,
    policies: [
      { onMailFrom: hang, onRcptTo: hang, onHelo: session => (session.helo === 'slow.example' ? hang() : undefined) },
      { onMailFrom: () => void further++, onRcptTo: () => void further++ },
    ],
  })
  const c = await begin(handler)
  await c.send('MAIL FROM:<a@example.org>')
  await clock.tick(240_000)
  await c.expect(451)
  late.pop()?.()
  await settle()
  t.equal(handler.session.envelope, null)
  await c.command('RCPT TO:<b@example.org>', 503)

  await c.send('MAIL FROM:<a@example.org>')
  await settle()
  late.pop()?.()
  await c.expect(250)
  t.equal(further, 1)
  await c.send('RCPT TO:<b@example.org>')
  await clock.tick(240_000)
  await c.expect(451)
  await c.command('RSET', 250)
  await c.send('MAIL FROM:<c@example.org>')
  await settle()
  late.pop()?.()
  await c.expect(250)
  late.pop()?.()
  await settle()
  t.equal(handler.session.envelope?.sender.address, 'c@example.org')
  t.same(handler.session.envelope?.recipients, [])
  t.equal(further, 2, 'nobody further is asked about what timed out')
  await c.command('DATA', 503)

  await c.command('RSET', 250)
  await c.send('EHLO slow.example')
  await clock.tick(240_000)
  await c.expect(451)
  late.pop()?.()
  await settle()
  await c.command('MAIL FROM:<>', 503)
  await quit(c)
  t.equal(clock.timers, 0)
})

t.test('an answer after the client has gone', async t => {
  for (const hook of ASKED.filter(each => each !== 'onMessage')) {
    const clock = new FakeClock()
    const log: string[] = []
    let answer: (() => void) | null = null
    let signal: AbortSignal | null = null
    const { handler, errors } = watched({
      ...AUTH,
      clock,
      policies: [
        {
          [hook]: (...of: [...unknown[], Session]) =>
            new Promise<void>(resolve => {
              answer = resolve
              signal = (of.at(-1) as Session).signal
            }),
        },
        noting(log, 'b'),
      ],
    })
    const c = converse(handler)
    const lines = [
      'EHLO client.example',
      `AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`,
      'MAIL FROM:<>',
      'RCPT TO:<a@example.org>',
      'DATA',
    ]
    for (const line of ['', ...lines]) {
      if (line !== '') await c.send(line)
      await settle()
      if (answer !== null) break
      await c.expect()
    }
    t.equal((signal as AbortSignal | null)?.aborted, false, hook)
    c.reset()
    await c.closed()
    t.equal((signal as AbortSignal | null)?.aborted, true, hook)
    t.equal(clock.timers, 0, `${hook}: no timer is left`)
    const before = log.length
    ;(answer as (() => void) | null)?.()
    await settle()
    t.equal(log.length, before, `${hook}: nobody further is asked`)
    t.equal(log.at(-1), 'b.onClose')
    t.same(errors, [])
  }
})

t.test('session.signal: of the connection, not of the command', async t => {
  let early: AbortSignal | null = null
  const handler = new SmtpHandler({ onConnect: session => void (early = session.signal), onMessage: read })
  const client = connect(handler)
  const c = await begin(client)
  await address(c)
  await deliver(c, 250)
  t.equal((early as AbortSignal | null)?.aborted, false)
  t.equal(handler.session.signal, early)
  client.destroy()
  await finished(handler, { error: false } as never).catch(() => {})
  t.equal((early as AbortSignal | null)?.aborted, true)
  t.equal(new SmtpHandler().session.signal.aborted, false)
})

t.test('a client that goes in the middle of a message', async t => {
  for (const cut of ['reset', 'end'] as const) {
    let outcome: unknown = null
    const log: string[] = []
    const { handler, errors } = watched({
      onMessage: async message => {
        await read(message).catch((error: unknown) => (outcome = error))
        log.push('done')
      },
      onReset: () => void log.push('onReset'),
      onClose: () => void log.push('onClose'),
    })
    const c = await begin(handler)
    await address(c)
    await c.command('DATA', 354)
    c.write('Subject: cut sh')
    await settle()
    c[cut]()
    await c.closed()
    await settle()
    t.match(outcome, { code: 'ERR_TRUNCATED' }, cut)
    t.notOk(c.unread, 'no verdict')
    t.equal(log.filter(each => each === 'onClose').length, 1)
    t.same(errors, [])
  }
})

t.test('trouble inside the stream', async t => {
  const boom = new Error('the disk is full')
  const sink = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done(boom) })
  const large = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(4000)}`
  const table: [string, (message: Message) => unknown, number][] = [
    ['ignores it', () => undefined, 250],
    ['ignores it, later', async () => settle(2), 250],
    ['refuses unread', () => NEVER, 550],
    ['destroys it', message => void message.destroy(), 250],
    ['destroys it with an error', message => void message.destroy(boom), 451],
    ['destroys it with an error, and takes it', message => (message.destroy(boom), reply(250, 'OK')), 250],
    ['destroys it and refuses', message => (message.destroy(), NO), 450],
    ['a sink fails', message => pipeline(message, sink()), 451],
    ['looks for what is there', message => void message.read(), 250],
    ['leaves the loop', message => leave(message), 250],
    ['throws in the loop', message => leave(message, boom), 451],
    [
      'throws in an event',
      message =>
        new Promise((resolve, reject) => {
          message.on('data', () => {
            try {
              throw boom
            } catch (error) {
              reject(error as Error)
            }
          })
          message.on('end', resolve)
        }),
      451,
    ],
    ['flows, unwaited', message => void message.resume(), 250],
  ]
  async function leave(message: Readable, error?: Error): Promise<void> {
    for await (const _ of message) {
      if (error !== undefined) throw error
      break
    }
  }
  for (const filters of [[], [() => new PassThrough()]]) {
    for (const mail of [MAIL, large]) {
      for (const [name, onMessage, code] of table) {
        const { handler } = watched({ filters, onMessage: onMessage as never })
        const c = await begin(handler)
        for (let i = 0; i < 2; i++) {
          await address(c)
          const verdict = filters.length > 0 && name === 'destroys it with an error, and takes it' ? 451 : code
          await deliver(c, verdict, mail)
        }
        await quit(c)
        t.pass(`${name}, ${mail.length} octets, ${filters.length} filters`)
      }
    }
  }
})

/** A network's pieces of a large text. */
const cut = (large: string): string[] => large.match(/[^]{1,16000}/g) ?? []

t.test('a consumer that stands still', async t => {
  const stuck = (): Writable => new Writable({ write() {} })
  const large = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(10_000)}`
  const table: [string, (message: Message) => unknown][] = [
    ['waits for its sink', message => pipeline(message, stuck())],
    ['does not wait for it', message => void message.pipe(stuck())],
    ['paused', message => void message.on('data', () => {}).pause()],
  ]
  for (const filters of [[], [() => new PassThrough()]]) {
    for (const [name, onMessage] of table) {
      const clock = new FakeClock()
      const { handler, errors } = watched({ clock, filters, onMessage: onMessage as never })
      const c = await begin(handler)
      await address(c)
      await c.command('DATA', 354)
      for (const chunk of cut(`${large}.\r\n`)) c.write(chunk)
      await clock.tick(539_000)
      t.equal(c.unread, 0, `${name}: no verdict yet`)
      await clock.tick(2000)
      await c.expect('451 4.3.0 …')
      t.match(errors, [{ code: 'ERR_TIMEOUT' }])
      t.equal(errors.length, 1)
      await c.command('NOOP', 250)
      await quit(c)
      t.equal(clock.timers, 0)
    }
  }
})

t.test('onReset and onClose', async t => {
  const log: string[] = []
  const note = (name: string) => ({
    onReset: (session: Session) => void log.push(`${name} reset ${session.phase}`),
    onClose: () => void log.push(`${name} close`),
  })
  const c = converse(new SmtpHandler({ policies: [note('a')], ...note('own'), onMessage: read }))
  const took = async (expected: string[]): Promise<void> => {
    await settle()
    t.same(
      log.splice(0),
      expected.flatMap(each => [`a ${each}`, `own ${each}`]),
    )
  }
  await c.expect(220)
  await c.command('RSET', 250)
  await took([])
  await c.command('EHLO a.example', 250)
  await took([])
  await c.command('EHLO a.example', 250)
  await took(['reset greeted'])
  await c.command('RSET', 250)
  await took(['reset greeted'])
  await address(c)
  await took([])
  await c.command('RSET', 250)
  await took(['reset greeted'])
  await address(c)
  await deliver(c, 250)
  await took(['reset greeted'])
  await address(c)
  c.write('BDAT 3\r\nabc')
  await c.expect(250)
  await took([])
  await c.command('RSET', 250)
  await took(['reset greeted'])
  await quit(c)
  await took(['close'])
})

t.test('onReset and onClose are for everybody, whatever the others do', async t => {
  const table: Policy['onReset'][] = [
    () => {
      throw new Error('boom')
    },
    () => Promise.reject(new Error('boom')),
    () => NEVER as unknown as undefined,
    async () => NEVER as unknown as undefined,
    () => new Promise(() => {}),
  ]
  for (const bad of table) {
    const log: string[] = []
    const clock = new FakeClock()
    const { handler } = watched({
      clock,
      policies: [{ onReset: bad!, onClose: bad! }],
      onReset: () => void log.push('reset'),
      onClose: () => void log.push('close'),
    })
    const c = await begin(handler)
    await c.send('RSET')
    await clock.tick(240_000)
    await c.expect(250)
    await c.command('QUIT', 221)
    c.end()
    await clock.tick(240_000)
    await c.closed()
    t.same(log, ['reset', 'close'], String(bad))
    t.equal(clock.timers, 0)
  }
})

t.test('onClose once, in every way to end', async t => {
  const ways: [string, (c: Awaited<ReturnType<typeof begin>>) => unknown][] = [
    ['quit', c => c.command('QUIT', 221)],
    ['half-close', c => c.end()],
    ['reset', c => c.reset()],
    ['reset with an error', c => c.reset(new Error('ECONNRESET'))],
    ['in a transaction', async c => (await address(c), c.reset())],
    ['in mail data', async c => (await address(c), await c.command('DATA', 354), c.write('Subject'), c.reset())],
    ['half-close in mail data', async c => (await address(c), await c.command('DATA', 354), c.write('x'), c.end())],
    ['http', c => c.command('GET / HTTP/1.1', 521)],
  ]
  for (const [name, end] of ways) {
    let closes = 0
    let results = 0
    const handler = new SmtpHandler({
      onMessage: read,
      onClose: async () => void (await settle(1), closes++),
      logResult: () => void results++,
    })
    const c = await begin(handler)
    await end(c)
    await c.closed()
    await settle()
    t.same([closes, results], [1, 1], name)
  }
})

t.test('trusted: passed from a policy to those behind', async t => {
  const seen: unknown[] = []
  const c = await begin(
    new SmtpHandler({
      onMessage: read,
      policies: [
        {
          onConnect: session => void (session.trusted = 'our own network'),
          onRcptTo: recipient => {
            if (recipient.localPart === 'postmaster') recipient.trusted = 'postmaster'
          },
        },
        {
          onHelo: session => void seen.push(session.trusted),
          onRcptTo: (recipient, session) => void seen.push([recipient.trusted, session.trusted]),
          onData: session => void seen.push(session.envelope?.recipients.map(each => each.trusted)),
        },
      ],
    }),
  )
  await address(c, 'postmaster@example.org', 'joe@example.org')
  await deliver(c, 250)
  await quit(c)
  const own = 'our own network'
  t.same(seen, [own, ['postmaster', own], [null, own], ['postmaster', null]])
})

t.test('what each hook gets', async t => {
  let sender: Sender | null = null
  let recipient: Recipient | null = null
  const handler = new SmtpHandler({
    extensions: { DSN: true },
    onMailFrom: each => void (sender = each),
    onRcptTo: each => void (recipient = each),
    onMessage: read,
  })
  const c = await begin(handler)
  await c.command('MAIL FROM:<"a b"@Example.org> SIZE=100 RET=HDRS', 250)
  await c.command('RCPT TO:<Joe@[192.0.2.1]> NOTIFY=NEVER', 250)
  t.match(sender, { localPart: '"a b"', parameters: { size: 100, ret: 'HDRS' } })
  t.match(recipient, { localPart: 'Joe', trusted: null })
  t.same(handler.session.envelope, {
    sender,
    recipients: [recipient],
    parameters: (sender as Sender | null)?.parameters,
  })
  await quit(c)
})

t.test('filters', async t => {
  const upper = () =>
    through((chunk, _encoding, done) => done(null, Buffer.from(chunk.toString('latin1').toUpperCase(), 'latin1')))
  const failing = (when: 'chunk' | 'end', error: Error) =>
    through(
      (chunk, _encoding, done) => done(when === 'chunk' ? error : null, chunk),
      done => done(when === 'end' ? error : null),
    )
  const early = () =>
    through(function (chunk, _encoding, done) {
      this.push(chunk.subarray(0, 5))
      this.push(null)
      done()
    })
  const boom = new Error('virus scanner is gone')
  let got = ''
  const reading = async (message: Message): Promise<void> => void (got = await text(message))
  const unread = (): void => {}
  const flowing = (message: Message): void => void message.on('error', () => {}).resume()
  const forgiving = async (message: Message): Promise<void> => void (await text(message).catch(() => ''))
  const table: [
    string,
    SmtpHandlerOptions['filters'] & object,
    (message: Message) => unknown,
    number,
    string | null,
  ][] = [
    ['one', [upper], reading, 250, MAIL.toUpperCase()],
    ['several, in order', [upper, () => limitSize(MAIL.length)], reading, 250, MAIL.toUpperCase()],
    ['ends early', [early], reading, 250, MAIL.slice(0, 5)],
    [
      'made with an error',
      [
        () => {
          throw boom
        },
      ],
      reading,
      451,
      null,
    ],
    ...(['chunk', 'end'] as const).flatMap(when =>
      Object.entries({ reading, unread, flowing, forgiving }).map(
        ([name, taker]) =>
          [`fails at the ${when}, ${name}`, [upper, () => failing(when, boom)], taker, 451, null] as const,
      ),
    ),
    ['a refusal of its own', [() => failing('end', new SmtpError(NEVER))], flowing, 550, null],
    ...Object.entries({ reading, unread, flowing, forgiving }).map(
      ([name, taker]) => [`too large, ${name}`, [() => limitSize(10)], taker, 552, null] as const,
    ),
  ] as never
  for (const [name, filters, onMessage, code, expected] of table) {
    got = ''
    const { handler } = watched({ filters, onMessage: onMessage as never })
    const c = await begin(handler)
    for (let i = 0; i < 2; i++) {
      await address(c)
      await deliver(c, code)
      if (expected !== null) t.equal(got, expected, name)
    }
    await quit(c)
    t.pass(name)
  }
})

t.test('a filter sees all of a message that onMessage does not read', async t => {
  const large = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(5000)}`
  let octets = 0
  const count = () => through((chunk, _encoding, done) => ((octets += chunk.length), done(null, chunk)))
  const c = await begin(new SmtpHandler({ filters: [count], onMessage: () => {} }))
  await address(c)
  await deliver(c, 250, large)
  t.equal(octets, large.length)
  await quit(c)
})

t.test('a filter gets the session, and is made for each message', async t => {
  const seen: unknown[] = []
  const filters = [
    (session: Session) => {
      seen.push(session.envelope?.sender.address)
      return new PassThrough()
    },
  ]
  const c = await begin(new SmtpHandler({ filters, onMessage: read }))
  for (const who of ['a', 'b']) {
    await c.command(`MAIL FROM:<${who}@example.org>`, 250)
    await c.command('RCPT TO:<c@example.org>', 250)
    await deliver(c, 250)
  }
  await quit(c)
  t.same(seen, ['a@example.org', 'b@example.org'])
})

t.test('nobody else is touched', async () => {
  const options: SmtpHandlerOptions = {
    ...quiet,
    onMessage: read,
    onMailFrom: sender => {
      if (sender.localPart === 'bad') throw new Error('boom')
    },
  }
  const good = await begin(new SmtpHandler(options))
  const bad = await begin(new SmtpHandler(options))
  await address(good)
  await bad.command('MAIL FROM:<bad@example.org>', 451)
  bad.reset(new Error('gone'))
  await bad.closed()
  await deliver(good, 250)
  await quit(good)
})

t.test('an error in handleError is a warning', async t => {
  const warnings: Error[] = []
  const listen = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const handler = new SmtpHandler({
    onHelo: () => Promise.reject(new MailHandlerError('ERR_TIMEOUT', 'x')),
    handleError() {
      throw new Error('even the log is broken')
    },
  })
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO a.example', 451)
  await quit(c)
  await settle()
  t.match(warnings.at(-1), { message: 'even the log is broken' })
})
