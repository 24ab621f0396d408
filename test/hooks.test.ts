// The hooks that judge: a row for each in fixtures/hooks.ts. What is special about onMessage is in hooks-message.test.ts.

import t from 'tap'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import type { HookAnswer, HookName, Policy } from '../lib/smtp/hooks.ts'
import type { Session } from '../lib/smtp/session.ts'
import { converse } from '../lib/testing/conversation.ts'
import { MailHandlerError } from '../lib/words/errors.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import {
  ACCEPTED_CODES,
  accepted,
  AUTH,
  CALLS,
  codesOf,
  HOOK_ROWS,
  NEVER,
  NOT_NOW,
  noting,
  playSession,
  readAll,
  sendUpTo,
  watched,
  watchProcess,
} from './fixtures/hooks.ts'

watchProcess(t)

const onMessage = readAll
const quiet = { handleError() {} } as const

t.test('each hook is called, by option, by subclass and by policy', async t => {
  const log: string[] = []
  class Subclass extends SmtpHandler {}
  Object.assign(Subclass.prototype, noting(log, 'x'))
  const ways: [string, () => SmtpHandler][] = [
    ['option', () => new SmtpHandler({ ...AUTH, onMessage, ...noting(log, 'x') })],
    ['subclass', () => new Subclass({ ...AUTH, onMessage })],
    ['policy', () => new SmtpHandler({ ...AUTH, onMessage, policies: [noting(log, 'x')] })],
  ]
  for (const [name, make] of ways) {
    log.length = 0
    t.same(await playSession(make()), ACCEPTED_CODES, name)
    t.same(
      log,
      CALLS.map(each => `x.${each}`),
      name,
    )
  }
})

t.test('`this` is the handler in a method, the policy in a policy', async t => {
  const seen: unknown[] = []
  class Told extends SmtpHandler {
    override onHelo(session: Session): HookAnswer {
      seen.push(session.helo, this.session === session)
    }
  }
  class Counting implements Policy {
    readonly helos: (string | null)[] = []
    onHelo(session: Session): void {
      this.helos.push(session.helo)
    }
  }
  const policy = new Counting()
  await quit(await begin(new Told({ policies: [policy] })))
  t.same(seen, ['client.example', true])
  t.same(policy.helos, ['client.example'])
})

for (const isAsync of [false, true]) {
  t.test(`policies are asked in order, then the handler; ${isAsync ? 'async' : 'sync'}`, async t => {
    const log: string[] = []
    const sets = [noting(log, 'a'), noting(log, 'b'), noting(log, 'own')] as Record<
      string,
      (...of: never[]) => unknown
    >[]
    for (const hooks of isAsync ? sets : []) {
      for (const [name, hook] of Object.entries(hooks)) {
        hooks[name] = async (...of) => {
          await settle(1)
          return hook(...of)
        }
      }
    }
    const [a, b, own] = sets
    t.same(await playSession(new SmtpHandler({ ...AUTH, onMessage, policies: [a!, b!], ...own })), ACCEPTED_CODES)
    t.same(
      log,
      CALLS.flatMap(each => [`a.${each}`, `b.${each}`, `own.${each}`]),
    )
  })
}

// ── A row for each hook ──

/** The ways to answer with `answer`. */
const answering = (answer: Reply): Record<string, () => HookAnswer> => ({
  'at once': () => answer,
  later: async () => answer,
  thrown: () => {
    throw new SmtpError(answer)
  },
  rejected: () => Promise.reject(new SmtpError(answer)),
})

/** The ways to fail with an error that is no reply. */
const SECRET = new Error('/etc/secret: no such file')
const FAILING: Record<string, () => never | Promise<never>> = {
  throws: () => {
    throw SECRET
  },
  rejects: () => Promise.reject(SECRET),
  'throws later': async () => {
    await settle(2)
    throw SECRET
  },
  'throws a string': () => {
    throw 'secret' // oxlint-disable-line only-throw-error -- users do
  },
  'returns a thenable that rejects': () =>
    // oxlint-disable-next-line no-thenable -- users have such
    ({ then: (_: unknown, fail: (error: Error) => void) => fail(SECRET) }) as unknown as Promise<never>,
}

for (const row of HOOK_ROWS) {
  const { hook } = row
  /** How often the hook is called in a whole session. */
  const calls = hook === 'onRcptTo' ? 2 : 1

  t.test(`${hook}: a refusal is sent, and no further hook is asked`, async t => {
    for (const [way, refuse] of Object.entries(answering(NOT_NOW))) {
      const log: string[] = []
      const handler = new SmtpHandler({
        ...AUTH,
        onMessage,
        policies: [{ [hook]: refuse }],
        ...noting(log, 'own'),
        ...quiet,
      })
      t.same(await playSession(handler), codesOf(row, 450), way)
      t.notOk(
        log.some(line => line.startsWith(`own.${hook} `)),
        `${way}: the handler's own hook is not asked`,
      )
    }
  })

  t.test(`${hook}: any other error is reported, and its text is not sent`, async t => {
    for (const [way, fail] of Object.entries(FAILING)) {
      const { handler, errors } = watched({ ...AUTH, onMessage, onAuth: accepted, policies: [{ [hook]: fail }] })
      let output = ''
      handler.on('data', chunk => (output += String(chunk)))
      t.same(await playSession(handler), codesOf(row, 451), way)
      t.equal(errors.length, calls, `${way}: reported once a call`)
      t.match(errors[0]?.message, /secret/)
      t.notMatch(output, /secret|Error|file/)
    }
  })

  t.test(`${hook}: a refusal with a program error as its cause is sent, and reported`, async t => {
    const refusal = new SmtpError(NOT_NOW, { cause: SECRET })
    for (const [way, fail] of Object.entries({
      throws() {
        throw refusal
      },
      rejects: () => Promise.reject(refusal),
    })) {
      const { handler, errors } = watched({ ...AUTH, onMessage, onAuth: accepted, policies: [{ [hook]: fail }] })
      t.same(await playSession(handler), codesOf(row, 450), way)
      t.equal(errors.length, calls, `${way}: reported once a call`)
      t.equal(errors[0], refusal)
    }
  })

  t.test(`${hook}: a hook that never settles times out`, async t => {
    const clock = new FakeClock()
    const { handler, errors } = watched({
      ...AUTH,
      clock,
      onMessage,
      onAuth: accepted,
      policies: [{ [hook]: () => new Promise(() => {}) }],
    })
    const c = converse(handler)
    await sendUpTo(c, row)
    await clock.tick(239_999)
    t.equal(c.unread, 0, 'no reply before the timeout')
    await clock.tick(1)
    await c.expect(/^451 4\.3\.0 /)
    t.match(errors, [{ code: 'ERR_TIMEOUT' }])
    await quit(c)
    t.equal(clock.timers, 0, 'no timer is left')
  })

  t.test(`${hook}: an answer after the client has gone is ignored`, async t => {
    const clock = new FakeClock()
    const log: string[] = []
    let answer: (() => void) | null = null
    let signal: AbortSignal | null = null
    const hang = (...of: [...unknown[], Session]) =>
      new Promise<void>(resolve => {
        answer = resolve
        signal = (of.at(-1) as Session).signal
      })
    const { handler, errors } = watched({
      ...AUTH,
      clock,
      onMessage,
      policies: [{ [hook]: hang }, noting(log, 'b')],
    })
    const c = converse(handler)
    await sendUpTo(c, row)
    await settle()
    t.equal((signal as AbortSignal | null)?.aborted, false)
    c.reset()
    await c.closed()
    t.equal((signal as AbortSignal | null)?.aborted, true)
    // A check of credentials keeps its turn while it works: a client that leaves does not make room for more of them.
    t.equal(clock.timers, hook === 'onAuth' ? 1 : 0, 'no timer of the session is left')
    const before = log.length
    ;(answer as (() => void) | null)?.()
    await settle()
    t.equal(clock.timers, 0, 'no timer is left')
    t.equal(log.length, before, 'no further hook is asked')
    t.equal(log.at(-1), 'b.onClose')
    t.same(errors, [])
  })

  t.test(`${hook}: the words of the last positive answer are sent`, async t => {
    const say = (words: string) => () => reply(row.positive, words)
    const sayLate = (words: string) => async () => reply(row.positive, words)
    const nothing = (): undefined => undefined
    const table: [string, (() => HookAnswer)[], (() => HookAnswer) | undefined, string][] = [
      ['the last policy', [say('a'), say('b')], undefined, 'b'],
      ['the handler', [say('a'), sayLate('b')], say('own'), 'own'],
      ['no answer does not count', [sayLate('a'), nothing], nothing, 'a'],
      ['nor does a late one', [say('a'), async () => undefined], async () => undefined, 'a'],
    ]
    for (const [name, policies, own, words] of table) {
      const handler = new SmtpHandler({
        ...AUTH,
        onMessage,
        policies: [...(hook === 'onAuth' ? [] : [{ onAuth: accepted }]), ...policies.map(each => ({ [hook]: each }))],
        ...(own === undefined ? {} : { [hook]: own }),
      })
      const c = converse(handler)
      await sendUpTo(c, row, hook === 'onHelo' ? 'HELO client.example' : row.line)
      await c.expect(`${row.positive} ${words}`)
      if (hook !== 'onData') await quit(c)
      t.pass(name)
    }
  })

  // onAuth takes any positive reply, onData a 354.
  if (hook === 'onAuth' || hook === 'onData') continue
  t.test(`${hook}: an invalid answer is an error, null is no opinion`, async t => {
    const table: [string, unknown][] = [
      ['true', true],
      ['a string', '250 OK'],
      ['a number', 250],
      ['an object', { code: 250, positive: true }],
      ['a 354 reply', reply(354, 'Go on')],
    ]
    for (const [name, value] of table) {
      for (const answer of [() => value, async () => value]) {
        const { handler, errors } = watched({ ...AUTH, onMessage, onAuth: accepted, [hook]: answer as () => Reply })
        t.same(await playSession(handler), codesOf(row, 451), name)
        t.match(
          errors,
          Array.from({ length: calls }, () => ({ code: 'ERR_REPLY' })),
        )
      }
    }
    const none = () => null as unknown as undefined
    t.same(await playSession(new SmtpHandler({ ...AUTH, onMessage, onAuth: accepted, [hook]: none })), ACCEPTED_CODES)
  })
}

t.test('a hook that is not a function fails like one that throws', async t => {
  const broken = (hook: HookName) => {
    const { handler, errors } = watched({ onMessage })
    Object.assign(handler, { [hook]: null })
    return { handler, errors, c: converse(handler) }
  }
  const connected = broken('onConnect')
  await connected.c.expect(451)
  await connected.c.command('EHLO client.example', 503)
  await quit(connected.c)

  const greeted = broken('onHelo')
  await greeted.c.expect(220)
  await greeted.c.command('EHLO client.example', 451)
  t.equal(greeted.handler.session.helo, null)
  await quit(greeted.c)

  const data = broken('onData')
  await data.c.expect(220)
  await data.c.command('EHLO client.example', 250)
  await address(data.c)
  await data.c.send('BDAT 6 LAST\r\nNOOP')
  await data.c.expect(451)
  await quit(data.c)
  for (const { errors } of [connected, greeted, data]) t.match(errors[0], TypeError)
})

// ── What is special about one hook ──

t.test('EHLO lists the extensions, whatever onHelo answers', async t => {
  const c = converse(new SmtpHandler({ name: 'mx.example.org', onHelo: () => reply(250, 'hello') }))
  await c.expect(220)
  t.match((await c.command('EHLO client.example', 250)).text, /^250-mx\.example\.org\n250-PIPELINING/)
  await quit(c)
})

t.test('a client is not let in after onConnect failed', async () => {
  const { handler } = watched({ onMessage, onConnect: () => Promise.reject(new Error('no list')) })
  const c = converse(handler)
  await c.expect(451)
  await c.command('EHLO client.example', 503)
  await c.command('MAIL FROM:<>', 503)
  await quit(c)
})

t.test('a second HELO that fails or is refused leaves the client without a greeting', async () => {
  for (const fail of [() => Promise.reject(new Error('no list')), () => NEVER]) {
    let calls = 0
    const { handler } = watched({ onMessage, onHelo: () => (++calls === 1 ? undefined : fail()) })
    const c = await begin(handler)
    await c.command('EHLO liar.example', /^(451|550)/)
    await c.command('MAIL FROM:<>', 503)
    await quit(c)
  }
})

t.test('an SmtpError needs a refusing reply', t => {
  for (const code of [220, 250, 354])
    t.throws(() => new SmtpError(reply(code, 'x')), { name: 'MailHandlerError', code: 'ERR_REPLY' })
  t.end()
})

t.test('an answer after the timeout changes nothing', async t => {
  const clock = new FakeClock()
  const late: ((answer?: Reply) => void)[] = []
  const hang = () => new Promise<Reply | void>(resolve => late.push(resolve as () => void))
  let further = 0
  const { handler } = watched({
    clock,
    onMessage,
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
  t.equal(further, 2, 'no further hook is asked about the recipient that timed out')
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

t.test('an error in one session does not touch another', async () => {
  const options: SmtpHandlerOptions = {
    ...quiet,
    onMessage,
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

t.test('an error in handleError becomes a process warning', async t => {
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
