// MailHandler: a method for each command, what it answers, in which order and in which writes the replies leave.

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { controls, MailHandler } from '../lib/stream/mail-handler.ts'
import { BASIC_METHODS as METHODS } from '../lib/protocol/commands/command-table.ts'
import type { Answer, Overridable, Waiting } from '../lib/stream/handlers.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { converse } from '../lib/testing/index.ts'
import { settle } from './fixtures/fake-clock.ts'
import { stoppedClock } from './fixtures/stopped-clock.ts'
import { codes, OK, talk, thrown } from './fixtures/talk.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

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
  t.strictSame(new Set(handler.errors.map(error => error.message)), new Set(['log', 'disconnect', 'result']))
  t.strictSame(handler.ends, ['disconnect', 'result'])
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
  /** Waits for a reply, then for what should not come. */
  const said = async (chunks: readonly string[], text: string) => {
    while (!chunks.join('').includes(text)) await turn()
    await settle()
  }
  await stoppedClock(t)
  for (const delay of [undefined, 0]) {
    const handler = new TakingHandler(delay === undefined ? {} : { handleNoop: async () => OK })
    const chunks = writes(handler)
    await said(chunks, '220 ')
    t.equal(chunks.splice(0).length, 1)
    handler.write('EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n')
    await said(chunks, '354 ')
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
    await said(chunks, '221 ')
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

t.test('an observer is told what the session waits for', async t => {
  const waits: Waiting[] = []
  const handler = new TakingHandler({ delay: 1 })
  controls.dialogue(handler).observer = {
    onWait(waiting) {
      if (waits.at(-1) !== waiting) waits.push(waiting)
    },
    onReply() {},
    onVerdict: verdict => verdict,
  }
  const c = converse(handler)
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
  t.equal(codes(await talk(short, line(20), line(21), line(60_000), line(9))), '220 250 500 500 250')
})

t.test('strings and Uint8Arrays may be written', async t => {
  const handler = new TakingHandler()
  const said = talk(handler, 'NOOP é\r\n')
  t.match(await said, '250 2.0.0 OK é')
  const other = new TakingHandler()
  other.write(new TextEncoder().encode('NOOP ü\r\n'))
  t.match(await talk(other), '250 2.0.0 OK ü')
})
