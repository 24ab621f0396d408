import { connect as dial } from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { SmtpClient, SmtpClientError, type SmtpClientOptions } from '../lib/client.ts'
import { SmtpHandler, type Session, type SmtpHandlerOptions } from '../lib/index.ts'
import { createServer } from '../lib/server/index.ts'
import { connect } from '../lib/testing/index.ts'
import { reply } from '../lib/words/reply.ts'
import { settle } from './fixtures/fake-clock.ts'
import { serveScript, type Script } from './fixtures/scripted-server.ts'

const CLEAR: SmtpClientOptions = { name: 'client.example', tls: { mode: 'never' } }
const MAIL = 'Subject: hello\r\n\r\n.dots\r\n..\r\nend\r\n'

/** A handler that keeps what it takes, and a client joined to it without a socket. */
function pair(
  handlerOptions: Omit<SmtpHandlerOptions, 'onMessage' | 'delivery'> = {},
  clientOptions: SmtpClientOptions = {},
): { client: SmtpClient; handler: SmtpHandler; messages: string[]; sessions: Partial<Session>[] } {
  const messages: string[] = []
  const sessions: Partial<Session>[] = []
  const handler = new SmtpHandler({
    name: 'mx.example',
    ...handlerOptions,
    async onMessage(message, session) {
      const parts: Buffer[] = []
      for await (const chunk of message) parts.push(chunk as Buffer)
      messages.push(Buffer.concat(parts).toString('latin1'))
      const { protocol, helo, client, user, forwarded } = session // of this moment
      sessions.push({ protocol, helo, client, user, forwarded })
    },
  })
  const client = new SmtpClient({ ...CLEAR, ...clientOptions })
  handler.pipe(client).pipe(handler)
  return { client, handler, messages, sessions }
}

async function closed(stream: Duplex): Promise<void> {
  if (!stream.closed) await new Promise(resolve => stream.once('close', resolve))
}

function scripted(script: Script = {}, options: SmtpClientOptions = {}) {
  const client = new SmtpClient({ ...CLEAR, ...options })
  return { client, server: serveScript(client, script) }
}

t.test('handler.pipe(client).pipe(handler): a whole session in memory', async t => {
  const { client, handler, messages, sessions } = pair()
  const offer = await client.ready()
  t.match(offer, { name: 'mx.example', esmtp: true, size: 52_428_800 })
  t.equal(client.offer, offer)
  t.equal(client.tls, null)
  t.match(await client.mail('a@example.org', { size: 10, body: '8BITMIME' }), { code: 250, status: '2.1.0' })
  t.match(await client.rcpt('b@example.org'), { code: 250 })
  t.match(await client.rcpt('"c d"@[192.0.2.1]'), { code: 250 })
  t.match(await client.data(MAIL), [{ code: 250, status: '2.0.0', lines: ['OK'] }])
  t.match(await client.mail(''), { code: 250 })
  t.match(await client.rset(), { code: 250 })
  t.match(await client.vrfy('b'), { code: 252 })
  t.match(await client.noop(), { code: 250 })
  t.match(await client.quit(), { code: 221 })
  t.strictSame(messages, [MAIL])
  t.equal(sessions[0]?.protocol, 'ESMTP')
  t.equal(sessions[0]?.helo, 'client.example')
  await closed(client)
  t.equal(handler.destroyed, true)
  t.equal(client.failure, null)
  await t.rejects(client.noop(), { code: 'ERR_SESSION_ENDED' })
  await t.rejects(client.ready(), { code: 'ERR_SESSION_ENDED' })
})

t.test('through a socket in memory, and over TCP', async t => {
  const messages: string[] = []
  const taken = async (message: AsyncIterable<Buffer>) => {
    let text = ''
    for await (const chunk of message) text += chunk.toString('latin1')
    messages.push(text)
  }
  const makeHandler = () => new SmtpHandler({ name: 'mx.example', onMessage: taken })
  const server = createServer(makeHandler).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  for (const socket of [connect(makeHandler()), dial(port, '127.0.0.1')]) {
    const client = new SmtpClient(CLEAR)
    socket.pipe(client).pipe(socket)
    await client.mail('a@example.org')
    await client.rcpt('b@example.org')
    t.match(await client.data(MAIL), [{ code: 250 }])
    await client.quit()
    await closed(socket)
    await closed(client)
    t.equal(client.destroyed, true)
    t.equal(client.failure, null)
  }
  t.strictSame(messages, [MAIL, MAIL])
})

t.test('destroyed as soon as QUIT is answered: the connection ends, though it is no socket', async t => {
  for (const error of [undefined, new Error('enough')]) {
    // Said in a microtask, as by an async function: the promise settles before the client's readable side has ended.
    const { client, server } = scripted({ QUIT: (_line, to) => queueMicrotask(() => to.say('221 Bye\r\n')) })
    await client.quit()
    client.destroy(error)
    await settle(20)
    t.equal(server.socket.closed, true)
    t.equal(client.failure, null)
  }
})

t.test('commands that are not waited for leave in one write, each gets its own reply', async t => {
  const { client, server } = scripted({ RCPT: line => (line.includes('bad') ? '550 5.1.1 No\r\n' : '250 Yes\r\n') })
  const chunks: string[] = []
  server.socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
  await client.ready()
  chunks.length = 0
  const replies = [client.mail('a@b'), client.rcpt('bad@b'), client.rcpt('good@b'), client.startData()]
  t.strictSame(
    (await Promise.all(replies)).map(({ code }) => code),
    [250, 550, 250, 354],
  )
  t.strictSame(chunks, ['MAIL FROM:<a@b>\r\nRCPT TO:<bad@b>\r\nRCPT TO:<good@b>\r\nDATA\r\n'])
  t.match(await client.sendData('x'), [{ code: 250 }])
  t.strictSame(server.messages, ['x\r\n'])
})

t.test('what ends a group waits for its reply; nothing is sent into mail data', async t => {
  const { client, server } = scripted()
  const chunks: string[] = []
  server.socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
  await client.ready()
  chunks.length = 0
  const all = [
    client.noop(),
    client.mail('a@b'),
    client.rcpt('c@d'),
    client.data('x\r\n').then(([reply]) => reply!),
    client.mail('e@f'),
    client.rset(),
    client.quit(),
  ]
  t.strictSame(
    (await Promise.all(all)).map(({ code }) => code),
    [250, 250, 250, 250, 250, 250, 221],
  )
  t.strictSame(chunks, [
    'NOOP\r\n',
    'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n',
    'x\r\n.\r\n',
    'MAIL FROM:<e@f>\r\nRSET\r\nQUIT\r\n',
  ])
})

t.test('without PIPELINING, and with pipelining: false, one command at a time', async t => {
  for (const [script, options] of [
    [{ EHLO: '250 mx.example\r\n' }, {}],
    [{}, { pipelining: false }],
  ] as const) {
    const { client, server } = scripted(script, options)
    const chunks: string[] = []
    server.socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
    await client.ready()
    chunks.length = 0
    await Promise.all([client.mail('a@b'), client.rcpt('c@d'), client.data('')])
    t.strictSame(chunks, ['MAIL FROM:<a@b>\r\n', 'RCPT TO:<c@d>\r\n', 'DATA\r\n', '.\r\n'])
  }
})

t.test('HELO for a server that does not know EHLO', async t => {
  for (const code of [500, 502, 504]) {
    const { client, server } = scripted({ EHLO: `${code} What?\r\n`, HELO: '250 old.example hello\r\n' })
    const offer = await client.ready()
    t.match(offer, { name: 'old.example', esmtp: false, size: null, auth: [] })
    t.equal(offer.extensions.size, 0)
    t.strictSame(server.lines, ['EHLO client.example', 'HELO client.example'])
    await t.rejects(client.bdat('x'), { code: 'ERR_NOT_OFFERED', step: 'BDAT' })
    await t.rejects(client.mail('a@b', { size: 1 }), { code: 'ERR_NOT_OFFERED', step: 'MAIL' })
    t.match(await client.mail('a@b'), { code: 250 })
  }
})

t.test('LMTP: LHLO, and a reply for each recipient that was accepted', async t => {
  const lmtp = {
    lmtp: true,
    onRcptTo: ({ address }: { address: string }) => (address === 'no@b' ? reply(550, '5.1.1', 'No') : undefined),
  }
  const answers = [reply(250, '2.0.0', 'one'), reply(452, '4.2.2', 'two')]
  const handler = new SmtpHandler({
    ...lmtp,
    onMessage: async message => {
      message.resume()
      return answers
    },
  })
  const client = new SmtpClient({ ...CLEAR, lmtp: true })
  handler.pipe(client).pipe(handler)
  for (const send of ['data', 'bdat'] as const) {
    client.mail('a@b')
    client.rcpt('one@b')
    client.rcpt('no@b')
    client.rcpt('two@b')
    t.match(await client[send]('x\r\n'), [
      { code: 250, lines: ['one'] },
      { code: 452, lines: ['two'] },
    ])
  }
  t.match(await client.mail('a@b'), { code: 250 })
  t.match(await client.data('x'), [{ code: 503 }], 'no recipient')
})

t.test('LMTP without PIPELINING: the replies to one command come together', async t => {
  for (const send of ['data', 'bdat'] as const) {
    const replies = '250 one\r\n250 two\r\n250 three\r\n'
    const { client, server } = scripted(
      { LHLO: '250-mx\r\n250 CHUNKING\r\n', end: replies, BDAT: replies },
      { lmtp: true },
    )
    await client.mail('a@b')
    for (const recipient of ['1@b', '2@b', '3@b']) client.rcpt(recipient)
    const message = client[send]('x\r\n')
    const next = client.mail('e@f')
    t.match(await message, [{ lines: ['one'] }, { lines: ['two'] }, { lines: ['three'] }])
    t.match(await next, { code: 250 })
    t.strictSame(server.verbs.slice(-2), [send === 'data' ? 'DATA' : 'BDAT', 'MAIL'])
  }
})

t.test('XFORWARD and XCLIENT against a handler', async t => {
  const { client, handler, sessions } = pair({ xclient: ['127.0.0.0/8'], client: { address: '127.0.0.1', port: 1 } })
  await client.ready()
  const client1 = { name: 'c1.example', addr: { family: 4, address: '192.0.2.1' } } as const
  t.match(await client.xforward(client1), { code: 250 })
  client.mail('a@b')
  client.rcpt('c@d')
  await client.data('')
  t.match(sessions[0]?.forwarded, client1)
  t.equal(sessions[0]?.client?.address, '127.0.0.1')

  t.match(await client.xclient({ ...client1, login: 'anna' }), { name: 'mx.example' })
  client.mail('a@b')
  client.rcpt('c@d')
  await client.data('')
  t.match(sessions[1], { client: { name: 'c1.example', address: '192.0.2.1', port: null }, user: 'anna' })

  await client.xclient({ addr: { family: 6, address: '2001:db8::1' } })
  client.mail('a@b')
  client.rcpt('c@d')
  await client.data('')
  t.match(sessions[2], { client: { name: null, address: '2001:db8::1' }, user: null }, 'nothing is left of the other')
  t.equal(handler.destroyed, false)
})

t.test('XCLIENT sends every attribute that is offered, in the opening too', async t => {
  const EHLO = '250-mx.example\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR FUTURE\r\n250 XFORWARD NAME\r\n'
  const { client, server } = scripted(
    { EHLO, XCLIENT: '220 mx.example\r\n' },
    { xclient: { addr: { family: 4, address: '192.0.2.1' }, helo: 'a b', proto: 'SMTP' } },
  )
  await client.ready()
  const rest = 'DESTADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] NAME=[UNAVAILABLE]'
  t.strictSame(server.lines, [
    'EHLO client.example',
    `XCLIENT HELO=a+20b PROTO=SMTP LOGIN=[UNAVAILABLE] ${rest} ADDR=192.0.2.1`,
    'EHLO client.example',
  ])
  await client.xforward({ name: 'x.example', port: 1 })
  t.equal(server.lines.at(-1), 'XFORWARD NAME=x.example')
  await t.rejects(client.xforward({ port: 1 }), { code: 'ERR_NOT_OFFERED', step: 'XFORWARD' })
  const busy = client.noop()
  await t.rejects(client.xclient({}), { code: 'ERR_ORDER', step: 'XCLIENT' })
  await busy
})

t.test('after XCLIENT, EHLO says the name of the other client; its own, if that is refused', async t => {
  const offer = '250-mx.example\r\n250 XCLIENT ADDR HELO\r\n'
  const EHLO = (line: string): string => (line.endsWith('_bad') ? '501 5.5.2 No name\r\n' : offer)
  const { client, server } = scripted({ EHLO, XCLIENT: '220 mx.example\r\n' })
  await client.xclient({ helo: 'c1.example' })
  await client.xclient({ helo: '_bad' })
  await client.xclient({})
  t.strictSame(
    server.lines.filter(line => line.startsWith('EHLO')),
    ['client.example', 'c1.example', '_bad', 'client.example', 'client.example'].map(name => `EHLO ${name}`),
  )
})

t.test('XCLIENT that is refused ends the connection, one that is not offered does not', async t => {
  const { client } = scripted()
  await t.rejects(client.xclient({}), { code: 'ERR_NOT_OFFERED', step: 'XCLIENT' })
  t.match(await client.noop(), { code: 250 })
  const other = scripted({ EHLO: '250-mx\r\n250 XCLIENT ADDR\r\n', XCLIENT: '550 5.7.1 Not you\r\n' })
  await t.rejects(other.client.xclient({}), { code: 'ERR_REFUSED', step: 'XCLIENT', reply: { code: 550 } })
  t.equal(other.client.destroyed, true)
  await t.rejects(other.client.noop(), { code: 'ERR_SESSION_ENDED' })
})

t.test('a PROXY header comes before anything else', async t => {
  const proxy = {
    version: 1,
    source: { address: '192.0.2.1', port: 9 },
    destination: { address: '::1', port: 25 },
  } as const
  const { client, server } = scripted({ PROXY: () => {} }, { proxy })
  await client.ready()
  t.equal(server.lines[0], 'PROXY TCP6 ::ffff:192.0.2.1 ::1 9 25')
})

t.test('addresses and parameters cannot leave their command', async t => {
  const { client, server } = scripted()
  const addresses = ['a@b>\r\nRSET', 'a@b> SIZE=1', 'a b@c', 'a\0@b', '"a\r\n"@b', 'jörg@b', '@r:a@b']
  await client.ready()
  for (const address of addresses) {
    await t.rejects(client.mail(address), { code: 'ERR_OPTION', step: 'MAIL' }, JSON.stringify(address))
  }
  await t.rejects(client.mail('a@b', { envid: 'a\r\nb' }), { code: 'ERR_OPTION' })
  await t.rejects(client.mail('a@b', { ret: 'FULL' }), { code: 'ERR_NOT_OFFERED', message: /offer DSN/ })
  await t.rejects(client.mail('a@b', { body: '7BIT\r\nRSET' as '7BIT' }), { code: 'ERR_OPTION' })
  t.match(await client.mail('a@b'), { code: 250 }, 'the session goes on')
  for (const address of [...addresses, '']) {
    await t.rejects(client.rcpt(address), { code: 'ERR_OPTION', step: 'RCPT' }, JSON.stringify(address))
  }
  for (const text of ['', ' ', 'a\r\nQUIT', 'a\n', '\u2028', 'é'])
    await t.rejects(client.vrfy(text), { code: 'ERR_OPTION' })
  t.strictSame(server.lines, ['EHLO client.example', 'MAIL FROM:<a@b>'], 'nothing else was sent')
})

t.test('SMTPUTF8 is said by MAIL, and holds for its recipients', async t => {
  const { client, messages, sessions } = pair()
  t.match(await client.mail('jörg@example.org', { smtputf8: true }), { code: 250 })
  t.match(await client.rcpt('用@example.org'), { code: 250 })
  t.match(await client.data(''), [{ code: 250 }])
  t.equal(sessions[0]?.protocol, 'UTF8SMTP')
  t.equal(messages.length, 1)
  await client.mail('a@example.org')
  await t.rejects(client.rcpt('用@example.org'), { code: 'ERR_OPTION' })
})

t.test('options are checked', async t => {
  const wrong: object[] = [
    { name: 'a b' },
    { name: 'a\r\nb' },
    { lmtp: 'yes' },
    { pipelining: 1 },
    { timeouts: { open: 0 } },
    { timeouts: { opne: 1 } },
    { limits: { reply: -1 } },
    { proxy: { version: 1, command: 'LOCAL' } },
    { tls: { mode: 'always' } },
    { tls: { mode: 'must' } },
    { tls: { fingerprints256: ['AA'] } },
    { auth: { user: 'a' } },
    { auth: { user: 'a', password: 'b' } },
    { auth: { user: '', password: 'b' }, tls: { servername: 'x' } },
    { auth: { user: 'a\0', password: 'b' }, tls: { servername: 'x' } },
    { auth: { user: 'a', password: 'b', token: 'c' }, tls: { servername: 'x' } },
    { auth: { user: 'a', password: 'b', mechanisms: ['XOAUTH2'] }, tls: { servername: 'x' } },
  ]
  for (const options of wrong) {
    t.throws(() => new SmtpClient(options as SmtpClientOptions), { code: 'ERR_OPTION' }, JSON.stringify(options))
  }
})

t.test('the same at every split of the server’s octets', async t => {
  const octets = Buffer.from(
    '220-mx.example\r\n220 ready\r\n' +
      '250-mx.example\r\n250-SIZE 10\r\n250 PIPELINING\r\n' +
      '250 2.1.0 Sender\r\n550-5.1.1 No\r\n550 5.1.1 such user\r\n250 2.1.5 Yes\r\n354 Go\r\n250 2.0.0 Taken\r\n221 Bye\r\n',
  )
  // How many octets may be said once the client has said so much.
  const turns: [heard: string, until: string][] = [
    ['', '220 ready\r\n'],
    ['EHLO client.example\r\n', '250 PIPELINING\r\n'],
    ['DATA\r\n', '354 Go\r\n'],
    ['x\r\n.\r\n', '250 2.0.0 Taken\r\n'],
    ['QUIT\r\n', '221 Bye\r\n'],
  ]
  const run = async (chunks: readonly Buffer[]): Promise<unknown> => {
    const client = new SmtpClient(CLEAR)
    let heard = ''
    let said = 0
    const speak = (): void => {
      const limit = turns.findLast(([needs]) => heard.includes(needs))![1]
      const end = octets.indexOf(limit) + limit.length
      for (let at = 0, i = 0; i < chunks.length && at < end; at += chunks[i]!.length, i++) {
        const from = Math.max(said, at)
        const to = Math.min(end, at + chunks[i]!.length)
        if (from < to) client.write(octets.subarray(from, to))
        said = Math.max(said, to)
      }
    }
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
      setImmediate(speak)
    })
    speak()
    const offer = await client.ready()
    const replies = [client.mail('a@b'), client.rcpt('c@d'), client.rcpt('e@f'), client.data('x\r\n')]
    return [offer.size, ...(await Promise.all(replies)), await client.quit(), heard]
  }
  const whole = await run([octets])
  t.match(whole, [
    10,
    { code: 250 },
    { code: 550, lines: ['No', 'such user'] },
    { code: 250 },
    [{ code: 250 }],
    { code: 221 },
  ])
  for (let at = 1; at < octets.length; at++)
    t.strictSame(await run([octets.subarray(0, at), octets.subarray(at)]), whole, `split at ${at}`)
  t.strictSame(await run([...octets].map(octet => Buffer.from([octet]))), whole, 'octet by octet')
})

t.test('destroy() ends it, at any time, and the connection with it', async t => {
  const { client, server } = scripted({ MAIL: () => {} })
  const opening = new SmtpClient(CLEAR)
  opening.destroy()
  await t.rejects(opening.ready(), {
    code: 'ERR_SESSION_ENDED',
    cause: { code: 'ERR_CONNECTION_LOST', step: 'greeting' },
  })
  const mail = client.ready().then(() => client.mail('a@b'))
  await client.ready()
  await new Promise(resolve => setImmediate(resolve))
  client.destroy()
  await t.rejects(mail, { code: 'ERR_CONNECTION_LOST', step: 'MAIL', message: /destroyed/ })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(server.gone, true)
  t.ok(client.failure instanceof SmtpClientError)
})
