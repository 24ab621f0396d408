// What went wrong elsewhere, and must not here: in the ancestor (Kamaelia Grey, by the number of the defect) and in other
// servers.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as startTls } from 'node:tls'
import t, { type Test } from 'tap'
import {
  channels,
  closeLogs,
  reply,
  SmtpError,
  SmtpHandler,
  type CommandEvent,
  type Message,
  type SmtpHandlerOptions,
} from '../lib/index.ts'
import { converse, playEverySplit, playTranscript, settle, type Conversation } from '../lib/testing/index.ts'
import { octetsHeld } from './fixtures/memory.ts'
import { selfSigned } from './fixtures/self-signed.ts'
import { telling } from './fixtures/telling.ts'

const make =
  (options: SmtpHandlerOptions = {}) =>
  (): SmtpHandler =>
    new SmtpHandler(telling(options))
const EHLO = 'S: 220\nC: EHLO c\nS: 250\n'
const BEGIN = `${EHLO}C: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<c@d>\nS: 250\n`
const DATA = `${BEGIN}C: DATA\nS: 354\n`
const BYE = 'C: QUIT\nS: 221\nS: <closes>'

async function begun(options: SmtpHandlerOptions = {}): Promise<Conversation> {
  const c = converse(new SmtpHandler({ name: 'mx.example', handleError() {}, ...options }))
  await c.expect(220)
  for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
  return c
}

/** A server of the one public line on a real port, and a client that is connected to it. */
async function overTcp(t: Test, options: SmtpHandlerOptions): Promise<{ client: Socket; handler: SmtpHandler }> {
  const handler = new SmtpHandler({ name: 'mx.example', handleError() {}, ...options })
  const server = createServer(socket => void socket.pipe(handler).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = dial((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    handler.destroy()
    server.close()
  })
  return { client, handler }
}

/** Says a line and resolves with what comes back until a reply has ended. */
async function say(client: Socket, line: string): Promise<string> {
  if (line !== '') client.write(`${line}\r\n`)
  let text = ''
  while (!/^\d{3} .*\r\n$/m.test(text)) text += String((await once(client, 'data'))[0])
  return text
}

// ── Kamaelia Grey ──

t.test('kamaelia 3: 250 is said after the mail is taken care of, never before', async t => {
  let done: () => void = () => {}
  let tell: () => void = () => {}
  const isWhole = new Promise<void>(resolve => (tell = resolve))
  const c = await begun({
    onMessage: message =>
      new Promise(resolve => {
        done = resolve
        message.resume().on('end', tell)
      }),
  })
  await c.command('DATA', 354)
  await c.data('x')
  await isWhole
  await settle(20)
  t.equal(c.unread, 0)
  done()
  await c.expect(250)
})

t.test('kamaelia 3: trouble behind is said to the client', async t => {
  for (const [verdict, expected] of [
    [reply(550, '5.1.1', 'Unknown'), '550 5.1.1 Unknown'],
    [new SmtpError(reply(452, '4.3.1', 'Full')), '452 4.3.1 Full'],
    [new Error('ECONNREFUSED 10.0.0.5'), '451 4.3.0 Local error, please try again later'],
  ] as const) {
    const c = await begun({
      async onMessage() {
        if (verdict instanceof Error) throw verdict
        return verdict
      },
    })
    await c.command('DATA', 354)
    await c.data('x')
    t.equal((await c.expect()).text, expected)
  }
})

t.test('kamaelia 4: commands in one segment, and one command in several', async () => {
  const group = `${EHLO}C: MAIL FROM:<a@b>\nC: RCPT TO:<c@d>\nC: NOOP\nS: 250\nS: 250\nS: 250\n${BYE}`
  await playEverySplit(group, make())
})

t.test('kamaelia 5: an end of data that is split, or followed by QUIT in one segment', async () => {
  const session = `${DATA}C: x\nC: .\nC: QUIT\nS: 250 2.0.0 ESMTP: 3 octets …\nS: 221\nS: <closes>`
  await playEverySplit(session, make())
})

t.test('kamaelia 6: a line that ends with a dot, cut before the dot, is no end', async () => {
  await playEverySplit(`${DATA}C: price 5.\nC: x.\nC: .\nS: 250 2.0.0 ESMTP: 14 octets …\n${BYE}`, make())
})

t.test('kamaelia 7: LF.CRLF is no end', async () => {
  await playEverySplit(`${DATA}C| x\\n.\\r\\nRSET\\r\\n\nC: .\nS: 550 5.5.2 …\n${BYE}`, make({ bareNewline: 'reject' }))
  const line = `C| x\\n.\\r\\nRSET\\r\\n\nC: .\nS: 250 2.0.0 ESMTP: 12 octets …\n`
  await playEverySplit(`${DATA}${line}${BYE}`, make())
})

t.test('kamaelia 8: a client that vanishes in DATA ends the body with an error and the session once', async t => {
  for (const vanish of ['end', 'reset'] as const) {
    const told: string[] = []
    const c = await begun({
      logResult: () => void told.push('log'),
      onClose: () => void told.push('close'),
      onMessage: message =>
        new Promise(() => {
          message.resume().on('error', (error: NodeJS.ErrnoException) => told.push(error.code!))
          message.on('end', () => told.push('end'))
        }),
    })
    await c.command('DATA', 354)
    c.write('half a line')
    await settle(20)
    c[vanish]()
    await c.closed()
    await settle(20)
    t.strictSame(told.toSorted(), ['ERR_TRUNCATED', 'close', 'log'], vanish)
    t.ok(told.indexOf('close') < told.indexOf('log'))
    t.equal(c.unread, 0)
  }
})

t.test('kamaelia 9: a client that vanishes has no command run again, and no half of one', async t => {
  const asked: string[] = []
  const c = await begun({ onRcptTo: ({ address }) => void asked.push(address) })
  c.write('RCPT TO:<e@f>')
  c.end()
  await c.closed()
  t.strictSame(asked, ['c@d'])
  t.equal(c.unread, 0)
})

t.test('kamaelia 10: verbs in any case', async () => {
  const lines = ['eHlO c', 'mail from:<a@b>', 'Rcpt To:<c@d>', 'noop', 'rSET']
  await playEverySplit(
    `S: 220\n${lines.map(line => `C: ${line}\nS: 250\n`).join('')}C: quit\nS: 221\nS: <closes>`,
    make(),
  )
})

t.test('kamaelia 11: EHLO is known; a trap may refuse it, and the client falls back to HELO', async () => {
  await playTranscript(`${EHLO}${BYE}`, make())
  class Trap extends SmtpHandler {
    override handleEhlo() {
      return reply(502, '5.5.1', 'Command not implemented')
    }
  }
  const trap = () => new Trap({ name: 'mx.example' })
  await playTranscript('S: 220\nC: EHLO c\nS: 502\nC: HELO c\nS: 250\nC: MAIL FROM:<a@b>\nS: 250', trap)
})

t.test('kamaelia 12: the envelope has what was accepted, nothing of what was refused or reset', async t => {
  const seen: string[] = []
  const c = await begun({
    onRcptTo: ({ localPart }) => (localPart === 'no' ? reply(550, '5.1.1', 'Unknown') : undefined),
    onMessage(message, { envelope }) {
      seen.push(envelope!.sender.address, ...envelope!.recipients.map(each => each.address))
      message.resume()
    },
  })
  for (const [line, code] of [
    ['RSET', 250],
    ['MAIL FROM:<second@b>', 250],
    ['VRFY x', 252],
    ['RCPT TO:<no@d>', 550],
    ['RCPT TO:<broken>', 501],
    ['MAIL FROM:<third@b>', 503],
    ['RCPT TO:<yes@d>', 250],
    ['DATA ', 354], // a space behind it
  ] as const) {
    await c.command(line, code)
  }
  await c.data('x')
  await c.expect(250)
  t.strictSame(seen, ['second@b', 'yes@d'])
})

t.test('kamaelia 15, 16: each recipient is asked for, and what one is trusted with is not the others’', async t => {
  const asked: string[] = []
  const c = converse(
    new SmtpHandler({
      policies: [{ onRcptTo: recipient => void (recipient.trusted = recipient.localPart === 'abuse' ? 'role' : null) }],
      onRcptTo({ address, trusted }) {
        asked.push(`${address} ${trusted}`)
        return trusted === null ? reply(451, '4.7.1', 'Greylisted') : undefined
      },
    }),
  )
  await c.expect(220)
  await c.command('EHLO c', 250)
  await c.command('MAIL FROM:<a@b>', 250)
  await c.command('RCPT TO:<one@d>', 451)
  await c.command('RCPT TO:<abuse@d>', 250)
  await c.command('RCPT TO:<two@d>', 451)
  t.strictSame(asked, ['one@d null', 'abuse@d role', 'two@d null'])
})

t.test('kamaelia 17: relaying is refused for good, at RCPT, and the session goes on', async () => {
  const onRcptTo: SmtpHandlerOptions['onRcptTo'] = ({ domain }) =>
    domain === 'here.example' ? undefined : reply(550, '5.7.1', 'Relaying denied')
  const handler = (): SmtpHandler => new SmtpHandler({ ...telling(), onRcptTo: onRcptTo! })
  await playTranscript(
    `${EHLO}C: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<x@there.example>\nS: 550 5.7.1 Relaying denied\n` +
      `C: DATA\nS: 503\nC: RCPT TO:<x@here.example>\nS: 250\n${BYE}`,
    handler,
  )
})

t.test('kamaelia 21: the domain is what stands behind the last @ that is no text', async t => {
  const domains: string[] = []
  const c = await begun({ onRcptTo: ({ domain }) => void domains.push(domain) })
  await c.command('RCPT TO:<@a:b@c.example>', 250)
  await c.command('RCPT TO:<"x@y"@c.example>', 250)
  await c.command('RCPT TO:<localdomain>', 501)
  await c.command('RCPT TO:<a@b@c.example>', 501)
  t.strictSame(domains, ['d', 'c.example', 'c.example'])
})

t.test('kamaelia 22: nothing of a wrong command is in its reply, and no control character reaches a hook', async t => {
  const names: (string | null)[] = []
  const c = converse(
    new SmtpHandler({ name: 'mx', limits: { softErrors: 100 }, onHelo: ({ helo }) => void names.push(helo) }),
  )
  await c.expect(220)
  for (const line of ['MAIL evil', 'RCPT evil', 'EVIL', 'EHLO evil evil', 'DATA evil', 'RSET evil', 'QUIT evil']) {
    t.notMatch((await c.command(line)).text, /evil|\[|undefined|object/i)
  }
  for (const control of ['\x1b[2J', '\x07', '\t', '\x7f', '\u0085', '\u2028', '\u2029']) {
    await c.command(`EHLO ev${control}il`, /^50[01] /)
  }
  t.strictSame(names, [])
})

t.test('kamaelia 23: neither a line nor a message is kept whole', async t => {
  const c = await begun({ size: 1000, onMessage: message => void message.resume() })
  const send = async (chunks: number): Promise<void> => {
    for (let i = 0; i < chunks; i++) if (!c.write(Buffer.alloc(65_536, 'x'))) await c.drained()
  }
  const before = octetsHeld()
  const kept = (): number => octetsHeld() - before
  const line = await begun({})
  line.write(Buffer.alloc(60_000, 'x'))
  await line.expect('500 5.5.2 Line too long')
  t.ok(kept() < 1e6, `${kept()} octets of a line`)
  line.write(Buffer.alloc(60_000, 'x'))
  await line.expect('421 4.7.0 …')
  await line.closed()
  await c.command('DATA', 354)
  await send(300)
  t.ok(kept() < 1e6, `${kept()} octets of 20 million of a message`)
  await c.command('\r\n.', '552 5.3.4 Message too large')
})

t.test('kamaelia 24: several messages a session', async () => {
  const one = 'C: MAIL FROM:<a@b>\nC: RCPT TO:<c@d>\nC: DATA\nS: 250\nS: 250\nS: 354\nC: x\nC: .\nS: 250\n'
  await playTranscript(`${EHLO}${one.repeat(30)}${BYE}`, make())
})

t.test('kamaelia 26: the greeting tells neither software nor version nor time', async t => {
  const c = converse(new SmtpHandler({ name: 'mx.example' }))
  t.equal((await c.expect(220)).text, '220 mx.example ESMTP')
})

// ── Other servers ──

t.test('peers 5: a refused BDAT leaves no octet to be run', async () => {
  await playEverySplit(`${EHLO}C| BDAT 6\\r\\nQUIT\\r\\n\nS: 503\nC: NOOP\nS: 250\n${BYE}`, make())
})

t.test('peers 5: RSET inside BDAT brings the limit back', async () => {
  const chunk = 'C| BDAT 4\\r\\nab\\r\\n\nS: 250\n'
  const again = 'C: RSET\nS: 250\nC: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<c@d>\nS: 250\n'
  const over = 'C| BDAT 1\\r\\nx\nS: 552\n'
  await playTranscript(`${BEGIN}${chunk}${again}${chunk}${over}${BYE}`, make({ size: 4 }))
})

t.test('peers 6: nothing in clear survives STARTTLS', async t => {
  const tls = selfSigned()
  const commands: string[] = []
  const options: SmtpHandlerOptions = {
    tls,
    onHelo: ({ helo }) => void commands.push(helo!),
    onMailFrom: () => void commands.push('MAIL'),
  }

  const together = await overTcp(t, options)
  await say(together.client, '')
  await say(together.client, 'EHLO clear')
  t.match(await say(together.client, 'STARTTLS\r\nMAIL FROM:<evil@x>'), /^503 /)
  await once(together.client, 'close')
  t.equal(together.handler.session.tls, null)

  const { client, handler } = await overTcp(t, options)
  await say(client, '')
  t.match(await say(client, 'EHLO clear'), /^250[- ]STARTTLS\r$/m)
  await say(client, 'MAIL FROM:<a@b>')
  t.match(await say(client, 'STARTTLS'), /^503 /, 'not in a transaction')
  await say(client, 'RSET')
  t.match(await say(client, 'STARTTLS now'), /^501 /)
  t.match(await say(client, 'STARTTLS'), /^220 2.0.0 /)
  const secure = startTls({ socket: client, rejectUnauthorized: false })
  await once(secure, 'secureConnect')
  t.match(await say(secure, 'MAIL FROM:<a@b>'), /^503 5.5.1 Send HELO or EHLO first/)
  t.equal(handler.session.helo, null)
  const offer = await say(secure, 'EHLO secret')
  t.notMatch(offer, /STARTTLS/)
  t.match(await say(secure, 'STARTTLS'), /^503 5.5.1 TLS is active already/)
  t.equal(handler.session.protocol, 'ESMTPS')
  t.strictSame(commands, ['clear', 'clear', 'MAIL', 'secret'])
  secure.destroy()
})

t.test('peers 6: clear octets behind the reply to STARTTLS end the connection', async t => {
  const ran: string[] = []
  const { client } = await overTcp(t, { tls: selfSigned(), onMailFrom: () => void ran.push('MAIL') })
  await say(client, '')
  await say(client, 'EHLO clear')
  await say(client, 'STARTTLS')
  client.write('MAIL FROM:<evil@x>\r\n')
  await once(client, 'close')
  t.strictSame(ran, [])
})

t.test('peers 7: a reset tells the consumer of the body, by the one public line', async t => {
  const told: string[] = []
  let reading: () => void = t.fail
  const hasData = new Promise<void>(resolve => (reading = resolve))
  const { client, handler } = await overTcp(t, {
    onClose: () => void told.push('close'),
    onMessage: (message: Message, { signal }) =>
      new Promise(() => {
        signal.addEventListener('abort', () => told.push('abort'))
        message.on('data', reading).on('error', (error: NodeJS.ErrnoException) => told.push(error.code!))
      }),
  })
  await say(client, '')
  for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA']) await say(client, line)
  client.write('half a line\r\n')
  await hasData
  client.resetAndDestroy()
  await once(handler, 'close')
  await settle(20)
  t.strictSame(told.toSorted(), ['ERR_TRUNCATED', 'abort', 'close'])
})

t.test('peers 9: a hook that answers in its own words has no bookkeeping to do', async () => {
  const handler = (): SmtpHandler =>
    new SmtpHandler({
      name: 'mx.example',
      onConnect: () => reply(220, 'mx.example Hello'),
      onHelo: () => reply(250, 'Pleased to meet you'),
      onMailFrom: () => reply(250, '2.1.0', 'Sender known'),
      onRcptTo: () => reply(250, '2.1.5', 'Recipient known'),
      onData: () => reply(250, 'Go on'),
      onMessage: message => (message.resume(), reply(250, '2.0.0', 'Queued')),
    })
  await playTranscript(
    'S: 220 mx.example Hello\nC: HELO c\nS: 250 Pleased to meet you\nC: EHLO c\nS: 250\nC: MAIL FROM:<a@b>\n' +
      'S: 250 2.1.0 Sender known\nC: RCPT TO:<c@d>\nS: 250 2.1.5 Recipient known\nC: DATA\nS: 354\nC: x\nC: .\n' +
      `S: 250 2.0.0 Queued\n${BYE}`,
    handler,
  )
})

t.test('peers 10: MT-PRIORITY and BY belong to MAIL; REQUIRETLS is none in clear', async () => {
  await playTranscript(
    `${EHLO}C: MAIL FROM:<a@b> REQUIRETLS\nS: 555\nC: MAIL FROM:<a@b> MT-PRIORITY=3 BY=60;N\nS: 250\n` +
      `C: RCPT TO:<c@d> MT-PRIORITY=3\nS: 555\nC: RCPT TO:<c@d> BY=60;N\nS: 555\n${BYE}`,
    make({ extensions: { 'MT-PRIORITY': true, DELIVERBY: true, REQUIRETLS: true } }),
  )
})

t.test('peers 11: no secret in a log or an event, no line in a log that is not ours', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-'))
  const debugLogFile = join(folder, 'debug.log')
  const events: Pick<CommandEvent, 'verb' | 'argument'>[] = []
  const note = (event: unknown): void => {
    const { verb, argument } = event as CommandEvent
    events.push({ verb, argument })
  }
  subscribe(channels.command.name, note)
  t.teardown(() => {
    unsubscribe(channels.command.name, note)
    rmSync(folder, { recursive: true })
  })
  const c = converse(new SmtpHandler(telling({ debugLogFile, auth: { insecure: true } })))
  await c.expect(220)
  await c.command('EHLO c', 250)
  const token = Buffer.from('\0tim\0secret').toString('base64')
  await c.command(`auth plain ${Buffer.from('\0tim\0wrong').toString('base64')}`, 535)
  await c.command(`AUTH PLAIN ${token}`, 235)
  await c.command('MAIL FROM:<a@b>', 250)
  await c.command('RCPT TO:<a\0FORGED@b>', 500)
  await c.command('QUIT', 221)
  await c.closed()
  await closeLogs()
  const log = readFileSync(debugLogFile, 'utf8')
  const all = log + JSON.stringify(events)
  t.match(log, '235 2.7.0 Welcome')
  t.match(all, '"verb":"AUTH","argument":null')
  t.notMatch(all, new RegExp(`secret|wrong|FORGED|${token}|${Buffer.from('\0tim\0wrong').toString('base64')}`))
})

t.test('peers 12: a session that is to end finishes the message under way', async t => {
  const messages: string[] = []
  const handler = new SmtpHandler({
    name: 'mx.example',
    async onMessage(message) {
      for await (const chunk of message) messages.push(String(chunk))
    },
  })
  const c = converse(handler)
  await c.expect(220)
  for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
  await c.command('DATA', 354)
  handler.breakConnection = true
  await c.data('x')
  await c.expect(250)
  await c.closed()
  t.strictSame(messages, ['x\r\n'])
})

t.test('peers 13: two handlers share no setting and no state', async t => {
  const strict = converse(
    new SmtpHandler({ name: 'one', size: 1, extensions: { DSN: true }, limits: { recipients: 1 } }),
  )
  const plain = converse(new SmtpHandler({ name: 'two' }))
  const options: SmtpHandlerOptions = { name: 'three' }
  const [a, b] = [new SmtpHandler(options), new SmtpHandler(options)]
  await strict.expect('220 one ESMTP')
  await plain.expect('220 two ESMTP')
  await strict.command('EHLO c', /SIZE 1\r?\n[^]*RCPTMAX=1\r?\n250 DSN$/)
  await plain.command('EHLO c', /SIZE 52428800\n[^]*RCPTMAX=1000$/)
  await converse(a).command('EHLO a')
  t.strictSame([a.session.phase, b.session.phase], ['greeted', 'connected'])
  t.not(a.session.id, b.session.id)
})
