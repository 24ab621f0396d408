import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { maildir } from '../lib/deliveries/maildir.ts'
import { createServer, type HandlerFactory, type MailServer } from '../lib/server/index.ts'
import { tlsContexts } from '../lib/tls/tls-contexts.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { plain } from '../lib/smtp/auth/password.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { reply } from '../lib/words/reply.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { makePem } from './fixtures/pem.ts'
import { client, CLOSED, listening, portOf, TcpClient, tlsClient } from './fixtures/tcp-client.ts'

const GOODBYE = '421 4.3.2 Shutting down, please try again later'
const UNLIMITED = { maxConnections: Infinity, perClient: { connections: Infinity, perMinute: Infinity } }

async function serve(t: Test, options: SmtpHandlerOptions | HandlerFactory, serverOptions: object = {}) {
  const factory = typeof options === 'function' ? options : () => new SmtpHandler(options)
  const server = await listening(createServer({ ...UNLIMITED, ...serverOptions }, factory))
  t.teardown(() => server.close({ within: 1 }).catch(() => {}))
  return server
}

async function begin(one: TcpClient, ...lines: string[]): Promise<TcpClient> {
  await one.reply()
  for (const line of lines) await one.say(line)
  return one
}

const onMessage = async (message: AsyncIterable<unknown>) => {
  for await (const _ of message);
}

t.test('who is between two transactions is told at once', async t => {
  const server = await serve(t, { onMessage, auth: { mechanisms: [plain()], insecure: true } })
  const idle = await Promise.all([
    begin(client(server)),
    begin(client(server), 'EHLO c.test'),
    begin(client(server), 'EHLO c.test', 'MAIL FROM:<a@c.test>', 'RSET'),
    begin(client(server), 'EHLO c.test', 'AUTH PLAIN'),
  ])
  const port = portOf(server)
  const started = Date.now()
  const closed = server.close({ within: 60_000 })
  for (const one of idle) t.strictSame(await one.rest(), [GOODBYE])
  for (const one of idle) one.socket.destroy()
  await closed
  t.ok(Date.now() - started < 30_000)
  t.match(server.stats(), { connections: 0, sessions: 0 })
  t.equal(await new TcpClient(connect(port, '127.0.0.1')).reply(), CLOSED, 'nobody listens')
})

t.test('a command at hand is answered first', async t => {
  const answers: (() => void)[] = []
  const onHelo = (): Promise<void> => new Promise(resolve => answers.push(resolve))
  const server = await serve(t, { onMessage, onHelo, unlawfulPipelining: 'allow' })
  const one = await begin(client(server))
  one.write('EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n')
  while (answers.length === 0) await pause(1)
  const closed = server.close({ within: 60_000 })
  answers[0]!()
  const [greeted, ...rest] = await one.rest()
  await closed
  t.match(greeted, /^250-/)
  t.strictSame(rest, [GOODBYE], 'what came behind it is not')
})

t.test('a transaction under way may finish, and no other begins', async t => {
  let taken = 0
  const server = await serve(t, {
    async onMessage(message) {
      await onMessage(message)
      taken += 1
      return reply(250, '2.0.0', 'Taken')
    },
  })
  const mail = ['EHLO c.test', 'MAIL FROM:<a@c.test>']
  const table: [string, TcpClient, string[], string[]][] = [
    [
      'after MAIL',
      await begin(client(server), ...mail),
      ['RCPT TO:<b@d.test>', 'DATA', 'Hi\r\n.'],
      ['250', '354', '250'],
    ],
    ['in mail data', await begin(client(server), ...mail, 'RCPT TO:<b@d.test>', 'DATA'), ['Hi\r\n.'], ['250']],
    [
      'in BDAT',
      await begin(client(server), ...mail, 'RCPT TO:<b@d.test>', 'BDAT 4\r\nab\r\n'.trimEnd()),
      ['BDAT 4 LAST\r\ncd'],
      ['250'],
    ],
    ['given up', await begin(client(server), ...mail), ['RSET'], ['250']],
    ['given up by QUIT', await begin(client(server), ...mail), ['QUIT'], ['221']],
  ]
  const more = await begin(client(server), ...mail, 'RCPT TO:<b@d.test>', 'DATA')
  const closed = server.close({ within: 5000 })
  for (const [what, one, lines, codes] of table) {
    t.strictSame(await one.codes(...lines), codes, what)
    t.strictSame(await one.rest(), codes.at(-1) === '221' ? [] : [GOODBYE], what)
  }
  more.write('Hi\r\n.\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n')
  t.strictSame(await more.rest(), ['250 2.0.0 Taken', GOODBYE], 'what is pipelined behind it')
  for (const [, one] of table) one.socket.destroy()
  await closed
  t.equal(taken, 4)
})

t.test('what is not done in time is cut, without a 250', async t => {
  const endings: (string | undefined)[] = []
  const server = await serve(t, {
    async onMessage(message) {
      await onMessage(message).catch((error: NodeJS.ErrnoException) => {
        endings.push(error.code)
        throw error
      })
      endings.push('whole')
      await pause(60_000, null, { ref: false })
    },
  })
  const lines = ['EHLO c.test', 'MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>']
  const sender = await begin(client(server), ...lines)
  const half = await begin(client(server), ...lines, 'DATA')
  half.write('half a mess')
  const slow = await begin(client(server), ...lines, 'DATA')
  slow.write('whole\r\n.\r\n')
  const deaf = await begin(client(server, { allowHalfOpen: true }), ...lines)
  const started = Date.now()
  const closed = server.close({ within: 150 })
  for (const one of [sender, half, slow]) t.strictSame(await one.rest(), [GOODBYE])
  await closed
  t.ok(Date.now() - started < 30_000, 'nor does it wait for who does not close')
  t.strictSame(new Set(endings), new Set(['ERR_TRUNCATED', 'whole']))
  for (const one of [sender, half, slow, deaf]) one.socket.destroy()
})

t.test('a second close() is less patient', async t => {
  const server = await serve(t, { onMessage })
  const one = await begin(client(server), 'EHLO c.test', 'MAIL FROM:<a@c.test>')
  const first = server.close({ within: 60_000 })
  await pause(20)
  t.strictSame(await Promise.race([one.rest(), pause(20).then(() => 'nothing')]), 'nothing')
  const second = server.close({ within: 1 })
  one.socket.end()
  await Promise.all([first, second])
  t.equal(server.listening, false)
})

t.test('timeouts.shutdown: how long close() waits if it is not told', async t => {
  for (const close of [(server: MailServer) => server.close({}), (server: MailServer) => void server.close()]) {
    const server = await serve(t, { onMessage }, { timeouts: { shutdown: 30 } })
    const one = await begin(client(server), 'EHLO c.test', 'MAIL FROM:<a@c.test>')
    const closed = close(server)
    t.strictSame(await one.rest(), [GOODBYE])
    one.socket.destroy()
    await closed
  }
})

t.test('a plain MailHandler, another Duplex, TLS', async t => {
  const mail = await serve(
    t,
    () => new MailHandler({ handleData: () => reply(354, 'Go on'), handleBody: () => reply(250, 'OK') }),
  )
  const idle = await begin(client(mail))
  const data = await begin(client(mail), 'DATA')
  const closed = mail.close({ within: 5000 })
  t.strictSame(await idle.rest(), [GOODBYE])
  data.write('Hi\r\n.\r\n')
  t.strictSame(await data.rest(), ['250 OK', GOODBYE])
  for (const one of [idle, data]) one.socket.destroy()
  await closed

  const clock = new FakeClock()
  const echo = await serve(t, () => new PassThrough(), { clock })
  const other = client(echo)
  t.equal(await other.say('220 hello'), '220 hello')
  const cut = echo.close({ within: 50 })
  await clock.tick(50)
  await cut
  t.equal(await other.reply(), CLOSED)

  const tls = tlsContexts({ default: await makePem(`${t.testdir()}/a`, 'mx.test') })
  const secure = await serve(t, { onMessage }, { tls })
  const over = await begin(tlsClient(secure), 'EHLO c.test')
  const raw = client(secure)
  raw.write('')
  while (secure.stats().connections < 2) await pause(1)
  const gone = secure.close({ within: 5000 })
  t.strictSame(await over.rest(), [GOODBYE])
  t.equal(await raw.reply(), CLOSED, 'no handshake yet')
  over.socket.destroy()
  await gone
})

t.test('under load: what got 250 is in the Maildir, once', async t => {
  const folder = t.testdir()
  const server = await serve(t, { delivery: maildir(folder) })
  const acknowledged: string[] = []
  const odd: string[] = []
  let sent = 0
  async function load(number: number): Promise<void> {
    for (let i = 0; ; i++) {
      const one = client(server)
      for (let j = 0; j < 5; j++) {
        const id = `${number}.${i}.${j}`
        const replies = j === 0 ? [await one.reply(), await one.say('EHLO c.test')] : []
        for (const line of ['MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>', 'DATA']) {
          if (replies.at(-1)?.startsWith('421') || replies.at(-1) === CLOSED) break
          replies.push(await one.say(line))
        }
        if (replies.at(-1)?.startsWith('354')) {
          sent += 1
          one.write(`Message: ${id}\r\n\r\n${'x'.repeat(1000)}\r\n`)
          await pause(Math.random() * 5)
          const verdict = await one.say('.')
          if (verdict.startsWith('250')) acknowledged.push(id)
          replies.push(verdict)
        }
        const last = replies.at(-1)!
        if (last === CLOSED || last.startsWith('421')) {
          one.socket.destroy()
          return
        }
        if (!last.startsWith('250')) odd.push(last)
      }
      one.write('QUIT\r\n')
      await one.rest()
      one.socket.destroy()
      if (!server.listening) return
    }
  }
  const clients = Array.from({ length: 60 }, (_, number) => load(number))
  await pause(500)
  while (acknowledged.length <= 20) await pause(5)
  t.ok(server.sessions > 0)
  await server.close({ within: 300 })
  await Promise.all(clients)
  const stored = readdirSync(`${folder}/new`).map(file => {
    return /^Message: (\S+)/.exec(readFileSync(`${folder}/new/${file}`, 'latin1'))?.[1]
  })
  t.equal(new Set(stored).size, stored.length, 'none twice')
  t.strictSame(
    acknowledged.filter(id => !stored.includes(id)),
    [],
    'none lost',
  )
  t.comment(`${acknowledged.length} of ${sent} were taken`)
  t.strictSame(odd, [])
  // What was cut off is taken away in the background.
  while (readdirSync(`${folder}/tmp`).length > 0) await pause(20)
})
