// record(): a conversation of a program as a transcript that playTranscript plays.

import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { SmtpHandler, plain, login, reply } from '../lib/index.ts'
import { catchMail, converse, misbehave, playTranscript } from '../lib/testing/index.ts'
import { withoutSecrets } from '../lib/testing/catch/secrets.ts'
import { TranscriptLog } from '../lib/testing/transcript-log.ts'
import { selfSigned } from './fixtures/self-signed.ts'

const MAIL = { from: 'bob@example.org', to: 'anna@example.org', subject: 'Hi', text: 'Hello\n.dot\n\u0000\u00ff' }

/** Plays to a handler of one's own; resolves with the messages that it got. */
async function play(transcript: string, options: object = {}): Promise<string[]> {
  const mails: string[] = []
  const makeHandler = () =>
    new SmtpHandler({
      name: 'other.example',
      async onMessage(message) {
        let text = ''
        for await (const chunk of message) text += String(chunk)
        mails.push(text)
      },
      ...options,
    })
  await playTranscript(transcript, makeHandler)
  return mails
}

t.test('what nodemailer sends, played to another handler', async t => {
  const box = await catchMail()
  t.teardown(() => box.close())
  await t.rejects(box.record(), { code: 'ERR_TRANSCRIPT', message: 'no client has connected' })
  const transport = createTransport({ host: '127.0.0.1', port: box.port })
  await transport.sendMail(MAIL)
  const file = join(t.testdir(), 'hello.txt')
  const transcript = await box.record({ file })
  t.equal(await readFile(file, 'utf8'), transcript)
  t.match(transcript, /^# A session of a client, recorded by mailhandler\.\nS: 220\nC: EHLO \S+\nS: 250\nC: MAIL /)
  const [mail] = box.messages
  t.strictSame(await play(transcript), [mail?.raw.toString()])
  await t.rejects(play(transcript, { policies: [misbehave([{ at: 'RCPT', reply: reply(550, 'No') }])] }), {
    code: 'ERR_TRANSCRIPT',
    message: /expected "250", got "550 No"/,
  })
  await transport.sendMail({ ...MAIL, text: 'Second' })
  t.match(await box.record(), 'C: Second\n', 'the last session')
  t.equal(await box.record({ session: box.sessions[0]! }), transcript)
  const gone = { ...box.sessions[0]! }
  await t.rejects(box.record({ session: gone }), { code: 'ERR_TRANSCRIPT', message: /not one of the last 100/ })
  const words = await box.record({ replies: 'lines' })
  t.match(words, 'S: 220 catch.mailhandler.test ESMTP, nothing leaves\n')
  t.match(words, 'S: 250-PIPELINING\n')
  await t.rejects(play(words), { code: 'ERR_TRANSCRIPT' }, 'word by word it is the server of the test')
  await t.rejects(box.record({ replies: 'all' as 'codes' }), { code: 'ERR_OPTION', message: /replies is/ })
  await t.rejects(box.record({ fil: 'x' } as object), { code: 'ERR_OPTION' })
})

t.test('QUIT, and a session that goes on', async t => {
  const box = await catchMail()
  t.teardown(() => box.close())
  const c = converse(connect(box.port, '127.0.0.1'))
  await c.expect(220)
  await c.command('HELO client.example', 250)
  t.equal(
    await box.record(),
    '# A session of a client, recorded by mailhandler.\nS: 220\nC: HELO client.example\nS: 250\n',
  )
  await c.command('QUIT', 221)
  await c.closed()
  const transcript = await box.record()
  t.match(transcript, /\nC: QUIT\nS: 221\nS: <closes>\n$/)
  t.strictSame(await play(transcript), [])
})

t.test('AUTH and STARTTLS', async t => {
  const box = await catchMail({ auth: { user: 'anna', password: 'sesame' }, tls: selfSigned() })
  t.teardown(() => box.close())
  const seen: string[] = []
  const options = {
    auth: { mechanisms: [plain(), login()], insecure: true },
    onAuth(credentials: { user: string; password?: string }) {
      seen.push(`${credentials.user} ${credentials.password ?? ''}`)
      return reply(235, '2.7.0', 'Welcome')
    },
  }
  for (const authMethod of ['PLAIN', 'LOGIN']) {
    await createTransport({
      host: '127.0.0.1',
      port: box.port,
      tls: { rejectUnauthorized: false },
      auth: { user: 'anna', pass: 'sesame' },
      authMethod,
    }).sendMail(MAIL)
    const transcript = await box.record()
    t.match(transcript, '# It was over TLS; it is played in clear.\nS: 220\nC: EHLO ')
    t.notMatch(transcript, 'STARTTLS')
    t.notMatch(transcript, Buffer.from('sesame').toString('base64'))
    t.strictSame(await play(transcript, options), [box.messages.at(-1)?.raw.toString()])
  }
  t.strictSame(seen, ['user password', 'user password'])
  const c = converse(connect(box.port, '127.0.0.1'))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('STARTTLS x', 501)
  c.reset()
  await c.closed()
  t.match(await box.record(), 'C: STARTTLS x\nS: 501\n')
})

t.test('a session that is too long', async t => {
  const box = await catchMail()
  t.teardown(() => box.close())
  const transport = createTransport({ host: '127.0.0.1', port: box.port })
  await transport.sendMail({ ...MAIL, text: 'x '.repeat(2 ** 20) })
  await t.rejects(box.record(), { code: 'ERR_TRANSCRIPT', message: 'the session is too long to be recorded' })
})

t.test('secrets: every way to give one', t => {
  const said: [string, string, string, string][] = [
    ['250 OK', 'auth plain c2VjcmV0\r\n', 'auth plain ***\r\n', `auth plain ${base64('\0user\0password')}\r\n`],
    ['250 OK', 'AUTH LOGIN c2VjcmV0\r\n', 'AUTH LOGIN ***\r\n', `AUTH LOGIN ${base64('user')}\r\n`],
    ['250 OK', 'AUTH PLAIN c2Vj', 'AUTH PLAIN ***', `AUTH PLAIN ${base64('\0user\0password')}`],
    ['334 ', 'c2VjcmV0\r\nNOOP\r\n', '***\r\nNOOP\r\n', `${base64('\0user\0password')}\r\nNOOP\r\n`],
    ['334', 'c2Vj', '***', base64('\0user\0password')],
    [`334 ${base64('Username:')}`, 'c2Vj\r\n', '***\r\n', `${base64('user')}\r\n`],
    [`250 OK\r\n334 ${base64('Password:')}`, 'c2Vj\n', '***\n', `${base64('password')}\n`],
    ['334 ', '*\r\n', '*\r\n', '*\r\n'],
    ['354 Go on', 'AUTH PLAIN c2Vj\r\n', 'AUTH PLAIN c2Vj\r\n', 'AUTH PLAIN c2Vj\r\n'],
    ['250 334 ', 'AUTH PLAIN\r\n', 'AUTH PLAIN\r\n', 'AUTH PLAIN\r\n'],
  ]
  for (const [server, client, stars, playable] of said) {
    const log = new TranscriptLog()
    log.add('S', Buffer.from(`${server}\r\n`))
    log.add('C', Buffer.from(client))
    t.equal(withoutSecrets(log.turns, 'stars')[1]?.octets.toString(), stars)
    t.equal(withoutSecrets(log.turns, 'playable')[1]?.octets.toString(), playable)
  }
  const first = new TranscriptLog()
  first.add('C', Buffer.from('AUTH PLAIN c2Vj\r\n'))
  t.equal(withoutSecrets(first.turns, 'stars')[0]?.octets.toString(), 'AUTH PLAIN ***\r\n', 'before the greeting')
  t.end()
})

t.test('the log of a long session', t => {
  const log = new TranscriptLog({ turn: 4, turns: 4, octets: 100 })
  const octets = Buffer.from('aa\r\n')
  for (const side of ['C', 'S', 'C', 'S'] as const) log.add(side, octets, 1)
  octets.fill(0)
  t.equal(log.toString(), 'C: aa\nS: aa\nC: aa\nS: aa', 'it has copies')
  log.add('C', Buffer.from('bbbbbb'), 2)
  log.add('C', Buffer.from('c'), 3)
  log.add('S', Buffer.alloc(0), 4)
  t.equal(log.toString(), '# … 2 turns before\nC: aa\nS: aa\nC| bbbb\n# … 3 more octets')
  t.strictSame(
    log.turns.map(({ at }) => at),
    [1, 1, 2],
  )
  const wide = new TranscriptLog({ turn: 100, turns: 100, octets: 10 })
  for (const side of ['C', 'S', 'C', 'S'] as const) wide.add(side, Buffer.from('12345\r\n'))
  t.equal(wide.dropped, 2)
  t.equal(wide.turns.length, 2)
  t.end()
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
