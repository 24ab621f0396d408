import t from 'tap'
import { once } from 'node:events'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import type { MailHandlerOptions } from '../lib/stream/mail-handler-options.ts'
import type { Answer, Overridable, Waiting } from '../lib/stream/handlers.ts'
import { METHODS } from '../lib/stream/handlers.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { converse } from '../lib/testing/index.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

const OK = reply(250, 'OK')
const code = (error: unknown) => (error as { code?: unknown }).code

/** All that a handler says to `wire`, sent at once or in several chunks. */
async function talk(handler: MailHandler, ...chunks: (string | Buffer)[]): Promise<string> {
  let said = ''
  handler.on('data', octets => (said += String(octets)))
  for (const chunk of chunks) handler.write(chunk)
  handler.end()
  await closed(handler)
  return said
}

// Unlike events.once() it listens for no error.
const closed = (handler: MailHandler) => new Promise<void>(resolve => handler.once('close', resolve))

const codes = (said: string) => said.replace(/(?<=^\d{3}).*\r\n/gm, ' ').trim()

t.test('a bare MailHandler: a greeting, and 502 for every verb it knows', async t => {
  const verbs = [...METHODS.keys()]
  const said = await talk(new MailHandler({ name: 'mx.example.org' }), verbs.map(verb => `${verb} x\r\n`).join(''))
  t.equal(said, `220 mx.example.org Service ready\r\n${'502 5.5.1 Command not implemented\r\n'.repeat(verbs.length)}`)
  const unknown = await talk(new MailHandler({ name: 'mx' }), 'XYZZY\r\n__proto__\r\ntoString\r\nhandleHelo\r\n\r\n')
  t.equal(unknown, `220 mx Service ready\r\n${'500 5.5.1 Command not recognized\r\n'.repeat(5)}`)
  t.match(await talk(new MailHandler(), 'NOOP\r\n'), /^220 \S+ Service ready\r\n502 /)
})

t.test('each verb has a method, by option and by subclass', async t => {
  for (const [verb, name] of METHODS) {
    const line = `${verb.toLowerCase()} Argument  of it`
    const calls: unknown[] = []
    const answer = function (this: MailHandler, command: { verb: string; argument: string; words: readonly string[] }) {
      calls.push(this, command.verb, command.argument, command.words)
      return reply(259, name)
    }
    const optional = new MailHandler({ name: 'mx', [name]: answer })
    t.equal(await talk(optional, `${line}\r\n`), `220 mx Service ready\r\n259 ${name}\r\n`, `${name} by option`)
    t.strictSame(calls.splice(0), [optional, verb, 'Argument  of it', [verb.toLowerCase(), 'Argument', 'of', 'it']])
    class Sub extends MailHandler {}
    Object.defineProperty(Sub.prototype, name, { value: answer })
    const sub = new Sub({ name: 'mx' })
    t.equal(await talk(sub, `${line}\r\n`), `220 mx Service ready\r\n259 ${name}\r\n`, `${name} by subclass`)
    t.equal(calls[0], sub)
  }
})

t.test('the turns of a session have methods too', async t => {
  const calls: string[] = []
  const says =
    <T>(name: Overridable, answer: T) =>
    () => {
      calls.push(name)
      return answer
    }
  const handler = new MailHandler({
    handleConnect: says('handleConnect', reply(220, 'hi')),
    handleUnknown: says('handleUnknown', reply(251, 'u')),
    handleProblem: says('handleProblem', reply(252, 'p')),
    handleData: says('handleData', reply(354, 'go')),
    handleBody: says('handleBody', reply(253, 'b')),
    handleNoop: () => {
      throw new Error('a fault')
    },
    handleError: says('handleError', undefined),
    handleDisconnect: says('handleDisconnect', undefined),
    logResult: says('logResult', undefined),
  })
  const said = await talk(handler, 'FOO\r\n\nDATA\r\nx\r\n.\r\nNOOP\r\n')
  t.equal(said, '220 hi\r\n251 u\r\n252 p\r\n354 go\r\n253 b\r\n451 4.3.0 Local error, please try again later\r\n')
  const order = 'handleConnect handleUnknown handleProblem handleData handleBody handleError handleDisconnect logResult'
  t.equal(calls.join(' '), order)
})

t.test('handleCommand sees every command first, and decides', async t => {
  const seen: string[] = []
  class Gate extends MailHandler {
    override handleCommand(command: Parameters<MailHandler['handleCommand']>[0]): Answer {
      seen.push(command.line)
      if (command.verb === 'HELO') return reply(550, 'not today')
      return super.handleCommand(command)
    }
  }
  t.equal(codes(await talk(new Gate({ handleNoop: () => OK }), 'HELO x\r\nNOOP\r\nfoo\r\n')), '220 550 250 500')
  t.strictSame(seen, ['HELO x', 'NOOP', 'foo'])
  const quiet = new MailHandler({ handleCommand: () => {} })
  t.equal(codes(await talk(quiet, 'HELO x\r\nfoo\r\n')), '220 502 500', 'nothing returned: the default of the verb')
})

t.test('what a method gives or throws becomes one reply', async t => {
  // oxlint-disable-next-line no-thenable -- one that is no promise is the point
  const thenable = (call: (resolve: (r: Reply) => void) => void) => ({ then: call }) as unknown as Promise<Reply>
  const cases: readonly [name: string, answer: () => unknown, expected: string, reports: number][] = [
    ['a reply', () => OK, '250', 0],
    ['nothing', () => {}, '502', 0],
    ['null', () => null, '502', 0],
    ['a promise of a reply', () => Promise.resolve(OK), '250', 0],
    ['a promise of a reply, later', () => pause(2, OK), '250', 0],
    ['a promise of nothing', () => Promise.resolve(), '502', 0],
    ['an SmtpError', () => Promise.reject(new SmtpError(reply(553, '5.1.3', 'no'))), '553', 0],
    ['a rejection', () => Promise.reject(new Error('secret')), '451', 1],
    // oxlint-disable-next-line prefer-promise-reject-errors -- people do
    ['a rejection with undefined', () => Promise.reject(), '451', 1],
    ['a rejection, later', () => turn().then(() => Promise.reject(new Error('secret'))), '451', 1],
    ['a string', () => '250 OK', '451', 1],
    ['true', () => true, '451', 1],
    ['an object', () => ({ code: 250 }), '451', 1],
    ['a promise of a string', () => Promise.resolve('250 OK'), '451', 1],
    ['a list', () => [OK], '451', 1],
    ['a thenable that calls back at once', () => thenable(resolve => resolve(OK)), '250', 0],
    [
      'a thenable that calls back twice',
      () =>
        thenable(resolve => {
          resolve(OK)
          resolve(reply(259, 'twice'))
        }),
      '250',
      0,
    ],
    [
      'an object with a then that throws',
      // oxlint-disable-next-line no-thenable -- users have such
      () => Object.defineProperty({}, 'then', { get: () => thrown(new Error('secret')) }),
      '451',
      1,
    ],
    ['a throw of an Error', () => thrown(new Error('secret')), '451', 1],
    ['a throw of an SmtpError', () => thrown(new SmtpError(reply(552, 'no'))), '552', 0],
    ['a throw of a string', () => thrown('secret'), '451', 1],
    ['a throw of null', () => thrown(null), '451', 1],
  ]
  for (const [name, answer, expected, reports] of cases) {
    const errors: Error[] = []
    const options = { handleError: (error: Error) => void errors.push(error), handleVrfy: () => OK }
    const noop = new MailHandler({ ...options, handleNoop: answer as () => Answer })
    const said = await talk(noop, 'NOOP\r\nVRFY\r\n')
    t.equal(codes(said), `220 ${expected} 250`, name)
    t.notMatch(said, 'secret')
    t.equal(errors.length, reports)
    t.ok(errors.every(error => error instanceof Error))
    const body = new MailHandler({
      ...options,
      handleData: () => reply(354, 'go'),
      handleBody: answer as () => Reply,
    })
    const verdict = name === 'a list' || expected === '502' ? '250' : expected
    t.equal(codes(await talk(body, 'DATA\r\nx\r\n.\r\nVRFY\r\n')), `220 354 ${verdict} 250`, `${name} as a verdict`)
    const greeting = new MailHandler({ ...options, handleConnect: answer as () => Answer })
    const first = expected === '502' ? '220' : expected
    t.equal(codes(await talk(greeting, 'VRFY\r\n')), `${first} 250`, `${name} as the greeting`)
  }
})

function thrown(error: unknown): never {
  throw error
}

t.test('a list of verdicts is a reply for each recipient; an empty one is a fault', async t => {
  const lmtp = (verdict: readonly Reply[], errors: Error[] = []) =>
    new MailHandler({
      handleData: () => reply(354, 'go'),
      handleBody: () => verdict,
      handleError: error => void errors.push(error),
    })
  t.equal(codes(await talk(lmtp([OK, reply(550, 'no'), OK]), 'DATA\r\n.\r\nNOOP\r\n')), '220 354 250 550 250 502')
  const errors: Error[] = []
  t.equal(codes(await talk(lmtp([], errors), 'DATA\r\n.\r\nNOOP\r\n')), '220 354 451 502')
  t.equal(codes(await talk(lmtp([OK, 'x' as never], errors), 'DATA\r\n.\r\nNOOP\r\n')), '220 354 451 502')
  t.equal(errors.length, 2)
})

t.test('replies keep the order of commands, whatever each takes', async t => {
  const handler = new MailHandler({
    handleNoop: ({ argument }) => (argument === '0' ? reply(250, '0') : pause(Number(argument), reply(250, argument))),
  })
  const said = await talk(handler, 'NOOP 8\r\nNOOP 0\r\nNOOP 3\r\nNOOP', ' 1\r\nNOOP 0\r\n')
  t.match(said, /^220 .*\r\n250 8\r\n250 0\r\n250 3\r\n250 1\r\n250 0\r\n$/)
})

t.test('handleError that throws, or is left out: a warning of the process', async t => {
  const warnings: string[] = []
  const listen = (warning: Error) => warnings.push(warning.message)
  process.on('warning', listen)
  const handleNoop = () => thrown(new Error('a fault'))
  t.equal(codes(await talk(new MailHandler({ handleNoop }), 'NOOP\r\n')), '220 451')
  const handleError = () => thrown(new Error('worse'))
  t.equal(codes(await talk(new MailHandler({ handleNoop, handleError }), 'NOOP\r\n')), '220 451')
  await turn()
  process.off('warning', listen)
  t.strictSame(warnings, ['a fault', 'worse'])
})

t.test('what a method that answers nothing throws is told, and stops nothing', async t => {
  class Faulty extends TakingHandler {
    override handleWait(): void {
      thrown(new Error('wait'))
    }
    override noteToDebugLog(): void {
      thrown(new Error('log'))
    }
    // oxlint-disable-next-line no-misused-promises -- a MailHandler's may be asynchronous
    override handleDisconnect(): Promise<void> {
      super.handleDisconnect()
      return Promise.reject(new Error('disconnect'))
    }
    override logResult(): void {
      super.logResult()
      thrown(new Error('result'))
    }
  }
  const handler = new Faulty({ debugLogFile: '/nowhere' })
  t.equal(codes(await talk(handler, 'NOOP\r\nQUIT\r\n')), '220 250 221')
  t.strictSame(new Set(handler.errors.map(error => error.message)), new Set(['wait', 'log', 'disconnect', 'result']))
  t.strictSame(handler.ends, ['disconnect', 'result'])
})

t.test('the session ends with 221, 421 and breakConnection', async t => {
  for (const ends of [221, 421]) {
    const handler = new MailHandler({ handleNoop: () => reply(ends, 'bye') })
    const c = converse(handler)
    await c.expect(220)
    c.write('NOOP\r\nNOOP\r\n')
    await c.expect(ends)
    await c.closed()
    t.ok(handler.breakConnection)
    t.equal(c.unread, 0)
  }
  const breaking: readonly [string, MailHandlerOptions, string][] = [
    ['in a method', { handleNoop: breakOff }, '220 250'],
    ['in a method that answers later', { handleNoop: async () => breakOff.call(handler) }, '220 250'],
    ['in a method with no answer', { handleNoop: () => void (handler.breakConnection = true) }, '220 502'],
    ['in the greeting', { handleConnect: breakOff }, '250'],
    ['with 354', { handleNoop: () => ((handler.breakConnection = true), reply(354, 'x')) }, '220 354'],
  ]
  let handler: MailHandler
  function breakOff(): Reply {
    handler.breakConnection = true
    return OK
  }
  for (const [name, options, expected] of breaking) {
    handler = new TakingHandler(options)
    t.equal(codes(await talk(handler, 'NOOP\r\nVRFY\r\n')), expected, name)
  }
  handler = new MailHandler()
  const c = converse(handler)
  await c.expect(220)
  handler.breakConnection = true
  await c.closed()
  t.equal(c.unread, 0, 'set between two commands: at once')
})

t.test('handleBody: breakConnection ends the session after the verdict', async t => {
  const handler = new MailHandler({
    handleData: () => reply(354, 'go'),
    handleBody() {
      this.breakConnection = true
    },
  })
  t.equal(codes(await talk(handler, 'DATA\r\nx\r\n.\r\nNOOP\r\n')), '220 354 250')
})

t.test('prompt', async t => {
  const ask = (text: string) => reply(334, text)
  t.test('two in a row, in one chunk and in many', async t => {
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
  t.test('a line that is none rejects with an SmtpError', async t => {
    const handler = () =>
      new MailHandler({
        handleUnknown() {
          return this.prompt(ask('?'), 8).then(line => reply(235, line))
        },
        handleNoop: () => OK,
      })
    t.equal(codes(await talk(handler(), 'AUTH\r\n1234567\r\nNOOP\r\n')), '220 334 500 250', 'too long')
    t.match(await talk(handler(), 'AUTH\r\n123456\r\nNOOP\r\n'), '235 123456\r\n250 OK')
    for (const line of ['a\n', '\n', 'a\rb\r\n', '\0\r\n', '\xff\r\n']) {
      t.equal(codes(await talk(handler(), Buffer.from(`AUTH\r\n${line}NOOP\r\n`, 'latin1'))), '220 334 500 250')
    }
  })
  t.test('the client leaves, the session ends', async t => {
    const endings: readonly [string, (h: MailHandler) => void, said: string][] = [
      ['half-close', h => h.end(), '220 334'],
      ['destroy', h => h.destroy(), '220 334'],
      ['hangUp', h => h.hangUp(reply(421, 'x')), '220 334 421'],
    ]
    for (const [name, end, expected] of endings) {
      let failure: unknown
      const handler = new TakingHandler({
        async handleUnknown() {
          failure = await this.prompt(ask('?')).catch((error: unknown) => code(error))
          return reply(235, 'never said')
        },
      })
      Object.defineProperty(handler, 'handleUnknown', { value: unknown })
      async function unknown(): Promise<Reply> {
        failure = await handler.prompt(ask('?')).catch((error: unknown) => code(error))
        return reply(235, 'never said')
      }
      let said = ''
      handler.on('data', octets => (said += String(octets)))
      handler.write('AUTH\r\nhalf a li')
      await pause(2)
      end(handler)
      if (!handler.writableEnded) handler.end()
      await closed(handler)
      t.equal(failure, 'ERR_SESSION_ENDED', name)
      t.equal(codes(said), expected)
      t.strictSame(handler.errors, [])
      t.strictSame(handler.ends, ['disconnect', 'result'])
      t.equal(await handler.prompt(ask('?')).catch(code), 'ERR_SESSION_ENDED')
    }
  })
  t.test('nobody waits for it, and the client leaves: nothing is thrown', async t => {
    const handler = new TakingHandler()
    Object.defineProperty(handler, 'handleUnknown', {
      value: () => {
        void handler.prompt(ask('?'))
        return new Promise(() => {})
      },
    })
    t.equal(codes(await talk(handler, 'AUTH\r\n')), '220 334')
  })
  t.test('misused: ERR_PROMPT', async t => {
    const failures: unknown[] = []
    const tell = (error: unknown) => void failures.push(code(error))
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
})

t.test('hangUp', async t => {
  const bye = reply(421, '4.3.2', 'bye')
  const states: readonly [string, wire: string, said: string][] = [
    ['before anything', '', '421'],
    ['between commands', 'NOOP\r\n', '220 250 421'],
    ['within a line', 'NOO', '220 421'],
    ['while an answer is pending', 'HELP\r\nNOOP\r\n', '220 421'],
    ['while a prompt waits', 'AUTH\r\n', '220 334 421'],
    ['within mail data', 'DATA\r\nhalf', '220 354 421'],
    ['while the verdict is pending', 'DATA\r\nslow\r\n.\r\nNOOP\r\n', '220 354 421'],
    ['after QUIT', 'QUIT\r\n', '220 221'],
  ]
  for (const [name, wire, expected] of states) {
    class Slow extends TakingHandler {
      override handleHelp(): Answer {
        return new Promise(resolve => setTimeout(resolve, 10, OK))
      }
      override async handleBody(body: Parameters<MailHandler['handleBody']>[0]): Promise<Reply> {
        const verdict = await super.handleBody(body)
        return pause(10, verdict)
      }
    }
    const handler = new Slow()
    let said = ''
    if (wire !== '') {
      handler.on('data', octets => (said += String(octets)))
      handler.write(wire)
      await pause(2)
    }
    handler.hangUp(bye)
    handler.hangUp(bye)
    if (wire === '') handler.on('data', octets => (said += String(octets)))
    if (!handler.readableEnded) await once(handler, 'end')
    handler.write('NOOP\r\n')
    handler.end()
    await closed(handler)
    await pause(12)
    t.equal(codes(said), expected, name)
    t.strictSame(handler.ends, ['disconnect', 'result'])
    t.strictSame(handler.errors, [])
    if (name === 'within mail data') t.strictSame(handler.failures, ['ERR_TRUNCATED'])
    handler.hangUp(bye)
  }
})

t.test('handleReply that hangs up has its reply behind the one at hand', async t => {
  const table = [
    [220, '220 421'],
    [250, '220 250 421'],
    [354, '220 250 354 421'],
    [334, '220 250 354 250 334 421'],
  ] as const
  for (const [at, expected] of table) {
    class Leaving extends TakingHandler {
      override handleReply({ code }: Reply): void {
        if (code === at) this.hangUp(reply(421, 'bye'))
      }
    }
    const handler = new Leaving()
    t.equal(codes(await talk(handler, 'NOOP\r\nDATA\r\nx\r\n.\r\nAUTH\r\nNOOP\r\n')), expected)
    t.strictSame(handler.ends, ['disconnect', 'result'])
    t.equal(handler.messages.length + handler.failures.length, at === 334 ? 1 : 0)
  }
})

t.test('a method that hangs up or destroys itself has the last word', async t => {
  const bye = reply(421, 'bye')
  const methods = ['handleConnect', 'handleNoop', 'handleProblem', 'handleBody', 'handleWait'] as const
  for (const method of methods) {
    for (const late of [false, true]) {
      for (const end of ['hangUp', 'destroy'] as const) {
        const handler = new TakingHandler()
        Object.defineProperty(handler, method, {
          value: () => {
            if (end === 'hangUp') handler.hangUp(bye)
            else handler.destroy()
            return method === 'handleWait' ? undefined : late ? turn(OK) : OK
          },
        })
        const said = await talk(handler, 'NOOP\r\n\nDATA\r\nx\r\n.\r\nVRFY\r\n')
        await turn()
        await turn()
        t.equal(/421 bye\r\n$/.exec(said) !== null, end === 'hangUp', `${method} ${end} ${late ? 'late' : 'at once'}`)
        t.strictSame(handler.errors, [])
        t.strictSame(handler.ends, ['disconnect', 'result'])
      }
    }
  }
})

t.test('handleDisconnect and logResult: once, in this order, however it ends', async t => {
  const endings: readonly [string, (h: TakingHandler) => void][] = [
    ['QUIT', h => void h.end('QUIT\r\n')],
    ['QUIT, and more', h => void h.end('QUIT\r\nNOOP\r\n')],
    ['half-close', h => void h.end('NOOP\r\n')],
    ['half-close within mail data', h => void h.end('DATA\r\nx')],
    ['end without write', h => void h.end()],
    ['destroy', h => void h.destroy()],
    ['destroy after write', h => void (h.write('NOOP\r\n'), h.destroy())],
    ['destroy twice', h => void (h.destroy(), h.destroy(new Error('x')))],
    ['destroy with an error', h => void h.destroy(new Error('x'))],
    ['destroy while an answer is pending', h => void (h.write('NOOP\r\nNOOP\r\n'), setImmediate(() => h.destroy()))],
    ['421', h => (h.hangUp(reply(421, 'x')), h.end())],
  ]
  for (const delay of [undefined, 2]) {
    for (const [name, end] of endings) {
      const handler = new TakingHandler(delay === undefined ? {} : { delay })
      handler.resume()
      end(handler)
      await closed(handler)
      await pause(delay ?? 0)
      t.strictSame(handler.ends, ['disconnect', 'result'], name)
    }
  }
  const aborted = new AbortController()
  const handler = new TakingHandler({ signal: aborted.signal })
  handler.resume()
  aborted.abort()
  await closed(handler)
  t.strictSame(handler.ends, ['disconnect', 'result'], 'signal')
})

t.test('close waits for handleDisconnect', async t => {
  const order: string[] = []
  const handler = new MailHandler({
    handleDisconnect: () => pause(5).then(() => void order.push('disconnect')),
    logResult: () => void order.push('result'),
  })
  handler.on('close', () => order.push('close'))
  await talk(handler, 'NOOP\r\n')
  t.strictSame(order, ['disconnect', 'result', 'close'])
})

t.test('destroy(error): an error event for who listens, a report for who does not', async t => {
  const deaf = new TakingHandler()
  deaf.destroy(new Error('x'))
  await closed(deaf)
  t.equal(deaf.errors[0]?.message, 'x')
  const listening = new TakingHandler()
  const errors: Error[] = []
  listening.on('error', error => errors.push(error))
  listening.destroy(new Error('y'))
  await closed(listening)
  t.equal(errors[0]?.message, 'y')
  t.strictSame(listening.errors, [])
})

t.test('inputWaiting: more came behind the command at hand', async t => {
  const seen: boolean[] = []
  const make = () =>
    new MailHandler({
      handleNoop() {
        seen.push(this.inputWaiting)
        return OK
      },
      async handleVrfy() {
        await turn()
        seen.push(this.inputWaiting)
        return OK
      },
    })
  await talk(make(), 'NOOP\r\nNOOP\r\nNOOP\r\nN')
  t.strictSame(seen.splice(0), [true, true, true])
  const c = converse(make())
  await c.expect(220)
  await c.command('NOOP', 250)
  await c.command('VRFY', 250)
  t.strictSame(seen.splice(0), [false, false])
  c.write('VRFY\r\n')
  c.write('NOOP\r\n')
  await c.expect(250)
  await c.expect(250)
  t.strictSame(seen.splice(0), [true, false], 'in the next chunk')
})

t.test('replies to commands of one chunk leave in one write', async t => {
  const writes = (handler: MailHandler) => {
    const chunks: string[] = []
    handler.on('data', octets => chunks.push(String(octets)))
    return chunks
  }
  for (const delay of [undefined, 0]) {
    const handler = new TakingHandler(delay === undefined ? {} : { handleNoop: async () => OK })
    const chunks = writes(handler)
    await pause(20)
    t.equal(chunks.splice(0).length, 1)
    handler.write('EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n')
    await pause(20)
    t.equal(chunks.length, 1)
    t.equal(
      codes(
        chunks
          .splice(0)
          .join('')
          .replace(/^250-.*\r\n/gm, ''),
      ),
      '250 250 250 354',
    )
    handler.write('x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nQUIT\r\n')
    await pause(20)
    t.equal(codes(chunks.join('')), '250 250 250 221')
    t.ok(chunks.length <= 2)
  }
})

t.test('a slow method does not hold back the replies before it', async t => {
  let answer: (reply: Reply) => void = () => {}
  const handler = new TakingHandler()
  Object.defineProperty(handler, 'handleHelp', { value: () => new Promise(resolve => (answer = resolve)) })
  const c = converse(handler)
  await c.expect(220)
  c.write('NOOP one\r\nNOOP two\r\nHELP\r\nNOOP three\r\n')
  await c.expect('250 2.0.0 OK one')
  await c.expect('250 2.0.0 OK two')
  await pause(5)
  t.equal(c.unread, 0)
  answer(reply(214, 'x'))
  await c.expect(214)
  await c.expect('250 2.0.0 OK three')
})

t.test('handleWait tells what the session waits for', async t => {
  const waits: Waiting[] = []
  class Waits extends TakingHandler {
    override handleWait(waiting: Waiting): void {
      if (waits.at(-1) !== waiting) waits.push(waiting)
    }
  }
  const c = converse(new Waits({ delay: 1 }))
  await c.expect(220)
  c.write('NO')
  c.write('OP\r\n')
  await c.expect(250)
  await c.command('AUTH', 334)
  await c.command('a', 334)
  await c.command('b', 235)
  await c.command('DATA', 354)
  await c.data('x')
  await c.expect(250)
  await c.command('QUIT', 221)
  await c.closed()
  const expected = 'answer command line answer command line answer line answer command answer'
  t.match(waits.join(' '), new RegExp(`^${expected} (consumer )?data answer command answer end$`))
})

t.test('the limit of a command line: 2,048 octets, or the option', async t => {
  const line = (octets: number) => `NOOP ${'x'.repeat(octets - 7)}\r\n`
  const handleNoop = () => OK
  t.equal(codes(await talk(new MailHandler({ handleNoop }), line(2048), line(2049), line(9))), '220 250 500 250')
  const short = new MailHandler({ handleNoop, limits: { commandLine: 20 } })
  t.equal(codes(await talk(short, line(20), line(21), line(100_000), line(9))), '220 250 500 500 250')
})

t.test('strings and Uint8Arrays may be written', async t => {
  const handler = new TakingHandler()
  const said = talk(handler, 'NOOP é\r\n')
  t.match(await said, '250 2.0.0 OK é')
  const other = new TakingHandler()
  other.write(new TextEncoder().encode('NOOP ü\r\n'))
  t.match(await talk(other), '250 2.0.0 OK ü')
})
