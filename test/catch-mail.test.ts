// catchMail(): the server of a test that catches mail.

import { connect } from 'node:net'
import { createTransport, type SendMailOptions, type SentMessageInfo } from 'nodemailer'
import t, { type Test } from 'tap'
import { reply } from '../lib/index.ts'
import { loadParser } from '../lib/testing/catch/parse-mail.ts'
import { CATCH_LIMITS, catchMail, converse, type CatchMailOptions, type MailBox } from '../lib/testing/index.ts'
import { freePort } from './fixtures/free-port.ts'
import { selfSigned } from './fixtures/self-signed.ts'

const MAIL: SendMailOptions = {
  from: 'bob@example.org',
  to: 'anna@example.org',
  subject: 'Welcome',
  text: 'Hello Anna',
}

async function boxOf(t: Test, options?: CatchMailOptions): Promise<MailBox> {
  const box = await catchMail(options)
  t.teardown(() => box.close())
  return box
}

function send(box: MailBox, mail: SendMailOptions = MAIL, options: object = {}): Promise<SentMessageInfo> {
  return createTransport({ host: '127.0.0.1', port: box.port, ...options }).sendMail(mail) as Promise<SentMessageInfo>
}

/** The error of nodemailer for a reply. */
function refused(code: number): { message: RegExp } {
  return { message: new RegExp(`: ${code} `) }
}

t.test('a message in all its parts', async t => {
  const box = await boxOf(t)
  t.ok(box.port > 0)
  t.strictSame(box.messages, [])
  const from = { name: 'Jürgen', address: 'j@example.org' }
  await send(box, {
    from,
    to: 'Team: anna@example.org, b@example.org;',
    cc: 'c@example.org',
    bcc: 'hidden@example.org',
    replyTo: 'r@example.org',
    subject: 'Äpfel und Birnen',
    text: 'Hällo\n.dot',
    html: '<p>Hällo <img src="cid:pic"></p>',
    headers: { 'X-Note': 'süß' },
    date: new Date('2026-01-02T03:04:05Z'),
    messageId: '<1@example.org>',
    attachments: [
      { filename: 'ä.bin', content: Buffer.from([0, 1, 255]) },
      { cid: 'pic', content: Buffer.from('GIF'), contentType: 'image/gif', contentDisposition: 'inline' },
    ],
  })
  const [mail] = box.messages
  t.ok(mail !== undefined && box.messages.length === 1, 'it is there before the sender is told 250')
  if (mail === undefined) return
  t.strictSame(mail.envelope, {
    from: 'j@example.org',
    to: ['anna@example.org', 'b@example.org', 'c@example.org', 'hidden@example.org'],
  })
  t.match(mail.raw.toString(), /^X-Note: =\?UTF-8\?[^]*\r\n\r\n[^]*--\r\n$/)
  t.match(mail.raw.toString(), /\r\n\.dot\r\n/, 'without dot-stuffing')
  t.strictSame(mail.from, from)
  t.strictSame(
    [mail.to, mail.cc, mail.replyTo].map(each => each.map(({ address }) => address)),
    [['anna@example.org', 'b@example.org'], ['c@example.org'], ['r@example.org']],
  )
  t.equal(mail.subject, 'Äpfel und Birnen')
  t.equal(mail.header('x-NOTE'), 'süß')
  t.equal(mail.header('x-none'), null)
  t.equal(mail.messageId, '<1@example.org>')
  t.strictSame(mail.date, new Date('2026-01-02T03:04:05Z'))
  t.equal(mail.text, 'Hällo\n.dot\n')
  t.match(mail.html, /^<p>Hällo <img src="cid:pic"><\/p>/)
  t.match(mail.attachments, [
    { filename: /\.gif$/, contentType: 'image/gif', disposition: 'inline', contentId: 'pic' },
    { filename: 'ä.bin', contentType: 'application/octet-stream', disposition: 'attachment', contentId: null },
  ])
  t.strictSame(
    mail.attachments.map(({ content }) => content),
    [Buffer.from('GIF'), Buffer.from([0, 1, 255])],
  )
  t.equal(mail.problem, null)
  t.ok(mail.id.length > 10)
  t.ok(Math.abs(mail.receivedAt.getTime() - Date.now()) < 60_000)
})

t.test('a message that is hardly one', async t => {
  const box = await boxOf(t)
  const envelope = { from: '', to: 'anna@example.org' }
  await send(box, { envelope, raw: 'Date: never\nTo: undisclosed-recipients:;\n\n\nx\n' })
  t.match(box.messages, [{ envelope: { from: '' }, subject: '', from: null, to: [], date: null, messageId: null }])
  t.match(await box.waitFor({ from: '' }), { text: '\nx\n', html: null })
  await send(box, { envelope, raw: `X: ${'y'.repeat(3 * 2 ** 19)}\n`.repeat(2) }).catch(() => {})
  await send(box, { envelope, raw: `Subject: a\n\n` })
  t.match(await box.waitFor({ subject: 'A' }), { text: null, problem: null })
})

t.test('a message that the parser gives up', async t => {
  const box = await boxOf(t)
  const raw = `Content-Type: multipart/mixed; boundary=x\n\n--x\nX: ${'y'.repeat(3 * 2 ** 20)}\n\n--x--\n`
  await send(box, { envelope: { from: 'a@example.org', to: 'b@example.org' }, raw })
  const mail = await box.waitFor({ to: 'b@example.org' })
  t.match(mail.problem, /header/i)
  t.match(mail, { subject: '', text: null, headers: [] })
  t.ok(mail.raw.length > 3 * 2 ** 20)
})

t.test('waitFor: by what it looks', async t => {
  const box = await boxOf(t)
  await send(box, { ...MAIL, cc: 'Carl <carl@example.org>', html: '<b>Hello</b>' })
  const fits = [
    { to: 'ANNA@example.org' },
    { to: /^carl@/ },
    { from: 'Bob@example.org', subject: 'welcome' },
    { text: 'Anna', html: '<b>' },
    { text: /^hello/i },
    { subject: /come$/, to: undefined } as object,
  ]
  for (const filter of fits) {
    await box.waitFor(filter)
    await t.rejects(box.waitFor(filter, 1), { code: 'ERR_EXPECTATION' }, 'each message once')
    box.clear()
    t.strictSame(box.messages, [])
    await send(box, { ...MAIL, cc: 'Carl <carl@example.org>', html: '<b>Hello</b>' })
  }
  const others = [{ to: 'anna' }, { to: 'anna', subject: 'Welcome' }, { text: 'hello' }, { html: /x/ }, () => false]
  for (const filter of others) await t.rejects(box.waitFor(filter, 1), { code: 'ERR_EXPECTATION' })
  t.equal(await box.waitFor(mail => mail.subject === 'Welcome'), box.messages[0])
  await send(box, { ...MAIL, text: '', html: '' })
  await t.rejects(box.waitFor({ html: 'x' }, 1), { code: 'ERR_EXPECTATION' })
})

t.test('waitFor: what comes later, and in turn', async t => {
  const box = await boxOf(t)
  const both = Promise.all([box.waitFor({ subject: /^[12]$/ }), box.waitFor({ subject: '2' })])
  await send(box, { ...MAIL, subject: '3' })
  await send(box, { ...MAIL, subject: '1' })
  await send(box, { ...MAIL, subject: '2' })
  t.strictSame(
    (await both).map(({ subject }) => subject),
    ['1', '2'],
  )
  t.equal((await box.waitFor()).subject, '3')
})

t.test('a wait that fails shows what came, and the dialogue', async t => {
  const box = await boxOf(t, {
    misbehave: [{ at: 'RCPT', when: { recipient: /^full@/ }, reply: reply(452, '4.2.2', 'Mailbox full') }],
  })
  await t.rejects(box.waitFor({}, 1), {
    code: 'ERR_EXPECTATION',
    message: 'waited 1 ms for a message\n\nNo message has arrived.\n\nNo client has connected.',
  })
  await send(box, { ...MAIL, subject: 'Hello', text: 'x'.repeat(3000) })
  await box.waitFor()
  await send(box, { ...MAIL, to: 'bob@example.org', subject: 'Other' })
  await t.rejects(send(box, { ...MAIL, to: 'full@example.org' }), refused(452))
  const error = await box.waitFor({ to: 'bob@example.org', subject: /^He/ }, 1).catch((error: Error) => error)
  const { message } = error as Error
  t.match(
    message,
    'waited 1 ms for a message with to "bob@example.org" and subject /^He/\n\n2 messages have arrived:\n',
  )
  t.match(message, '  1. from <bob@example.org> to <anna@example.org>, subject "Hello": not to\n')
  t.match(message, '  2. from <bob@example.org> to <bob@example.org>, subject "Other": not subject\n')
  t.match(
    message,
    /\n\nSession 3 of 127\.0\.0\.1 (?:goes on|has ended \((?:quit|lost)\)):\nS: 220 catch\.mailhandler\.test /,
  )
  t.match(message, /\nC: RCPT TO:<full@example\.org>\n[^]*\nS: 452 4\.2\.2 Mailbox full\n/)
  t.match(message, /\n# … \d+ more octets\n/, 'a long message is abridged')
  await t.rejects(
    box.waitFor(() => false, 1),
    /a message that the function accepts\n[^]*: not the function\n/,
  )
  await t.rejects(box.waitFor({ subject: 'Hello' }, 1), /subject "Hello": an earlier waitFor\(\) had it\n/)
})

t.test('none', async t => {
  const box = await boxOf(t)
  await box.none(1)
  await send(box)
  await box.waitFor({ to: 'anna@example.org' })
  await box.none(1)
  const rejected = t.rejects(box.none(60_000), {
    code: 'ERR_EXPECTATION',
    message: /^expected no message within 60000 ms\n\n2 messages have arrived:\n {2}1\. .*subject "Welcome"\n/,
  })
  await send(box)
  await rejected
  await t.rejects(box.none(), { code: 'ERR_EXPECTATION' }, 'what is there already counts')
  box.clear()
  await box.none(1)
})

t.test('limits', async t => {
  t.strictSame(CATCH_LIMITS, { messages: 1000, octets: 67_108_864 })
  const box = await boxOf(t, { limits: { messages: 2, octets: 20_000 } })
  for (const subject of ['1', '2', '3']) await send(box, { ...MAIL, subject })
  t.strictSame(
    box.messages.map(({ subject }) => subject),
    ['2', '3'],
  )
  await t.rejects(box.waitFor({ subject: '1' }, 1), { code: 'ERR_EXPECTATION' })
  await send(box, { ...MAIL, subject: '4', text: 'x '.repeat(5000) })
  t.strictSame(
    box.messages.map(({ subject }) => subject),
    ['4'],
  )
  await t.rejects(send(box, { ...MAIL, text: 'x '.repeat(15_000) }), refused(552))
})

t.test('misbehaviour, from the beginning and later', async t => {
  const box = await boxOf(t, { misbehave: [{ at: 'MAIL', nth: 1, reply: reply(451, '4.3.0', 'Later') }] })
  await t.rejects(send(box), refused(451))
  await send(box)
  box.misbehave([{ at: 'body', afterOctets: 10, cut: 'close' }])
  await t.rejects(send(box))
  box.misbehave([])
  await send(box)
  t.equal(box.messages.length, 2)
  t.throws(() => box.misbehave([{ at: 'MAIL' }]), { code: 'ERR_OPTION' })
})

t.test('AUTH, whose secrets no dialogue shows', async t => {
  const open = await boxOf(t, { auth: true })
  for (const method of ['PLAIN', 'LOGIN']) {
    await send(open, MAIL, { auth: { user: 'anna', pass: 'sesame' }, authMethod: method })
    const { session } = await open.waitFor()
    t.equal(session.user, 'anna')
    t.equal(session.protocol, 'ESMTPA')
    t.match(
      session.dialogue,
      method === 'PLAIN' ? '\nC: AUTH PLAIN ***\nS: 235' : '\nS: 334 UGFzc3dvcmQ6\nC: ***\nS: 235',
    )
    t.notMatch(session.dialogue, Buffer.from('sesame').toString('base64').slice(0, 6))
  }
  const box = await boxOf(t, { auth: { user: 'anna', password: 'sesame' } })
  for (let i = 0; i < 25; i++) {
    const wrong = { auth: { user: 'anna', pass: `wrong ${i}` } }
    await t.rejects(send(box, MAIL, wrong), refused(535), 'as many as the test likes')
  }
  await t.rejects(send(box, MAIL, { auth: { user: 'carl', pass: 'sesame' } }), refused(535))
  await send(box, MAIL, { auth: { user: 'anna', pass: 'sesame' } })
  const none = await boxOf(t)
  await send(none)
  t.notMatch(none.messages[0]?.session.dialogue, 'AUTH')
})

t.test('an exchange of AUTH that is cancelled, and mail that looks like one', async t => {
  const box = await boxOf(t, { auth: true })
  const c = converse(connect(box.port, '127.0.0.1'))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('AUTH PLAIN', 334)
  await c.command('*', 501)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  await c.data('AUTH PLAIN c2VjcmV0\r\n')
  await c.expect(250)
  const [session] = box.sessions
  t.match(session?.dialogue, '\nS: 334 \nC: *\nS: 501')
  t.match(session?.dialogue, '\nC: AUTH PLAIN c2VjcmV0\nC: .\nS: 250')
  t.equal(session?.ending, null)
  t.equal(session?.helo, 'client.example')
  await c.command('QUIT', 221)
  await c.closed()
  await box.record()
  t.equal(session?.ending, 'quit')
  t.equal(session?.helo, 'client.example')
})

t.test('STARTTLS', async t => {
  const { key, cert } = selfSigned()
  const box = await boxOf(t, { tls: { key, cert } })
  await send(box, MAIL, { requireTLS: true, tls: { rejectUnauthorized: false } })
  const { session } = await box.waitFor()
  t.equal(session.protocol, 'ESMTPS')
  t.match(session.dialogue, /\nC: STARTTLS\nS: 220 .*\nC: EHLO /)
  t.match(session.dialogue, '\nC: Subject: Welcome\n')
})

t.test('options of the session', async t => {
  const box = await boxOf(t, { session: { size: 500, onRcptTo: () => reply(550, '5.1.1', 'Nobody here') } })
  await t.rejects(send(box), refused(550))
  const large = await boxOf(t, { session: { size: 500 } })
  await t.rejects(send(large, { ...MAIL, text: 'x '.repeat(300) }), refused(552))
})

t.test('options that are wrong', async t => {
  const wrong: [object, RegExp][] = [
    [{ prot: 1 }, /prot: there is no such option; did you mean port\?/],
    [{ limits: { messages: 0 } }, /limits\.messages/],
    [{ auth: { name: 'a' } }, /auth is true, false, or/],
    [{ misbehave: [{ at: 'x' }] }, /rules\[0\]/],
    [{ session: { siz: 1 } }, /siz: there is no such option/],
  ]
  for (const [options, message] of wrong) await t.rejects(catchMail(options), { code: 'ERR_OPTION', message })
  const box = await boxOf(t)
  await t.rejects(box.waitFor({ too: 'a' } as object), { code: 'ERR_OPTION', message: /filter\.too/ })
  await t.rejects(box.waitFor({ to: 1 } as object), { code: 'ERR_OPTION', message: /filter\.to is a string/ })
  await t.rejects(box.waitFor({}, 0), { code: 'ERR_OPTION', message: /above 0/ })
  await t.rejects(box.none(Number.NaN), { code: 'ERR_OPTION' })
  await t.rejects(catchMail({ port: box.port }), { code: 'EADDRINUSE' })
})

t.test('close, with a client that stays', async t => {
  const box = await catchMail({ port: await freePort() }) // one that nobody else gets after the close
  const client = connect(box.port, '127.0.0.1').on('error', () => {})
  await new Promise(resolve => client.once('data', resolve))
  const gone = new Promise(resolve => client.once('close', resolve))
  await Promise.all([box.close(), box.close()])
  await gone
  await t.rejects(send(box), { code: 'ESOCKET' })
  const disposed = await catchMail({ port: await freePort() })
  await disposed[Symbol.asyncDispose]()
  await t.rejects(send(disposed), { code: 'ESOCKET' })
})

t.test('postal-mime is missing', async t => {
  const cause = new Error('Cannot find package')
  await t.rejects(
    loadParser('catchMail()', () => Promise.reject(cause)),
    {
      code: 'ERR_OPTION',
      message: 'catchMail() needs the package postal-mime: npm install --save-dev postal-mime@4',
      cause,
    },
  )
})

t.test('options of another type or range', async t => {
  const rows: [unknown, RegExp][] = [
    [7, /^options is an object, not 7$/],
    [{ ports: 1 }, /^ports: there is no such option; did you mean port\?$/],
    [{ port: 'x' }, /^port is a number from 1 to 65535, or 0 for a free one, not "x"$/],
    [{ port: 65_536 }, /^port is a number/],
    [{ port: -1 }, /^port is a number/],
    [{ host: 7 }, /^host is an address to listen at, not 7$/],
    [{ host: '' }, /^host is an address to listen at, not ""$/],
    [{ auth: 'yes' }, /^auth is true, false, or \{ user, password \}, not "yes"$/],
    [{ auth: null }, /^auth is true, false/],
    [{ auth: { user: 'a' } }, /^auth is true, false/],
    [{ auth: { user: 'a', password: 'b', realm: 'c' } }, /^auth is true, false/],
    [{ misbehave: 7 }, /^rules is a list, not 7$/],
    [{ limits: { message: 1 } }, /did you mean messages/],
    [{ session: 7 }, /^session is an object, not 7$/],
    [{ session: null }, /^session is an object, not null$/],
    [{ session: { onMessage() {} } }, /^session\.onMessage: catchMail\(\) itself takes the messages$/],
    [{ session: { delivery: {} } }, /^session\.delivery: catchMail\(\) itself takes/],
    [{ session: { size: 'x' } }, /^size is a number, 0 or more \(0: no limit\), not "x"$/],
  ]
  for (const [options, message] of rows) {
    const made = catchMail(options as CatchMailOptions)
    await t.rejects(made, { code: 'ERR_OPTION', message }, String(message))
  }
  const box = await boxOf(t)
  t.throws(() => box.misbehave(null as never), { code: 'ERR_OPTION', message: /^rules is a list, not null$/ })
  await t.rejects(box.record({ file: 7 as never }), { code: 'ERR_OPTION', message: /^file is a path, not 7$/ })
})

t.test('a size without a limit is that of the box', async t => {
  const box = await boxOf(t, { limits: { octets: 20_000 }, session: { size: 0 } })
  await t.rejects(send(box, { ...MAIL, text: 'x '.repeat(15_000) }), refused(552))
})
