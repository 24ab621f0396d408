// The session, command by command: each transcript whole, cut in two at every place, octet by octet. What depends on
// commands that come in one packet, or on hooks, has tests of its own below.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import {
  reply,
  SmtpError,
  SmtpHandler,
  type Clock,
  type MailHandlerError,
  type Policy,
  type SessionOptions,
  type SmtpHandlerOptions,
  type TakingHook,
} from '../lib/index.ts'
import { converse, playEverySplit, playTranscript, type Conversation } from '../lib/testing/index.ts'
import { readText, ROOT } from './fixtures/repository.ts'
import { telling } from './fixtures/telling.ts'

type OwnOptions = SessionOptions & TakingHook

const FOLDER = 'test/fixtures/transcripts/session'
const WITH = /^# with (.*)$/m

for (const file of readdirSync(join(ROOT, FOLDER)).toSorted()) {
  t.test(file, async t => {
    const transcript = readText(`${FOLDER}/${file}`)
    const options = JSON.parse(WITH.exec(transcript)?.[1] ?? '{}') as SessionOptions
    const { runs } = await playEverySplit(transcript, () => new SmtpHandler(telling(options)))
    t.ok(runs > 1, `${runs} runs`)
  })
}

/** A session after its greeting, and after `EHLO` where one is given. */
async function session(options: OwnOptions = {}, ehlo = 'EHLO c'): Promise<Conversation> {
  const c = converse(new SmtpHandler(telling(options)))
  await c.expect()
  if (ehlo !== '') await c.command(ehlo, 250)
  return c
}

async function recipientGiven(options: OwnOptions = {}): Promise<Conversation> {
  const c = await session(options)
  await c.command('MAIL FROM:<a@b>', 250)
  await c.command('RCPT TO:<c@d>', 250)
  return c
}

const unlawful: [behind: string, before: readonly string[], packet: string, replies: readonly string[]][] = [
  ['EHLO', [], 'EHLO c\r\nMAIL FROM:<a@b>\r\n', ['503 5.5.0 …']],
  ['HELO', [], 'HELO c\r\nMAIL FROM:<a@b>\r\n', ['503 5.5.0 …']],
  ['a DATA in order', ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>'], 'DATA\r\nNOOP\r\n.\r\n', ['503 5.5.0 …']],
  ['a DATA out of order', ['EHLO c'], 'DATA\r\nRSET\r\nNOOP\r\n', ['503 5.5.0 …']],
  [
    'a DATA whose recipients were all refused',
    ['EHLO c'],
    'MAIL FROM:<a@b>\r\nRCPT TO:<bad>\r\nDATA\r\nNOOP\r\n.\r\n',
    ['250', '501', '503 5.5.0 …'],
  ],
]

for (const [behind, before, packet, replies] of unlawful) {
  t.test(`unlawful pipelining: nothing behind ${behind} is run, and the session ends`, async () => {
    const c = await session({}, '')
    for (const line of before) await c.command(line, 250)
    c.write(packet)
    for (const expected of replies) await c.expect(expected)
    await c.closed()
    if (c.unread > 0) throw new Error('a reply too many')
  })
}

t.test('unlawful pipelining: AUTH too', async () => {
  const c = await session({ auth: { insecure: true } })
  c.write('AUTH PLAIN\r\nAHRpbQBzZWNyZXQ=\r\n')
  await c.expect('503 5.5.0 Wait for the reply: this cannot be pipelined')
  await c.closed()
})

t.test('unlawful pipelining: the secret behind an AUTH that is refused anyway is no command', async t => {
  for (const [options, ehlo] of [
    [{}, 'EHLO c'],
    [{ auth: {} }, 'EHLO c'],
    [{ auth: { insecure: true } }, ''],
  ] as const) {
    const c = await session(options, ehlo)
    c.write('AUTH PLAIN\r\nAHRpbQBzZWNyZXQ=\r\n')
    await c.expect('503 5.5.0 …')
    await c.closed()
    t.equal(c.unread, 0)
  }
})

t.test("unlawful pipelining: 'allow', and whoever has authenticated, may", async t => {
  const c = await session({ unlawfulPipelining: 'allow' }, '')
  c.write('EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n')
  for (const code of [250, 250, 250, 354, 250, 221]) await c.expect(code)
  await c.closed()
  const known = await session({ auth: { insecure: true } })
  await known.command('AUTH PLAIN AHRpbQBzZWNyZXQ=', 235)
  known.write('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n')
  for (const code of [250, 250, 354]) await known.expect(code)
  t.match((await known.expect(250)).text, 'ESMTPA')
})

t.test('unlawful pipelining: what comes while onData thinks is none either, whatever it says', async t => {
  for (const verdict of [undefined, reply(451, '4.7.1', 'Later')]) {
    let answer: () => void = t.fail
    const c = await recipientGiven({ onData: () => new Promise(resolve => (answer = () => resolve(verdict))) })
    await c.send('DATA')
    c.write('NOOP\r\n')
    answer()
    await c.expect('503 5.5.0 …')
    await c.closed()
    t.equal(c.unread, 0)
  }
})

t.test('early talkers are refused by option', async t => {
  const c = converse(new SmtpHandler(telling({ earlyTalkers: 'refuse' })))
  c.write('EHLO c\r\n')
  await c.expect('554 5.5.0 You spoke before the greeting')
  await c.closed()
  const allowed = converse(new SmtpHandler(telling()))
  allowed.write('EHLO c\r\n')
  await allowed.expect(220)
  await allowed.expect(250)
  t.equal(allowed.unread, 0)
})

t.test('after a greeting that refused, all but QUIT is 503', async () => {
  const ways: Policy['onConnect'][] = [
    () => reply(554, '5.7.1', 'Not you'),
    async () => reply(554, '5.7.1', 'Not you'),
    () => {
      throw new SmtpError(reply(554, '5.7.1', 'Not you'))
    },
    async () => {
      throw new SmtpError(reply(554, '5.7.1', 'Not you'))
    },
  ]
  const transcript = 'S: 554 5.7.1 Not you\n'.concat(
    ...['EHLO c', 'HELO c', 'NOOP', 'RSET', 'HELP', 'MAIL FROM:<a@b>', 'XYZ', 'BDAT 0 LAST'].map(
      line => `C: ${line}\nS: 503 5.5.1 Only QUIT is possible now\n`,
    ),
    'C: QUIT\nS: 221\nS: <closes>',
  )
  for (const onConnect of ways) {
    await playTranscript(transcript, () => new SmtpHandler({ ...telling(), onConnect: onConnect! }))
  }
})

t.test('an onConnect that fails lets nobody in', async () => {
  const c = converse(
    new SmtpHandler({
      ...telling(),
      onConnect() {
        throw new Error('the list is gone')
      },
    }),
  )
  await c.expect('451 4.3.0 Local error, please try again later')
  await c.command('EHLO c', 503)
})

t.test('a name that onHelo refuses, or fails at, is nobody’s', async t => {
  const names: unknown[] = []
  const c = await session({
    onHelo({ helo }) {
      names.push(helo)
      if (helo === 'bad') return reply(550, '5.7.1', 'Not that name')
      if (helo === 'worse') throw new Error('no')
      return undefined
    },
    onReset: ({ helo }) => void names.push(`reset ${helo}`),
  })
  for (const [line, code] of [
    ['EHLO bad', 550],
    ['MAIL FROM:<a@b>', 503],
    ['HELO good', 250],
    ['EHLO worse', 451],
    ['MAIL FROM:<a@b>', 503],
    ['EHLO good', 250],
    ['MAIL FROM:<a@b>', 250],
  ] as const) {
    await c.command(line, code)
  }
  t.strictSame(names, ['c', 'reset c', 'bad', 'good', 'reset good', 'worse', 'good'])
})

t.test('a hook that gives back what is no Reply: 451, and nothing of it on the wire', async t => {
  const errors: unknown[] = []
  const odd = ((answer: unknown) => () => answer) as (answer: unknown) => () => undefined
  const handleError = (error: Error): void => void errors.push((error as MailHandlerError).code)
  for (const answer of [true, 'OK', 250, {}, Promise.resolve('OK')]) {
    const hooks = { ...telling(), handleError, onMailFrom: odd(answer) }
    const c = converse(new SmtpHandler(hooks))
    await c.expect(220)
    await c.command('EHLO c', 250)
    await c.command('MAIL FROM:<a@b>', '451 4.3.0 Local error, please try again later')
    await c.command('NOOP', 250)
  }
  t.strictSame(errors, Array(5).fill('ERR_REPLY'))
  const c = converse(new SmtpHandler({ ...telling(), onMailFrom: odd(null) }))
  await c.expect(220)
  await c.command('EHLO c', 250)
  await c.command('MAIL FROM:<a@b>', 250)
})

t.test('onMessage gives one reply, or in LMTP one for each recipient: all else is 451', async t => {
  const yes = reply(250, '2.0.0', 'Yes')
  const rows: [lmtp: boolean, answer: unknown, codes: number[]][] = [
    [false, undefined, [250]],
    [false, [yes], [250]],
    [false, [yes, yes], [451]],
    [false, [], [451]],
    [false, 'text', [451]],
    [true, yes, [250, 250]],
    [true, undefined, [250, 250]],
    [true, [yes, reply(550, 'no')], [250, 550]],
    [true, [yes, yes, yes], [451, 451]],
    [true, [yes, 'yes'], [451, 451]],
  ]
  for (const [lmtp, answer, codes] of rows) {
    for (const way of ['DATA', 'BDAT']) {
      const onMessage = (() => answer) as () => undefined
      const c = converse(new SmtpHandler({ ...telling({ lmtp }), onMessage }))
      await c.expect(220)
      await c.command(lmtp ? 'LHLO c' : 'EHLO c', 250)
      await c.command('MAIL FROM:<a@b>', 250)
      await c.command('RCPT TO:<c@d>', 250)
      await c.command('RCPT TO:<e@d>', 250)
      if (way === 'DATA') await c.command('DATA', 354)
      c.write(way === 'DATA' ? 'x\r\n.\r\nNOOP\r\n' : 'BDAT 3 LAST\r\nx\r\nNOOP\r\n')
      for (const code of codes) await c.expect(code)
      await c.expect('250 2.0.0 OK')
      t.equal(c.unread, 0)
    }
  }
})

t.test('in LMTP a refused message is refused for each, and no filter that fails lets one through', async () => {
  const onMessage = (): readonly ReturnType<typeof reply>[] => [reply(550, 'no'), reply(250, 'yes')]
  const failing = (): PassThrough => {
    const filter = new PassThrough()
    filter.destroy(new Error('no'))
    return filter
  }
  const late = async (): Promise<readonly ReturnType<typeof reply>[]> => {
    await new Promise(resolve => setTimeout(resolve, 10))
    return onMessage()
  }
  const rows: [OwnOptions, string, readonly (number | string | RegExp)[]][] = [
    [{ onMessage, bareNewline: 'reject' }, 'a\nb\r\n', [550, '550 5.5.2 …']],
    [{ onMessage: late, filters: [failing] }, 'a\r\n', [/^(?:451|550) /, 451]],
  ]
  for (const [options, data, replies] of rows) {
    const c = converse(new SmtpHandler({ ...telling({ lmtp: true }), ...options }))
    await c.expect(220)
    for (const line of ['LHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'RCPT TO:<e@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    c.write(`${data}.\r\n`)
    for (const each of replies) await c.expect(each)
  }
})

t.test('a filter that closes before the end is a failure, not an end', async () => {
  const closing = (): PassThrough => {
    const filter = new PassThrough()
    filter.once('data', () => filter.destroy())
    return filter
  }
  const consumers: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    async message => {
      for await (const _ of message);
    },
    message =>
      new Promise(resolve =>
        message
          .on('error', () => {})
          .on('close', () => resolve())
          .resume(),
      ),
  ]
  for (const onMessage of consumers) {
    const c = converse(new SmtpHandler({ ...telling(), filters: [closing], onMessage }))
    await c.expect(220)
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    await c.data('x\r\n'.repeat(50_000))
    await c.expect('451 4.3.0 …')
    await c.command('NOOP', 250)
  }
})

t.test("oversize: 'close' ends the session at once, even where nobody reads any more", async t => {
  const consumers: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    () => {},
    message => void message.destroy(),
    message => void message.resume(),
    message => new Promise(() => message.resume()),
  ]
  for (const onMessage of consumers) {
    for (const lmtp of [false, true]) {
      const c = converse(new SmtpHandler({ ...telling({ lmtp, size: 10, oversize: 'close' }), onMessage }))
      await c.expect(220)
      for (const line of [lmtp ? 'LHLO c' : 'EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
      await c.command('DATA', 354)
      c.write('x'.repeat(12))
      await c.expect('552 5.3.4 Message too large')
      await c.closed()
      t.equal(c.unread, 0)
    }
  }
})

t.test('FUTURERELEASE says until when', async t => {
  const c = converse(new SmtpHandler(telling({ extensions: { FUTURERELEASE: true } })))
  await c.expect(220)
  const { lines } = await c.command('EHLO c', 250)
  const [, seconds, until] = /^FUTURERELEASE (\d+) (\S+Z)$/.exec(lines.at(-1)!) ?? []
  t.equal(seconds, '604800')
  const ahead = Date.parse(until!) - Date.now()
  t.ok(ahead > 604_000_000 && ahead <= 604_800_000)
})

t.test('REQUIRETLS is offered under TLS', async () => {
  const handler = new SmtpHandler(telling({ extensions: { REQUIRETLS: true } }))
  handler.emit('pipe', Object.assign(new PassThrough(), { encrypted: true }))
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO c', /^250[- ]REQUIRETLS$/m)
  await c.command('MAIL FROM:<a@b> REQUIRETLS=1', '501 5.5.4 Bad parameter: REQUIRETLS takes no value')
  await c.command('MAIL FROM:<a@b> REQUIRETLS', '250 2.1.0 {"requiretls":true}')
})

t.test('LIMITS says what it can: one to six digits', async t => {
  const rows: [SmtpHandlerOptions['limits'], string | undefined][] = [
    [{ recipients: Infinity }, undefined],
    [{ recipients: Infinity, transactions: 999_999 }, 'LIMITS MAILMAX=999999'],
    [{ recipients: 1_000_000 }, undefined],
    [{ recipients: 10.5 }, 'LIMITS RCPTMAX=10'],
  ]
  for (const [limits, line] of rows) {
    const c = await session({ limits: limits! }, '')
    const { lines } = await c.command('EHLO c', 250)
    t.equal(
      lines.find(each => each.startsWith('LIMITS')),
      line,
    )
  }
})

t.test('a refused greeting of XCLIENT leaves only QUIT', async () => {
  const hooks = telling({ xclient: ['10.0.0.0/8'] })
  const handler = new SmtpHandler({
    ...hooks,
    onConnect: ({ client }) => (client.address === '192.0.2.7' ? reply(554, '5.7.1', 'Not you') : undefined),
  })
  const c = converse(handler)
  await c.expect(220)
  await c.command('XCLIENT ADDR=192.0.2.7', '554 5.7.1 Not you')
  await c.command('EHLO c', 503)
})

t.test('what the proxy is trusted for, the client behind it is not', async t => {
  const seen: unknown[] = []
  const handler = new SmtpHandler({
    ...telling({ xclient: ['10.0.0.0/8'] }),
    onConnect(session) {
      if (session.client.address?.startsWith('10.') === true) session.trusted = 'the proxy'
    },
    onMailFrom: (_sender, { trusted }) => void seen.push(trusted),
  })
  const c = converse(handler)
  await c.expect(220)
  for (const first of ['RSET', 'XCLIENT ADDR=192.0.2.7', 'XCLIENT ADDR=10.0.0.9', 'XCLIENT ADDR=[UNAVAILABLE]']) {
    await c.command(first, /^2/)
    await c.command('EHLO c', 250)
    await c.command('MAIL FROM:<a@b>', 250)
    await c.command('RSET', 250)
  }
  t.strictSame(seen, ['the proxy', null, 'the proxy', null])
})

t.test('an onMessage that throws behind filters holds nobody up', async () => {
  const ways: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    () => {
      throw new Error('no')
    },
    async message => {
      message.raw()
      throw new Error('no')
    },
  ]
  for (const onMessage of ways) {
    const c = converse(new SmtpHandler({ ...telling({ filters: [() => new PassThrough()] }), onMessage }))
    await c.expect(220)
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    for (let i = 0; i < 30; i++) c.write(`${'x'.repeat(19_998)}\r\n`)
    c.write('.\r\nNOOP\r\n')
    await c.expect('451 4.3.0 …')
    await c.expect(250)
  }
})

/** A clock that stands still until it is told to go on. */
function handClock(): Clock & { pass(milliseconds: number): void } {
  let now = 0
  const timers = new Map<unknown, { at: number; callback: () => void }>()
  return {
    now: () => now,
    wallTime: () => now,
    after(milliseconds, callback) {
      const handle = {}
      timers.set(handle, { at: now + milliseconds, callback })
      return handle
    },
    clear: handle => void timers.delete(handle),
    pass(milliseconds) {
      now += milliseconds
      for (const [handle, { at, callback }] of timers) if (at <= now && timers.delete(handle)) callback()
    },
  }
}

t.test('the time to the first HELO begins with the greeting, and anew with XCLIENT', async t => {
  const clock = handClock()
  let greet: () => void = t.fail
  const timeouts = { greeting: 1000, idle: 5000 }
  const handler = new SmtpHandler({
    ...telling({ clock, timeouts, xclient: ['10.0.0.0/8'] }),
    onConnect: ({ client }) => (client.name === null ? new Promise(resolve => (greet = () => resolve())) : undefined),
  })
  const c = converse(handler)
  await new Promise(setImmediate)
  clock.pass(3000)
  greet()
  await c.expect(220)
  clock.pass(900)
  await c.command('EHLO proxy', 250)
  clock.pass(3000)
  await c.command('XCLIENT NAME=client.example', 220)
  clock.pass(900)
  await c.command('EHLO client', 250)
  await c.command('XCLIENT NAME=client.example', 220)
  clock.pass(1001)
  await c.expect('421 4.4.2 Timeout')
  await c.closed()
})

t.test('who reads half a message and stops is dropped when the time for the verdict is up', async () => {
  const consumers: NonNullable<SmtpHandlerOptions['onMessage']>[] = [
    message => void message.on('data', () => message.pause()),
    message => new Promise(() => message.on('data', () => message.pause())),
    message => new Promise(() => message.on('readable', () => message.read(1))),
    () => new Promise(() => {}),
  ]
  for (const onMessage of consumers) {
    for (const filters of [[], [() => new PassThrough()]]) {
      for (const way of ['DATA', 'BDAT']) {
        const clock = handClock()
        const hooks = { ...telling({ clock, filters, timeouts: { verdict: 1000, data: 1e6 } }), onMessage }
        const c = converse(new SmtpHandler(hooks))
        await c.expect(220)
        for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
        if (way === 'DATA') await c.command('DATA', 354)
        else await c.send('BDAT 600000 LAST')
        for (let i = 0; i < 30; i++) c.write(`${'x'.repeat(19_998)}\r\n`)
        if (way === 'DATA') c.write('.\r\n')
        for (let i = 0; i < 5; i++) {
          for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
          clock.pass(1001)
        }
        await c.expect('451 4.3.0 …')
        await c.command('NOOP', 250)
      }
    }
  }
})
