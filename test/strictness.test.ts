// What `strictness` sets: line ends in mail data, the notice of a refused command that a laxer mode accepts, and replies
// that say what to do.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { logEvents } from '../lib/cli/log/event-log.ts'
import {
  SmtpHandler,
  type NoticeEvent,
  type SessionOptions,
  type SmtpHandlerOptions,
  type Strictness,
} from '../lib/index.ts'
import { converse, type Conversation } from '../lib/testing/index.ts'
import { createLogger } from '../lib/cli/log/json-logger.ts'
import { telling } from './fixtures/telling.ts'

async function session(options: SmtpHandlerOptions = {}): Promise<Conversation> {
  const c = converse(new SmtpHandler(telling(options)))
  await c.expect(220)
  return c
}

/** What is published on the channel while `work` runs. */
async function noticesOf(work: () => Promise<void>): Promise<string[]> {
  const notices: string[] = []
  const onNotice = (event: unknown): void => {
    const { verb, argument, acceptedBy } = event as NoticeEvent
    notices.push(`${verb} ${argument} ${acceptedBy}`)
  }
  subscribe('mailhandler:notice', onNotice)
  await work().finally(() => unsubscribe('mailhandler:notice', onNotice))
  return notices
}

async function say(options: SmtpHandlerOptions, lines: readonly string[]): Promise<string[]> {
  return noticesOf(async () => {
    const c = await session(options)
    for (const line of lines) {
      c.write(Buffer.from(`${line}\r\n`, 'latin1'))
      await c.expect()
    }
  })
}

// [RFC 6376 §5.3]: a signer has CRLF in what it signs.
t.test('a bare LF that programs send', async t => {
  const wire = 'Subject: x\n\n..a\nb\n.\r\n'
  const rows: [SessionOptions, string | null, number][] = [
    [{}, 'Subject: x\r\n\r\n.a\r\nb\r\n.\r\n', 250],
    [{ strictness: 'interoperable' }, 'Subject: x\r\n\r\n.a\r\nb\r\n.\r\n', 250],
    [{ strictness: 'lenient' }, 'Subject: x\r\n\r\n.a\r\nb\r\n.\r\n', 250],
    [{ strictness: 'strict' }, null, 550],
    [{ strictness: 'lenient', bareNewline: 'reject' }, null, 550],
    [{ strictness: 'strict', bareNewline: 'normalize' }, 'Subject: x\r\n\r\n.a\r\nb\r\n.\r\n', 250],
  ]
  for (const [options, expected, code] of rows) {
    let read: string | null = null
    const handler = new SmtpHandler({
      ...options,
      async onMessage(message) {
        let text = ''
        for await (const chunk of message) text += String(chunk)
        read = text
      },
    })
    const c = converse(handler)
    await c.expect(220)
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    c.write(`${wire}.\r\n`)
    t.equal((await c.expect()).code, code, JSON.stringify(options))
    t.equal(read, expected, JSON.stringify(options))
  }
})

t.test('a bare LF in a command: the same mode as in mail data', async t => {
  const rows: [SessionOptions, number[]][] = [
    [{}, [250, 250, 250]],
    [{ strictness: 'interoperable' }, [250, 250, 250]],
    [{ strictness: 'lenient' }, [250, 250, 250]],
    [{ strictness: 'strict' }, [500]],
    [{ strictness: 'lenient', bareNewline: 'reject' }, [500]],
    [{ strictness: 'strict', bareNewline: 'normalize' }, [250, 250, 250]],
    [{ bareNewline: 'allow' }, [250, 250, 250]],
  ]
  for (const [options, codes] of rows) {
    const c = await session(telling(options))
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>']) await c.command(line, 250)
    c.write('RCPT TO:<b@c>\nRCPT TO:<d@c>\nRSET\r\n')
    for (const code of codes) t.equal((await c.expect()).code, code, JSON.stringify(options))
    if (codes[0] === 500) await c.closed()
    else await c.command('NOOP', 250)
  }
})

t.test('a laxer mode that accepts what was refused is told once a session', async t => {
  const long = `${'l'.repeat(71)}@b`
  const rows: [Strictness, readonly string[], readonly string[]][] = [
    ['strict', ['EHLO c', 'MAIL FROM: <a@b>', 'MAIL FROM:a@b'], ['MAIL FROM: <a@b> interoperable']],
    ['strict', ['EHLO c', `MAIL FROM:<${long}>`], [`MAIL FROM:<${long}> interoperable`]],
    ['strict', ['EHLO c', 'MAIL FROM:a@b'], ['MAIL FROM:a@b lenient']],
    ['interoperable', ['EHLO c', 'MAIL FROM:<a..b@c>', 'MAIL FROM:<a@b_c>'], ['MAIL FROM:<a..b@c> lenient']],
    ['interoperable', ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<abuse>'], ['RCPT TO:<abuse> lenient']],
    ['interoperable', ['HELO'], ['HELO  lenient']],
    ['interoperable', ['EHLO M\xfcller'], ['EHLO Müller lenient']],
    ['interoperable', ['EHLO \x93J\xfcrgen\x92s\x94 PC'], ['EHLO “Jürgen’s” PC lenient']],
    ['interoperable', ['EHLO a b'], ['EHLO a b lenient']],
    ['strict', ['HELO c', 'MAIL FROM:<a@b> SIZE=1'], ['MAIL FROM:<a@b> SIZE=1 lenient']],
    ['interoperable', ['HELO c', 'MAIL FROM:<a@b> BODY=8BITMIME'], ['MAIL FROM:<a@b> BODY=8BITMIME lenient']],
    ['interoperable', ['HELO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d> NOTIFY=NEVER'], []],
    ['interoperable', ['HELO c', 'MAIL FROM:<a@b>', 'RCPT TO:<root>'], ['RCPT TO:<root> lenient']],
    ['interoperable', ['EHLO c', 'MAIL FROM:<a b@c>', 'MAIL', 'MAIL FROM:<a@b> X=1', 'HELO a\x01b'], []],
    ['lenient', ['EHLO c', 'MAIL FROM:<a b@c>', 'MAIL FROM:<a..b@c>', 'RCPT TO:<root>'], []],
  ]
  for (const [strictness, lines, notices] of rows) {
    t.strictSame(await say({ strictness }, lines), notices, `${strictness} ${lines.join(', ')}`)
  }
  t.strictSame(await say({ auth: { insecure: true } }, ['EHLO c', 'MAIL FROM:<a@b> AUTH=alice']), [
    'MAIL FROM:<a@b> AUTH=alice lenient',
  ])
})

t.test('the parser of a parameter of the program is called once, also if the command is refused', async t => {
  let calls = 0
  const parameters = { mail: { 'X-FOO': () => void calls++ } }
  const lines = ['EHLO c', 'MAIL FROM:<a@b> X-FOO AUTH=alice']
  const notices = await say({ parameters, auth: { insecure: true } }, lines)
  t.strictSame(notices, ['MAIL FROM:<a@b> X-FOO AUTH=alice lenient'])
  t.equal(calls, 1)
})

t.test('the log says so in one line', async t => {
  const out: string[] = []
  const log = createLogger({ level: 'info', write: line => void out.push(line) })
  const stop = logEvents(() => ({ log, kamaelia: null }))
  t.teardown(stop)
  const c = await session({ client: { address: '192.0.2.1', port: 1025 } })
  await c.command('EHLO c', 250)
  for (let i = 0; i < 3; i++) await c.command('MAIL FROM:<a..b@c>', 501)
  const lines = out.filter(line => line.includes('strictness'))
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0]!), {
    msg: 'refused; this strictness accepts it',
    client: '192.0.2.1',
    command: 'MAIL FROM:<a..b@c>',
    strictness: 'lenient',
  })
})

t.test('a name in Latin-1, and none', async t => {
  const names: (string | null)[] = []
  const options: SmtpHandlerOptions = { strictness: 'lenient', onHelo: ({ helo }) => void names.push(helo) }
  await say(options, ['EHLO M\xfcller', 'HELO', 'HELO ', 'EHLO c'])
  t.strictSame(names, ['Müller', '', '', 'c'])
})
