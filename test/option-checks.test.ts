// Options fail at the start, with a text that says what was given and what is meant.

import { EventEmitter, once } from 'node:events'
import { createServer as createPlain } from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { SmtpClient } from '../lib/client/smtp-client.ts'
import type { SmtpClientOptions } from '../lib/client/options.ts'
import { maildir } from '../lib/deliveries/maildir.ts'
import { dnsbl } from '../lib/dns/dnsbl.ts'
import { resolver } from '../lib/dns/resolver.ts'
import { receivedField } from '../lib/protocol/header/received.ts'
import { networks } from '../lib/protocol/networks/network.ts'
import { cramMd5 } from '../lib/smtp/auth/cram-md5.ts'
import { oauthbearer, xoauth2 } from '../lib/smtp/auth/oauth.ts'
import { login, plain } from '../lib/smtp/auth/password.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import { scramSha256 } from '../lib/smtp/auth/scram.ts'
import { prependHeader } from '../lib/transforms/prepend-header.ts'
import { allowRecipients } from '../lib/policies/allow-recipients.ts'
import { createServer } from '../lib/server/index.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { converse, playEverySplit, playTranscript } from '../lib/testing/index.ts'
import { tlsContexts } from '../lib/tls/tls-contexts.ts'
import { reply } from '../lib/words/reply.ts'
import { client, listening } from './fixtures/tcp-client.ts'
import { begin, quit } from './fixtures/dialogue.ts'

const onMessage = () => {}
const clientOf = (options: SmtpClientOptions) => new SmtpClient(options)
const LOGIN = { user: 'anna', password: 'secret' }
const TLS = { servername: 'mx.test' }

/** JavaScript has no types. */
const wrong = (make: (options: never) => unknown, options: unknown) => () => make(options as never)

const HANDLER: [unknown, RegExp][] = [
  [{ onRcpt() {} }, /^onRcpt: there is no such option; did you mean onRcptTo\?$/],
  [{ maxSize: 5 }, /^maxSize: there is no such option/],
  [{ policies: [{}] }, /^policies\[0\] has no hook; a policy has any of onConnect, /],
  [{ policies: [{ rcptTo() {} }] }, /^policies\[0\] has no hook/],
  [{ policies: [{ onRcpt() {} }] }, /^policies\[0\]\.onRcpt: there is no such hook; did you mean onRcptTo\?$/],
  [{ policies: [{ onHelo() {}, onRcpt() {} }] }, /^policies\[0\]\.onRcpt: /],
  [
    {
      policies: [
        new (class {
          onHello() {}
        })(),
      ],
    },
    /^policies\[0\]\.onHello: there is no such hook; did you mean onHelo\?$/,
  ],
  [{ policies: [allowRecipients] }, /^policies\[0\] is an object with hooks, not a function$/],
  [{ delivery: { onMessage, onMesage() {} } }, /^delivery\.onMesage: there is no such hook; did you mean onMessage\?$/],
  [{ tls: { requierd: true } }, /^tls\.requierd: there is no such option; did you mean required\?$/],
  [{ tls: true }, /^tls is an object, not true$/],
  [{ tls: null }, /^tls is an object, not null$/],
  [
    { tls: { key: 'key.pem', cert: 'x' } },
    /^tls\.key is PEM text, not "key\.pem"; for a file, give readFileSync\("key\.pem"\)$/,
  ],
  [{ tls: { key: Buffer.from('x'), cert: ['a.pem'] } }, /^tls\.cert is PEM text, not "a\.pem"/],
  [{ auth: true }, /^auth is an object, not true$/],
  [{ auth: { mechanism: [] } }, /^auth\.mechanism: there is no such option; did you mean mechanisms\?$/],
  [
    { auth: { guesses: { except: '10.0.0.0/8' } } },
    /^auth\.guesses\.except is a list, not "10\.0\.0\.0\/8"; for one entry/,
  ],
  [{ auth: { mechanisms: 'PLAIN' } }, /^auth\.mechanisms is a list of mechanisms, as \[plain\(\)\], not "PLAIN"$/],
  [{ policies: 'x' }, /^policies is a list, not "x"$/],
  [{ auth: { mechanisms: ['PLAIN'] } }, /^auth\.mechanisms\[0\] is a mechanism, as plain\(\), not "PLAIN"$/],
  [{ limits: 5 }, /^limits is an object, not 5$/],
  [{ timeouts: 5 }, /^timeouts is an object, not 5$/],
  [{ extensions: ['DSN'] }, /^extensions is an object, not a list$/],
  [{ extensions: { CHUNKIN: false } }, /^extensions\.CHUNKIN: there is no such option; did you mean CHUNKING\?$/],
  [{ size: '50MB' }, /^size is a number, 0 or more \(0: no limit\), not "50MB"$/],
  [{ xclient: '10.0.0.0/8' }, /^xclient is a list, not "10\.0\.0\.0\/8"; for one entry, give \["10\.0\.0\.0\/8"\]$/],
  [{ client: { address: 5 } }, /^client\.address is a text or null, not 5$/],
  [{ client: { port: '25' } }, /^client\.port is a number or null, not "25"$/],
  [{ policies: [{ name: 5, onHelo() {} }] }, /^policies\[0\]\.name is a text, not 5$/],
  [{ delivery: { name: 5, onMessage } }, /^delivery\.name is a text, not 5$/],
  [{ handleHelo() {} }, /^handleHelo: there is no such option; override the method in a subclass, or use a hook$/],
  [{ client: '192.0.2.1' }, /^client is an object, not "192\.0\.2\.1"$/],
  [{ logFile: true }, /^logFile is a text, not true$/],
  [{ handleError: 1 }, /^handleError is a function, not 1$/],
  [{ highWaterMark: '1' }, /^highWaterMark is a number of octets, not "1"$/],
  [{ clock: Date }, /^clock is an object with now\(\) and after\(\)/],
]

t.test('SmtpHandler', t => {
  for (const [options, message] of HANDLER) {
    t.throws(
      wrong(given => new SmtpHandler(given), options),
      { code: 'ERR_OPTION', message },
    )
    t.throws(
      wrong(given => createServer({}, given), options),
      { code: 'ERR_OPTION', message },
      'before it listens',
    )
  }
  t.end()
})

t.test('a policy may have members of its own', async t => {
  class Counting extends EventEmitter {
    count = 0
    onHelo() {
      this.count += 1
    }
  }
  const policy = new Counting()
  await quit(await begin(new SmtpHandler({ policies: [policy as Policy], onMessage })))
  t.equal(policy.count, 1)
})

t.test('MailHandler', async t => {
  const table: [unknown, RegExp][] = [
    [{ handelHelo() {} }, /^handelHelo: there is no such option; did you mean handleHelo\?$/],
    [{ onRcptTo() {} }, /^onRcptTo: there is no such option; a hook is an option of SmtpHandler$/],
    [{ handleHelo: '250 OK' }, /^handleHelo is a function, not "250 OK"$/],
    [{ limits: 5 }, /^limits is an object, not 5$/],
    [{ limits: { commandLine: '9' } }, /^limits\.commandLine is a number above 0, not "9"$/],
    [{ bareNewline: 'no' }, /^bareNewline is one of reject, normalize, allow, not "no"$/],
    [{ name: 5 }, /^name is a text, not 5$/],
    [5, /^options is an object, not 5$/],
  ]
  for (const [options, message] of table) {
    t.throws(
      wrong(given => new MailHandler(given), options),
      { code: 'ERR_OPTION', message },
    )
  }
})

t.test('a subclass of MailHandler may have options of its own, but not wrong ones of its base', t => {
  class Slow extends MailHandler {}
  t.ok(new Slow({ delay: 5 } as object))
  t.throws(() => new Slow({ handleHello() {} } as object), { code: 'ERR_OPTION' })
  t.throws(() => new Slow({ limits: 5 } as object), { code: 'ERR_OPTION' })
  t.end()
})

t.test('a method of a subclass that is almost a hook', t => {
  const table: [string, RegExp][] = [
    ['onRcpt', /^Typo\.onRcpt: there is no such hook; did you mean onRcptTo\?$/],
    ['onMail', /^Typo\.onMail: there is no such hook; did you mean onMailFrom\?$/],
    ['onMesage', /did you mean onMessage\?$/],
    ['onmessage', /^Typo\.onmessage: there is no such hook; did you mean onMessage\?$/],
    ['onRCPTTO', /did you mean onRcptTo\?$/],
    ['onAnythingElseAtAll', /^Typo\.onAnythingElseAtAll: there is no such hook$/],
    ['handleEHLO', /^Typo\.handleEHLO: there is no such method; did you mean handleEhlo\?$/],
  ]
  for (const [name, message] of table) {
    class Typo extends SmtpHandler {}
    class Below extends Typo {}
    Object.defineProperty(Typo.prototype, name, { value() {}, configurable: true })
    t.throws(() => new Typo({ onMessage }), { code: 'ERR_OPTION', message })
    t.throws(() => new Below({ onMessage }), { code: 'ERR_OPTION' }, 'inherited')
  }
  class Lower extends MailHandler {
    handlehelo() {}
  }
  t.throws(() => new Lower(), { code: 'ERR_OPTION', message: /^Lower\.handlehelo: .* did you mean handleHelo\?$/ })
  class Good extends SmtpHandler {
    get onFire(): never {
      throw new Error('a getter is not called')
    }
    override onRcptTo() {}
    ontology() {}
    handleWithCare() {}
  }
  t.ok(new Good({ onMessage }))
  t.end()
})

t.test('a field that is almost a hook: the session is refused, and it is told', async t => {
  class Fields extends SmtpHandler {
    onRcpt = () => reply(550, 'No')
  }
  const assigned = new SmtpHandler({ onMessage })
  Object.assign(assigned, { onrcptto() {} })
  for (const handler of [new Fields({ onMessage }), new Fields({ onMessage }), assigned]) {
    const errors: Error[] = []
    handler.handleError = error => void errors.push(error)
    const c = converse(handler)
    await c.expect('421 4.3.0 Local error, please try again later')
    await c.closed()
    t.match(errors, [{ code: 'ERR_OPTION', message: /: there is no such hook; did you mean onRcptTo\?$/ }])
  }
  class Good extends SmtpHandler {
    override onRcptTo = () => reply(550, 'No')
    override once = super.once // no hook, and no text in capitals behind "on"
  }
  await quit(await begin(new Good({ onMessage })))
})

t.test('createServer', t => {
  const factory = () => new SmtpHandler({ onMessage })
  const table: [unknown, unknown, RegExp][] = [
    [{ maxConnection: 5 }, factory, /^maxConnection: there is no such option; did you mean maxConnections\?$/],
    [{ perClient: { connection: 5 } }, factory, /^perClient\.connection: .*did you mean connections\?$/],
    [{ proxy: '10.0.0.0/8' }, factory, /^proxy is a list/],
    [{ perClient: { except: '10.0.0.0/8' } }, factory, /^perClient\.except is a list/],
    [
      { onMessage },
      undefined,
      /^onMessage: there is no such option; it is one of SmtpHandler: createServer\(\{\}, \{ onMessage \}\)$/,
    ],
    [{ onMessage }, factory, /^onMessage: .* it is one of SmtpHandler/],
    [{}, undefined, /^createServer takes the options of SmtpHandler, or a function/],
    [{}, 5, /^options is an object, not 5$/],
    [{}, null, /^options is an object, not null$/],
    [{}, factory(), /^a handler serves one connection: give its options, or \(\) => new SmtpHandler\(options\)$/],
    [{}, SmtpHandler, /^a function makes handlers, not a class: give \(\) => new SmtpHandler\(options\)$/],
    [SmtpHandler, undefined, /, not a class: give/],
    [{ tls: { requierd: true } }, factory, /^tls\.requierd/],
    [{ clock: 5 }, factory, /^clock is an object/],
  ]
  for (const [options, handler, message] of table) {
    t.throws(() => createServer(options as never, handler as never), { code: 'ERR_OPTION', message })
  }
  t.end()
})

t.test('createServer with the options of SmtpHandler', async t => {
  const server = await listening(createServer({}, { name: 'mx.test', onMessage }))
  t.teardown(() => server.close({ within: 1 }))
  for (let i = 0; i < 2; i++) {
    const one = client(server)
    t.match(await one.reply(), /^220 mx\.test/)
    t.strictSame(
      await one.codes('EHLO c.test', 'MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>', 'DATA', 'Hi\r\n.', 'QUIT'),
      ['250', '250', '250', '354', '250', '221'],
    )
  }
})

t.test('allowRecipients and tlsContexts', t => {
  t.throws(() => allowRecipients('example.org'), {
    code: 'ERR_OPTION',
    message: 'allowRecipients(…) is a list, not "example.org"; for one entry, give ["example.org"]',
  })
  t.throws(wrong(allowRecipients, undefined), { code: 'ERR_OPTION', message: /is a list, not undefined$/ })
  t.throws(wrong(allowRecipients, [/example/]), { code: 'ERR_OPTION', message: /^recipient an object: not a domain/ })
  const table: [unknown, RegExp][] = [
    [{ defualt: {} }, /^defualt: there is no such option; did you mean default\?$/],
    [{ default: { keyfile: 'key.pem' } }, /^default\.keyfile: there is no such option; did you mean keyFile\?$/],
    [{ default: { key: 'key.pem', cert: 'cert.pem' } }, /^default\.key is PEM text, not "key\.pem"/],
    [{}, /^default is an object, not undefined$/],
  ]
  for (const [options, message] of table) t.throws(wrong(tlsContexts, options), { code: 'ERR_OPTION', message })
  t.end()
})

t.test('what takes a list refuses a text, which is one of letters', t => {
  const table: [() => unknown, RegExp][] = [
    [() => networks('10.0.0.0/8'), /^networks\(…\) is a list, not "10\.0\.0\.0\/8"; for one entry/],
    [wrong(dnsbl, { zones: 'bl.example', resolver: {} }), /^zones is a list/],
    [wrong(resolver, { servers: '127.0.0.1' }), /^servers is a list/],
    [wrong(clientOf, { tls: { fingerprints256: 'AB' } }), /^tls\.fingerprints256 is a list/],
    [wrong(clientOf, { tls: TLS, auth: { ...LOGIN, mechanisms: 'PLAIN' } }), /^auth\.mechanisms is a list/],
  ]
  for (const [make, message] of table) t.throws(make, { code: 'ERR_OPTION', message })
  t.throws(() => prependHeader('X: y' as never), {
    code: 'ERR_HEADER',
    message: `fields are { 'X-Name': 'value' } or pairs of name and value, not "X: y"`,
  })
  t.end()
})

t.test('SmtpClient, mechanisms, deliveries', async t => {
  const table: [() => unknown, RegExp][] = [
    [wrong(clientOf, { pipelinning: true }), /^pipelinning: there is no such option; did you mean pipelining\?$/],
    [wrong(clientOf, { name: 5 }), /^name is a domain or an address literal, not 5$/],
    [wrong(clientOf, { xclient: 5 }), /^xclient is an object, not 5$/],
    [wrong(clientOf, { auth: true }), /^auth is an object, not true$/],
    [wrong(receivedField, {}), /^helo: can't stand in a Received field$/],
    [wrong(clientOf, 5), /^options is an object, not 5$/],
    [wrong(clientOf, { clock: Date }), /^clock is an object with now\(\) and after\(\)/],
    [wrong(clientOf, { tls: { fingerprint256: [] } }), /^tls\.fingerprint256: .* did you mean fingerprints256\?$/],
    [wrong(clientOf, { tls: TLS, auth: { ...LOGIN, username: 'x' } }), /^auth\.username: there is no such option/],
    [wrong(clientOf, { tls: TLS, auth: { ...LOGIN, insecure: 'no' } }), /^auth\.insecure is true or false, not "no"$/],
    [wrong(plain, { alowAuthzid: true }), /^plain\.alowAuthzid: .* did you mean allowAuthzid\?$/],
    [wrong(plain, { prepare: 'no' }), /^plain\.prepare is a function, not "no"$/],
    [wrong(login, { allowAuthzid: true }), /^login\.allowAuthzid: there is no such option/],
    [wrong(xoauth2, { scopes: 'x' }), /^xoauth2\.scopes: .* did you mean scope\?$/],
    [wrong(oauthbearer, { openid: 'x' }), /^oauthbearer\.openid: there is no such option/],
    [wrong(scramSha256, { lookup() {}, iteration: 5000 }), /^scramSha256\.iteration: .* did you mean iterations\?$/],
    [wrong(scramSha256, {}), /^scramSha256\.lookup is a function, not undefined$/],
    [wrong(cramMd5, { hostname: 'mx.test' }), /^cramMd5\.lookup is a function, not undefined$/],
    [wrong(cramMd5, { hostname: 'mx.test', lookup() {}, lookUp() {} }), /^cramMd5\.lookUp: .* did you mean lookup\?$/],
    [() => maildir('Maildir', { hostName: 'x' } as never), /^maildir\.hostName: .* did you mean hostname\?$/],
    [() => maildir('Maildir', { header: {} } as never), /^maildir\.header is a function, not an object$/],
    [() => maildir(undefined as never), /^maildir takes the path of a folder, not undefined$/],
  ]
  for (const [make, message] of table) t.throws(make, { code: 'ERR_OPTION', message })
  await t.rejects(scramSecret('x', { iteration: 5 } as never), { message: /^scramSecret\.iteration: / })
})

t.test('the testing kit', async t => {
  const make = () => new SmtpHandler({ onMessage })
  const mistyped = { timout: 5 } as object
  const message = /^timout: there is no such option; did you mean timeout\?$/
  t.throws(() => converse(make(), mistyped), { code: 'ERR_OPTION', message })
  const transcript = 'S: 220\nC: QUIT\nS: 221\nS: <closes>'
  await t.rejects(playTranscript(transcript, make, mistyped), { code: 'ERR_OPTION', message })
  await t.rejects(playEverySplit(transcript, make, mistyped), { code: 'ERR_OPTION', message })
})

t.test('a factory that makes no handler: 421, a clear error, and the server goes on', async t => {
  const table: [unknown, RegExp][] = [
    [
      undefined,
      /^the function that makes handlers returned nothing; return a new handler: \(\) => new SmtpHandler\(options\)$/,
    ],
    [Promise.resolve(), /returned a promise/],
    [{}, /returned an object/],
  ]
  for (const [made, message] of table) {
    const server = await listening(createServer({}, () => made as Duplex))
    for (let i = 0; i < 2; i++) {
      const warned = once(process, 'warning')
      t.strictSame(await client(server).rest(), ['421 4.3.0 Local error, please try again later'])
      t.match(await warned, [{ code: 'ERR_OPTION', message }])
    }
    await server.close({ within: 1 })
  }
})

t.test('one handler for two connections: the first goes on, the second gets 421, and an error says why', async t => {
  for (const kind of ['createServer', 'pipe']) {
    const errors: Error[] = []
    const handler = new SmtpHandler({ name: 'mx.test', onMessage, handleError: error => void errors.push(error) })
    const server =
      kind === 'createServer'
        ? createServer({}, () => handler)
        : createPlain({ allowHalfOpen: true }, socket => void socket.pipe(handler).pipe(socket))
    await listening(server)
    const first = client(server)
    t.match(await first.reply(), /^220/)
    const warned = kind === 'createServer' ? once(process, 'warning') : null
    t.strictSame(await client(server).rest(), ['421 4.3.0 Local error, please try again later'])
    const [error] = warned === null ? errors : ((await warned) as Error[])
    t.match(error, { code: 'ERR_OPTION', message: 'a handler serves one connection; make a new one for each' })
    t.strictSame(await first.codes('EHLO c.test', 'QUIT'), ['250', '221'], kind)
    await new Promise(resolve => server.close(resolve))
  }
})
