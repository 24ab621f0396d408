// The façade of smtp-server: our own transcripts through it, then programs written for smtp-server.

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect as dial, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t, { type Test } from 'tap'
import {
  SMTPServer,
  type SMTPServerAuthentication,
  type SMTPServerError,
  type SMTPServerOptions,
} from '../examples/smtp-server-facade.ts'
import { connect, converse, playTranscript, type Conversation } from '../lib/testing/index.ts'
import { client } from './fixtures/clients.ts'
import { readText, ROOT } from './fixtures/repository.ts'
import { secureConversation } from './fixtures/secure-client.ts'
import { selfSigned } from './fixtures/self-signed.ts'

const FOLDER = 'test/fixtures/transcripts/session'
const MAIL = { envelope: { from: 'a@example.org', to: 'b@example.org' }, raw: 'Subject: hello\r\n\r\n.dots\r\n' }
const WITHOUT_AUTH: SMTPServerOptions = {
  name: 'mx.example',
  disabledCommands: ['AUTH'],
  disableReverseLookup: true,
  size: 50 * 2 ** 20,
}
const OPENSSL = { skip: client('openssl') === null ? 'openssl is missing' : false }

/** The options for the transcripts that name options of SmtpHandler. */
const WITH: Readonly<Record<string, SMTPServerOptions>> = {
  'dsn.txt': { hideDSN: false },
  'lenient.txt': { lenientAddressParsing: true },
  'requiretls.txt': { hideREQUIRETLS: false },
}

/** The transcript with the code of each reply alone. */
function codes(file: string): string {
  const lines = readText(`${FOLDER}/${file}`).split('\n')
  const last = lines.filter(line => !/^S: \d{3}-/.test(line)).map(line => line.replace(/^(S: \d{3}).*$/, '$1'))
  // smtp-server says 421 to a web browser.
  return file.startsWith('http-') ? last.join('\n').replaceAll('S: 521', 'S: 421') : last.join('\n')
}

t.test('our transcripts, code by code', async t => {
  const files = readdirSync(join(ROOT, FOLDER)).filter(
    file => file in WITH || !/^# with /m.test(readText(`${FOLDER}/${file}`)),
  )
  t.ok(files.length > 25, `${files.length} transcripts`)
  await Promise.all(
    files.map(async file => {
      const server = new SMTPServer({ ...WITHOUT_AUTH, ...WITH[file], hideENHANCEDSTATUSCODES: false })
      await t.resolves(
        playTranscript(codes(file), () => server.createHandler({})),
        file,
      )
    }),
  )
})

/** A session after EHLO. */
async function session(options: SMTPServerOptions): Promise<Conversation> {
  const c = converse(new SMTPServer({ ...WITHOUT_AUTH, ...options }).createHandler({}))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  return c
}

async function sendMail(c: Conversation): Promise<void> {
  await c.command('MAIL FROM:<a@example.org>', '250 …')
  await c.command('RCPT TO:<b@example.org>', '250 …')
  await c.command('DATA', '354 …')
  await c.data(MAIL.raw)
}

/** Listens on a free port; closed when the test is over. */
async function listen(t: Test, server: SMTPServer): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => new Promise<void>(done => server.close(() => done())))
  return (server.server.address() as AddressInfo).port
}

function refusal(message: string, responseCode?: number): SMTPServerError {
  return Object.assign(new Error(message), { ...(responseCode !== undefined && { responseCode }) })
}

t.test('envelope, parameters, refusals and the message, as smtp-server gives them', async t => {
  const seen: unknown[] = []
  const server = new SMTPServer({
    ...WITHOUT_AUTH,
    hideDSN: false,
    onMailFrom({ address, args }, session, callback) {
      seen.push(['MAIL', address, args, session.envelope.mailFrom])
      callback(address.startsWith('deny') ? refusal('Not\r\nyou') : null)
    },
    onRcptTo({ address, args, dsn }, _session, callback) {
      seen.push(['RCPT', address, args, dsn])
      callback(address.startsWith('deny') ? refusal('Later', 451) : null)
    },
    onData(stream, { envelope, transaction }, callback) {
      let text = ''
      stream.setEncoding('utf8').on('data', part => (text += part))
      stream.on('end', () => {
        seen.push(['DATA', text, stream.byteLength, transaction, { ...envelope }])
        if (text.includes('deny')) callback(refusal('Not queued'))
        else callback(null, 'Queued as 1')
      })
    },
    onClose: ({ hostNameAppearsAs, openingCommand }) => seen.push(['close', hostNameAppearsAs, openingCommand]),
  })
  const connected = once(server, 'connect')
  const c = converse(server.createHandler({}))
  await c.expect('220 mx.example ESMTP')
  t.equal(server.connections.size, 1)
  await c.command('EHLO client.example', /\n250-SIZE 52428800\n/)
  t.match(await connected, [{ hostNameAppearsAs: 'client.example' }])
  await c.command('MAIL FROM:<deny@example.org>', '550 Not you')
  await c.command('MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME ENVID=x+2By', '250 OK')
  await c.command('RCPT TO:<deny@example.org>', '451 Later')
  await c.command('RCPT TO:<b@example.org> NOTIFY=success,DELAY ORCPT=rfc822;c@d', '250 OK')
  await c.command('DATA', '354 …')
  await c.data(MAIL.raw)
  await c.expect('250 Queued as 1')
  await c.command('MAIL FROM:<> SMTPUTF8', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', '354 …')
  await c.data('deny\r\n')
  await c.expect('450 Not queued')
  await c.command('QUIT', '221 Bye')
  await c.closed()
  const args = { SIZE: '100', BODY: '8BITMIME', ENVID: 'x+y' }
  const dsn = { notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;c@d' }
  const rcptArgs = { NOTIFY: 'success,DELAY', ORCPT: 'rfc822;c@d' }
  t.match(seen, [
    ['MAIL', 'deny@example.org', false, false],
    ['MAIL', 'a@example.org', args, false],
    ['RCPT', 'deny@example.org', false, undefined],
    ['RCPT', 'b@example.org', rcptArgs, dsn],
    ['DATA', MAIL.raw, Buffer.byteLength(MAIL.raw), 1, { bodyType: '8bitmime', dsn: { envid: 'x+y' } }],
    ['MAIL', '', { SMTPUTF8: true }, false],
    ['RCPT', 'b@example.org', false, undefined],
    ['DATA', 'deny\r\n', 6, 2, { smtpUtf8: true, mailFrom: { address: '' }, rcptTo: [{ address: 'b@example.org' }] }],
    ['close', 'client.example', 'EHLO'],
  ])
  t.equal(server.connections.size, 0)
})

t.test('a message that is cut or too large never ends as if it were whole', async t => {
  for (const [size, code] of [
    [50, 'ERR_SIZE_LIMIT'],
    [1000, 'ERR_TRUNCATED'],
  ] as const) {
    const failed = new Promise<[string | undefined, boolean]>(resolve => {
      void session({
        size,
        onData(stream) {
          stream.on('end', () => t.fail('it ended')).resume()
          stream.on('error', (error: NodeJS.ErrnoException) => resolve([error.code, stream.sizeExceeded]))
        },
      }).then(async c => {
        await c.command('MAIL FROM:<a@example.org>', 250)
        await c.command('RCPT TO:<b@example.org>', 250)
        await c.command('DATA', 354)
        c.write('x'.repeat(100))
        if (code === 'ERR_TRUNCATED') return c.end()
        c.write('\r\n.\r\n')
        await c.expect('552 Message too large')
      })
    })
    t.strictSame(await failed, [code, code === 'ERR_SIZE_LIMIT'])
  }
})

t.test('a callback before the end of the message, with nobody who reads', async t => {
  const c = await session({ onData: (_stream, _session, callback) => callback() })
  await sendMail(c)
  await c.expect('250 OK: message queued')
  const reading = await session({
    onData(stream, _session, callback) {
      callback(null, 'Early')
      stream.on('readable', () => stream.read())
    },
  })
  await sendMail(reading)
  await reading.expect('250 Early')
  const byDefault = await session({})
  await sendMail(byDefault)
  await byDefault.expect('250 OK: message queued')
  t.pass()
})

t.test('LMTP: a reply for each recipient', async t => {
  const server = new SMTPServer({
    ...WITHOUT_AUTH,
    lmtp: true,
    banner: 'at your service',
    onData(stream, _session, callback) {
      stream.resume().on('end', () => callback(null, ['Taken', refusal('Full', 452)]))
    },
  })
  const c = converse(server.createHandler({}))
  await c.expect('220 mx.example LMTP at your service')
  await c.command('LHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('RCPT TO:<c@example.org>', 250)
  await c.command('DATA', 354)
  await c.data(MAIL.raw)
  await c.expect('250 Taken')
  await c.expect('452 Full')
  t.pass()
})

t.test('the words of smtp-server, and its limits on strangers', async () => {
  const helo = await session({ disabledCommands: ['AUTH', 'VRFY'], heloResponse: '%s greets %s' })
  await helo.command('HELO client.example', '250 mx.example greets []')
  await helo.command('STARTTLS now', '501 Error: syntax: STARTTLS')
  for (let i = 1; i < 10; i++) await helo.command('VRFY b', '500 Error: command not recognized')
  await helo.command('WIZ', '421 Error: too many unrecognized commands')
  await helo.closed()
  const long = await session({ maxCommandLength: 100 })
  await long.command(`NOOP ${'x'.repeat(100)}`, '421 Error: Command line too long')
  await long.closed()
  const nul = await session({})
  await nul.command('NO\0OP', 500)
  const stranger = await session({ disabledCommands: [], allowInsecureAuth: true, authRequiredMessage: 'Who are you?' })
  await stranger.command('MAIL FROM:<a@example.org>', '530 Who are you?')
  for (let i = 3; i < 10; i++) await stranger.command('NOOP', 250)
  await stranger.command('NOOP', '421 Error: too many unauthenticated commands')
  await stranger.closed()
  const early = converse(new SMTPServer(WITHOUT_AUTH).createHandler({}))
  early.write('EHLO client.example\r\n')
  await early.expect('421 mx.example You talk too soon')
  await early.closed()
})

t.test('onConnect refuses; the name of the client comes from the resolver', async t => {
  const names: string[] = []
  const server = new SMTPServer({
    ...WITHOUT_AUTH,
    disableReverseLookup: false,
    resolver: { reverse: (_address, callback) => callback(null, ['client.example']) },
    useProxy: ['127.0.0.1'],
    onConnect({ remoteAddress, clientHostname }, callback) {
      names.push(clientHostname)
      callback(remoteAddress === '192.0.2.1' ? refusal('Blacklisted', 421) : null)
    },
  })
  const port = await listen(t, server)
  const open = (): Conversation => converse(dial({ port, host: '127.0.0.1', allowHalfOpen: true }))
  const refused = open()
  refused.write('PROXY TCP4 192.0.2.1 192.0.2.9 1234 25\r\n')
  await refused.expect('421 Blacklisted')
  await refused.closed()
  // What smtp-server tests through its private _handleProxy.
  const leaves = dial({ port, host: '127.0.0.1' }).on('error', () => {})
  leaves.end()
  const resets = dial({ port, host: '127.0.0.1' }).on('error', () => {})
  await once(resets, 'connect')
  resets.write('PROXY TCP4 1.2.3.4', () => resets.resetAndDestroy())
  const garbage = open()
  garbage.write('NOTPROXY\r\n')
  await garbage.closed()
  t.equal(garbage.unread, 0)
  const known = open()
  known.write('PROXY TCP4 192.0.2.2 192.0.2.9 1234 25\r\n')
  await known.expect(220)
  await known.command('HELO c', '250 mx.example Nice to meet you, client.example')
  const [view] = server.connections
  t.match(view, { remoteAddress: '192.0.2.2', remotePort: 1234, openingCommand: 'HELO' })
  await known.command('QUIT', 221)
  await known.closed()
  t.strictSame(
    names.filter(name => name !== '[]'), // the one that was reset may have had no address any more
    ['client.example', 'client.example'],
  )
})

t.test('XCLIENT and XFORWARD from a trusted address', async t => {
  const server = new SMTPServer({
    ...WITHOUT_AUTH,
    disabledCommands: [],
    authOptional: true,
    useXClient: true,
    useXForward: ['*'],
  })
  const port = await listen(t, server)
  const c = converse(dial({ port, host: '127.0.0.1', allowHalfOpen: true }))
  await c.expect(220)
  await c.command('EHLO proxy.example', /XCLIENT .*\n.*XFORWARD /)
  await c.command('XFORWARD NAME=client.example', 250)
  await c.command('XCLIENT NAME=client.example ADDR=192.0.2.3 LOGIN=anna', 220)
  await c.command('EHLO client.example', 250)
  const [view] = server.connections
  t.match(view, { clientHostname: 'client.example', remoteAddress: '192.0.2.3', user: 'anna' })
  t.match([view?.xClient.get('ADDR'), view?.xForward.get('NAME')], ['192.0.2.3', 'client.example'])
  await c.command('QUIT', 221)
  await c.closed()
})

/** A user anna, whose password is sesame and whose token is token. */
function onAuth(...[auth, , callback]: Parameters<NonNullable<SMTPServerOptions['onAuth']>>): void {
  const { username, password, accessToken, method } = auth satisfies SMTPServerAuthentication
  if (username === 'trouble') return callback(refusal('The store is down', 454))
  const isRight =
    method === 'CRAM-MD5' ? auth.validatePassword('sesame') : password === 'sesame' || accessToken === 'token'
  if (username === 'anna' && isRight) callback(null, { user: { id: 7 } })
  else callback(null, username === 'anna' ? { message: 'Wrong', responseCode: 535 } : {})
}

t.test('AUTH, STARTTLS, certificates that are replaced', OPENSSL, async t => {
  const users: unknown[] = []
  const secured: unknown[] = []
  const server = new SMTPServer({
    ...selfSigned(),
    ...WITHOUT_AUTH,
    disabledCommands: [],
    authMethods: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'],
    sniOptions: new Map([['other.example', selfSigned()]]),
    hideSTARTTLS: true,
    allowInsecureAuth: false,
    onAuth,
    onSecure(_socket, { secure, servername, tlsOptions }, callback) {
      secured.push([secure, servername, tlsOptions])
      callback(servername === 'bad.example' ? refusal('Not with this name') : null)
    },
    onMailFrom(_address, session, callback) {
      users.push([session.user, session.transmissionType])
      callback()
    },
  })
  const port = await listen(t, server)
  const send = (auth: object, authMethod: string, servername = 'mx.example'): Promise<unknown> =>
    createTransport({
      host: '127.0.0.1',
      port,
      requireTLS: true,
      tls: { rejectUnauthorized: false, servername },
      auth,
      authMethod,
    }).sendMail(MAIL)
  const anna = { user: 'anna', pass: 'sesame' }
  for (const method of ['PLAIN', 'LOGIN', 'CRAM-MD5']) {
    await send(anna, method)
    await t.rejects(send({ user: 'anna', pass: 'open' }, method), { code: 'EAUTH', responseCode: 535 }, method)
  }
  server.updateSecureContext(selfSigned())
  await send({ type: 'OAuth2', user: 'anna', accessToken: 'token' }, 'XOAUTH2')
  await t.rejects(send({ user: 'trouble', pass: 'sesame' }, 'PLAIN'), {
    code: 'EAUTH',
    response: /^454 The store is down/,
  })
  await t.rejects(send({ user: 'carl', pass: 'sesame' }, 'PLAIN'), { code: 'EAUTH', response: /^535 Error: / })
  await t.rejects(send(anna, 'PLAIN', 'bad.example'), { code: /./ })
  t.strictSame(new Set(users.map(String)).size, 1)
  t.match(users[0], [{ id: 7 }, 'ESMTPSA'])
  t.match(secured[0], [true, 'mx.example', { version: 'TLSv1.3' }])
  const clear = converse(dial({ port, host: '127.0.0.1', allowHalfOpen: true }))
  await clear.expect(220)
  t.notMatch((await clear.command('EHLO c', 250)).text, 'STARTTLS')
  await clear.command('AUTH PLAIN', 538)
  await clear.command('QUIT', 221)
  await clear.closed()
  await t.rejects(async () => new SMTPServer({ authMethods: ['NTLM'] }), /NTLM is not PLAIN/)
})

t.test('CRAM-MD5: a response that is none', async t => {
  const c = await session({ disabledCommands: [], allowInsecureAuth: true, authMethods: ['CRAM-MD5'], onAuth })
  await c.command('AUTH CRAM-MD5', 334)
  await c.command(Buffer.from('anna').toString('base64'), '501 Malformed CRAM-MD5 response')
  const other = await session({ disabledCommands: [], allowInsecureAuth: true })
  await other.command(
    `AUTH PLAIN ${Buffer.from('\0anna\0sesame').toString('base64')}`,
    '535 Authentication not implemented',
  )
  t.pass()
})

t.test('TLS from the first octet', OPENSSL, async t => {
  const server = new SMTPServer({ ...WITHOUT_AUTH, ...selfSigned(), secure: true })
  const port = await listen(t, server)
  await createTransport({ host: '127.0.0.1', port, secure: true, tls: { rejectUnauthorized: false } }).sendMail(MAIL)
  t.throws(() => new SMTPServer({ secure: true }), /key and cert/)
  const behind = new SMTPServer({ ...WITHOUT_AUTH, secure: true, secured: true })
  const c = converse(connect(behind.createHandler({})))
  await c.expect(220)
  t.match([...behind.connections], [{ secure: true }])
  const refusing = new SMTPServer({
    ...WITHOUT_AUTH,
    ...selfSigned(),
    onSecure: (_socket, _session, callback) => callback(refusal('Not you')),
  })
  await t.rejects(
    secureConversation(refusing.createHandler({})).then(secure => secure.command('EHLO c', 250)),
    /554|ended|closed/,
  )
})

t.test('errors and the end', async t => {
  const server = new SMTPServer({
    ...WITHOUT_AUTH,
    onMailFrom() {
      throw new Error('of the program')
    },
  })
  const port = await listen(t, server)
  const heard = once(server, 'error')
  const c = converse(dial({ port, host: '127.0.0.1', allowHalfOpen: true }))
  await c.expect(220)
  await c.command('EHLO c', 250)
  await c.command('MAIL FROM:<a@example.org>', '451 …')
  t.match(await heard, [{ message: 'of the program' }])
  const taken = new SMTPServer(WITHOUT_AUTH)
  taken.listen(port, '127.0.0.1')
  t.match(await once(taken, 'error'), [{ code: 'EADDRINUSE' }])
  const closed = once(server, 'close')
  void c.expect(421).then(() => c.closed())
  await new Promise<void>(resolve => server.close(() => resolve()))
  await closed
  await new Promise<void>(resolve => server.close(() => resolve())) // again: no error
  server.close()
})

t.test('logger, component, ignoredHosts, and options without effect', async t => {
  const lines: string[] = []
  const write =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level} ${(fields as { component: string }).component} ${message.split('\n')[0]}`)
  const logger = { debug: write('debug'), info: write('info'), error: write('error') }
  const talk = async (options: SMTPServerOptions): Promise<void> => {
    const auth: SMTPServerOptions = { disabledCommands: [], allowInsecureAuth: true, authOptional: true }
    const server = new SMTPServer({ ...WITHOUT_AUTH, ...auth, ...options, onClose: (_session, callback) => callback() })
    const c = converse(server.createHandler({}))
    await c.expect(220)
    await c.command('EHLO client.example', 250)
    await c.command(`AUTH PLAIN ${Buffer.from('\0ann\0secret').toString('base64')}`, 535)
    await sendMail(c)
    await c.expect(250)
    await c.command('QUIT', 221)
    await c.closed()
  }
  const failing = (callback: (error: Error) => void): void => callback(new Error('x'))
  await talk({ logger, component: 'mail', onAuth: (_auth, _session, callback) => failing(callback) })
  t.match(lines, [
    /^info mail Connection from \[/,
    /^debug mail C: EHLO client\.example$/,
    /^debug mail S: 250-/,
    'debug mail C: AUTH PLAIN',
    /^debug mail S: 535/,
    /C: MAIL FROM:<a@/,
  ])
  t.ok(lines.includes('debug mail S: 250 OK: message queued'))
  t.match(lines.at(-1), /^info mail Connection closed to \[/)
  t.notMatch(lines.join('\n'), Buffer.from('\0ann').toString('base64').slice(0, 5))

  const printed: unknown[] = []
  const before = console.log
  t.teardown(() => (console.log = before))
  console.log = (line: unknown) => void printed.push(line)
  await talk({ logger: true, onAuth: (_auth, _session, callback) => failing(callback) })
  console.log = before
  t.match(printed[0], /^\d{4}-\S+ INFO \[\S+\] Connection from/)

  lines.length = 0
  await talk({ logger, ignoredHosts: [''], onAuth: (_auth, _session, callback) => failing(callback) })
  t.strictSame(lines, [])

  const warned = once(process, 'warning')
  const odd = { ...WITHOUT_AUTH, noDelay: true, hideSize: true }
  t.type(new SMTPServer(odd as SMTPServerOptions), SMTPServer)
  t.match(await warned, [{ message: 'SMTPServer: noDelay: no effect in this façade; see docs/migration.md' }])
})

t.test('docs/migration.md has a row for each option and hook', t => {
  const facade = readText('examples/smtp-server-facade.ts')
  const document = readText('docs/migration.md')
  const rows = [...document.matchAll(/^\| (`[^|]*) \| [^|]+ \|$/gm)].map(([, names = '']) => names).join(' ')
  const members = (name: string): string[] => {
    const [, body = ''] = new RegExp(`^(?:export )?interface ${name} [^]*?{\n([^]*?)^}`, 'm').exec(facade) ?? []
    return [...body.matchAll(/^ {2}(\w+)\??[(:]/gm)].map(([, member = '']) => member)
  }
  t.ok(members('SMTPServerOptions').length > 30)
  t.equal(members('Hooks').length, 7)
  const options = members('SMTPServerOptions').map(name => `\`${name}\``)
  t.strictSame(
    [...options, ...members('Hooks').map(name => `\`${name}(`)].filter(name => !rows.includes(name)),
    [],
  )
  t.end()
})
